"""Rejected records as they were received, and corrected ones as the fix that sends them back.

A record is the cells of a row or the members of a JSON object. Two columns of a table may have one name, and a row may
have more cells than the header, so that a cell is named by its position.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import msgspec

from goodsgate import formats
from goodsgate.model.issue import Issue
from goodsgate.model.json_text import UNREADABLE_JSON, Members, cell_text, read_members, read_value, write_json

DELIMITER_LINE = b"sep=,\r\n"
"""Keeps the delimiter of a fix from being detected by cells that contain others."""


class ReceivedRecord(msgspec.Struct, frozen=True):
    """The names and values of a record: the cells of a row as texts, or members in the bytes they were received in."""

    names: Sequence[str]
    """Names of the values in their order; cells beyond the columns are `column N`."""
    values: Sequence[object]

    def place_of(self, issue: Issue) -> int | None:
        """Return the position of the value that an issue is about; None if the record has none such.

        Of columns with one name it is the one that has the value of the issue, or else the first that is filled.
        """
        name = member_name(issue, self.names)
        if name is None:
            return None

        def rank(at: int) -> tuple[bool, bool]:
            text = cell_text(self.values[at])
            return not (issue.value and issue.value in text), not text

        return min((at for at, each in enumerate(self.names) if each == name), key=rank)

    def with_suggestions(self, issues: Sequence[Issue]) -> "ReceivedRecord | None":
        """Return the record with the suggestions of the issues; None if none of them can be filled in."""
        values, is_changed = [*self.values], False
        for issue in issues:
            at = self.place_of(issue)
            if issue.suggestion is None or at is None:
                continue
            value = read_value(values[at])
            after = _replace(value, issue)
            is_changed = is_changed or after != value
            values[at] = after
        return ReceivedRecord(self.names, values) if is_changed else None


def received_record(raw: bytes, columns: Sequence[str] | None) -> ReceivedRecord | None:
    """Return a record; None if it is no row or object. `columns` are those of its batch, None for JSON."""
    if columns is None:
        members = read_members(raw)
        return ReceivedRecord([*members], [*members.values()]) if members is not None else None
    try:
        cells = msgspec.json.decode(raw, type=list[str])
    except UNREADABLE_JSON:
        return None
    further = (f"column {at + 1}" for at in range(len(columns), len(cells)))
    return ReceivedRecord([*columns, *further], cells + [""] * (len(columns) - len(cells)))


def member_name(issue: Issue, names: Sequence[str]) -> str | None:
    """Return the member or column, among these, that an issue is about; None if it is none of them."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in issue.path.split("/")[1:]]
    for name in (issue.column, ".".join(steps), *(".".join(steps[:end]) for end in range(len(steps) - 1, 0, -1))):
        if name and name in names:
            return name
    top = (issue.column or "").partition(".")[0]
    return top if top in names else None


def fix_of_rows(rows: Iterable[tuple[int, Sequence[str]]], columns: Sequence[str], *, added: Sequence[str] = (),
                ) -> Iterator[bytes]:
    """Yield a fix of a table in pieces: CSV with the columns of the batch, of rows by record number.

    A row has the cells of the columns, then those of the columns that are `added`, then further ones, which stand
    behind all columns as in a report. Yields nothing without a row.
    """
    width = len(columns) + len(added)

    def complete() -> Iterator[list[str]]:
        for number, row in numbered:
            cells = [*row, *[""] * (width - len(row))]
            yield [*cells[:width], str(number), *cells[width:]]

    numbered = iter(rows)
    first = next(numbered, None)
    if first is None:
        return
    numbered = chain((first,), numbered)
    yield DELIMITER_LINE
    yield from formats.write(complete(), format="csv", header=[*columns, *added, "_row"])


def fix_line(number: int, members: Members) -> bytes:
    """Return one line of a fix of JSON records."""
    return write_json({**members, "_row": number}) + b"\n"


def fix_of_records(records: Iterable[tuple[int, ReceivedRecord]], columns: Sequence[str] | None) -> Iterator[bytes]:
    """Yield a fix of the format `fix_format` in pieces, of corrected records by record number."""
    if columns is not None:
        yield from fix_of_rows(((number, [*map(cell_text, record.values)]) for number, record in records), columns)
        return
    for number, record in records:
        yield fix_line(number, dict(zip(record.names, record.values, strict=True)))


def fix_format(columns: Sequence[str] | None) -> str:
    """Return the format of a fix that is generated for a batch with these columns, None for JSON."""
    return "ndjson" if columns is None else "csv"


def _replace(value: object, issue: Issue) -> object:
    """Return a member with the suggestion in place of the rejected value, at any depth."""
    suggestion, rejected = issue.suggestion, issue.value
    if isinstance(value, dict):
        return {name: _replace_inside(each, issue) for name, each in value.items()}
    if isinstance(value, list):
        return [_replace_inside(each, issue) for each in value]
    if isinstance(value, str) and rejected and value != rejected and value.count(rejected) == 1:
        return value.replace(rejected, suggestion or "")
    return suggestion


def _replace_inside(value: object, issue: Issue) -> object:
    if isinstance(value, dict | list):
        return _replace(value, issue)
    return issue.suggestion if value is not None and str(value) == issue.value else value
