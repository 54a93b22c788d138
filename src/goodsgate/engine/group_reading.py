"""How the rows of a file belong together, and the rest of a group for the rows of a fix or a retry."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from goodsgate.engine.field_mapping import FieldMapping
from goodsgate.engine.grouped_chunks import GROUP_CHARACTERS_MAX, GroupedChunk, alone, with_groups
from goodsgate.engine.groups import GROUP_ID, IMAGES, FindColumns, RowGroups
from goodsgate.formats import Chunk
from goodsgate.model.batch import Kind, Policy, ReadingDecision, Verb
from goodsgate.model.issue import Issue, issue
from goodsgate.model.roles import BEGINS_PRODUCT
from goodsgate.profiles import fold
from goodsgate.profiles.group import CellConditions, Group, RoleRule

GROUP_NAMES = frozenset({"handle", "urlhandle", "slug", "urlkey", "parent"})
"""Names of columns that hold the product of a row, besides those of ``item_group_id``; without spaces and dashes."""
PRODUCT_FIELDS = (
    ("title",), ("description",), ("brand",), ("product_type",), ("google_product_category",), ("link",),
    ("image_link", "additional_image_link"), ("price", "sale_price", "sale_price_effective_date", "currency"),
    ("condition",), ("adult",), ("age_group",), ("gender",), ("product_highlight",), ("tax_category",), ("tax_rule",),
    ("hs_code",), ("country_of_origin",), *((f"custom_label_{number}",) for number in range(5)),
)
"""Fields that say something about the whole product; those of one entry are taken together."""
EXPECTED_COLUMNS_MAX = 20


class CreateGroups(Protocol):
    """Returns the groups of a file; see `RowGroups`."""

    def __call__(self, group: Group, columns: Sequence[str], *, find_columns: FindColumns,  # noqa: D102 - see above
                 derives_keys: bool) -> RowGroups: ...


def resolve_groups(mapping: FieldMapping, policy: Policy, *, create: CreateGroups = RowGroups) -> RowGroups | None:
    """Return how the rows of a file belong together; None if each one stands alone."""
    columns = mapping.columns
    if columns is None or policy.schema or policy.verb is Verb.DELETE:
        return None
    find_columns = _finder(mapping, columns)
    group = mapping.profile.group
    if policy.group is not None:
        if fold(policy.group) not in map(fold, columns):
            return None
        group = _named_group(policy.group, group, columns, find_columns)
    elif group is None and mapping.kind is Kind.PRODUCT and policy.verb in (Verb.UPSERT, Verb.CREATE):
        group = _general_group(columns, find_columns)
    if group is None:
        return None
    groups = create(group, columns, find_columns=find_columns, derives_keys=policy.key == "derived")
    return groups if groups.is_needed else None


def group_decision(groups: RowGroups, policy: Policy) -> ReadingDecision | None:
    """Return by which column rows belong together; None if the file has none, or only rows that lack a title do."""
    if groups.group.inherit_when or not groups.column:
        return None
    return ReadingDecision(what="group", value=groups.column, how="given" if policy.group else "detected")


def missing_group_column(policy: Policy, columns: Sequence[str] | None) -> Issue | None:
    """Return the issue of a submission that groups its rows by a column which they do not have."""
    if policy.group is None or (columns is not None and fold(policy.group) in map(fold, columns)):
        return None
    expected = ", ".join((columns or ())[:EXPECTED_COLUMNS_MAX]) or "a table with a header"
    return issue("group_column_unknown", value=policy.group, expected=expected)


def _finder(mapping: FieldMapping, columns: Sequence[str]) -> Callable[[str], Sequence[int]]:
    fields = [mapping.fields_of(name) for name in columns]

    def find_columns(field: str) -> list[int]:
        return [at for at, names in enumerate(fields) if field in names]

    return find_columns


def _names(fields: Iterable[str], columns: Sequence[str], find_columns: Callable[[str], Sequence[int]]) -> list[str]:
    return [columns[at] for field in fields for at in find_columns(field)]


def _inherited(columns: Sequence[str], find_columns: Callable[[str], Sequence[int]]) -> tuple[tuple[str, ...], ...]:
    return tuple(names for each in PRODUCT_FIELDS if (names := tuple(_names(each, columns, find_columns))))


def _named_group(column: str, known: Group | None, columns: Sequence[str],
                 find_columns: Callable[[str], Sequence[int]]) -> Group:
    """Return the group of a submission that names the column: as the profile has it, or rows that lack something."""
    if known is not None:
        return msgspec.structs.replace(known, key=(column,), begins={})
    cells: CellConditions = {}
    for name in _names(("id", "title", "price"), columns, find_columns):
        cells[name] = ("",)
    images = tuple(_names(("image_link",), columns, find_columns))
    for name in images[:1]:
        cells[name] = ("*",)
    is_image = RoleRule(role="image", when=cells)
    return Group(
        key=(column,), inherit=_inherited(columns, find_columns), images=images, names_items=True,
        roles=(is_image, RoleRule(role="variant")) if images else (RoleRule(role="variant"),),
    )


def _general_group(columns: Sequence[str], find_columns: Callable[[str], Sequence[int]]) -> Group | None:
    """Return the group of a file of which nothing is known: a row without a title takes it from the rows above."""
    keys = [*_names((GROUP_ID,), columns, find_columns), *(name for name in columns if fold(name) in GROUP_NAMES)]
    titles = _names(("title",), columns, find_columns)
    if not keys or not titles:
        return None
    return Group(
        key=tuple(keys), inherit=_inherited(columns, find_columns), inherit_when=dict.fromkeys(titles, ("",)),
        names_items=True,
    )


class _GroupRow(NamedTuple):
    number: int
    """Record number; 0 for a new record of a fix."""
    cells: list[str]
    source_row: int
    at: int | None
    """Place in the chunk that is completed; None for a row that only gives."""


def complete_again(chunk: Chunk, groups: RowGroups, payload: Iterable[Chunk] | None, *, rows_max: int) -> Chunk:
    """Return rows of a fix or a retry, completed as if they had stood in the payload where they belong.

    If the payload is no longer kept, which is None, a row takes from the rows that came with it alone, and says so.
    """
    if payload is None:
        chunk = complete_again(chunk, groups, (), rows_max=rows_max)
        return _without_payload(chunk, groups)
    replaced = {number: at for at, number in enumerate(chunk.replaces or ()) if number is not None}
    readable = [at for at in range(len(chunk)) if at not in chunk.unreadable]
    chunk = msgspec.structs.replace(
        chunk, rows=[row if at in chunk.unreadable else groups.padded(row) for at, row in enumerate(chunk.rows)]
    )
    done = [alone(row) for row in chunk.rows]
    if groups.group.scattered:
        for at in readable:
            groups.add_parent(chunk.rows[at], chunk.source_rows[at])
        for row in _numbered(payload, groups):
            if row.number not in replaced:
                groups.add_parent(row.cells, row.source_row)
        groups.look_up([chunk.rows[at]] for at in readable)
        for at in readable:
            done[at] = groups.complete_scattered(chunk.rows[at], chunk.source_rows[at])
        return with_groups(chunk, done, groups)
    around = _groups_around(chunk, groups, payload, replaced=replaced, rows_max=rows_max)
    groups.look_up([row.cells for row in group] for group in around)
    for group in around:
        completed = groups.complete([row.cells for row in group], [row.source_row for row in group])
        for row, complete in zip(group, completed, strict=True):
            if row.at is not None:
                done[row.at] = complete
    return with_groups(chunk, done, groups)


def _without_payload(chunk: Chunk, groups: RowGroups) -> Chunk:
    """Return completed rows of which the others of their products are not known.

    The images that an item has stay, and no row begins a product that did not before.
    """
    done = []
    for at, row in enumerate(chunk.grouped if isinstance(chunk, GroupedChunk) else map(alone, chunk.rows)):
        before = chunk.roles_before[at] if at < len(chunk.roles_before) else 0
        row = msgspec.structs.replace(
            row, members={name: value for name, value in row.members.items() if name != IMAGES},
            begins_product=before >= BEGINS_PRODUCT, missing=None, kept=None,
        )
        if row.role == "variant" and at not in chunk.unreadable and groups.takes(chunk.rows[at]):
            others = (each for each in row.issues if each.code != "group_parent_missing")
            row = msgspec.structs.replace(row, issues=(*others, issue("group_not_kept")))
        done.append(row)
    return with_groups(chunk, done, groups)


def _groups_around(chunk: Chunk, groups: RowGroups, payload: Iterable[Chunk], *, replaced: dict[int, int],
                   rows_max: int) -> list[list[_GroupRow]]:
    """Return the groups of the rows of a chunk, with the other rows that they have in the payload."""
    corrected = {
        at: _GroupRow(number or 0, row, chunk.source_rows[at], at)
        for at, (row, number) in enumerate(zip(chunk.rows, chunk.replaces or (), strict=True))
        if at not in chunk.unreadable
    }
    is_keyed = not groups.group.begins
    wanted = {groups.key_of(row.cells) for row in corrected.values()} if is_keyed else set()
    found: list[list[_GroupRow]] = []
    by_key: dict[str, list[_GroupRow]] = {}
    placed: set[int] = set()
    characters = 0
    for run in _runs(_numbered(payload, groups), groups, rows_max=rows_max):
        key = groups.key_of(run[0].cells)
        if key not in wanted and not any(row.number in replaced for row in run):
            continue
        members = _group_of(key if is_keyed else "", found, by_key)
        for row in run:
            fixed = corrected.get(replaced.get(row.number, -1))
            if row.number not in replaced and len(members) < rows_max and characters < GROUP_CHARACTERS_MAX:
                members.append(row)
                characters += sum(map(len, row.cells))
            elif fixed is not None and (not is_keyed or groups.key_of(fixed.cells) == key):
                members.append(fixed)
                placed.add(fixed.at or 0)
    for at, row in corrected.items():
        if at not in placed:
            _group_of(groups.key_of(row.cells) if is_keyed else "", found, by_key).append(row)
    return found


def _group_of(key: str, found: list[list[_GroupRow]], by_key: dict[str, list[_GroupRow]]) -> list[_GroupRow]:
    """Return the group with a key, which is added if it is new; without a key it always is."""
    if not key or key not in by_key:
        found.append(by_key.setdefault(key, []) if key else [])
        return found[-1]
    return by_key[key]


def _numbered(payload: Iterable[Chunk], groups: RowGroups) -> Iterator[_GroupRow]:
    """Yield the readable rows of a payload with their record numbers."""
    number = 0
    for chunk in payload:
        for at, (row, source_row) in enumerate(zip(chunk.rows, chunk.source_rows, strict=True)):
            number += 1
            if at not in chunk.unreadable:
                yield _GroupRow(number, groups.padded(row), source_row, None)


def _runs(rows: Iterable[_GroupRow], groups: RowGroups, *, rows_max: int) -> Iterator[list[_GroupRow]]:
    """Yield the rows group by group, at most so many at once."""
    run: list[_GroupRow] = []
    for row in rows:
        if run and (len(run) >= rows_max or not groups.goes_on(row.cells, groups.key_of(run[0].cells))):
            yield run
            run = []
        run.append(row)
    if run:
        yield run
