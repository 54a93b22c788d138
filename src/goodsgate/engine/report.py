"""What became of each record, as a file: the submitter's own columns, and why.

A report of rejected records can be corrected and sent back: its ``_row`` names the record each line replaces.
"""

from collections.abc import Iterator, Sequence

import msgspec
import orjson

from goodsgate import formats
from goodsgate.config import Config
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.source import PayloadSource, limits, raw_of
from goodsgate.model.batch import Batch, Finding, RoundKind
from goodsgate.model.issue import Issue
from goodsgate.store.contract import ClaimedRound, RecordResult, Store

PAGE_RECORDS = 2_000
ADDED = ("_row", "_codes", "_messages")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A report as it is sent: made while it is read, so that its size costs no memory."""

    media_type: str
    filename: str
    pieces: Iterator[bytes]


class Line(msgspec.Struct, frozen=True):
    """One record of a report."""

    number: int
    raw: bytes
    issues: Sequence[Issue]
    result: str


def report(store: Store, config: Config, batch: Batch, *, only: str = "rejected", format: str | None = None) -> Report:
    """`only` is ``rejected`` or ``all``; `format` is one of formats.FORMATS, the submitter's own if None.

    Raises Refusal: parameter_invalid, payload_gone (``all`` reads the payload again), batch_open (``all``).
    """
    wanted = format or batch.format
    if wanted not in formats.FORMATS:
        raise Refusal("parameter_invalid", f"format must be one of {', '.join(formats.FORMATS)}.", parameter="format")
    if only == "rejected":
        lines = _rejected(store, batch)
    elif only == "all":
        lines = _all(store, config, batch)
    else:
        raise Refusal("parameter_invalid", "only must be rejected or all.", parameter="only")
    results = only == "all"
    if wanted in ("ndjson", "json"):
        pieces = formats.write((_object(line, batch, results=results) for line in lines), format=wanted, header=None)
    else:
        header = _columns(store, batch)
        rows = (_row(line, batch, header, results=results) for line in lines)
        added = ("_row", "_result", *ADDED[1:]) if results else ADDED
        pieces = formats.write(rows, format=wanted, header=[*header, *added])
    return Report(
        media_type=formats.MEDIA_TYPES[wanted], filename=f"{batch.id}-{only}.{wanted}", pieces=pieces
    )


def _rejected(store: Store, batch: Batch) -> Iterator[Line]:
    for finding in _rejected_findings(store, batch):
        yield Line(finding.number, finding.raw or b"", finding.issues, "rejected")


def _rejected_findings(store: Store, batch: Batch) -> Iterator[Finding]:
    after = 0
    while page := store.rejected_records(batch.merchant, batch.id, after=after, limit=PAGE_RECORDS):
        yield from page
        after = page[-1].number


def _all(store: Store, config: Config, batch: Batch) -> Iterator[Line]:
    if batch.finished_at is None:
        raise Refusal("batch_open")
    if store.payload(batch.merchant, batch.id, 0) is None:
        raise Refusal("payload_gone")
    return _merged(store, config, batch)


def _merged(store: Store, config: Config, batch: Batch) -> Iterator[Line]:
    """The payload read once more, beside the results and the issues, all three in the order of record numbers."""
    results, findings = _results(store, batch), _findings(store, batch)
    finding = next(findings, None)
    number = 0
    for stretch in PayloadSource(store, _reading(batch), limits(config)).stretches():
        for at in range(len(stretch)):
            number += 1
            result = next(results, None)
            while finding is not None and finding.number < number:
                finding = next(findings, None)
            told = finding.issues if finding is not None and finding.number == number else []
            yield Line(number, raw_of(stretch, at), told, str(result.result) if result is not None else "")


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


def _reading(batch: Batch) -> ClaimedRound:
    """The submission as a source reads it, from its first record."""
    return ClaimedRound(
        merchant=batch.merchant, batch=batch.id, number=0, round_kind=RoundKind.SUBMISSION, kind=batch.kind,
        collection=batch.collection, policy=batch.policy, format=batch.format, content_encoding=batch.content_encoding,
        bytes_total=batch.bytes_total, received_at=batch.received_at, cancelling=False, chunks=0, records=0, total=0,
        columns=batch.columns, mapping=None,
    )


def _codes(issues: Sequence[Issue]) -> str:
    return " ".join(dict.fromkeys(one.code for one in issues))


def _messages(issues: Sequence[Issue]) -> str:
    return " | ".join(one.message for one in issues)


def _object(line: Line, batch: Batch, *, results: bool) -> bytes:
    """One JSON object: the record's own members as they came, then ours."""
    added: dict[str, object] = {"_row": line.number}
    if results:
        added["_result"] = line.result
    added["_codes"] = [*dict.fromkeys(one.code for one in line.issues)]
    added["_messages"] = [one.message for one in line.issues]
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


def _row(line: Line, batch: Batch, header: list[str], *, results: bool) -> list[str]:
    if batch.columns is not None:
        cells = _cells(line.raw)
        cells = [*cells[: len(header)], *[""] * (len(header) - len(cells))]
    else:
        cells = _flat(line.raw, header)
    added = [str(line.number), *([line.result] if results else []), _codes(line.issues), _messages(line.issues)]
    return [*cells, *added]


def _columns(store: Store, batch: Batch) -> list[str]:
    """The submitter's own header; for JSON the members of the first rejected records, in the order they appear."""
    if batch.columns is not None:
        return batch.columns
    names: dict[str, None] = {}
    for finding in store.rejected_records(batch.merchant, batch.id, limit=PAGE_RECORDS):
        if _is_object(finding.raw or b""):
            names.update(dict.fromkeys(orjson.loads(finding.raw or b"")))
    return [*names] or ["id"]


def _cells(raw: bytes) -> list[str]:
    return [str(cell) for cell in orjson.loads(raw)] if raw else []


def _flat(raw: bytes, header: list[str]) -> list[str]:
    if not _is_object(raw):
        return [""] * len(header)
    record = orjson.loads(raw)
    return [_text(record.get(name)) for name in header]


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _is_object(raw: bytes) -> bool:
    try:
        return isinstance(orjson.loads(raw), dict)
    except orjson.JSONDecodeError:
        return False
