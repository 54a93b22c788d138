"""XLSX: the first visible sheet as rows of text.

A cell comes as the text a person would have typed. A number has at most the 15 digits that a spreadsheet keeps: whole
ones as plain digits, so that a GTIN stored as a number is read as its digits, and from 16 digits on with an exponent,
because the last ones are lost. What is text in the file stays as it is, `8.41E+12` too. Dates and times are ISO 8601,
durations `hours:minutes:seconds`, booleans TRUE and FALSE; an error (`#N/A`) is an empty cell.
"""

import re
import struct
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from io import BytesIO

from isal import igzip_lib
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from goodsgate.formats.payload_reader import CELL_OVERHEAD_BYTES, PayloadReader, RecordRun
from goodsgate.formats.table import long_cell, named

CELL_BYTES = 32
"""What the library takes for a cell of the grid that a sheet spans, filled or not."""
WHOLE_NUMBER_MAX = 10**15
RUN_ROWS = 1_000
INFLATED_BYTES = 256 * 1024

_ZIP_FAULTS: tuple[type[Exception], ...] = (
    zipfile.BadZipFile, OSError, ValueError, RuntimeError, struct.error,
    igzip_lib.IsalError,  # type: ignore[assignment]  # its stubs name an instance
)  # fmt: skip
_PLACE = re.compile(rb"""\br\s*=\s*["']([A-Za-z]{0,3})([0-9]{1,7})["']""")
_PLACE_BYTES_MAX = 64


class XlsxSheet:
    """Rows of an XLSX; made with its header read, which is put into the reading."""

    def __init__(self, pieces: Iterator[bytes], reading: PayloadReader) -> None:
        self._reading = reading
        self._number = 0
        self._empty = 0
        self._rows: Iterator[Sequence[object]] = iter(())
        reading.header = []
        data = _whole(pieces, reading)
        if data is None or not _harmless(data, reading):
            return
        sheet = _first_sheet(data, reading)
        if sheet is not None:
            self._rows = sheet.iter_rows()
            reading.header = self._header()

    def runs(self) -> Iterator[RecordRun]:
        """The rows below the header; empty ones are counted, passed over and told once."""
        if not self._reading.header:
            return
        run = RecordRun([], [], {}, 0)
        for row in self._texts():
            if found := long_cell(row, self._reading):
                run.flaws[len(run.records)] = found
            run.records.append(row)
            run.source_rows.append(self._number)
            run.size += sum(map(len, row)) + CELL_OVERHEAD_BYTES * len(row) // 4
            if len(run.records) == RUN_ROWS:
                yield run
                run = RecordRun([], [], {}, 0)
        yield run
        if self._empty:
            self._reading.tell("rows_empty", str(self._empty))

    def _header(self) -> list[str]:
        limit = self._reading.limits.columns_max
        row = next(self._texts(), [])
        if len(row) > limit:
            self._reading.stop("columns_too_many", f"{len(row):,}", expected=f"at most {limit:,}")
            return []
        if found := long_cell(row, self._reading):
            self._reading.stop("payload_corrupt", f"invalid header. {found.message}")
            return []
        return named(row, self._reading)

    def _texts(self) -> Iterator[list[str]]:
        """The rows that are not blank, as text."""
        for cells in self._rows:
            self._number += 1
            row = [cell if type(cell) is str else text_of(cell) for cell in cells]
            if "".join(row).strip():
                yield row
            else:
                self._empty += 1


def text_of(cell: object) -> str:
    """The text of a cell that is none."""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, int | float):
        return _text_of_number(cell)
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        minutes, seconds = divmod(round(cell.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return str(cell)


def _text_of_number(number: float) -> str:
    whole = float(number).is_integer() and abs(number) < WHOLE_NUMBER_MAX
    return str(int(number)) if whole else f"{number:.15g}"


def _whole(pieces: Iterator[bytes], reading: PayloadReader) -> bytes | None:
    """The file; None, with the reason told, if it is too large, breaks off or is none."""
    limit = reading.limits.xlsx_bytes_max
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) > limit:
            reading.stop("payload_corrupt", f"an XLSX may have at most {limit:,} bytes; a CSV has no such limit")
            return None
    return bytes(data) if data and reading.stopped is None else None


def _harmless(data: bytes, reading: PayloadReader) -> bool:
    """Whether the file unpacks to what it may; the reason is told if not.

    The library reads everything into memory, and a grid for all that lies between the first and the last cell. So the
    parts are unpacked here first, bounded and without trusting the directory, and the places of cells looked at.
    """
    limit = reading.limits.xlsx_unpacked_bytes_max
    try:
        parts = zipfile.ZipFile(BytesIO(data)).infolist()
        if sum(part.file_size for part in parts) > limit:
            return _too_large(sum(part.file_size for part in parts), reading)
        unpacked = 0
        for part in parts:
            grid = _SheetArea()
            for piece in _inflated(data, part):
                unpacked += len(piece)
                grid.look(piece)
                if max(unpacked, grid.size) > limit:
                    return _too_large(max(unpacked, grid.size), reading)
    except _ZIP_FAULTS as fault:
        ended = data.startswith(b"PK") and b"PK\x05\x06" not in data[-65_600:]
        reading.stop("payload_truncated" if ended else "payload_corrupt", f"XLSX: {fault}")
        return False
    return True


class _SheetArea:
    """What lies between the first cell of a sheet and the last, as far as its XML was seen."""

    def __init__(self) -> None:
        self._rows = self._columns = 0
        self._tail = b""
        self._is_sheet = False

    def look(self, piece: bytes) -> None:
        """Note the places of cells in one more piece."""
        seen = self._tail + piece
        self._tail = piece[-_PLACE_BYTES_MAX:]
        self._is_sheet = self._is_sheet or b"sheetData" in seen
        if found := _PLACE.findall(seen):
            columns, rows = map(set, zip(*found, strict=True))
            self._rows = max(self._rows, *map(int, rows))
            self._columns = max(self._columns, *map(_column_number, columns))

    @property
    def size(self) -> int:
        """Bytes that the library would take for it; 0 for a part that is no sheet."""
        return self._rows * self._columns * CELL_BYTES if self._is_sheet else 0


def _too_large(size: int, reading: PayloadReader) -> bool:
    limit = reading.limits.xlsx_unpacked_bytes_max
    reading.stop("payload_inflates", f"{size:,} bytes from {reading.bytes_done:,}", expected=f"at most {limit:,} bytes")
    return False


def _inflated(data: bytes, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """The unpacked bytes of one part, in pieces; read past the size that the directory claims."""
    head = data[part.header_offset : part.header_offset + 30]
    start = part.header_offset + 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    end = start + part.compress_size
    if part.compress_type == zipfile.ZIP_STORED:
        yield data[start:end]
        return
    if part.compress_type != zipfile.ZIP_DEFLATED:
        raise ValueError(f"{part.filename} is packed in a way that is not read")
    decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
    for at in range(start, end, INFLATED_BYTES):
        packed = data[at : min(end, at + INFLATED_BYTES)]
        while not decoder.eof and (packed or not decoder.needs_input):
            yield decoder.decompress(packed, INFLATED_BYTES)
            packed = b""


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return max(number, 1)


def _first_sheet(data: bytes, reading: PayloadReader) -> CalamineSheet | None:
    """The first sheet that is shown; the others are told. None, with the reason told, if there is none to read."""
    try:
        book = CalamineWorkbook.from_filelike(BytesIO(data))
        sheets = [sheet for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        shown = [sheet for sheet in sheets if sheet.visible == SheetVisibleEnum.Visible] or sheets
        if not shown:
            reading.stop("payload_corrupt", "XLSX: no sheet found")
            return None
        found = book.get_sheet_by_name(shown[0].name)
    except (CalamineError, OSError, ValueError) as fault:
        reading.stop("payload_corrupt", f"XLSX: {fault}")
        return None
    except BaseException as fault:
        if type(fault).__name__ != "PanicException":  # how a bug of the library on a strange file shows; not exported
            raise
        reading.stop("payload_corrupt", "XLSX: unsupported file")
        return None
    others = [sheet.name for sheet in book.sheets_metadata if sheet.name != shown[0].name]
    if others:
        reading.tell("sheets_ignored", ", ".join(others))
    return found
