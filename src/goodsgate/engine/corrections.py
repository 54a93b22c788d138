"""Rejected records as rows of cells, and corrections of single cells.

A correction names the cells that were changed; the rest of its record stays what was received. Corrections become a
fix, one more round of the batch. A record that was corrected by somebody else in the meantime is left out and named.

Cells are named by column: in a table its position, in JSON the member. A new column is `+` and its name.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated

import msgspec

from goodsgate.engine.api import Engine
from goodsgate.engine.field_mapping import FieldMapping
from goodsgate.engine.fix_records import typed_member
from goodsgate.engine.idempotency import RequestKey
from goodsgate.engine.mapping_resolution import chosen_profile, resolve_mapping
from goodsgate.engine.received_records import ReceivedRecord, fix_format, fix_line, fix_of_rows, received_record
from goodsgate.engine.refusal import Refusal
from goodsgate.model.batch import FINAL_STATES, Batch, Result
from goodsgate.model.catalogue import display_key
from goodsgate.model.finding import Finding
from goodsgate.model.issue import Issue
from goodsgate.model.json_text import cell_text, read_members, write_json

NEW_COLUMN = "+"
CELL_CHARACTERS_MAX = 4_000
"""A longer cell is cut and cannot be corrected here; the report contains the rest."""
COLUMNS_MAX = 1_000
"""Columns that are listed; the members of JSON records have no bound."""

RecordNumber = Annotated[int, msgspec.Meta(ge=0, lt=10**18)]

_decode_row = msgspec.json.Decoder(list[str]).decode


class CellIssue(msgspec.Struct, frozen=True, kw_only=True):
    """An issue of a record, and the column of the cell that it is about; None for the whole record."""

    column: str | None
    code: str
    severity: str
    message: str


class RejectedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A rejected record."""

    row: int
    """Record number, which is the `_row` of a report."""
    place: str
    """Where it is in the submitter's files, in words; empty if it is in none."""
    key: str
    version: str
    """Changes when the record is replaced by a correction."""
    cells: dict[str, str]
    """Column → text, for the columns that were asked for, the key and all columns with errors on the page."""
    cut: list[str]
    """Columns of cells that are too long to be corrected."""
    issues: list[CellIssue]
    suggestions: dict[str, str]
    """Column → the cell with the suggestions of its issues."""
    is_readable: bool
    """Whether the record has cells; a line that is no JSON object has none."""


class RowColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column of rejected records under the submitter's own name."""

    id: str
    name: str
    fields: list[str]
    """The gate's fields that it fills; empty if it is stored and not checked."""
    is_failing: bool
    is_key: bool


class RejectedRows(msgspec.Struct, frozen=True, kw_only=True):
    """Some rejected records of a batch, with all their columns."""

    columns: list[RowColumn]
    rows: list[RejectedRow]


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """New texts of some cells of a rejected record."""

    row: RecordNumber
    version: str
    """That of the row that was corrected."""
    cells: dict[str, str]


class CorrectionReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of corrections, by record number."""

    sent: list[int]
    """They are validated in one more round of the batch."""
    changed: list[int]
    """Left out: somebody else has corrected the record in the meantime, and it is still rejected."""
    gone: list[int]
    """Left out: the record is not rejected any more."""


def rejected_rows(batch: Batch, findings: Sequence[Finding], *, shown: Iterable[str] = ()) -> RejectedRows:
    """Return rejected records as rows, with the cells of the columns `shown` and of all that have errors."""
    columns = _Columns(batch)
    records = [(finding, received_record(finding.raw or b"", batch.columns)) for finding in findings]
    issues = [[columns.issue(each, record) for each in finding.issues] for finding, record in records]
    for (finding, record), row_issues in zip(records, issues, strict=True):
        columns.add(finding, record, row_issues)
    ids = dict.fromkeys([*columns.keys, *columns.failing, *shown])
    rows = [
        _row(finding, record, row_issues, columns, ids)
        for (finding, record), row_issues in zip(records, issues, strict=True)
    ]
    return RejectedRows(columns=columns.listed(), rows=rows)


class _Columns:
    """The columns of some records of a batch."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._header = batch.columns
        self._mapping: FieldMapping = resolve_mapping(
            batch.kind, batch.policy, columns=batch.columns, profile=chosen_profile(batch.reading)
        )[0]
        self._places: dict[str, str] = {}
        for at, name in enumerate(batch.columns or ()):
            self._places.setdefault(name, str(at))
        self._names = {str(at): name for at, name in enumerate(batch.columns or ())}
        self.keys: dict[str, None] = {}
        self.failing: dict[str, None] = {}

    def issue(self, issue: Issue, record: ReceivedRecord | None) -> CellIssue:
        """Return an issue with the column of its cell: a new one if the record lacks the field."""
        place = record.place_of(issue) if record is not None else None
        column = None
        if record is not None and place is not None:
            column = self.id_at(record, place)
        elif record is not None and issue.path.count("/") == 1:
            column = self._id(issue.path.lstrip("/").replace("~1", "/").replace("~0", "~"))
        return CellIssue(column=column, code=issue.code, severity=issue.severity, message=issue.message)

    def add(self, finding: Finding, record: ReceivedRecord | None, issues: Sequence[CellIssue]) -> None:
        """Count the columns of a record; a line that is no JSON object has none."""
        if record is None:
            return
        for name in record.names if self._header is None else ():
            self._names.setdefault(name, name)
        for issue in issues:
            if issue.column is not None and issue.severity == "error":
                self.failing[issue.column] = None
                self._names.setdefault(issue.column, issue.column.removeprefix(NEW_COLUMN))
        for at in range(len(self._header), len(record.names)) if self._header is not None else ():
            self._names.setdefault(str(at), record.names[at])
            self.failing[str(at)] = None
        received = finding.raw or b"" if self._header is None else [*map(cell_text, record.values)]
        key = self._mapping.column_of("/id", received) or "id"
        if key in (record.names if self._header is None else self._places):
            self.keys[self._id(key)] = None

    def listed(self) -> list[RowColumn]:
        """Return all columns in the order of the file."""
        return [
            RowColumn(
                id=id, name=name, fields=self._mapping.fields_of(name), is_failing=id in self.failing,
                is_key=id in self.keys,
            )
            for id, name in [*self._names.items()][:COLUMNS_MAX]
        ]

    def id_at(self, record: ReceivedRecord, at: int) -> str:
        """Return the column of a value of a record: its position in a table, or the member."""
        return record.names[at] if self._header is None else str(at)

    def _id(self, name: str) -> str:
        if self._header is None:
            return name
        return self._places.get(name) or NEW_COLUMN + name


def _row(finding: Finding, record: ReceivedRecord | None, issues: list[CellIssue], columns: _Columns,
         ids: Iterable[str]) -> RejectedRow:
    values = record.values if record is not None else ()
    texts = {columns.id_at(record, at): cell_text(value) for at, value in enumerate(values)} if record else {}
    cells = {id: texts.get(id, "") for id in ids}
    by_column: dict[str, list[Issue]] = {}
    for found, each in zip(finding.issues, issues, strict=True):
        if each.column is not None and found.suggestion is not None:
            by_column.setdefault(each.column, []).append(found)
    suggestions: dict[str, str] = {}
    for column, found_issues in by_column.items():
        if record is not None and (corrected := record.with_suggestions(found_issues)) is not None:
            value = corrected.values[record.place_of(found_issues[0]) or 0]
            suggestions[column] = value if isinstance(value, str) else write_json(value).decode()
    return RejectedRow(
        row=finding.number, place=finding.place, key=display_key(finding.key) or "",
        version=version_of(finding), cells={id: text[:CELL_CHARACTERS_MAX] for id, text in cells.items()},
        cut=[id for id, text in cells.items() if len(text) > CELL_CHARACTERS_MAX], issues=issues,
        suggestions=suggestions, is_readable=record is not None,
    )


def version_of(finding: Finding) -> str:
    """Return the version of a rejected record."""
    return hashlib.blake2b(finding.raw or b"", digest_size=8).hexdigest()


def correct_records(engine: Engine, merchant: str, id: str, corrections: Sequence[Correction], *,
                    key: RequestKey) -> bytes:
    """Send corrections as one fix and return the CorrectionReceipt as JSON.

    A request that is repeated under its key has no further effect. Raises Refusal: batch_unknown, batch_open,
    batch_dry_run, key_in_use, key_reused, and as `Engine.submit_correction`.
    """
    def send() -> bytes:
        batch = engine.batch(merchant, id)
        if batch.state not in FINAL_STATES:
            raise Refusal("batch_open")
        by_row = {each.row: each for each in corrections}
        found = engine.store.rejected_by_number(merchant, id, [*by_row])
        matched: list[tuple[Finding, Mapping[str, str]]] = []
        changed, gone = [], []
        for each in by_row.values():
            finding = found.get(each.row)
            if finding is None or finding.result is not Result.REJECTED:
                gone.append(each.row)
            elif version_of(finding) != each.version:
                changed.append(each.row)
            else:
                matched.append((finding, each.cells))
        sent = [finding.number for finding, _ in matched]
        answer = msgspec.json.encode(CorrectionReceipt(sent=sent, changed=changed, gone=gone))
        if matched:
            pieces = _table_fix(batch, matched) if batch.columns is not None else _json_fix(matched)
            engine.submit_correction(
                batch, pieces, format=fix_format(batch.columns),
                idempotency=key.answered_by(lambda _: answer),
            )
        else:
            engine.store.release_idempotency_key(key.merchant, key.key)
        return answer

    return engine.answer_once(key, send)


def _table_fix(batch: Batch, matched: Sequence[tuple[Finding, Mapping[str, str]]]) -> Iterator[bytes]:
    """Return a fix of the records with their corrected cells."""
    header = batch.columns or []
    added = [*dict.fromkeys(id for _, cells in matched for id in cells if id.startswith(NEW_COLUMN))]

    def rows() -> Iterator[tuple[int, list[str]]]:
        for finding, corrected in matched:
            cells = _decode_row(finding.raw or b"[]")
            cells += [""] * (len(header) - len(cells))
            for id, text in corrected.items():
                if id.isdecimal() and int(id) < len(cells):
                    cells[int(id)] = text
            new = [corrected.get(id, "") for id in added]
            yield finding.number, [*cells[: len(header)], *new, *cells[len(header) :]]

    return fix_of_rows(rows(), header, added=[id.removeprefix(NEW_COLUMN) for id in added])


def _json_fix(matched: Sequence[tuple[Finding, Mapping[str, str]]]) -> Iterator[bytes]:
    """Yield lines with the members as they were received, except those that were corrected."""
    for finding, corrected in matched:
        members = read_members(finding.raw or b"")
        if members is None:
            continue
        for id, text in corrected.items():
            value = typed_member(text, members.get(id))
            if value is None:
                members.pop(id, None)
            else:
                members[id] = value
        yield fix_line(finding.number, members)
