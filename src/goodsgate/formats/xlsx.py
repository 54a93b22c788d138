"""XLSX: one sheet as rows of text.

A cell comes as the text a person would have typed. A number has at most the 15 digits that a spreadsheet keeps: whole
ones as plain digits, so that a GTIN stored as a number is read as its digits, and from 16 digits on with an exponent,
because the last ones are lost. Its decimal mark is that of the submission. In a column of keys the number format
counts: 417 that is shown as 00417 is 00417, and a key is rejected where it is not certain how it is written. What is
text in the file stays as it is, `8.41E+12` too. Dates and times are ISO 8601, durations `hours:minutes:seconds`,
booleans TRUE and FALSE. Errors (`#N/A`) and formulas without a stored value are issues of their rows.

The file is parsed by `workbook` in a process of its own, which returns the rows in frames.
"""

from collections.abc import Generator, Iterator
from typing import Literal

import msgspec
import orjson

from goodsgate.formats.content_encoding import RATIO_FROM_BYTES
from goodsgate.formats.contract import Limits, ReadOptions
from goodsgate.formats.header_row import find_header, note_header_row, table_columns
from goodsgate.formats.isolated import (
    ParserError,
    ParserMemoryError,
    ParserOutputError,
    ParserProcess,
    ParserTimeError,
)
from goodsgate.formats.payload_reader import CELL_OVERHEAD_BYTES, PayloadReader, RecordRun
from goodsgate.formats.table import column_names, truncate_long_cells
from goodsgate.model.fields import FIELDS
from goodsgate.model.issue import Issue, issue

FRAME_OVERHEAD_BYTES = 4 * 1024**2
"""Bytes of a frame besides the text of its rows."""
JSON_BYTES_PER_CHARACTER = 6
"""An escaped control character is the longest."""
SHEETS_MAX = 20
"""Sheets in which a header is looked for."""
SHEETS_CHARACTERS_MAX = 1_000
"""Characters of the names of sheets that are reported."""
MONEY_FIELDS = frozenset(
    field.name for fields in FIELDS.values() for field in fields.values() if field.type == "money"
)
KEY_FIELDS = frozenset({"id", "item_group_id", "mpn", "gtin", "location"})
"""Fields whose numbers are digits rather than amounts: their formats count."""
SKU_FIELDS = frozenset({"id", "item_group_id"})
"""Fields that identify an item: a number that may be written in two ways is rejected. Elsewhere its digits count."""


class Frame(msgspec.Struct, frozen=True):
    """What the parser returns at once."""

    sheets: list[tuple[str, bool]] = []
    """Name of each sheet, and whether it is visible."""
    signs: list[str] = []
    """Signs of currencies in number formats; in the frame of the sheets."""
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
    errors: list[tuple[int, int, str]] = []
    """Index of the row, column and text of each error."""
    formulas: list[tuple[int, int]] = []
    """Index of the row and column of each formula without a stored value."""
    unclear: list[tuple[int, int]] = []
    """The same for numbers in columns of keys of which it is not certain how they are written."""
    blank_rows: int = 0
    """Blank rows between others in the whole sheet; in the last frame with rows."""
    merged: str = ""
    """Merged cells; in the last frame, as the next."""
    outside: str = ""
    """Columns without a header that hold something."""
    unpacked_bytes: int = 0
    """Decompressed bytes of a file that has too many of them."""
    stopped: tuple[Literal["payload_corrupt", "payload_truncated"], str] | None = None
    """Code and value of the issue for which nothing more can be read."""


_decode_frame = msgspec.json.Decoder(Frame).decode

NextFrame = Generator[RecordRun, None, Frame | None]
"""A wait for a frame: yields runs without records meanwhile, so that whoever reads can do something else."""


class XlsxSheet:
    """Rows of an XLSX."""

    def __init__(self, pieces: Iterator[bytes], reader: PayloadReader, options: ReadOptions) -> None:
        self._pieces = pieces
        self._reader = reader
        self._options = options
        self._frames: Iterator[bytes | None] = iter(())
        self._file_bytes = self._delivered_bytes = 0
        self._fields: list[str | None] = []
        """Column → its field."""
        reader.header = []

    def runs(self) -> Iterator[RecordRun]:
        """Yield the rows below the header, and runs without records while the parser is busy.

        The header is in the reader before the first row.
        """
        limits = self._reader.limits
        memory = f"{limits.parser_memory_bytes_max // 1024**2:,} MB"
        try:
            yield from self._rows()
        except (ParserMemoryError, ParserOutputError):
            self._reader.stop(
                "payload_inflates", f"it needs more than {memory} of memory to read",
                expected=f"at most {memory}; delete unused cells, formats and sheets, or send it as CSV",
            )
        except ParserTimeError:
            self._reader.stop("parsing_too_slow", "XLSX", expected=f"at most {limits.parser_seconds_max:g} seconds")
        except (ParserError, msgspec.DecodeError) as fault:
            self._reader.stop(
                "payload_corrupt", f"XLSX: unsupported file; save it anew, or send it as CSV ({fault})"
            )

    def _rows(self) -> Iterator[RecordRun]:
        process = yield from self._send_all()
        if process is None:
            return
        self._frames = process.frames(pause_seconds=self._reader.limits.chunk_seconds / 4)
        frame = yield from self._next_frame()
        if frame is None or not frame.sheets:
            return
        sheets, signs = frame.sheets, frame.signs
        table = yield from self._find_table(process, sheets)
        if table is None:
            return
        sheet, head, at = table
        self._note_choice(sheets, sheet, head, at)
        start, end = table_columns(head.rows[at])
        if not self._set_header(head.rows[at][start:end], self._problem(head, at, head.rows[at])):
            return
        sign_text = self._options.sign_text
        command = {
            "read": sheet, "after": head.numbers[at], "start": start, "width": end - start,
            "keys": [column for column, field in enumerate(self._fields) if field in KEY_FIELDS],
            "prices": [column for column, field in enumerate(self._fields) if field in MONEY_FIELDS],
            "signs": {sign: sign_text(sign) for sign in signs} if sign_text is not None else {},
            "comma": self._options.comma,
        }
        process.send(orjson.dumps(command))
        while frame := (yield from self._next_frame()):
            yield self._run(frame)

    def _find_table(self, process: ParserProcess, sheets: list[tuple[str, bool]],
                    ) -> Generator[RecordRun, None, tuple[int, Frame, int] | None]:
        """Return the sheet to read, its first rows, and the index of the header in them; None if there is none."""
        wanted = self._options.sheet
        visible = [at for at, (_, is_visible) in enumerate(sheets) if is_visible] or [*range(len(sheets))]
        candidates = visible[: SHEETS_MAX if self._options.resolve is not None else 1]
        if wanted is not None:
            candidates = _named_sheet(sheets, wanted)
        if not candidates:
            names = ", ".join(name for name, _ in sheets)[:SHEETS_CHARACTERS_MAX]
            self._reader.reject("sheet_unknown", wanted or "", expected=names)
            return None
        first: tuple[int, Frame, int] | None = None
        for sheet in candidates:
            process.send(orjson.dumps({"head": sheet}))
            head = yield from self._next_frame()
            if head is None or head.stopped is not None:
                return None
            at = self._header_index(head)
            if at is not None:
                return sheet, head, at
            if first is None and head.rows:
                first = sheet, head, 0
        if first is not None and self._options.header_row is not None:
            self._reader.reject("header_row_blank", str(self._options.header_row))
            return None
        return first

    def _header_index(self, head: Frame) -> int | None:
        wanted = self._options.header_row
        if wanted is not None:
            return head.numbers.index(wanted) if wanted in head.numbers else None
        return find_header(head.rows, self._options)

    def _send_all(self) -> Generator[RecordRun, None, ParserProcess | None]:
        """Return a parser that has received the file; None, with the reason in the reader, if it cannot be read."""
        reader = self._reader
        limit = reader.limits.xlsx_bytes_max
        process: ParserProcess | None = None
        for piece in self._pieces:
            self._file_bytes += len(piece)
            reader.bytes_at_record = reader.bytes_unpacked  # rows come at the end; the file has a limit of its own
            if self._file_bytes > limit:
                reader.stop("payload_corrupt", f"an XLSX may have at most {limit:,} bytes; a CSV has no such limit")
                return None
            if piece:
                process = process or _start(reader.limits)
                process.send(piece)
            yield RecordRun([], [], {}, 0)
        if process is None or reader.stopped is not None:
            return None
        process.send(b"")
        return process

    def _next_frame(self) -> NextFrame:
        """Return the next frame; None at the end, or if nothing more can be read."""
        for message in self._frames:
            if message is None:
                yield RecordRun([], [], {}, 0)
                continue
            self._delivered_bytes += len(message)
            if self._is_inflated():
                return None
            frame = _decode_frame(message)
            self._note(frame)
            return frame
        return None

    def _is_inflated(self) -> bool:
        """Return whether the rows are far larger than the file, as one long text in many cells makes them."""
        reader, size = self._reader, self._delivered_bytes
        ratio_max = reader.limits.inflate_ratio_max
        if size <= RATIO_FROM_BYTES or size <= ratio_max * self._file_bytes:
            return False
        value = f"{size:,} bytes of rows from {self._file_bytes:,}"
        reader.stop("payload_inflates", value, expected=f"at most {ratio_max:,} times its size")
        return True

    def _note(self, frame: Frame) -> None:
        """Store in the reader what a frame says about the file."""
        reader = self._reader
        for code, value in (
            ("rows_empty", str(frame.blank_rows or "")), ("cells_merged", frame.merged),
            ("cells_without_header", frame.outside),
        ):
            if value:
                reader.add_notice(code, value)
        if frame.unpacked_bytes:
            limit = reader.limits.xlsx_unpacked_bytes_max
            value = f"{frame.unpacked_bytes:,} bytes from {reader.bytes_done:,}"
            reader.stop("payload_inflates", value, expected=f"at most {limit:,} bytes")
        if frame.stopped is not None:
            reader.stop(*frame.stopped)

    def _note_choice(self, sheets: list[tuple[str, bool]], sheet: int, head: Frame, at: int) -> None:
        """Store in the reader which sheet and row were chosen, and what was left out for that."""
        reader, options = self._reader, self._options
        others = [name for place, (name, _) in enumerate(sheets) if place != sheet]
        if others:
            how: Literal["given", "detected"] = "detected" if options.sheet is None else "given"
            reader.add_decision("sheet", sheets[sheet][0], how)
            if options.sheet is None:
                reader.add_notice("sheets_ignored", ", ".join(others)[:SHEETS_CHARACTERS_MAX])
        note_header_row(reader, options, numbers=head.numbers[: at + 1], rows=head.rows)

    def _set_header(self, row: list[str], problem: Issue | None) -> bool:
        """Store the header in the reader; False, with the reason in the reader, if it is none."""
        limit = self._reader.limits.columns_max
        if len(row) > limit:
            self._reader.stop("columns_too_many", f"{len(row):,}", expected=f"at most {limit:,}")
            return False
        if problem is not None:
            self._reader.stop("payload_corrupt", f"invalid header. {problem.message}")
            return False
        self._reader.header = header = column_names(row, self._reader)
        resolve = self._options.resolve
        self._fields = [resolve(name) if resolve is not None else None for name in header]
        return True

    def _run(self, frame: Frame) -> RecordRun:
        cells = sum(map(len, frame.rows))
        run = RecordRun(frame.rows, frame.numbers, {}, frame.characters + CELL_OVERHEAD_BYTES * cells // 4)
        for at in sorted({*frame.long_cells, *frame.long_rows}):
            if problem := self._problem(frame, at, frame.rows[at]):
                run.unreadable[at] = problem
        for at, column, text in frame.errors:
            self._add_issue(run, at, "cell_error", column, text)
        for at, column in frame.formulas:
            self._add_issue(run, at, "formula_without_value", column, frame.rows[at][column])
        for at, column in frame.unclear:
            if self._fields[column] in SKU_FIELDS:
                self._add_issue(run, at, "sku_number_format", column, frame.rows[at][column])
        return run

    def _add_issue(self, run: RecordRun, at: int, code: str, column: int, value: str) -> None:
        field = self._fields[column]
        path = "" if field is None else "/" + field.replace(".", "/")
        found = issue(code, path, value=value, column=(self._reader.header or [])[column])
        run.issues.setdefault(at, []).append(found)

    def _problem(self, frame: Frame, at: int, row: list[str]) -> Issue | None:
        """Return why a row is invalid; its long cells are truncated."""
        if at in frame.long_rows:
            limit = self._reader.limits.line_bytes_max
            return issue("line_too_long", expected=f"at most {limit:,} characters in a row")
        return truncate_long_cells(row, self._reader)


def _start(limits: Limits) -> ParserProcess:
    bounds = limits.xlsx_unpacked_bytes_max, limits.cell_bytes_max, limits.line_bytes_max, limits.columns_max
    return ParserProcess(
        "workbook.process", packages=["isal"], memory_bytes_max=limits.parser_memory_bytes_max,
        seconds_max=limits.parser_seconds_max,
        frame_bytes_max=FRAME_OVERHEAD_BYTES + JSON_BYTES_PER_CHARACTER * limits.line_bytes_max,
        arguments=[*map(str, bounds)],
    )


def _named_sheet(sheets: list[tuple[str, bool]], wanted: str) -> list[int]:
    """Return the sheet of a name, in any case, or of a number from 1; an empty list if there is none."""
    names = [name.strip().casefold() for name, _ in sheets]
    name = wanted.strip().casefold()
    if name in names:
        return [names.index(name)]
    if name.isdecimal() and 1 <= int(name) <= len(sheets):
        return [int(name) - 1]
    return []
