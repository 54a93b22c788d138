"""The upload stage: checks of the lines of an upload while they arrive."""

from datetime import datetime
from typing import Any, Literal

import msgspec
import orjson

from goodsgate.model.json_text import is_number, read_json
from goodsgate.protocols.productsup.decoding import decode_error
from goodsgate.protocols.productsup.responses import format_time

TOO_LARGE = "Product payload is too large"
BLANK_LINE = "Empty Payload line"
EMPTY_PRODUCT = "Empty Product Attributes"
NO_ID = 'Missing "id" attribute'
EMPTY_PAYLOAD = "Empty payload"
"""Published as a label with other capitals; on the wire it is written like this."""
LINE_BYTES_MAX = 2_097_152
"""Published; measured as received, without the line end and before trimming."""
VALUE_CHARACTERS_MAX = 1_000
"""Length of an example."""


class ErrorExample(msgspec.Struct, frozen=True):
    """The first line that has an error, as it is sent."""

    lineNumber: int
    value: str


class StageError(msgspec.Struct):
    """An error message with the number of lines that have it, as it is sent."""

    message: str
    occurrences: int
    example: ErrorExample


class StageReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of the upload stage or of the processing stage."""

    completed_at: datetime
    successes: int
    failures: int
    errors: list[StageError]

    @property
    def status(self) -> Literal["success", "warning", "failure"]:
        """Success without errors, failure without a success, else warning."""
        if not self.failures:
            return "success"
        return "warning" if self.successes else "failure"

    def serialize(self) -> dict[str, Any]:
        """Return the five members of the stage document; `errors` is never null."""
        return {
            "completedAt": format_time(self.completed_at), "status": self.status, "successCount": self.successes,
            "errorCount": self.failures, "errors": self.errors,
        }


class RecordChecker:
    """Checks records one by one and counts them and their errors."""

    def __init__(self) -> None:
        self.number = 0
        """Number of the last record that was checked."""
        self.empty_objects = 0
        """Records that are objects without members."""
        self._successes = 0
        self._errors: dict[str, StageError] = {}

    @property
    def blank_lines(self) -> int:
        """Number of blank lines."""
        error = self._errors.get(BLANK_LINE)
        return error.occurrences if error is not None else 0

    def check(self, line: bytes) -> None:
        """Check and count the next record."""
        self.count(check_line(line), line)

    def count(self, message: str | None, line: bytes) -> None:
        """Count the next record with its error message; None if it has none."""
        self.number += 1
        if message is None:
            self._successes += 1
            return
        if message == EMPTY_PRODUCT and line.translate(None, b" \t\r\n") == b"{}":
            self.empty_objects += 1
        error = self._errors.get(message)
        if error is None:
            self._errors[message] = StageError(message, 1, ErrorExample(self.number, excerpt(line)))
        else:
            error.occurrences += 1

    def report(self, completed_at: datetime) -> StageReport:
        """Return the counts and errors so far."""
        errors = [*self._errors.values()]
        failures = sum(error.occurrences for error in errors)
        return StageReport(completed_at=completed_at, successes=self._successes, failures=failures, errors=errors)


def empty_upload_report(completed_at: datetime, start: bytes = b"") -> StageReport:
    """Return the report of an upload without records: one error on line 1."""
    errors = [StageError(EMPTY_PAYLOAD, 1, ErrorExample(1, excerpt(start)))]
    return StageReport(completed_at=completed_at, successes=0, failures=1, errors=errors)


class LineChecker:
    """Checks each line of an upload as soon as it is complete; holds one line in memory."""

    def __init__(self) -> None:
        self.records = RecordChecker()
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, piece: bytes) -> None:
        """Take the next decompressed bytes."""
        last = piece.rfind(b"\n")
        if last < 0:
            self._append(piece)
            return
        first, *rest = piece[:last].split(b"\n")
        self._append(first)
        self.records.check(self._complete_line())
        for line in rest:
            self.records.check(line)
        self._append(piece[last + 1 :])

    def end(self, completed_at: datetime) -> StageReport:
        """Return the report; an upload without a byte is one error on line 1."""
        if self._size:
            self.records.check(self._complete_line())
        return self.records.report(completed_at) if self.records.number else empty_upload_report(completed_at)

    def _append(self, piece: bytes) -> None:
        """Keep a part of the current line; of a line that is too long, only its beginning."""
        if self._size <= LINE_BYTES_MAX:
            self._parts.append(piece)
        self._size += len(piece)

    def _complete_line(self) -> bytes:
        line = b"".join(self._parts)
        self._parts, self._size = [], 0
        return line


def check_line(line: bytes) -> str | None:
    """Return the error message of a line without its end; None if it is a product."""
    if len(line) > LINE_BYTES_MAX:
        return TOO_LARGE
    line = line.strip(b" \t\r")
    if not line:
        return BLANK_LINE
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        message = decode_error(line)
        if message is not None:
            return message
        record = read_json(line)  # JSON has no bounds for numbers, orjson has
    if type(record) is dict:
        id = record.get("id")
        if (isinstance(id, str) and id != "") or is_number(id):
            return decode_error(line) if line.count(b"[") + line.count(b"{") > 500 else None
        return NO_ID if any(value is not None and value != "" for value in record.values()) else EMPTY_PRODUCT
    return EMPTY_PRODUCT if record in ([], None, "") else NO_ID


def excerpt(line: bytes) -> str:
    """Return a line as an example shows it: without its end, broken bytes replaced, cut to a maximum length."""
    text = line.removesuffix(b"\r")[: 4 * VALUE_CHARACTERS_MAX].decode("utf-8", "replace")
    return text[:VALUE_CHARACTERS_MAX]
