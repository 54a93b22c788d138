"""Write records back into a file, as a stream."""

import codecs
import csv
from collections.abc import Iterable, Iterator
from io import StringIO
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, cast

from goodsgate.formats.contract import FORMATS, FormatOverflowError, UnknownFormatError
from goodsgate.formats.delimiter import DELIMITERS
from goodsgate.formats.formula_marks import mark_formula

if TYPE_CHECKING:
    import xlsxwriter  # type: ignore[import-untyped]  # it has no types

PIECE_CHARACTERS = 64 * 1024
PAUSE_ROWS = 50
"""Rows after which a thread that writes an XLSX may turn to something else."""
XLSX_ROWS_MAX = 1_048_576
XLSX_COLUMNS_MAX = 16_384
XLSX_CELL_CHARACTERS_MAX = 32_767

_XLSX_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}


def write(rows: Iterable[list[str]] | Iterable[bytes], *, format: str, header: list[str] | None,
          marks: bool = False, delimiter: str | None = None, encoding: str = "utf-8", sheet: str | None = None,
          ) -> Iterator[bytes]:
    """Yield a file of records: lists of cells for csv, tsv and xlsx, the bytes of JSON values for ndjson and json.

    Some pieces are empty, so that the caller can do something else before the file goes on.
    UTF-8 without a byte-order mark, or for CSV and TSV another `encoding`, as Python calls it: UTF-16 has a mark, and
    a character that the encoding does not have is a Python escape. CSV is that of RFC 4180 (comma or another
    `delimiter`, CR LF); TSV is the same with tabs. `sheet` is the name of the sheet of an XLSX. A line break
    inside a JSON value becomes a blank, which changes nothing in valid JSON; in `json` every value must be valid.
    With `marks`, cells of CSV and TSV that a spreadsheet would run get a mark, see `formula_marks`; without, they are
    written byte for byte. In an XLSX every cell is text, so it runs nothing and keeps leading zeros.

    Raises UnknownFormatError for other formats and FormatOverflowError, before the first piece, for an XLSX that
    cannot hold it.
    """
    if format in ("csv", "tsv"):
        cells = cast(Iterable[list[str]], rows)
        if marks:
            cells = ([*map(mark_formula, row)] for row in cells)
            header = [*map(mark_formula, header)] if header is not None else None
        delimiter = delimiter or ("\t" if format == "tsv" else ",")
        return _encoded(_write_delimited(cells, header, delimiter), encoding)
    if format == "xlsx":
        return _write_xlsx(cast(Iterable[list[str]], rows), header, sheet)
    if format == "ndjson":
        return _write_json(cast(Iterable[bytes], rows), b"", b"\n", b"\n")
    if format == "json":
        return _write_json(cast(Iterable[bytes], rows), b"[\n", b",\n", b"\n]\n")
    raise UnknownFormatError(f"Unsupported format {format!r}; supported are {', '.join(FORMATS)}")


def _write_json(values: Iterable[bytes], start: bytes, between: bytes, end: bytes) -> Iterator[bytes]:
    parts = [start]
    size = count = 0
    for count, value in enumerate(values, 1):
        if b"\n" in value or b"\r" in value:
            value = value.replace(b"\n", b" ").replace(b"\r", b" ")
        parts += (between, value) if count > 1 else (value,)
        size += len(value)
        if size >= PIECE_CHARACTERS:
            yield b"".join(parts)
            parts, size = [], 0
    if count or start:
        parts.append(end)
    yield b"".join(parts)


def _encoded(texts: Iterable[str], encoding: str) -> Iterator[bytes]:
    encoder = codecs.getincrementalencoder(encoding)("backslashreplace")
    for text in texts:
        yield encoder.encode(text)
    yield encoder.encode("", final=True)


def _write_delimited(rows: Iterable[list[str]], header: list[str] | None, delimiter: str) -> Iterator[str]:
    text = StringIO()
    if delimiter not in DELIMITERS:
        text.write(f"sep={delimiter}\r\n")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\r\n")
    if header is not None:
        # unquoted, a header that holds another delimiter would look like a header with that delimiter
        others = ("sep=", *DELIMITERS.replace(delimiter, ""))
        ambiguous = delimiter != "\t" and any(mark in "".join(header) for mark in others)
        quoting = csv.writer(text, delimiter=delimiter, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
        (quoting if ambiguous else writer).writerow(header)
    for row in rows:
        writer.writerow(row)
        if text.tell() >= PIECE_CHARACTERS:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _write_xlsx(rows: Iterable[list[str]], header: list[str] | None, sheet: str | None) -> Iterator[bytes]:
    with TemporaryFile() as file:
        for _ in _fill_workbook(file, rows, header, sheet):
            yield b""
        file.seek(0)
        while piece := file.read(PIECE_CHARACTERS):
            yield piece


def _fill_workbook(file: IO[bytes], rows: Iterable[list[str]], header: list[str] | None, name: str | None,
                   ) -> Iterator[None]:
    """Write a workbook, with a pause after every few rows."""
    import xlsxwriter  # slow to load, and few processes write a workbook

    with xlsxwriter.Workbook(file, _XLSX_OPTIONS) as book:
        sheet = book.add_worksheet(name)
        number = 0
        if header is not None:
            _fill_row(sheet, number, header)
            number += 1
        for row in rows:
            _fill_row(sheet, number, row)
            number += 1
            if number % PAUSE_ROWS == 0:
                yield


def _fill_row(sheet: "xlsxwriter.worksheet.Worksheet", number: int, row: list[str]) -> None:
    if number >= XLSX_ROWS_MAX:
        raise FormatOverflowError(f"An XLSX holds at most {XLSX_ROWS_MAX:,} rows; ask for CSV.")
    if len(row) > XLSX_COLUMNS_MAX:
        raise FormatOverflowError(f"An XLSX holds at most {XLSX_COLUMNS_MAX:,} columns; ask for CSV.")
    for column, cell in enumerate(row):
        if len(cell) > XLSX_CELL_CHARACTERS_MAX:
            limit = f"{XLSX_CELL_CHARACTERS_MAX:,}"
            raise FormatOverflowError(f"An XLSX cell holds at most {limit} characters; ask for CSV.")
        if cell:
            sheet.write_string(number, column, cell)
