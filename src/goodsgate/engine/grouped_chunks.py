"""Chunks of a file whose rows belong together: a group is completed as a whole, wherever the file was cut.

Rows that come out are complete, so that what follows may split a chunk at any record.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from goodsgate.engine.grouped_row import GroupedRow
from goodsgate.engine.groups import RowGroups
from goodsgate.formats import Chunk
from goodsgate.model.counting import counted
from goodsgate.model.issue import Issue, issue
from goodsgate.model.roles import role_byte

GROUP_CHARACTERS_MAX = 64 * 1024 * 1024
"""A group that is cut by the chunks of the file is held until its end; so much of it at most."""
KEYS_REMEMBERED = 65_536
"""Groups last seen, by which one that begins again is noticed."""


class GroupedChunk(Chunk, frozen=True, kw_only=True):
    """A chunk whose rows were completed by those of their groups."""

    grouped: list[GroupedRow]
    """One for each record."""

    @property
    def cells(self) -> list[list[str]]:
        """The cells of each record with those that it takes; what cannot be read is as it was received."""
        if not self.unreadable:
            return [row.cells for row in self.grouped]
        return [
            self.rows[at] if at in self.unreadable else row.cells for at, row in enumerate(self.grouped)
        ]

    def part(self, start: int, end: int) -> Chunk:
        """See Chunk.part."""
        return msgspec.structs.replace(Chunk.part(self, start, end), grouped=self.grouped[start:end])


class _Run(NamedTuple):
    """Consecutive rows with one key."""

    begin: int
    end: int
    key: str


class GroupedChunks:
    """Completes the groups of the chunks of one payload."""

    def __init__(self, groups: RowGroups, *, rows_max: int, bytes_total: int, chunk_seconds: float = 1.0) -> None:
        """Bound a group by its rows; `bytes_total` is the size of the payload."""
        self._seconds = chunk_seconds
        self._groups = groups
        self._rows_max = rows_max
        self._bytes_total = bytes_total
        self._first_rows: dict[str, int] = {}
        """Key of a group that was seen → its first source row."""
        self._overflowing: str | None = None
        """Key of a group that has reached a bound; further rows of it are rejected."""

    def chunks(self, source: Iterable[Chunk], *, skip: int = 0) -> Iterator[Chunk]:
        """Yield the chunks of a file that is read from its beginning, from record `skip` + 1 on.

        Some are empty, so that other lanes have their turn while much is skipped.
        """
        ends_at = time.monotonic() + self._seconds
        for chunk in self._scattered(source) if self._groups.group.scattered else self._whole_groups(source):
            if skip and len(chunk):
                skipped = min(skip, len(chunk))
                skip -= skipped
                chunk = chunk.part(skipped, len(chunk))
            if len(chunk) or time.monotonic() > ends_at:
                yield chunk
                ends_at = time.monotonic() + self._seconds

    def _scattered(self, source: Iterable[Chunk]) -> Iterator[Chunk]:
        groups = self._groups
        for chunk in source:
            groups.look_up([row] for row in _readable(chunk))
            yield with_groups(chunk, [
                groups.complete_scattered(row, source_row) if at not in chunk.unreadable else alone(row)
                for at, (row, source_row) in enumerate(zip(chunk.rows, chunk.source_rows, strict=True))
            ], groups)

    def _whole_groups(self, source: Iterable[Chunk]) -> Iterator[Chunk]:
        """Yield chunks that end with a group; the rows of one that may go on are held until the next chunk."""
        chunks = iter(source)
        held: Chunk | None = None
        chunk = next(chunks, None)
        while chunk is not None:
            whole, held = chunk if held is None else _join(held, chunk), None
            # At the end of the payload it is cheap to read on; elsewhere memory would hold two chunks.
            is_read = chunk.bytes_done >= self._bytes_total
            following = next(chunks, None) if is_read else None
            if following is not None or not is_read:
                begin = self._begin_of_last(whole)
                held = whole.part(begin, len(whole)) if begin < len(whole) else None
                whole = whole.part(0, begin)
            yield self._completed(whole)
            chunk = following if is_read else next(chunks, None)
        if held is not None:
            yield self._completed(held)

    def _begin_of_last(self, chunk: Chunk) -> int:
        """Return where the last group of a chunk begins; its length if the group need not be held."""
        run = self._last_run(chunk)
        return run.begin if self._bound(chunk, run) >= run.end - run.begin else run.end

    def _completed(self, chunk: Chunk) -> Chunk:
        """Return a chunk of whole groups, or of the part of one that has reached a bound."""
        groups = self._groups
        if not len(chunk):
            return chunk
        is_complete = groups.group.inherit_when and not groups.keeps_parents
        if is_complete and not any(groups.takes(row) for row in _readable(chunk)):
            run = self._last_run(chunk)
            bound = self._bound(chunk, run)
            if bound:
                self._overflowing = run.key if bound < run.end - run.begin else None
            return chunk
        completed: list[GroupedRow] = []
        groups.look_up(
            rows for run in self._runs(chunk) if (rows := [*_readable(chunk.part(run.begin, run.end))])
        )
        for run in self._runs(chunk):
            completed += self._complete_run(chunk, run)
        return with_groups(chunk, completed, groups)

    def _runs(self, chunk: Chunk) -> Iterator[_Run]:
        """Yield the groups of a chunk; a row that cannot be read belongs to the group above it, if there is one."""
        groups = self._groups
        begin, key = 0, None
        for at, row in enumerate(chunk.rows):
            if at in chunk.unreadable or (key is not None and groups.goes_on(row, key)):
                continue
            if at > begin:
                yield _Run(begin, at, key or "")
                begin = at
            key = groups.key_of(row)
        yield _Run(begin, len(chunk), key or "")

    def _last_run(self, chunk: Chunk) -> _Run:
        groups = self._groups
        readable = [at for at in range(len(chunk) - 1, -1, -1) if at not in chunk.unreadable] if chunk.unreadable else (
            range(len(chunk) - 1, -1, -1)
        )
        begin = None
        for at in readable:
            if begin is not None and not groups.goes_on(chunk.rows[begin], groups.key_of(chunk.rows[at])):
                return _Run(begin, len(chunk), groups.key_of(chunk.rows[begin]))
            begin = at
        return _Run(0, len(chunk), "") if begin is None else _Run(begin, len(chunk), groups.key_of(chunk.rows[begin]))

    def _complete_run(self, chunk: Chunk, run: _Run) -> list[GroupedRow]:
        rows, source_rows = chunk.rows[run.begin : run.end], chunk.source_rows[run.begin : run.end]
        readable: Sequence[int] = range(len(rows))
        if chunk.unreadable:
            readable = [at for at in readable if run.begin + at not in chunk.unreadable]
        bound = self._bound(chunk, run)
        key = run.key if bound or self._overflowing is None else self._overflowing
        self._overflowing = key if bound < len(rows) else None
        if len(readable) == bound == len(rows):
            completed = self._groups.complete(rows, source_rows)
            if (problem := self._repetition(rows[0], source_rows[0], run.key, completed)) is None:
                return completed
        done = [alone(row) for row in rows]
        inside = [at for at in readable if at < bound]
        completed = self._groups.complete([rows[at] for at in inside], [source_rows[at] for at in inside])
        problem = self._repetition(rows[inside[0]], source_rows[inside[0]], run.key, completed) if inside else None
        for at, row in zip(inside, completed, strict=True):
            is_told = row.role == "variant" and self._groups.takes(rows[at])
            done[at] = _with_issue(row, problem) if problem is not None and is_told else row
        if problem is not None and inside:
            done[inside[0]] = msgspec.structs.replace(done[inside[0]], begins_product=False)
        if bound < len(rows):
            problem = issue("group_too_large", value=key, expected=f"at most {counted(self._rows_max, 'row')}")
            for at in readable:
                if at >= bound and self._groups.takes(rows[at]):
                    done[at] = _with_issue(done[at], problem)
        return done

    def _bound(self, chunk: Chunk, run: _Run) -> int:
        """Return how many rows of a group are completed; further ones are rejected."""
        if self._overflowing is not None:
            first = next((at for at in range(len(chunk)) if at not in chunk.unreadable), len(chunk))
            if run.begin <= first and (
                first == len(chunk) or self._groups.goes_on(chunk.rows[first], self._overflowing)
            ):
                return 0
        bound = min(run.end - run.begin, self._rows_max)
        if bound < 2 or (run.begin and run.end < len(chunk)):
            return bound  # a group that was not cut is within the bytes of a chunk
        characters = 0
        for at, row in enumerate(chunk.rows[run.begin : run.begin + bound]):
            characters += sum(map(len, row))
            if characters > GROUP_CHARACTERS_MAX:
                return max(1, at)
        return bound

    def _repetition(self, row: Sequence[str], source_row: int, key: str, completed: Sequence[GroupedRow],
                    ) -> Issue | None:
        """Return the issue of a group that was seen before; otherwise remember it."""
        if self._groups.group.inherit_when:
            return None  # chunks of complete rows are passed over
        if not self._groups.has_key(row) or all(each.role not in ("variant", "parent") for each in completed):
            return None
        first_row = self._first_rows.setdefault(key, source_row)
        if first_row != source_row:
            return issue("group_repeated", value=key, expected=str(first_row))
        if len(self._first_rows) > KEYS_REMEMBERED:
            del self._first_rows[next(iter(self._first_rows))]
        return None


def _readable(chunk: Chunk) -> Iterator[Sequence[str]]:
    return (row for at, row in enumerate(chunk.rows) if at not in chunk.unreadable)


def alone(row: list[str]) -> GroupedRow:
    """Return a row that has to do with no other."""
    return GroupedRow("variant", row)


def _with_issue(row: GroupedRow, problem: Issue) -> GroupedRow:
    return msgspec.structs.replace(row, issues=(*row.issues, problem))


def with_groups(chunk: Chunk, grouped: list[GroupedRow], groups: RowGroups) -> Chunk:
    """Return the chunk with its completed rows and their roles.

    Only rows that have to do with others are kept completed, and rows have no roles in a file of which nothing is known
    but that some rows lack a title.
    """
    if not groups.group.inherit_when:
        roles = bytearray([role_byte(row.role, begins_product=row.begins_product) for row in grouped])
        for at in chunk.unreadable:
            roles[at] = 0
        chunk = msgspec.structs.replace(chunk, roles=bytes(roles))
    if all(row.is_plain for row in grouped):
        return chunk
    return GroupedChunk(**{name: getattr(chunk, name) for name in Chunk.__struct_fields__}, grouped=grouped)


def _join(first: Chunk, second: Chunk) -> Chunk:
    """Return two chunks as one."""
    count = len(first)
    moved = {at + count: problem for at, problem in second.unreadable.items()}
    return msgspec.structs.replace(
        second, rows=first.rows + second.rows, source_rows=first.source_rows + second.source_rows,
        unreadable=first.unreadable | moved,
        issues=first.issues | {at + count: found for at, found in second.issues.items()},
        file_issues=first.file_issues + second.file_issues,
    )
