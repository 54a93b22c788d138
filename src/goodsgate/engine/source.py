"""Where the records of a round come from: a payload, a fix, or what earlier rounds rejected."""

import contextlib
from collections.abc import Iterator
from typing import Protocol

import msgspec
import orjson

from goodsgate import formats
from goodsgate.config import Config
from goodsgate.model.batch import Finding, RoundKind
from goodsgate.model.issue import CODES, Issue, issue
from goodsgate.store.contract import ClaimedRound, Store

RETRY_RECORDS = 2_000
"""Rejected records read at once by a retry."""

OPENING_RECORDS = 4_096
"""Where settling is another machine's work, the first records of a large round: so that it has some soon."""
OPENING_BYTES = 8 * 1024**2
"""What is large."""

READING_CODES = frozenset(
    {"line_too_long", "cell_too_long", "row_ragged", "nul_bytes", "encoding_broken", "duplicate_in_batch"}
)
"""Issues that no mended reference data takes away: a retry leaves their records as they are."""


class Stretch(msgspec.Struct, kw_only=True):
    """Records in order, in the batch's own form: lines for JSON, cells under its columns for tables."""

    lines: list[bytes]
    rows: list[list[str]]
    places: list[int]
    unreadable: dict[int, Issue]
    bytes_done: int
    passed: int | None = None
    """Retry: the record number behind which this stretch begins; the source of a retry is the batch's numbers."""
    numbers: list[int | None] | None = None
    """Fix and retry: the record number each wants to replace; None where it named none."""
    before: dict[int, Finding] = {}
    """Fix and retry: the rejected records among `numbers`."""

    def __len__(self) -> int:
        return len(self.places)

    @property
    def taken(self) -> int:
        """Records of the source that are behind once this stretch is settled."""
        if self.passed is None or not self.numbers:
            return len(self.places)
        return (self.numbers[-1] or 0) - self.passed

    def part(self, low: int, high: int) -> "Stretch":
        """Records `low` to `high` (not included) alone."""
        passed = self.passed
        if passed is not None and low and self.numbers:
            passed = self.numbers[low - 1]
        return Stretch(
            passed=passed,
            lines=self.lines[low:high], rows=self.rows[low:high], places=self.places[low:high],
            unreadable={at - low: told for at, told in self.unreadable.items() if low <= at < high},
            bytes_done=self.bytes_done, numbers=self.numbers[low:high] if self.numbers is not None else None,
            before=self.before,
        )


class Source(Protocol):
    """An opened round."""

    header: list[str] | None
    notices: list[Issue]

    @property
    def stopped(self) -> Issue | None:
        """Why the round could not be read to its end, if so."""
        ...

    def stretches(self) -> Iterator[Stretch]:
        """Records from where the round stands to its end."""
        ...


def limits(config: Config) -> formats.Limits:
    """The bounds of reading, as the settings have them."""
    return formats.Limits(**{name: getattr(config, name) for name in formats.Limits.__struct_fields__})


class PayloadSource:
    """The submission itself."""

    def __init__(self, store: Store, work: ClaimedRound, bounds: formats.Limits) -> None:
        pieces = store.payload(work.merchant, work.batch, work.number)
        self._reader = formats.open_reader(
            pieces if pieces is not None else iter(()), format=work.format, content_encoding=work.content_encoding,
            limits=bounds,
            exact=work.policy.exact and work.round_kind is RoundKind.SUBMISSION,
        )
        self._skip = work.records
        first = store.commits_remotely and not work.chunks and work.bytes_total >= OPENING_BYTES
        self._opening = OPENING_RECORDS if first else None
        self.header = self._reader.header
        self.notices = self._reader.notices
        self._gone = pieces is None

    @property
    def stopped(self) -> Issue | None:
        """Why the payload could not be read to its end."""
        if self._gone:
            return issue("payload_corrupt", value="the payload is no longer kept")
        return self._reader.stopped

    def stretches(self) -> Iterator[Stretch]:
        """Blocks as the reader gives them."""
        return map(  # a loop would keep two chunks alive
            _stretch_of, self._reader.chunks(skip=self._skip, opening=self._opening)
        )


def _stretch_of(chunk: formats.Chunk) -> Stretch:
    return Stretch(
        lines=chunk.lines, rows=chunk.rows, places=chunk.source_rows, unreadable=chunk.unreadable,
        bytes_done=chunk.bytes_done,
    )


class FixSource(PayloadSource):
    """Corrected records, sent back in any format; each names the record it replaces by `_row`."""

    def __init__(self, store: Store, work: ClaimedRound, bounds: formats.Limits) -> None:
        super().__init__(store, work, bounds)
        self._store = store
        self._work = work

    def stretches(self) -> Iterator[Stretch]:
        """Blocks turned into the batch's own form, with numbers."""
        for stretch in super().stretches():
            records = [self._members(stretch, at) for at in range(len(stretch))]
            numbers = [_number(members.pop("_row", None)) if members is not None else None for members in records]
            wanted = [number for number in numbers if number is not None]
            before = self._store.rejected_by_number(self._work.merchant, self._work.batch, wanted)
            lines: list[bytes] = []
            rows: list[list[str]] = []
            for at, (members, number) in enumerate(zip(records, numbers, strict=True)):
                if self._work.columns is not None:
                    rows.append(_cells(members or {}, self._work.columns))
                elif members is None:
                    lines.append(stretch.lines[at])
                else:
                    typed = members if self.header is None else _typed(members, before.get(number or 0))
                    lines.append(_line(typed))
                if members is None and at not in stretch.unreadable:
                    stretch.unreadable[at] = issue("record_not_object", value=_text(stretch.lines[at]))
            yield msgspec.structs.replace(stretch, lines=lines, rows=rows, numbers=numbers, before=before)

    def _members(self, stretch: Stretch, at: int) -> dict[str, object] | None:
        if self.header is not None:
            first: dict[str, object] = {}
            for name, cell in zip(self.header, stretch.rows[at], strict=False):
                first.setdefault(name, cell)
            return first
        try:
            members = msgspec.json.decode(stretch.lines[at], type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return dict(members)


class RetrySource:
    """What earlier rounds rejected, as it was received."""

    header: list[str] | None = None
    stopped: Issue | None = None

    def __init__(self, store: Store, work: ClaimedRound) -> None:
        self.notices: list[Issue] = []
        self._store = store
        self._work = work

    def stretches(self) -> Iterator[Stretch]:
        """Rejected records by number, from where the round stands."""
        work = self._work
        after = work.records  # the source of a retry is the record numbers of the batch; most are passed over
        while findings := self._store.rejected_records(work.merchant, work.batch, after=after, limit=RETRY_RECORDS):
            passed, after = after, findings[-1].number
            yield self._stretch(findings, passed)

    def _stretch(self, findings: list[Finding], passed: int) -> Stretch:
        tabular = self._work.columns is not None
        raws = [finding.raw or b"" for finding in findings]
        return Stretch(
            lines=[] if tabular else raws,
            rows=[orjson.loads(raw) if raw else [] for raw in raws] if tabular else [],
            places=[finding.source_row for finding in findings],
            unreadable={
                at: told for at, finding in enumerate(findings)
                for told in finding.issues if told.code in READING_CODES
            },
            bytes_done=0, passed=passed, numbers=[finding.number for finding in findings],
            before={finding.number: finding for finding in findings},
        )


def open_source(store: Store, work: ClaimedRound, config: Config) -> Source:
    """The source of a round, standing at its first record that is not settled."""
    if work.round_kind is RoundKind.SUBMISSION:
        return PayloadSource(store, work, limits(config))
    if work.round_kind is RoundKind.FIX:
        return FixSource(store, work, limits(config))
    return RetrySource(store, work)


def raw_of(stretch: Stretch, at: int) -> bytes:
    """The record as received, for the store: the line, or the row's cells as a JSON array."""
    return stretch.lines[at] if stretch.lines else orjson.dumps(stretch.rows[at])


def _number(value: object) -> int | None:
    text = bytes(value).decode("utf-8", "replace").strip('"') if isinstance(value, msgspec.Raw) else str(value or "")
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _line(members: dict[str, object]) -> bytes:
    """A record of a JSON batch, without what speaks to the gate; the raw text of a line that was no record."""
    raw = members.pop("_raw", None)
    own = {name: value for name, value in members.items() if name not in ("_codes", "_messages", "_result")}
    if raw is not None and not own:
        text = msgspec.json.decode(raw) if isinstance(raw, msgspec.Raw) else raw
        return str(text).encode("utf-8", "replace")
    return msgspec.json.encode(own)


def _typed(members: dict[str, object], before: Finding | None) -> dict[str, object]:
    """Cells of a table that fixes a JSON record, with the types the record had: what was no text is read as JSON."""
    try:
        had = orjson.loads(before.raw or b"") if before is not None else {}
    except orjson.JSONDecodeError:
        had = {}
    typed: dict[str, object] = {}
    for name, cell in members.items():
        was = had.get(name) if isinstance(had, dict) else None
        if cell == "" and was != "":
            continue
        typed[name] = cell
        if was is not None and not isinstance(was, str):
            with contextlib.suppress(orjson.JSONDecodeError):
                typed[name] = orjson.loads(str(cell))
    return typed


def _cells(members: dict[str, object], columns: list[str]) -> list[str]:
    return [_cell(members.get(column)) for column in columns]


def _cell(value: object) -> str:
    if isinstance(value, msgspec.Raw):
        value = msgspec.json.decode(value)
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _text(line: bytes) -> str:
    return line[:200].decode("utf-8", "replace")


assert CODES.keys() >= READING_CODES
