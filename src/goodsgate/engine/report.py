"""Write the records of a batch to a file, with the submitter's own columns, their results and their issues.

A report of rejected records can be corrected and sent back: its ``_row`` names the record that each line replaces.
"""

from collections.abc import Iterator, Sequence

import msgspec
import orjson

from goodsgate import formats
from goodsgate.engine.dialect import dialect_of
from goodsgate.engine.reader import RoundReader, raw_record
from goodsgate.engine.refusal import Refusal
from goodsgate.model.batch import Batch, RoundKind
from goodsgate.model.catalogue import display_key
from goodsgate.model.finding import Finding
from goodsgate.model.issue import Issue
from goodsgate.model.journal import JournalPosition
from goodsgate.model.json_text import cell_text, read_json, read_members
from goodsgate.store.contract import ClaimedRound, RecordResult, Store

PAGE_RECORDS = 2_000
ADDED = ("_row", "_codes", "_messages")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A report as a stream: its size costs no memory."""

    media_type: str
    filename: str
    pieces: Iterator[bytes]
    left_out: list[str] = []
    """Members that the format cannot hold; complete once the first piece that is not empty was made."""
    positions: list[JournalPosition] = []
    """Where the changes behind an export begin, known when `left_out` is; empty if it is not of one moment."""


class ReportLine(msgspec.Struct, frozen=True):
    """One record of a report."""

    number: int
    raw: bytes
    issues: Sequence[Issue]
    result: str


def report(store: Store, limits: formats.Limits, batch: Batch, *, only: str = "rejected",
           format: str | None = None, raw: bool = False, without: str = "") -> Report:
    """Return a report of a batch.

    `only` is ``rejected``, ``waiting`` or ``all``; `format` is one of formats.WRITTEN_FORMATS, the submitter's own if
    None (NDJSON for XML). Cells of CSV and TSV that a spreadsheet would run are marked, unless `raw`; a fix
    removes the marks. Issues with the code `without` are left out.

    Raises Refusal: parameter_invalid, payload_gone (``all`` reads the payload again), batch_open (``all``).
    """
    wanted = format or (batch.format if batch.format in formats.WRITTEN_FORMATS else "ndjson")
    if wanted not in formats.WRITTEN_FORMATS:
        allowed = ", ".join(formats.WRITTEN_FORMATS)
        raise Refusal("parameter_invalid", f"format must be one of {allowed}.", parameter="format")
    if only in ("rejected", "waiting"):
        lines = _kept(store, batch, only)
    elif only == "all":
        lines = _all(store, limits, batch)
    else:
        raise Refusal("parameter_invalid", "only must be rejected, waiting or all.", parameter="only")
    results = only == "all"
    if without:
        lines = (
            msgspec.structs.replace(line, issues=[each for each in line.issues if each.code != without])
            for line in lines
        )
    if wanted in ("ndjson", "json"):
        pieces = formats.write((_object(line, batch, results=results) for line in lines), format=wanted, header=None)
    else:
        header = _columns(store, batch, only)
        rows = (_row(line, batch, header, results=results) for line in lines)
        added = ("_row", "_result", *ADDED[1:]) if results else ADDED
        dialect = dialect_of(batch, wanted)
        pieces = formats.write(
            rows, format=wanted, header=[*header, *added], marks=not raw, delimiter=dialect.delimiter,
            encoding=dialect.encoding, sheet=dialect.sheet,
        )
    return Report(
        media_type=formats.MEDIA_TYPES[wanted], filename=f"{batch.id}-{only}.{wanted}", pieces=pieces
    )


def _kept(store: Store, batch: Batch, only: str) -> Iterator[ReportLine]:
    """Yield the rejected or the waiting records as they were received."""
    after = 0
    while page := _read_kept(store, batch, only, after=after):
        for finding in page:
            yield ReportLine(finding.number, finding.raw or b"", finding.issues, only)
        after = page[-1].number


def _read_kept(store: Store, batch: Batch, only: str, *, after: int = 0) -> list[Finding]:
    read = store.waiting_records if only == "waiting" else store.rejected_records
    return read(batch.merchant, batch.id, after=after, limit=PAGE_RECORDS)


def _all(store: Store, limits: formats.Limits, batch: Batch) -> Iterator[ReportLine]:
    if batch.finished_at is None:
        raise Refusal("batch_open")
    if batch.policy.reverts is not None:
        return _results_alone(store, batch)
    if store.payload(batch.merchant, batch.id, 0) is None:
        raise Refusal("payload_gone")
    return _merged(store, limits, batch)


def _merged(store: Store, limits: formats.Limits, batch: Batch) -> Iterator[ReportLine]:
    """Yield the payload's records, read again, with results and issues, all in the order of record numbers."""
    results, findings = _results(store, batch), _findings(store, batch)
    finding = next(findings, None)
    number = 0
    for chunk in RoundReader(store, submission_of(batch), limits).chunks():
        for at in range(len(chunk)):
            number += 1
            result = next(results, None)
            while finding is not None and finding.number < number:
                finding = next(findings, None)
            issues = finding.issues if finding is not None and finding.number == number else []
            yield ReportLine(number, raw_record(chunk, at), issues, str(result.result) if result is not None else "")


def _results_alone(store: Store, batch: Batch) -> Iterator[ReportLine]:
    """Yield the results of a batch whose records were not submitted, each with its key."""
    findings = _findings(store, batch)
    finding = next(findings, None)
    for result in _results(store, batch):
        while finding is not None and finding.number < result.number:
            finding = next(findings, None)
        issues = finding.issues if finding is not None and finding.number == result.number else []
        yield ReportLine(
            result.number, orjson.dumps({"key": display_key(result.key)}), issues, str(result.result)
        )


def _results(store: Store, batch: Batch) -> Iterator[RecordResult]:
    after = 0
    while page := store.results(batch.merchant, batch.id, after=after, limit=PAGE_RECORDS):
        yield from page
        after = page[-1].number


def _findings(store: Store, batch: Batch) -> Iterator[Finding]:
    after = 0
    while page := store.findings(batch.merchant, batch.id, after=after, limit=PAGE_RECORDS):
        yield from page
        after = page[-1].number


def submission_of(batch: Batch) -> ClaimedRound:
    """Return the submission as a round that begins with its first record."""
    return ClaimedRound(
        merchant=batch.merchant, batch=batch.id, number=0, round_kind=RoundKind.SUBMISSION, kind=batch.kind,
        collection=batch.collection, policy=batch.policy, format=batch.format, content_encoding=batch.content_encoding,
        bytes_total=batch.bytes_total, received_at=batch.received_at, started_at=batch.received_at,
        cancelling=False, chunks=0, records=0, total=0, columns=batch.columns, mapping=None,
    )


def _codes(issues: Sequence[Issue]) -> str:
    return " ".join(dict.fromkeys(issue.code for issue in issues))


def _messages(issues: Sequence[Issue]) -> str:
    return " | ".join(issue.message for issue in issues)


def _object(line: ReportLine, batch: Batch, *, results: bool) -> bytes:
    """Return a JSON object: the record's own members as they were received, then those of the report."""
    added: dict[str, object] = {"_row": line.number}
    if results:
        added["_result"] = line.result
    added["_codes"] = [*dict.fromkeys(issue.code for issue in line.issues)]
    added["_messages"] = [issue.message for issue in line.issues]
    if batch.columns is not None:
        cells: dict[str, object] = {}
        for column, cell in zip(batch.columns, _cells(line.raw), strict=False):
            cells.setdefault(column, cell)
        return orjson.dumps(cells | added)
    own = line.raw.strip()
    if not _is_object(own):
        return orjson.dumps({"_raw": own.decode("utf-8", "replace"), **added})
    tail = orjson.dumps(added)[1:]
    return own[:-1].rstrip() + (b"," if own[1:-1].strip() else b"") + tail


def _row(line: ReportLine, batch: Batch, header: list[str], *, results: bool) -> list[str]:
    """Return the cells of a record: its own, those of the report, and those for which it has no column."""
    cells = _cells(line.raw) if batch.columns is not None else _flat(line.raw, header)
    own, further = [*cells[: len(header)], *[""] * (len(header) - len(cells))], cells[len(header) :]
    added = [str(line.number), *([line.result] if results else []), _codes(line.issues), _messages(line.issues)]
    return [*own, *added, *further]


def _columns(store: Store, batch: Batch, only: str) -> list[str]:
    """Return the submitter's header; for JSON the members of the first records, in the order they appear.

    A column without a name has none in the report, as it was received.
    """
    if batch.columns is not None:
        return ["" if name == f"column_{number}" else name for number, name in enumerate(batch.columns, 1)]
    names: dict[str, None] = {}
    for finding in _read_kept(store, batch, only):
        members = read_members(finding.raw or b"")
        names.update(dict.fromkeys(members if members is not None else ("_raw",)))
    return [*names] or ["id"]


def _cells(raw: bytes) -> list[str]:
    return [str(cell) for cell in orjson.loads(raw)] if raw else []


def _flat(raw: bytes, header: list[str]) -> list[str]:
    members = read_members(raw)
    if members is None:
        members = {"_raw": raw.strip().decode("utf-8", "replace")}
    return [cell_text(members.get(name)) for name in header]


def _is_object(raw: bytes) -> bool:
    try:
        return isinstance(read_json(raw), dict)
    except orjson.JSONDecodeError:
        return False
