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
from goodsgate.formats.table import column_names, truncate_long_cells

CELL_BYTES = 32
"""Memory that the library needs for each cell of the area of a sheet, filled or not."""
WHOLE_NUMBER_MAX = 10**15
RUN_ROWS = 1_000
INFLATED_BYTES = 256 * 1024

_ZIP_FAULTS: tuple[type[Exception], ...] = (
    zipfile.BadZipFile, OSError, ValueError, RuntimeError, struct.error,
    igzip_lib.IsalError,  # type: ignore[assignment]  # its stubs name an instance
)  # fmt: skip
_CELL_POSITION = re.compile(rb"""\br\s*=\s*["']([A-Za-z]{0,3})([0-9]{1,7})["']""")
_CELL_POSITION_BYTES_MAX = 64


class XlsxSheet:
    """Rows of an XLSX; the constructor reads the header and stores it in the reader."""

    def __init__(self, pieces: Iterator[bytes], reader: PayloadReader) -> None:
        self._reader = reader
        self._number = 0
        self._empty = 0
        self._rows: Iterator[Sequence[object]] = iter(())
        reader.header = []
        data = _read_all(pieces, reader)
        if data is None or not _is_within_limits(data, reader):
            return
        sheet = _first_sheet(data, reader)
        if sheet is not None:
            self._rows = sheet.iter_rows()
            reader.header = self._header()

    def runs(self) -> Iterator[RecordRun]:
        """Yield the rows below the header; empty rows are skipped, and their number is added as a notice."""
        if not self._reader.header:
            return
        run = RecordRun([], [], {}, 0)
        for row in self._texts():
            if problem := truncate_long_cells(row, self._reader):
                run.unreadable[len(run.records)] = problem
            run.records.append(row)
            run.source_rows.append(self._number)
            run.size += sum(map(len, row)) + CELL_OVERHEAD_BYTES * len(row) // 4
            if len(run.records) == RUN_ROWS:
                yield run
                run = RecordRun([], [], {}, 0)
        yield run
        if self._empty:
            self._reader.add_notice("rows_empty", str(self._empty))

    def _header(self) -> list[str]:
        limit = self._reader.limits.columns_max
        row = next(self._texts(), [])
        if len(row) > limit:
            self._reader.stop("columns_too_many", f"{len(row):,}", expected=f"at most {limit:,}")
            return []
        if problem := truncate_long_cells(row, self._reader):
            self._reader.stop("payload_corrupt", f"invalid header. {problem.message}")
            return []
        return column_names(row, self._reader)

    def _texts(self) -> Iterator[list[str]]:
        """Yield the rows that are not blank, as text."""
        for cells in self._rows:
            self._number += 1
            row = [cell if type(cell) is str else text_of(cell) for cell in cells]
            if "".join(row).strip():
                yield row
            else:
                self._empty += 1


def text_of(cell: object) -> str:
    """Return the text of a cell of another type."""
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


def _read_all(pieces: Iterator[bytes], reader: PayloadReader) -> bytes | None:
    """Return the whole file; None, with the reason set in the reader, if it is too large or incomplete."""
    limit = reader.limits.xlsx_bytes_max
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) > limit:
            reader.stop("payload_corrupt", f"an XLSX may have at most {limit:,} bytes; a CSV has no such limit")
            return None
    return bytes(data) if data and reader.stopped is None else None


def _is_within_limits(data: bytes, reader: PayloadReader) -> bool:
    """Return whether the file stays within its limits when it is decompressed; if not, the reader has the reason.

    The library reads everything into memory, and a grid for all that lies between the first and the last cell. So the
    parts are decompressed here first, bounded and without trust in the directory, and the positions of cells checked.
    """
    limit = reader.limits.xlsx_unpacked_bytes_max
    try:
        parts = zipfile.ZipFile(BytesIO(data)).infolist()
        if sum(part.file_size for part in parts) > limit:
            return _too_large(sum(part.file_size for part in parts), reader)
        decompressed = 0
        for part in parts:
            area = _SheetArea()
            for piece in _inflate(data, part):
                decompressed += len(piece)
                area.add(piece)
                if max(decompressed, area.size) > limit:
                    return _too_large(max(decompressed, area.size), reader)
    except _ZIP_FAULTS as fault:
        ended = data.startswith(b"PK") and b"PK\x05\x06" not in data[-65_600:]
        reader.stop("payload_truncated" if ended else "payload_corrupt", f"XLSX: {fault}")
        return False
    return True


class _SheetArea:
    """The area between the first cell of a sheet and the last, as far as its XML was read."""

    def __init__(self) -> None:
        self._rows = self._columns = 0
        self._tail = b""
        self._is_sheet = False

    def add(self, piece: bytes) -> None:
        """Add the positions of cells in another piece of XML."""
        xml = self._tail + piece
        self._tail = piece[-_CELL_POSITION_BYTES_MAX:]
        self._is_sheet = self._is_sheet or b"sheetData" in xml
        if positions := _CELL_POSITION.findall(xml):
            columns, rows = map(set, zip(*positions, strict=True))
            self._rows = max(self._rows, *map(int, rows))
            self._columns = max(self._columns, *map(_column_number, columns))

    @property
    def size(self) -> int:
        """Memory that the library would need for the area; 0 for a part that is not a sheet."""
        return self._rows * self._columns * CELL_BYTES if self._is_sheet else 0


def _too_large(size: int, reader: PayloadReader) -> bool:
    limit = reader.limits.xlsx_unpacked_bytes_max
    reader.stop("payload_inflates", f"{size:,} bytes from {reader.bytes_done:,}", expected=f"at most {limit:,} bytes")
    return False


def _inflate(data: bytes, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield the decompressed bytes of one part in pieces, whatever size the directory claims."""
    head = data[part.header_offset : part.header_offset + 30]
    start = part.header_offset + 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    end = start + part.compress_size
    if part.compress_type == zipfile.ZIP_STORED:
        yield data[start:end]
        return
    if part.compress_type != zipfile.ZIP_DEFLATED:
        raise ValueError(f"{part.filename} uses an unsupported compression")
    decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
    for at in range(start, end, INFLATED_BYTES):
        compressed = data[at : min(end, at + INFLATED_BYTES)]
        while not decoder.eof and (compressed or not decoder.needs_input):
            yield decoder.decompress(compressed, INFLATED_BYTES)
            compressed = b""


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return max(number, 1)


def _first_sheet(data: bytes, reader: PayloadReader) -> CalamineSheet | None:
    """Return the first visible sheet and add a notice of the others; None, with the reason, if none can be read."""
    try:
        book = CalamineWorkbook.from_filelike(BytesIO(data))
        sheets = [sheet for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        visible = [sheet for sheet in sheets if sheet.visible == SheetVisibleEnum.Visible] or sheets
        if not visible:
            reader.stop("payload_corrupt", "XLSX: no sheet found")
            return None
        sheet = book.get_sheet_by_name(visible[0].name)
    except (CalamineError, OSError, ValueError) as fault:
        reader.stop("payload_corrupt", f"XLSX: {fault}")
        return None
    except BaseException as fault:
        if type(fault).__name__ != "PanicException":  # how a bug of the library on a strange file shows; not exported
            raise
        reader.stop("payload_corrupt", "XLSX: unsupported file")
        return None
    others = [each.name for each in book.sheets_metadata if each.name != visible[0].name]
    if others:
        reader.add_notice("sheets_ignored", ", ".join(others))
    return sheet
