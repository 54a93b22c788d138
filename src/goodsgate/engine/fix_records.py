"""Corrected records of a fix, in the form of the batch that they correct.

A fix may come in any format. Each of its records names the rejected record that it replaces by `_row`.
"""

import contextlib
from collections.abc import Iterator

import msgspec

from goodsgate import formats
from goodsgate.engine.suggestions import members_of
from goodsgate.formats import Chunk
from goodsgate.formats.formula_marks import is_marked, mark_formula, needs_mark, unmark_formula
from goodsgate.model.batch import Finding
from goodsgate.model.issue import Issue, issue
from goodsgate.model.json_text import UNREADABLE_JSON, Members, cell_text, read_json, read_members, read_value
from goodsgate.store.contract import ClaimedRound, Store

ROW_DIGITS_MAX = 18
ADDED_MEMBERS = frozenset({"_row", "_codes", "_messages", "_result"})
"""Members that a report adds to a record."""

MARKED_FORMATS = frozenset({"csv", "tsv"})
"""Formats in which reports mark cells that a spreadsheet would run."""


def open_fix(pieces: Iterator[bytes], limits: formats.Limits, *, format: str, content_encoding: str) -> formats.Reader:
    """Return the reader of a fix."""
    return formats.open_reader(pieces, format=format, content_encoding=content_encoding, limits=limits)


def row_texts(chunk: Chunk, header: list[str] | None) -> list[str]:
    """Return the `_row` of each record of a fix as a text, empty for records without one."""
    return [_row_text(_members(chunk, at, header)) for at in range(len(chunk))]


def assemble(chunk: Chunk, *, header: list[str] | None, round: ClaimedRound, store: Store) -> Chunk:
    """Return the chunk with lines or rows like those of the batch, and with the numbers that its records replace."""
    records = [_members(chunk, at, header) for at in range(len(chunk))]
    texts = [*map(_row_text, records)]
    numbers = [_number(text) for text in texts]
    rejected = store.rejected_by_number(round.merchant, round.batch, [n for n in numbers if n is not None])
    if round.format in MARKED_FORMATS:
        for at, number in enumerate(numbers):
            records[at] = _unmarked(records[at] or {}, rejected.get(number or 0), round.columns)
    unreadable = dict(chunk.unreadable)
    lines: list[bytes] = []
    rows: list[list[str]] = []
    for at, (members, number) in enumerate(zip(records, numbers, strict=True)):
        if round.columns is not None:
            rows.append([_cell((members or {}).get(column)) for column in round.columns])
        elif members is None:
            lines.append(chunk.lines[at])
        else:
            lines.append(_line(members if header is None else _typed(members, rejected.get(number or 0))))
        if members is None and at not in unreadable:
            unreadable[at] = issue("record_not_object", value=chunk.lines[at][:200].decode("utf-8", "replace"))
    replaces, issues = _replacements(texts, rejected)
    return msgspec.structs.replace(
        chunk, lines=lines, rows=rows, unreadable=unreadable, replaces=replaces, issues=issues
    )


def _unmarked(members: Members, before: Finding | None, columns: list[str] | None) -> Members:
    """Return the cells of a corrected record without the marks that the report has put before names and cells.

    The file may be a report without marks. So a cell that is the one that was received stays, and a mark is removed if
    what was received had one, too.
    """
    received = (members_of(before.raw or b"", columns) if before is not None else None) or {}
    names = received if columns is None else columns
    marked = {mark_formula(name) for name in names if needs_mark(name)}
    if marked and marked <= members.keys():
        members = {unmark_formula(name) if name in marked else name: cell for name, cell in members.items()}
    return {name: _unmarked_cell(str(cell), received.get(name)) for name, cell in members.items()}


def _unmarked_cell(cell: str, received: object) -> str:
    text = cell_text(received)
    if not is_marked(cell) or cell == text:
        return cell
    return unmark_formula(cell) if needs_mark(text) or unmark_formula(cell) == text else cell


def _replacements(texts: list[str], rejected: dict[int, Finding]) -> tuple[list[int | None], dict[int, list[Issue]]]:
    """Return which record each one replaces, by its `_row`.

    What names no rejected record, or one named before, is a new record with an issue; what names none is a new record.
    """
    replaces: list[int | None] = []
    issues: dict[int, list[Issue]] = {}
    replaced: set[int] = set()
    for at, text in enumerate(texts):
        number = _number(text)
        if text and (number not in rejected or number in replaced):
            issues[at] = [issue("row_not_rejected", "/_row", value=text)]
            number = None
        if number is not None:
            replaced.add(number)
        replaces.append(number)
    return replaces, issues


def _members(chunk: Chunk, at: int, header: list[str] | None) -> Members | None:
    """Return the members of a record, cells of a table under the fix's own columns; None if it is no object."""
    if header is not None:
        first: Members = {}
        for name, cell in zip(header, chunk.rows[at], strict=False):
            first.setdefault(name, cell)
        return first
    return read_members(chunk.lines[at])


def _row_text(members: Members | None) -> str:
    """Return the `_row` of a record, however it is written; empty if it has none."""
    return cell_text((members or {}).get("_row")).strip()


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= ROW_DIGITS_MAX else None


def _line(members: Members) -> bytes:
    """Return a record of a JSON batch without the report's own members.

    A line that was no JSON object is restored from `_raw`.
    """
    raw = members.pop("_raw", None)
    own = {name: value for name, value in members.items() if name not in ADDED_MEMBERS}
    if raw is not None and not own:
        return str(read_value(raw)).encode("utf-8", "replace")
    return msgspec.json.encode(own)


def _typed(members: Members, before: Finding | None) -> Members:
    """Return cells of a table that fixes a JSON record with the types the record had: non-texts are read as JSON."""
    had = read_members(before.raw or b"") or {} if before is not None else {}
    typed: Members = {}
    for name, cell in members.items():
        value = had.get(name)
        was = bytes(value) if isinstance(value, msgspec.Raw) else b"null"
        if cell == "" and was != b'""':
            continue
        typed[name] = cell
        if was != b"null" and was[:1] != b'"':
            with contextlib.suppress(*UNREADABLE_JSON):
                read_json(str(cell))
                typed[name] = msgspec.Raw(" ".join(str(cell).splitlines()).encode())
    return typed


def _cell(value: object) -> str:
    return cell_text(value)
