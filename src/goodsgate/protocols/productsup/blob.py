"""Uploads to referenced streams: taken as they are, and looked at all the same.

The upload stage tells only whether there is anything at all. What the published service finds out when a site imports
is found out while the bytes come, and kept: records that are no products, an array that does not decode as a whole.
"""

from datetime import datetime
from typing import Literal

from goodsgate.formats import Cutter, Limits, Reading
from goodsgate.protocols.productsup.decoding import SYNTAX, message_of
from goodsgate.protocols.productsup.verdict import (
    LINE_BYTES_MAX,
    TOO_LARGE,
    Example,
    Lines,
    Stage,
    Tally,
    Told,
    nothing,
    shown,
    wrong_with,
)

START_BYTES = 4_096
"""Kept of a payload, to show it."""


class Undecodable(Exception):
    """The payload is a JSON document that is none."""

    def __init__(self, start: bytes, foreseen: Stage) -> None:
        super().__init__(foreseen.told[0].message)
        self.start = start
        self.foreseen = foreseen


class Elements:
    """Elements of a JSON array; memory is that of one element."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.broken: str | None = None
        """Why the document as a whole does not decode."""
        self._reading = Reading(Limits(line_bytes_max=LINE_BYTES_MAX), exact=True)
        self._cutter = Cutter(self._reading)

    def write(self, piece: bytes) -> None:
        """The next bytes, unpacked."""
        if self.broken is None:
            self._cutter.take(piece)
            self._look()

    def end(self, completed_at: datetime) -> Stage:
        """What is wrong with the elements; whether the array is whole, too."""
        self._cutter.end()
        self._look()
        cutter, records = self._cutter, self.tally.number
        if cutter.gaps > (0 if records else 1) or (records > 1 and not cutter.array):
            self.broken = self.broken or SYNTAX
        return self.tally.stage(completed_at)

    def _look(self) -> None:
        run = self._cutter.run(0)
        for at, line in enumerate(run.records):
            found = run.flaws.get(at)
            if found is not None and found.code == "line_too_long":
                self.tally.count(TOO_LARGE, line)
                continue
            message = wrong_with(line)
            if message is not None and (whole := message_of(line)) is not None:
                self.broken = self.broken or whole
            self.tally.count(message, line)
        if self._reading.stopped is not None:
            self.broken = self.broken or SYNTAX


class Blob:
    """The payload of an upload to a referenced stream on its way in."""

    def __init__(self, format: Literal["ndjson", "json"]) -> None:
        self._records: Lines | Elements = Elements() if format == "json" else Lines()
        self._start = b""

    def write(self, piece: bytes) -> None:
        """The next bytes, unpacked."""
        if len(self._start) < START_BYTES:
            self._start += piece[: START_BYTES - len(self._start)]
        self._records.write(piece)

    def end(self, completed_at: datetime) -> tuple[Stage, Stage]:
        """The upload stage, and what processing will say; raises Undecodable."""
        foreseen = self._records.end(completed_at)
        tally = self._records.tally
        records = tally.number - tally.blanks
        broken = isinstance(self._records, Elements) and self._records.broken
        if records == tally.hollow and not broken:
            empty = nothing(completed_at, self._start)
            return empty, empty
        if broken:
            told = [Told(broken, 1, Example(1, shown(self._start)))]
            raise Undecodable(self._start, Stage(completed_at=completed_at, successes=0, failures=1, told=told))
        return Stage(completed_at=completed_at, successes=records, failures=0, told=[]), foreseen
