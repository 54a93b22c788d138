"""The state that all stages of reading share, and the last stage: blocks."""

from collections.abc import Iterator
from typing import Any

import msgspec

from goodsgate.formats.contract import Chunk, Limits
from goodsgate.model.issue import Issue, issue

PIECE_BYTES = 512 * 1024
"""Most unpacked bytes that go through the stages at once; small enough to stay in a processor's cache."""

CELL_OVERHEAD_BYTES = 56
"""What a cell costs in memory besides its characters."""


class RecordRun(msgspec.Struct):
    """Some records on their way into a chunk."""

    records: list[Any]
    """Lines (bytes) or rows (lists of cells)."""
    source_rows: list[int]
    flaws: dict[int, Issue]
    """Index → why it is no record."""
    size: int
    """Unpacked bytes they came from."""


class PayloadReader:
    """A payload being read; the stages say here what they find, and it is the Reader that comes out."""

    def __init__(self, limits: Limits, *, exact: bool = False) -> None:
        self.limits = limits
        self.exact = exact
        """Nothing is guessed of the text (see open_reader)."""
        self.header: list[str] | None = None
        self.notices: list[Issue] = []
        self.stopped: Issue | None = None
        self.bytes_done = 0
        self.charset = "UTF-8"
        self.runs: Iterator[RecordRun] = iter(())
        self._held = RecordRun([], [], {}, 0)

    @property
    def piece_bytes(self) -> int:
        """Most bytes of a piece: never more than a chunk."""
        return min(PIECE_BYTES, self.limits.chunk_bytes)

    def stop(self, code: str, value: str, *, expected: str | None = None) -> None:
        """Say why the payload cannot be read to its end; the first reason stays."""
        if self.stopped is None:
            self.stopped = issue(code, value=value, expected=expected)

    def tell(self, code: str, value: str | None = None) -> None:
        """Say something of the file as a whole."""
        self.notices.append(issue(code, value=value))

    def chunks(self, *, skip: int = 0, opening: int | None = None) -> Iterator[Chunk]:
        """See Reader.chunks."""
        limits = self.limits
        most = min(opening or limits.chunk_records_max, limits.chunk_records_max)
        seen = 0
        for run in self.runs:
            room = limits.records_max - seen
            seen += min(len(run.records), room)
            self._hold(run, skip, room)
            skip = max(0, skip - len(run.records))
            while len(self._held.records) >= most:
                yield self._take(most)
                most = limits.chunk_records_max
            if self._held.size >= limits.chunk_bytes and self._held.records:
                yield self._take(len(self._held.records))
            if len(run.records) > room:
                self.stop("records_too_many", f"over {seen:,}", expected=f"at most {limits.records_max:,} records")
                break
        if self._held.records:
            yield self._take(len(self._held.records))
        if not seen and self.stopped is None:
            self.tell("payload_empty")

    def _hold(self, run: RecordRun, start: int, end: int) -> None:
        """Add the records of the stretch from index `start` up to `end` to what is held."""
        held = self._held
        offset = len(held.records) - start
        end = min(end, len(run.records))
        if start >= end:
            return
        if (start, end) == (0, len(run.records)):
            held.records += run.records
            held.source_rows += run.source_rows
        else:
            held.records += run.records[start:end]
            held.source_rows += run.source_rows[start:end]
        held.size += run.size
        for index, flaw in run.flaws.items():
            if start <= index < end:
                held.flaws[index + offset] = flaw

    def _take(self, count: int) -> Chunk:
        """The first records held, as a chunk; nothing here keeps a reference to them."""
        held, rest = self._held, RecordRun([], [], {}, 0)
        if count < len(held.records):
            rest = RecordRun(held.records[count:], held.source_rows[count:], {}, 0)
            rest.flaws = {index - count: flaw for index, flaw in held.flaws.items() if index >= count}
            held = RecordRun(held.records[:count], held.source_rows[:count], held.flaws, 0)
            held.flaws = {index: flaw for index, flaw in held.flaws.items() if index < count}
        self._held = rest
        table = self.header is not None
        return Chunk(
            lines=[] if table else held.records,
            rows=held.records if table else [],
            source_rows=held.source_rows,
            unreadable=held.flaws,
            bytes_done=self.bytes_done,
        )
