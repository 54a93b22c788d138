"""Corrected records of a fix, in the form of the batch that they correct.

A fix may come in any format. Each of its records names the rejected record that it replaces by `_row`.
"""

import contextlib

import msgspec

from goodsgate.engine.field_mapping import FieldMapping
from goodsgate.engine.fix_rows import ADDED_COLUMNS, FixTable, new_columns, reading_issue, received_row, unmarked
from goodsgate.engine.mapping_resolution import chosen_profile, resolve_mapping
from goodsgate.formats import Chunk
from goodsgate.formats.formula_marks import mark_formula, needs_mark, unmark_formula
from goodsgate.model.batch import Result, RoundKind
from goodsgate.model.finding import Finding
from goodsgate.model.issue import Issue, issue
from goodsgate.model.json_text import UNREADABLE_JSON, Members, cell_text, read_json, read_members, read_value
from goodsgate.store.contract import ClaimedRound, Store

ROW_DIGITS_MAX = 18

MARKED_FORMATS = frozenset({"csv", "tsv"})
"""Formats in which reports mark cells that a spreadsheet would run."""


def extend_mapping(mapping: FieldMapping, header: list[str] | None, round: ClaimedRound) -> FieldMapping:
    """Return the mapping of a table with the columns that a fix adds, which are mapped as in a submission."""
    columns = mapping.columns
    if columns is None or header is None:
        return mapping
    added = new_columns(header, columns, has_marks=round.format in MARKED_FORMATS)
    if not added:
        return mapping
    profile = chosen_profile(round.reading)
    return resolve_mapping(round.kind, round.policy, columns=[*columns, *added], profile=profile)[0]


def row_texts(chunk: Chunk, header: list[str] | None) -> list[str]:
    """Return the `_row` of each record of a fix as a text, empty for records without one."""
    return [_row_text(_members(chunk, at, header)) for at in range(len(chunk))]


def row_numbers(chunk: Chunk, header: list[str] | None) -> list[int | None]:
    """Return the number of the record that each record of a fix replaces; None if it names none."""
    return [_number(text) for text in row_texts(chunk, header)]


def row_texts_of(chunk: Chunk, at: int, columns: list[str]) -> list[str]:
    """Return a record of a fix that is no table as a row of the batch."""
    members = _members(chunk, at, None) or {}
    return [cell_text(members.get(column)) for column in columns]


def assemble(chunk: Chunk, *, header: list[str] | None, round: ClaimedRound, columns: list[str] | None, store: Store,
             ) -> Chunk:
    """Return the chunk with lines or rows like those of the batch, and with the numbers that its records replace.

    `header` are the columns of the fix, `columns` those of the batch.
    """
    records = [_members(chunk, at, header) for at in range(len(chunk))]
    texts = [*map(_row_text, records)]
    numbers = [_number(text) for text in texts]
    rejected = store.rejected_by_number(round.merchant, round.batch, [n for n in numbers if n is not None])
    has_marks = round.format in MARKED_FORMATS
    table = FixTable(header, columns, is_text=has_marks) if header is not None and columns is not None else None
    unreadable = dict(chunk.unreadable)
    lines: list[bytes] = []
    rows: list[list[str]] = []
    for at, (members, number) in enumerate(zip(records, numbers, strict=True)):
        before, problem = rejected.get(number or 0), unreadable.pop(at, None)
        if table is not None:
            row, problem = table.row(chunk.rows[at], before, problem)
            rows.append(row)
        elif columns is not None:
            row, problem = received_row([cell_text((members or {}).get(column)) for column in columns], before, problem)
            rows.append(row)
        elif members is None:
            lines.append(chunk.lines[at])
        else:
            line, problem = _json_line(members, before, problem, is_table=header is not None, has_marks=has_marks)
            lines.append(line)
        if members is None and problem is None:
            problem = issue("record_not_object", value=chunk.lines[at][:200].decode("utf-8", "replace"))
        if problem is not None:
            unreadable[at] = problem
    replaces, issues = _replacements(texts, rejected)
    return msgspec.structs.replace(
        chunk, lines=lines, rows=rows, unreadable=unreadable, replaces=replaces, issues=issues,
        source_rows=[
            row if number is None else rejected[number].source_row
            for row, number in zip(chunk.source_rows, replaces, strict=True)
        ],
        fix_rows=[
            _fix_row(round, row, None if number is None else rejected[number])
            for row, number in zip(chunk.source_rows, replaces, strict=True)
        ],
        roles_before=bytes(0 if number is None else rejected[number].role for number in replaces),
        waited=frozenset(number for number, before in rejected.items() if before.result is Result.WAITING),
    )


def _fix_row(round: ClaimedRound, row: int, before: Finding | None) -> tuple[int, int]:
    """Return the round whose file has sent a record last, and its row there; a correction is no file of anybody."""
    if round.round_kind is RoundKind.FIX:
        return round.number + 1, row
    return (before.fix_round, before.fix_row) if before is not None else (0, 0)


def _json_line(members: Members, before: Finding | None, problem: Issue | None, *, is_table: bool, has_marks: bool,
               ) -> tuple[bytes, Issue | None]:
    """Return a record of a JSON batch, and why it cannot be read; what came back as it was is the received line."""
    received = before.raw or b"" if before is not None else b""
    if has_marks:
        members = _unmarked_members(members, read_members(received) or {})
    own = {name: value for name, value in members.items() if name not in ADDED_COLUMNS and name != "_raw"}
    if "_raw" in members and not any(cell_text(value) for value in own.values()):
        text = str(read_value(members["_raw"]))
        if before is not None and text == received.strip().decode("utf-8", "replace"):
            return received, reading_issue(before)
        return text.encode("utf-8", "replace"), problem
    return msgspec.json.encode(_typed(own, received) if is_table else own), problem


def _unmarked_members(members: Members, received: Members) -> Members:
    """Return the cells of a table that fixes JSON records without the marks before names and cells."""
    marked = {mark_formula(name) for name in received if needs_mark(name)}
    if marked and marked <= members.keys():
        members = {unmark_formula(name) if name in marked else name: cell for name, cell in members.items()}
    return {name: unmarked(str(cell), cell_text(received.get(name))) for name, cell in members.items()}


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


def _typed(members: Members, received: bytes) -> Members:
    """Return cells of a table that fixes a JSON record with the types the record had."""
    had = read_members(received) or {}
    typed = {name: typed_member(str(cell), had.get(name)) for name, cell in members.items()}
    return {name: value for name, value in typed.items() if value is not None}


def typed_member(cell: str, received: object) -> str | msgspec.Raw | None:
    """Return a cell as a member with the type of the one received: what was no text is read as JSON if it can be.

    None: the member is left out, because the cell is empty and no empty text was received.
    """
    was = bytes(received) if isinstance(received, msgspec.Raw) else b"null"
    if cell == "" and was != b'""':
        return None
    if was != b"null" and was[:1] != b'"':
        with contextlib.suppress(*UNREADABLE_JSON):
            read_json(cell)
            return msgspec.Raw(" ".join(cell.splitlines()).encode())
    return cell
