"""The state that all stages of reading share, and the last stage: blocks."""

from collections.abc import Iterator
from typing import Any

import msgspec

from goodsgate.formats.contract import Block, Limits
from goodsgate.model.issue import Issue, issue

PIECE_BYTES = 512 * 1024
"""Most unpacked bytes that go through the stages at once; small enough to stay in a processor's cache."""

CELL_OVERHEAD_BYTES = 56
"""What a cell costs in memory besides its characters."""


class Stretch(msgspec.Struct):
    """Some records on their way into a block."""

    records: list[Any]
    """Lines (bytes) or rows (lists of cells)."""
    places: list[int]
    flaws: dict[int, Issue]
    """Index → why it is no record."""
    size: int
    """Unpacked bytes they came from."""


class Reading:
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
        self.stretches: Iterator[Stretch] = iter(())
        self._held = Stretch([], [], {}, 0)

    @property
    def piece_bytes(self) -> int:
        """Most bytes of a piece: never more than a block."""
        return min(PIECE_BYTES, self.limits.block_bytes)

    def stop(self, code: str, value: str, *, expected: str | None = None) -> None:
        """Say why the payload cannot be read to its end; the first reason stays."""
        if self.stopped is None:
            self.stopped = issue(code, value=value, expected=expected)

    def tell(self, code: str, value: str | None = None) -> None:
        """Say something of the file as a whole."""
        self.notices.append(issue(code, value=value))

    def blocks(self, *, skip: int = 0, opening: int | None = None) -> Iterator[Block]:
        """See Reader.blocks."""
        limits = self.limits
        most = min(opening or limits.block_records_max, limits.block_records_max)
        seen = 0
        for stretch in self.stretches:
            room = limits.records_max - seen
            seen += min(len(stretch.records), room)
            self._hold(stretch, skip, room)
            skip = max(0, skip - len(stretch.records))
            while len(self._held.records) >= most:
                yield self._take(most)
                most = limits.block_records_max
            if self._held.size >= limits.block_bytes and self._held.records:
                yield self._take(len(self._held.records))
            if len(stretch.records) > room:
                self.stop("records_too_many", f"over {seen:,}", expected=f"at most {limits.records_max:,} records")
                break
        if self._held.records:
            yield self._take(len(self._held.records))
        if not seen and self.stopped is None:
            self.tell("payload_empty")

    def _hold(self, stretch: Stretch, start: int, end: int) -> None:
        """Add the records of the stretch from index `start` up to `end` to what is held."""
        held = self._held
        offset = len(held.records) - start
        end = min(end, len(stretch.records))
        if start >= end:
            return
        if (start, end) == (0, len(stretch.records)):
            held.records += stretch.records
            held.places += stretch.places
        else:
            held.records += stretch.records[start:end]
            held.places += stretch.places[start:end]
        held.size += stretch.size
        for index, flaw in stretch.flaws.items():
            if start <= index < end:
                held.flaws[index + offset] = flaw

    def _take(self, count: int) -> Block:
        """The first records held, as a block; nothing here keeps a reference to them."""
        held, rest = self._held, Stretch([], [], {}, 0)
        if count < len(held.records):
            rest = Stretch(held.records[count:], held.places[count:], {}, 0)
            rest.flaws = {index - count: flaw for index, flaw in held.flaws.items() if index >= count}
            held = Stretch(held.records[:count], held.places[:count], held.flaws, 0)
            held.flaws = {index: flaw for index, flaw in held.flaws.items() if index < count}
        self._held = rest
        table = self.header is not None
        return Block(
            lines=[] if table else held.records,
            rows=held.records if table else [],
            places=held.places,
            unreadable=held.flaws,
            bytes_done=self.bytes_done,
        )
