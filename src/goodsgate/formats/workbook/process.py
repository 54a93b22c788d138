"""The process: it reads a file and commands from its input, and writes what it finds to its output.

Every message, in both directions, is its length (4 bytes, little-endian) and so many bytes; a length of 0 is the end.
First the file comes in messages of any size, with an end; the answer is a list of its sheets. Then commands, which are
JSON: ``{"head": 0}`` is answered with the first rows of a sheet, and ``{"read": 0, …}`` with all its rows below the
header and an end. Answers are frames, see `xlsx.Frame`.
"""

import json
import os
import resource
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, NamedTuple

from .package import Package, WorkbookError, WorkbookInflatesError, local_name, parse_xml, read_strings, unescape
from .sheet import Cell, Row, Sheet, letters_of
from .values import PLAIN, NumberFormat, built_in_format, date_text, iso_text, key_text, number_format, number_text

HEAD_ROWS = 50
"""Rows that are not blank among which the header is looked for."""
RUN_ROWS = 1_000
RUN_CHARACTERS = 256 * 1024
"""A frame ends after so many rows or characters."""
LONG_ROW_CELL_CHARACTERS = 64
"""Characters that are kept of each cell of a row that is too long."""
SIGNS_MAX = 100
SIGN_CHARACTERS_MAX = 20
SHEET_NAME_CHARACTERS_MAX = 100
OUTSIDE_COLUMNS_MAX = 10
"""Columns without a header of which it is told that they hold something."""
RANGES_SHOWN = 5
"""Merged ranges that are named."""
MEMORY_EXIT_CODE = 3


class Bounds(NamedTuple):
    """Limits of what is read."""

    unpacked_bytes_max: int
    cell_bytes_max: int
    row_characters_max: int
    columns_max: int


def main(arguments: Sequence[str]) -> None:
    """Parse the file in the standard input; never returns.

    Arguments are bytes of memory and seconds of processor time, and then the bounds in their order.
    """
    try:
        _be_ended_first()
        _limit_process(int(arguments[0]), float(arguments[1]))
        try:
            _answer(Bounds(*map(int, arguments[2:])))
        except WorkbookInflatesError as fault:
            _write(unpacked_bytes=fault.args[0])
        except WorkbookError as fault:
            _write(stopped=(fault.code, f"XLSX: {fault}"))
        _write_message(b"")
    except BrokenPipeError:
        os._exit(0)  # nobody reads on
    except MemoryError:
        os._exit(MEMORY_EXIT_CODE)
    os._exit(0)  # without freeing what the kernel frees faster


def _be_ended_first() -> None:
    """Let the kernel of a machine without memory end this process before others."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "wb") as score:
        score.write(b"1000")


def _limit_process(memory_bytes: int, seconds: float) -> None:
    """Limit this process, so that no bug of a library can do more harm than use this up."""
    whole_seconds = max(1, round(seconds))
    _limit(resource.RLIMIT_AS, memory_bytes, memory_bytes)
    _limit(resource.RLIMIT_CPU, whole_seconds, whole_seconds + 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # pipes are not files
    "".encode("cp437")  # what zipfile loads when it meets a name; from here on no file or connection can be opened
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


def _limit(kind: int, soft: int, hard: int) -> None:
    """Set a limit, unless the operator has set a lower one for all processes."""
    _, given = resource.getrlimit(kind)
    if given != resource.RLIM_INFINITY:
        hard = min(hard, given)
    resource.setrlimit(kind, (min(soft, hard), hard))


def _answer(bounds: Bounds) -> None:
    """Read the file, and answer commands until one has read a sheet."""
    package = Package(b"".join(iter(_read_message, b"")), bounds.unpacked_bytes_max)
    book = Workbook(package)
    _write(
        sheets=[(name[:SHEET_NAME_CHARACTERS_MAX], visible) for name, visible, _ in book.sheets],
        signs=sorted({form.currency[:SIGN_CHARACTERS_MAX] for form in book.formats if form.currency})[:SIGNS_MAX],
    )
    heads: dict[int, tuple[Sheet, Iterator[Row], list[Row]]] = {}
    while message := _read_message():
        command = json.loads(message)
        at = command.get("head", command.get("read"))
        if at not in heads:
            sheet = book.open(at)
            rows = iter(sheet)
            heads[at] = sheet, rows, [*_head(rows)]
        sheet, rows, head = heads[at]
        if "head" in command:
            _write_head(head, bounds, Renderer(book, start=0, width=bounds.columns_max + 1))
        else:
            renderer = Renderer(
                book, start=command["start"], width=command["width"], keys=command["keys"], comma=command["comma"],
                prices=command["prices"], signs=command["signs"],
            )
            _write_rows(chain(head, rows), renderer, bounds, after=command["after"])
            _write(merged=_merged(sheet, command["after"]), outside=renderer.describe_outside())
            return


class Workbook:
    """The sheets of a workbook, and what their cells refer to."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self.sheets: list[tuple[str, bool, str]] = []
        """Name, whether it is visible, and part of each sheet."""
        self.from_1904 = False
        self.formats: list[NumberFormat] = []
        """Style of a cell → what its number format does."""
        self._strings: list[str] | None = None
        self._strings_part = ""
        self._read()

    def open(self, at: int) -> Sheet:
        """Return a sheet by its place."""
        if self._strings is None:
            part = self._strings_part
            self._strings = read_strings(self._package.pieces(part)) if part in self._package else []
        return Sheet(self._package.pieces(self.sheets[at][2]), self._strings)

    def _read(self) -> None:
        kinds = dict(self._package.relations("").values())
        if "officeDocument" not in kinds:
            raise WorkbookError("this is no workbook")
        part = kinds["officeDocument"]
        relations = self._package.relations(part)
        parts = dict(relations.values())
        self._strings_part = parts.get("sharedStrings", "")

        def start(tag: str, attributes: dict[str, str]) -> None:
            name = local_name(tag)
            if name == "workbookPr":
                self.from_1904 = attributes.get("date1904", "0") in ("1", "true")
            elif name == "sheet":
                ids = [value for key, value in attributes.items() if local_name(key) == "id"]
                kind, sheet = relations.get(ids[0] if ids else "", ("", ""))
                if kind == "worksheet":
                    visible = attributes.get("state", "visible") == "visible"
                    self.sheets.append((attributes.get("name", ""), visible, sheet))

        parse_xml(self._package.pieces(part), start)
        if not self.sheets:
            raise WorkbookError("no sheet found")
        if parts.get("styles", "") in self._package:
            self._read_formats(parts["styles"])

    def _read_formats(self, part: str) -> None:
        codes: dict[str, str] = {}
        numbers: list[str] = []
        section = ""

        def start(tag: str, attributes: dict[str, str]) -> None:
            nonlocal section
            name = local_name(tag)
            if name == "numFmt":
                codes[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
            elif name == "xf" and section == "cellXfs":
                numbers.append(attributes.get("numFmtId", "0"))
            elif name in ("cellXfs", "cellStyleXfs"):
                section = name

        parse_xml(self._package.pieces(part), start)
        known: dict[str, NumberFormat] = {}
        for number in numbers:
            if number not in known:
                code = codes.get(number) or built_in_format(int(number) if number.isdecimal() else 0)
                known[number] = number_format(code)
            self.formats.append(known[number])


class Renderer:
    """Cells as text; what it notices on the way is collected until somebody takes it."""

    def __init__(self, book: Workbook, *, start: int, width: int, keys: Sequence[int] = (), comma: bool = False,
                 prices: Sequence[int] = (), signs: Mapping[str, str] = {}) -> None:
        """Take the first column and the number of columns; `keys` are those of keys, counted from the first one.

        With `comma` numbers have a decimal comma. `prices` are columns of prices, and `signs` say what is added to
        their numbers for a sign of a currency that their cells show.
        """
        self.errors: list[tuple[int, str]] = []
        """Column and text of each error; all of the row that was rendered last, like the next two."""
        self.formulas: list[int] = []
        """Columns of formulas without a stored value."""
        self.unclear: list[int] = []
        """Columns of keys that are numbers of which it is not certain how they are written."""
        self._formats = book.formats
        self._from_1904 = book.from_1904
        self._start = start
        self._width = width
        self._keys = frozenset(keys)
        self._comma = comma
        self._prices = frozenset(prices)
        self._signs = signs
        self._outside: dict[int, tuple[int, int]] = {}

    def render(self, number: int, cells: list[Cell]) -> list[str]:
        """Return the texts of a row."""
        self.errors, self.formulas, self.unclear = [], [], []
        width, start = self._width, self._start
        row = [""] * width
        for column, kind, style, text in cells:
            column -= start
            if not 0 <= column < width:
                self._note_outside(column + start, number, text)
            elif kind == "s":
                row[column] = text
            elif kind == "n":
                row[column] = self._number(column, style, text)
            elif kind in ("inlineStr", "str"):
                row[column] = unescape(text)
            elif kind == "b":
                row[column] = "TRUE" if text == "1" else "FALSE"
            elif kind == "d":
                row[column] = iso_text(text)
            else:
                row[column] = text
                if kind == "f":
                    self.formulas.append(column)
                else:
                    self.errors.append((column, text))
        return row

    def describe_outside(self) -> str:
        """Return which columns without a header hold something; empty if none does."""
        found = sorted(self._outside.items())
        shown = [
            f"{letters_of(column)} ({count}, from row {row})" for column, (count, row) in found[:OUTSIDE_COLUMNS_MAX]
        ]
        return ", ".join([*shown, *(["…"] if len(found) > OUTSIDE_COLUMNS_MAX else [])])

    def _number(self, column: int, style: int, text: str) -> str:
        form = self._formats[style] if style < len(self._formats) else PLAIN
        if form.kind in ("date", "datetime", "elapsed"):
            moment = date_text(text, form, from_1904=self._from_1904)
            if moment is not None:
                if column in self._keys:
                    self.unclear.append(column)
                return moment
        shown = number_text(text)
        if column in self._keys:
            key = key_text(shown, form)
            if key is None:
                self.unclear.append(column)
            else:
                shown = key
        if self._comma:
            shown = shown.replace(".", ",")
        return shown + self._signs.get(form.currency, "") if form.currency and column in self._prices else shown

    def _note_outside(self, column: int, number: int, text: str) -> None:
        if text.strip():
            count, row = self._outside.get(column, (0, number))
            self._outside[column] = count + 1, row


def _head(rows: Iterator[Row]) -> Iterator[Row]:
    """Yield the first rows that are not blank."""
    found = characters = 0
    for number, cells in rows:
        size = sum(len(text) for *_, text in cells if text.strip())
        if not size:
            continue
        yield number, cells
        found += 1
        characters += size
        if found == HEAD_ROWS or characters >= RUN_CHARACTERS:
            return


def _write_head(head: list[Row], bounds: Bounds, renderer: Renderer) -> None:
    """Write the first rows, each as far as its last cell."""
    rows: list[list[str]] = []
    long_rows = []
    for number, cells in head:
        row = renderer.render(number, cells)
        while row and not row[-1].strip():
            row.pop()
        if sum(map(len, row)) > bounds.row_characters_max:
            long_rows.append(len(rows))
            row = [cell[:LONG_ROW_CELL_CHARACTERS] for cell in row]
        rows.append(row)
    _write(rows=rows, numbers=[number for number, _ in head], long_rows=long_rows)


def _write_rows(rows: Iterator[Row], renderer: Renderer, bounds: Bounds, *, after: int) -> None:
    """Write the rows after a number that are not blank, in frames of bounded size."""
    frame = _empty_frame()
    blank, previous = 0, after
    for number, cells in rows:
        if number <= after:
            continue
        row = renderer.render(number, cells)
        text = "".join(row)
        if not text.strip():
            continue
        blank += number - previous - 1
        previous = number
        at = len(frame["rows"])
        if len(text) > bounds.row_characters_max:
            frame["long_rows"].append(at)
            row = [cell[:LONG_ROW_CELL_CHARACTERS] for cell in row]
        elif len(text) * 4 > bounds.cell_bytes_max and any(
            len(cell) * 4 > bounds.cell_bytes_max and len(cell.encode()) > bounds.cell_bytes_max for cell in row
        ):
            frame["long_cells"].append(at)
        if renderer.errors or renderer.formulas or renderer.unclear:
            frame["errors"] += [(at, column, shown) for column, shown in renderer.errors]
            frame["formulas"] += [(at, column) for column in renderer.formulas]
            frame["unclear"] += [(at, column) for column in renderer.unclear]
        frame["numbers"].append(number)
        frame["rows"].append(row)
        frame["characters"] += len(text)
        if at + 1 == RUN_ROWS or frame["characters"] >= RUN_CHARACTERS:
            _write(**frame)
            frame = _empty_frame()
    _write(**frame, blank_rows=blank)


def _empty_frame() -> dict[str, Any]:
    return {
        "numbers": [], "rows": [], "long_cells": [], "long_rows": [], "errors": [], "formulas": [], "unclear": [],
        "characters": 0,
    }


def _merged(sheet: Sheet, after: int) -> str:
    """Return which cells below a row, or in it, are merged; empty if none are."""
    rows = ("".join(filter(str.isdecimal, name.rpartition(":")[2])) for name in sheet.merged)
    found = [name for name, row in zip(sheet.merged, rows, strict=True) if int(row or 0) >= after]
    return ", ".join([*found[:RANGES_SHOWN], *(["…"] if len(found) > RANGES_SHOWN else [])])


def _read_message() -> bytes:
    """Return the next message; empty at the end, also at that of the input."""
    source = sys.stdin.buffer
    length = int.from_bytes(source.read(4), "little")
    return source.read(length)


def _write(**members: object) -> None:
    """Write a frame."""
    _write_message(json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))


def _write_message(message: bytes) -> None:
    """Write a message; an empty one is the end."""
    output = sys.stdout.buffer
    output.write(struct.pack("<I", len(message)))
    output.write(message)
    output.flush()
