"""The state that all stages of reading share, and the last stage: chunks."""

import time
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from goodsgate.formats.contract import Chunk, Limits
from goodsgate.model.batch import ReadingDecision
from goodsgate.model.counting import counted
from goodsgate.model.issue import Issue, issue

PIECE_BYTES = 512 * 1024
"""Maximum decompressed bytes that pass through the stages at once; few enough to stay in a processor's cache."""

CELL_OVERHEAD_BYTES = 56
"""Memory of a cell besides its characters."""


def has_error(notices: list[Issue]) -> bool:
    """Return whether one of the issues is an error."""
    return any(notice.severity == "error" for notice in notices)


class RecordRun(msgspec.Struct):
    """Some records on their way into a chunk."""

    records: list[Any]
    """Lines (bytes) or rows (lists of cells)."""
    source_rows: list[int]
    unreadable: dict[int, Issue]
    """Index → why it cannot be read."""
    size: int
    """Decompressed bytes that they came from."""
    issues: dict[int, list[Issue]] = {}
    """Index → issues of its cells."""


class PayloadReader:
    """Reader of one payload; all stages share it and store here what they find."""

    def __init__(self, limits: Limits, *, exact: bool = False) -> None:
        self.limits = limits
        self.exact = exact
        """Whether nothing is inferred about the text (see `open_reader`)."""
        self.header: list[str] | None = None
        self.notices: list[Issue] = []
        self.decisions: list[ReadingDecision] = []
        self.stopped: Issue | None = None
        self.root: str | None = None
        self.namespaces: list[str] = []
        self.bytes_done = 0
        self.bytes_unpacked = 0
        """Decompressed bytes so far."""
        self.bytes_at_record = 0
        """The same when the last record was read."""
        self.charset = "UTF-8"
        self.runs: Iterator[RecordRun] = iter(())
        self._pending = RecordRun([], [], {}, 0)
        self._drops_pending = False

    @property
    def piece_bytes(self) -> int:
        """Maximum size of a piece, at most that of a chunk."""
        return min(PIECE_BYTES, self.limits.chunk_bytes)

    def stop(self, code: str, value: str, *, expected: str | None = None) -> None:
        """Record why the payload cannot be read to its end; the first reason is kept."""
        if self.stopped is None:
            self.stopped = issue(code, value=value, expected=expected)

    def reject(self, code: str, value: str, *, expected: str | None = None) -> None:
        """Record what the submitter must say before anything is read; records that were not delivered are dropped."""
        self.notices.append(issue(code, value=value, expected=expected))
        self._drops_pending = True

    def add_notice(self, code: str, value: str | None = None, *, suggestion: str | None = None) -> None:
        """Add an issue of the file as a whole."""
        self.notices.append(issue(code, value=value, suggestion=suggestion))

    def add_decision(self, what: str, value: str, how: Literal["given", "saved", "detected", "default"],
                     confidence: float | None = None) -> None:
        """Add how something was read; see ReadingDecision."""
        self.decisions.append(ReadingDecision(what=what, value=value, how=how, confidence=confidence))

    def chunks(self, *, skip: int = 0, opening: int | None = None) -> Iterator[Chunk]:
        """Yield the chunks; see `Reader.chunks`. What they need, such as a process, ends when they are dropped."""
        runs, self.runs = self.runs, iter(())  # which refer to this reader, too: nothing else would free them soon
        return self._chunks(runs, skip, opening)

    def _chunks(self, runs: Iterator[RecordRun], skip: int, opening: int | None) -> Iterator[Chunk]:
        limits = self.limits
        most = min(opening or limits.chunk_records_max, limits.chunk_records_max)
        records_read = 0
        ends_at = time.monotonic() + limits.chunk_seconds / 2
        for run in runs:
            if run.records:
                self.bytes_at_record = self.bytes_unpacked
            room = limits.records_max - records_read
            records_read += min(len(run.records), room)
            self._append(run, skip, room)
            skip = max(0, skip - len(run.records))
            while len(self._pending.records) >= most:
                yield self._take_chunk(most)
                most = limits.chunk_records_max
                ends_at = time.monotonic() + limits.chunk_seconds / 2
            is_full = self._pending.size >= limits.chunk_bytes and self._pending.records
            if is_full or time.monotonic() > ends_at:
                yield self._take_chunk(len(self._pending.records))
                ends_at = time.monotonic() + limits.chunk_seconds / 2
            if len(run.records) > room:
                self.stop("records_too_many", f"over {records_read:,}",
                    expected=f"at most {counted(limits.records_max, 'record')}")
                break
        if self._drops_pending:
            self._pending = RecordRun([], [], {}, 0)
        if self._pending.records:
            yield self._take_chunk(len(self._pending.records))
        if not records_read and self.stopped is None and not has_error(self.notices):
            self.add_notice("payload_empty")

    def _append(self, run: RecordRun, start: int, end: int) -> None:
        """Add the records from index `start` to `end` (not included) to the pending ones."""
        pending = self._pending
        offset = len(pending.records) - start
        end = min(end, len(run.records))
        if start >= end:
            return
        if (start, end) == (0, len(run.records)):
            pending.records += run.records
            pending.source_rows += run.source_rows
        else:
            pending.records += run.records[start:end]
            pending.source_rows += run.source_rows[start:end]
        pending.size += run.size
        for index, problem in run.unreadable.items():
            if start <= index < end:
                pending.unreadable[index + offset] = problem
        for index, found in run.issues.items():
            if start <= index < end:
                pending.issues[index + offset] = found

    def _take_chunk(self, count: int) -> Chunk:
        """Return the first pending records as a chunk, without keeping a reference to them."""
        pending, rest = self._pending, RecordRun([], [], {}, 0)
        if count < len(pending.records):
            rest = _part(pending, count, len(pending.records))
            pending = _part(pending, 0, count)
        self._pending = rest
        table = self.header is not None
        return Chunk(
            lines=[] if table else pending.records,
            rows=pending.records if table else [],
            source_rows=pending.source_rows,
            unreadable=pending.unreadable,
            issues=pending.issues,
            bytes_done=self.bytes_done,
        )


def _part(run: RecordRun, start: int, end: int) -> RecordRun:
    """Return the records `start` to `end` (not included)."""
    return RecordRun(
        run.records[start:end], run.source_rows[start:end],
        {index - start: problem for index, problem in run.unreadable.items() if start <= index < end}, 0,
        {index - start: found for index, found in run.issues.items() if start <= index < end},
    )
