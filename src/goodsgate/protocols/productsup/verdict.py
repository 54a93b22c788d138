"""The upload stage: what is wrong with the lines of an upload, found while they come."""

import json
from datetime import datetime
from typing import Any, Literal

import msgspec
import orjson

from goodsgate.protocols.productsup.answers import moment
from goodsgate.protocols.productsup.decoding import message_of

TOO_LARGE = "Product payload is too large"
BLANK_LINE = "Empty Payload line"
EMPTY_PRODUCT = "Empty Product Attributes"
NO_ID = 'Missing "id" attribute'
NOTHING = "Empty payload"
"""Published as a label in other letters, seen in these on the wire."""
LINE_BYTES_MAX = 2_097_152
"""Published; as it comes, before anything is trimmed, without its end."""
VALUE_CHARACTERS_MAX = 1_000
"""Of an example."""


class Example(msgspec.Struct, frozen=True):
    """The first line that a message is about."""

    lineNumber: int
    value: str


class Told(msgspec.Struct):
    """A message with how often it was to be said."""

    message: str
    occurrences: int
    example: Example


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """How a stage went; as it is kept and as it is sent."""

    completed_at: datetime
    successes: int
    failures: int
    told: list[Told]

    @property
    def status(self) -> Literal["success", "warning", "failure"]:
        """Nothing wrong, something, or nothing right."""
        if not self.failures:
            return "success"
        return "warning" if self.successes else "failure"

    @property
    def words(self) -> dict[str, Any]:
        """All five members; errors are never null."""
        return {
            "completedAt": moment(self.completed_at), "status": self.status, "successCount": self.successes,
            "errorCount": self.failures, "errors": self.told,
        }


class Tally:
    """Records looked at so far, and what is wrong with them."""

    def __init__(self) -> None:
        self.number = 0
        """Of the record looked at last."""
        self.hollow = 0
        """Records that are objects without members."""
        self._good = 0
        self._told: dict[str, Told] = {}

    @property
    def blanks(self) -> int:
        """Lines in which nothing stands."""
        told = self._told.get(BLANK_LINE)
        return told.occurrences if told is not None else 0

    def take(self, line: bytes) -> None:
        """The next record."""
        self.count(wrong_with(line), line)

    def count(self, message: str | None, line: bytes) -> None:
        """The next record, which was looked at."""
        self.number += 1
        if message is None:
            self._good += 1
            return
        if message == EMPTY_PRODUCT and line.translate(None, b" \t\r\n") == b"{}":
            self.hollow += 1
        known = self._told.get(message)
        if known is None:
            self._told[message] = Told(message, 1, Example(self.number, shown(line)))
        else:
            known.occurrences += 1

    def stage(self, completed_at: datetime) -> Stage:
        """The verdict."""
        told = [*self._told.values()]
        return Stage(
            completed_at=completed_at, successes=self._good, failures=sum(one.occurrences for one in told), told=told
        )


def nothing(completed_at: datetime, start: bytes = b"") -> Stage:
    """The verdict on an upload that holds nothing: one error on line 1."""
    told = [Told(NOTHING, 1, Example(1, shown(start)))]
    return Stage(completed_at=completed_at, successes=0, failures=1, told=told)


class Lines:
    """Lines of an upload, each looked at as soon as it is whole; memory is that of one line."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._held: list[bytes] = []
        self._size = 0

    def write(self, piece: bytes) -> None:
        """The next bytes, unpacked."""
        last = piece.rfind(b"\n")
        if last < 0:
            self._hold(piece)
            return
        first, *rest = piece[:last].split(b"\n")
        self._hold(first)
        self.tally.take(self._whole())
        for line in rest:
            self.tally.take(line)
        self._hold(piece[last + 1 :])

    def end(self, completed_at: datetime) -> Stage:
        """The verdict; an upload without a byte is one error on line 1."""
        if self._size:
            self.tally.take(self._whole())
        return self.tally.stage(completed_at) if self.tally.number else nothing(completed_at)

    def _hold(self, piece: bytes) -> None:
        """Of a line that is too long, no more than shows it."""
        if self._size <= LINE_BYTES_MAX:
            self._held.append(piece)
        self._size += len(piece)

    def _whole(self) -> bytes:
        line = b"".join(self._held)
        self._held, self._size = [], 0
        return line


def wrong_with(line: bytes) -> str | None:
    """The message for a line without its end; None if it is a product."""
    if len(line) > LINE_BYTES_MAX:
        return TOO_LARGE
    line = line.strip(b" \t\r")
    if not line:
        return BLANK_LINE
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        message = message_of(line)
        if message is not None:
            return message
        record = json.loads(line, parse_int=float)  # JSON bounds no number, the fast decoder does
    if type(record) is dict:
        id = record.get("id")
        if id is not None and id != "" and type(id) in (str, int, float):
            return message_of(line) if line.count(b"[") + line.count(b"{") > 500 else None
        return NO_ID if any(value is not None and value != "" for value in record.values()) else EMPTY_PRODUCT
    return EMPTY_PRODUCT if record in ([], None, "") else NO_ID


def shown(line: bytes) -> str:
    """A line as an example shows it: without its end, broken bytes replaced, cut where it is long."""
    text = line.removesuffix(b"\r")[: 4 * VALUE_CHARACTERS_MAX].decode("utf-8", "replace")
    return text[:VALUE_CHARACTERS_MAX]
