"""Groups whose rows stand in several batches: parents are kept for variants to come, and variants wait for parents.

A row that describes its product is kept with the commit that accepts it. A variant that comes in another batch takes
from it what it would take from a row of its own file.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta

import msgspec

from goodsgate.engine.grouped_chunks import GroupedChunk
from goodsgate.engine.grouped_row import GroupedRow, KeptParent, MissingParent, ParentRow
from goodsgate.engine.groups import FindColumns, RowGroups
from goodsgate.engine.row_cells import Row, first_cell, has_any
from goodsgate.formats import Chunk
from goodsgate.model.batch import RESULT_BYTE, Kind, Result, Strictness, Verb
from goodsgate.model.issue import VALUE_CHARACTERS_MAX
from goodsgate.profiles.group import Group
from goodsgate.store.contract import ClaimedRound, GroupParent, Store

PARENT_BYTES_MAX = 1024 * 1024
"""Larger parents are not kept."""
KEPT_TIMES = 2
"""A parent is kept so many times longer than a record waits: a variant may come late, and still wait for its brand."""
ELSEWHERE = 0
"""Stands for the source row of a cell that was taken from a row of another batch."""
DESCRIBING = frozenset({"parent", "variant", "image"})
NOT_ACCEPTED = frozenset(RESULT_BYTE[result] for result in (Result.REJECTED, Result.WAITING, Result.CANCELLED))

FindParents = Callable[[list[str]], Mapping[str, bytes]]
"""Returns the bodies of those of the named parents that are kept."""

_decode = msgspec.json.Decoder(KeptParent).decode


class SharedRowGroups(RowGroups):
    """Groups of the rows of a file, of which some may stand in other batches."""

    def __init__(self, group: Group, columns: Sequence[str], *, find_columns: FindColumns, derives_keys: bool,
                 find_parents: FindParents, lets_wait: bool, keeps_parents: bool) -> None:
        """With `lets_wait` variants take from parents of other batches, and wait for them."""
        super().__init__(group, columns, find_columns=find_columns, derives_keys=derives_keys)
        self.keeps_parents = keeps_parents
        self._lets_wait = lets_wait
        self._find_parents = find_parents
        self._titles = find_columns("title")
        self._others: Mapping[str, KeptParent] = {}
        """Parents of other batches, by name, for the rows that are completed next."""

    def look_up(self, groups: Iterable[Sequence[Row]]) -> None:
        """See RowGroups.look_up."""
        if not self._lets_wait:
            return
        names = dict.fromkeys(map(self._missing_name, groups))
        names.pop("", None)
        found = self._find_parents([*names]) if names else {}
        self._others = {name: _decode(body) for name, body in found.items()}

    def complete(self, rows: Sequence[Row], source_rows: Sequence[int]) -> list[GroupedRow]:
        """See RowGroups.complete; rows of other batches stand before those of the file."""
        name = self._missing_name(rows) if self._lets_wait else ""
        other = self._others.get(name) if name else None
        if other is not None:
            before = [self._row(cells, name) for cells in other.rows]
            numbers = [*(ELSEWHERE for _ in before), *source_rows]
            return self._with_begin(super().complete([*before, *rows], numbers)[len(before) :])
        completed = super().complete(rows, source_rows)
        if name:
            return [self._waiting(row, name) if row.role == "variant" else row for row in completed]
        if self.keeps_parents and (description := self._describe(rows)) is not None:
            at, kept = description
            completed[at] = msgspec.structs.replace(completed[at], kept=kept)
        return completed

    def complete_scattered(self, row: Row, source_row: int) -> GroupedRow:
        """See RowGroups.complete_scattered."""
        completed = super().complete_scattered(row, source_row)
        if completed.role == "parent" and completed.parent is not None and self.keeps_parents:
            cells = self._cells(completed.parent.cells, range(len(row)))
            kept = _kept(self._names(row), completed.parent.name, [cells])
            return msgspec.structs.replace(completed, kept=kept)
        if completed.role == "variant" and completed.parent is None and self._lets_wait:
            name = self._missing_name([row])
            return self._waiting(completed, name) if name else completed
        return completed

    def _find_parent(self, name: str) -> ParentRow | None:
        if (parent := super()._find_parent(name)) is not None:
            return parent
        other = self._others.get(name)
        return None if other is None else ParentRow(ELSEWHERE, self._row(other.rows[0], name), other.group_id)

    def _missing_name(self, rows: Sequence[Row]) -> str:
        """Return the name of the parent that the rows of a group lack; empty if they have one, or name none."""
        if self.group.scattered:
            name, sku = first_cell(rows[0], self._key), first_cell(rows[0], self._sku)
            has_parent = name in self._parents or (sku in self._variants if sku else False)
            if has_parent or self._role(rows[0], beside_variants=True).role != "variant":
                return ""
        else:
            name = first_cell(rows[0], self._key)
            if not self._titles or any(has_any(row, self._titles) for row in rows):
                return ""
            if not all(self.has_key(row) for row in rows):  # the row that the others name is here, without a title
                return ""
        return name if _is_kept_name(name) else ""

    def _waiting(self, row: GroupedRow, name: str) -> GroupedRow:
        issues = tuple(each for each in row.issues if each.code != "group_parent_missing")
        return msgspec.structs.replace(row, missing=MissingParent(name, self._is_inherited), issues=issues)

    def _with_begin(self, rows: list[GroupedRow]) -> list[GroupedRow]:
        """Return the rows of which the first that describes the product begins it in this file."""
        for at, row in enumerate(rows):
            if row.role in ("parent", "variant") and not self.group.inherit_when:
                rows[at] = msgspec.structs.replace(row, begins_product=True)
                break
        return rows

    def _describe(self, rows: Sequence[Row]) -> tuple[int, KeptParent] | None:
        """Return what the rows of a group give, and which of them must be accepted for that: the one with the title."""
        describing = [at for at, rule in enumerate(self._roles(rows)) if rule.role in DESCRIBING]
        title_at = next((at for at in describing if has_any(rows[at], self._titles)), None)
        if title_at is None:
            return None
        columns = {at: {*self._images, *self._position} for at in describing if has_any(rows[at], self._images)}
        for unit, at in self._sources(rows, describing):
            columns.setdefault(at, set()).update(unit)
        name = self.key_of(rows[title_at])
        kept = _kept([name], name, [self._cells(rows[at], sorted(of_row)) for at, of_row in sorted(columns.items())])
        return None if kept is None else (title_at, kept)

    def _cells(self, row: Row, columns: Iterable[int]) -> dict[str, str]:
        return {self._columns[at]: row[at] for at in columns if row[at].strip()}

    def _row(self, cells: Mapping[str, str], name: str) -> list[str]:
        """Return a row of another batch with the columns of this file."""
        row = [""] * len(self._columns)
        for column, cell in cells.items():
            if column in self._columns:
                row[self._columns.index(column)] = cell
        for at in self._key[:1]:
            row[at] = name
        return row


def create_groups(store: Store, round: ClaimedRound, group: Group, columns: Sequence[str], *,
                  find_columns: FindColumns, derives_keys: bool) -> RowGroups:
    """Return the groups of a file; shared ones if its records may wait for parents, or others wait for its parents."""
    policy = round.policy
    if round.kind is Kind.PRODUCT and policy.verb in (Verb.UPSERT, Verb.CREATE) and group.key:
        lets_wait = policy.references is Strictness.WAIT
        keeps = not round.is_dry_run and (lets_wait or store.awaits_parents(round.merchant, round.collection))
        if lets_wait or keeps:
            return SharedRowGroups(
                group, columns, find_columns=find_columns, derives_keys=derives_keys, lets_wait=lets_wait,
                keeps_parents=keeps,
                find_parents=lambda names: store.group_parents(round.merchant, round.collection, names),
            )
    return RowGroups(group, columns, find_columns=find_columns, derives_keys=derives_keys)


def lacks_parents(chunk: Chunk) -> bool:
    """Return whether a row of the chunk waits for its parent, which a batch before it may still bring."""
    return isinstance(chunk, GroupedChunk) and any(row.missing is not None for row in chunk.grouped)


def kept_parents(round: ClaimedRound, chunk: Chunk, results: bytes) -> list[GroupParent]:
    """Return what the accepted rows of a chunk give to other batches."""
    if not isinstance(chunk, GroupedChunk):
        return []
    hours = round.policy.waiting_hours if round.policy.references is Strictness.WAIT else None
    expires_at = None if hours is None else round.started_at + timedelta(hours=KEPT_TIMES * hours)
    kept = (
        row.kept for row, result in zip(chunk.grouped, results, strict=False)
        if row.kept is not None and result not in NOT_ACCEPTED
    )
    return [
        GroupParent(names=parent.names, body=body, expires_at=expires_at) for parent in kept
        if len(body := msgspec.json.encode(parent)) <= PARENT_BYTES_MAX
    ]


def _kept(names: Iterable[str], group_id: str, rows: list[dict[str, str]]) -> KeptParent | None:
    """Return a parent with those of its names that can be kept; None if there is none."""
    usable = tuple(dict.fromkeys(filter(_is_kept_name, names)))
    return KeptParent(usable, group_id, rows) if usable else None


def _is_kept_name(name: str) -> bool:
    """Return whether an issue has the name as a whole, so that it can be compared."""
    return 0 < len(name) < VALUE_CHARACTERS_MAX and "\0" not in name
