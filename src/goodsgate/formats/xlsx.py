"""XLSX: the first visible sheet as rows of text.

A cell comes as the text a person would have typed. A number has at most the 15 digits that a spreadsheet keeps: whole
ones as plain digits, so that a GTIN stored as a number is read as its digits, and from 16 digits on with an exponent,
because the last ones are lost. What is text in the file stays as it is, `8.41E+12` too. Dates and times are ISO 8601,
durations `hours:minutes:seconds`, booleans TRUE and FALSE; an error (`#N/A`) is an empty cell.

The file is parsed by `xlsx_parser` in a process of its own, which returns the rows in frames.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

from goodsgate.formats.contract import Limits
from goodsgate.formats.isolated import (
    ParserError,
    ParserMemoryError,
    ParserOutputError,
    ParserProcess,
    ParserTimeError,
)
from goodsgate.formats.payload_reader import CELL_OVERHEAD_BYTES, PayloadReader, RecordRun
from goodsgate.formats.table import column_names, truncate_long_cells
from goodsgate.model.issue import Issue, issue

FRAME_OVERHEAD_BYTES = 4 * 1024**2
"""Bytes of a frame besides the text of its rows."""
JSON_BYTES_PER_CHARACTER = 6
"""An escaped control character is the longest."""


class Frame(msgspec.Struct, frozen=True):
    """What the parser returns at once."""

    rows: list[list[str]] = []
    """Rows that are not blank."""
    numbers: list[int] = []
    """Their numbers in the sheet, from 1."""
    characters: int = 0
    """Their length."""
    long_cells: list[int] = []
    """Indices of rows with a cell that is too long."""
    long_rows: list[int] = []
    """Indices of rows that are too long, of whose cells only the beginnings are here."""
    blank_rows: int = 0
    """Blank rows in the whole sheet; in the last frame."""
    sheets_ignored: str = ""
    """Names of other sheets."""
    unpacked_bytes: int = 0
    """Decompressed bytes of a file that has too many of them."""
    stopped: tuple[Literal["payload_corrupt", "payload_truncated"], str] | None = None
    """Code and value of the issue for which nothing can be read."""


_decode_frame = msgspec.json.Decoder(Frame).decode


class XlsxSheet:
    """Rows of an XLSX; the constructor reads the header and stores it in the reader."""

    def __init__(self, pieces: Iterator[bytes], reader: PayloadReader) -> None:
        self._reader = reader
        reader.header = []
        process = _send_all(pieces, reader)
        self._frames = _frames(process, reader) if process is not None else iter(())
        self._first = self._read_header()

    def runs(self) -> Iterator[RecordRun]:
        """Yield the rows below the header; empty rows are skipped, and their number is added as a notice."""
        if not self._reader.header:
            return
        frame: Frame | None = self._first
        while frame is not None:
            yield self._run(frame)
            if frame.blank_rows:
                self._reader.add_notice("rows_empty", str(frame.blank_rows))
            frame = next(self._frames, None)

    def _read_header(self) -> Frame:
        """Store the header in the reader and return the frame without it."""
        frame = next((frame for frame in self._frames if frame.rows), Frame())
        limit = self._reader.limits.columns_max
        row = frame.rows[0] if frame.rows else []
        problem = self._problem(frame, 0, row) if frame.rows else None
        if len(row) > limit:
            self._reader.stop("columns_too_many", f"{len(row):,}", expected=f"at most {limit:,}")
        elif problem is not None:
            self._reader.stop("payload_corrupt", f"invalid header. {problem.message}")
        else:
            self._reader.header = column_names(row, self._reader)
        return msgspec.structs.replace(
            frame, rows=frame.rows[1:], numbers=frame.numbers[1:],
            long_cells=[at - 1 for at in frame.long_cells], long_rows=[at - 1 for at in frame.long_rows],
        )

    def _run(self, frame: Frame) -> RecordRun:
        cells = sum(map(len, frame.rows))
        run = RecordRun(frame.rows, frame.numbers, {}, frame.characters + CELL_OVERHEAD_BYTES * cells // 4)
        for at in sorted({*frame.long_cells, *frame.long_rows}):
            if at >= 0 and (problem := self._problem(frame, at, frame.rows[at])):
                run.unreadable[at] = problem
        return run

    def _problem(self, frame: Frame, at: int, row: list[str]) -> Issue | None:
        """Return why a row is invalid; its long cells are truncated."""
        if at in frame.long_rows:
            limit = self._reader.limits.line_bytes_max
            return issue("line_too_long", expected=f"at most {limit:,} characters in a row")
        return truncate_long_cells(row, self._reader) if at in frame.long_cells else None


def _send_all(pieces: Iterator[bytes], reader: PayloadReader) -> ParserProcess | None:
    """Return a parser that has received the file; None, with the reason in the reader, if it is too large or cut off.
    """
    limits = reader.limits
    limit = limits.xlsx_bytes_max
    process: ParserProcess | None = None
    sent = 0
    for piece in pieces:
        sent += len(piece)
        reader.bytes_at_record = reader.bytes_unpacked  # rows come at the end; the file has a limit of its own
        if sent > limit:
            reader.stop("payload_corrupt", f"an XLSX may have at most {limit:,} bytes; a CSV has no such limit")
            return None
        process = process or _start(limits)
        process.send(piece)
    return process if reader.stopped is None else None


def _start(limits: Limits) -> ParserProcess:
    return ParserProcess(
        "xlsx_parser", packages=["isal", "python_calamine"], memory_bytes_max=limits.parser_memory_bytes_max,
        seconds_max=limits.parser_seconds_max,
        frame_bytes_max=FRAME_OVERHEAD_BYTES + JSON_BYTES_PER_CHARACTER * limits.line_bytes_max,
        arguments=[*map(str, (limits.xlsx_unpacked_bytes_max, limits.cell_bytes_max, limits.line_bytes_max))],
    )


def _frames(process: ParserProcess, reader: PayloadReader) -> Iterator[Frame]:
    """Yield frames with rows; everything else is stored in the reader."""
    memory = f"{reader.limits.parser_memory_bytes_max // 1024**2:,} MB"
    try:
        for frame in map(_decode_frame, process.frames()):
            if frame.sheets_ignored:
                reader.add_notice("sheets_ignored", frame.sheets_ignored)
            if frame.unpacked_bytes:
                limit = reader.limits.xlsx_unpacked_bytes_max
                value = f"{frame.unpacked_bytes:,} bytes from {reader.bytes_done:,}"
                reader.stop("payload_inflates", value, expected=f"at most {limit:,} bytes")
            if frame.stopped is not None:
                reader.stop(*frame.stopped)
            if frame.rows or frame.blank_rows:
                yield frame
    except (ParserMemoryError, ParserOutputError):
        reader.stop(
            "payload_inflates", f"it needs more than {memory} of memory to read",
            expected=f"at most {memory}; delete unused cells, formats and sheets, or send it as CSV",
        )
    except ParserTimeError:
        reader.stop("parsing_too_slow", "XLSX", expected=f"at most {reader.limits.parser_seconds_max:g} seconds")
    except (ParserError, msgspec.DecodeError) as fault:
        reader.stop("payload_corrupt", f"XLSX: unsupported file; save it anew, or send it as CSV ({fault})")
