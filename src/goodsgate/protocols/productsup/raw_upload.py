"""Uploads to referenced streams, which the vendor stores unseen and reads only when a site imports them.

The upload stage reports only whether there is any record. The gate checks the records while they arrive all the same,
and keeps what it finds for the processing stage: records that are no products, and arrays that do not decode.
"""

from datetime import datetime
from typing import Literal

from goodsgate.formats import JsonArraySplitter, Limits, PayloadReader
from goodsgate.protocols.productsup.decoding import SYNTAX, decode_error
from goodsgate.protocols.productsup.upload_validation import (
    LINE_BYTES_MAX,
    TOO_LARGE,
    ErrorExample,
    LineChecker,
    RecordChecker,
    StageError,
    StageReport,
    check_line,
    empty_upload_report,
    excerpt,
)

START_BYTES = 4_096
"""Bytes of a payload that are kept as its example."""


class UndecodableUploadError(Exception):
    """The payload should be a JSON document and is none; `expected` is the report of its processing."""

    def __init__(self, start: bytes, expected: StageReport) -> None:
        super().__init__(expected.errors[0].message)
        self.start = start
        self.expected = expected


class ArrayChecker:
    """Checks each element of a JSON array; holds one element in memory."""

    def __init__(self) -> None:
        self.records = RecordChecker()
        self.document_error: str | None = None
        """Why the document as a whole does not decode."""
        self._reader = PayloadReader(Limits(line_bytes_max=LINE_BYTES_MAX), exact=True)
        self._splitter = JsonArraySplitter(self._reader)

    def write(self, piece: bytes) -> None:
        """Take the next decompressed bytes."""
        if self.document_error is None:
            self._splitter.feed(piece)
            self._check_elements()

    def end(self, completed_at: datetime) -> StageReport:
        """Return the report on the elements, after a check that the array is complete."""
        self._splitter.finish()
        self._check_elements()
        splitter, records = self._splitter, self.records.number
        if splitter.empty_elements > (0 if records else 1) or (records > 1 and not splitter.is_array):
            self.document_error = self.document_error or SYNTAX
        return self.records.report(completed_at)

    def _check_elements(self) -> None:
        run = self._splitter.run(0)
        for at, line in enumerate(run.records):
            problem = run.unreadable.get(at)
            if problem is not None and problem.code == "line_too_long":
                self.records.count(TOO_LARGE, line)
                continue
            message = check_line(line)
            if message is not None and (error := decode_error(line)) is not None:
                self.document_error = self.document_error or error
            self.records.count(message, line)
        if self._reader.stopped is not None:
            self.document_error = self.document_error or SYNTAX


class RawUpload:
    """The payload of an upload to a referenced stream while it arrives."""

    def __init__(self, format: Literal["ndjson", "json"]) -> None:
        self._checker: LineChecker | ArrayChecker = ArrayChecker() if format == "json" else LineChecker()
        self._start = b""

    def write(self, piece: bytes) -> None:
        """Take the next decompressed bytes."""
        if len(self._start) < START_BYTES:
            self._start += piece[: START_BYTES - len(self._start)]
        self._checker.write(piece)

    def end(self, completed_at: datetime) -> tuple[StageReport, StageReport]:
        """Return the upload stage, and the expected processing stage. Raises UndecodableUploadError."""
        expected = self._checker.end(completed_at)
        counts = self._checker.records
        records = counts.number - counts.blank_lines
        error = self._checker.document_error if isinstance(self._checker, ArrayChecker) else None
        whole = self._start.strip()
        if error and len(self._start) < START_BYTES and whole[:1] not in (b"[", b"{") and decode_error(whole) is None:
            error = check_line(whole) or error  # valid JSON, but no product
        if records == counts.empty_objects and not error:
            empty = empty_upload_report(completed_at, self._start)
            return empty, empty
        if error:
            errors = [StageError(error, 1, ErrorExample(1, excerpt(self._start)))]
            report = StageReport(completed_at=completed_at, successes=0, failures=1, errors=errors)
            raise UndecodableUploadError(self._start, report)
        return StageReport(completed_at=completed_at, successes=records, failures=0, errors=[]), expected
