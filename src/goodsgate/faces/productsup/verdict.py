"""The upload stage: what is wrong with the lines of an upload, found while they come."""

import json
from datetime import datetime
from typing import Any, Literal

import msgspec
import orjson

from goodsgate.faces.productsup.answers import moment
from goodsgate.faces.productsup.decoding import message_of

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


class Lines:
    """Lines of an upload, each looked at as soon as it is whole; memory is that of one line."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._size = 0
        self._number = 0
        self._good = 0
        self._told: dict[str, Told] = {}

    def write(self, piece: bytes) -> None:
        """The next bytes, unpacked."""
        last = piece.rfind(b"\n")
        if last < 0:
            self._hold(piece)
            return
        first, *rest = piece[:last].split(b"\n")
        self._hold(first)
        self._take(self._whole())
        for line in rest:
            self._take(line)
        self._hold(piece[last + 1 :])

    def end(self, completed_at: datetime) -> Stage:
        """The verdict; an upload without a byte is one error on line 1."""
        if self._size:
            self._take(self._whole())
        if not self._number:
            self._tell(NOTHING, b"", number=1)
        told = [*self._told.values()]
        return Stage(
            completed_at=completed_at, successes=self._good, failures=sum(one.occurrences for one in told), told=told
        )

    def _hold(self, piece: bytes) -> None:
        """Of a line that is too long, no more than shows it."""
        if self._size <= LINE_BYTES_MAX:
            self._held.append(piece)
        self._size += len(piece)

    def _whole(self) -> bytes:
        line = b"".join(self._held)
        self._held, self._size = [], 0
        return line

    def _take(self, line: bytes) -> None:
        self._number += 1
        message = wrong_with(line)
        if message is None:
            self._good += 1
        else:
            self._tell(message, line, number=self._number)

    def _tell(self, message: str, line: bytes, *, number: int) -> None:
        known = self._told.get(message)
        if known is None:
            self._told[message] = Told(message, 1, Example(number, shown(line)))
        else:
            known.occurrences += 1


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
