"""The rows of one sheet, as a stream of the cells that hold something.

Rows as all spreadsheets write them are read with regular expressions, twice as fast as with a parser of XML. Everything
else goes through the parser: other rows, what stands between them, and a file that uses comments or CDATA as a whole.
"""

import re
from collections.abc import Iterator

from .package import WorkbookError, XmlParser, local_name

ROWS_MAX = 1_048_576
COLUMNS_MAX = 16_384
MERGED_RANGES_MAX = 1_000
XML_DECLARATION_BYTES = 200

_TEXT = r"[^<&\x00-\x08\x0b-\x1f]*"
_CELLS = re.compile(
    r'<c r="([A-Z]{1,3})([0-9]{1,7})"(?: s="([0-9]{1,6})")?(?: t="([a-zA-Z]{1,9})")?(?:/>|>'
    rf"(<f(?: [^<>]*)?(?:/>|>{_TEXT}</f>))?"
    rf"(?:(<v ?/>|<v></v>)|<v>({_TEXT})</v>|<is><t(?: [^<>]*)?>({_TEXT})</t></is>)?</c>)"
).findall
_ROW = re.compile(rb'<row r="([0-9]{1,7})"(?: [^<>]*)?>').match
_UTF8_DECLARATION = re.compile(rb"""<\?xml[^>]*encoding=["']utf-8["']""", re.IGNORECASE)
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")

_columns: dict[str, int] = {}
"""Letters → index of the column; filled as they are met."""


Cell = tuple[int, str, int, str]
"""A cell that holds something: column, type, style and text.

The type is that of the file (n, s, str, inlineStr, b, e, d), or f for a formula without a stored value. The text is the
value as the file has it, with that of a shared string; of a formula without a value the formula.
"""

Row = tuple[int, list[Cell]]
"""A number from 1, and cells by column."""


class Sheet:
    """A reader of the rows of one sheet."""

    def __init__(self, pieces: Iterator[bytes], strings: list[str]) -> None:
        self.merged: list[str] = []
        """The first merged ranges; known at the end."""
        self._pieces = pieces
        self._strings = strings
        self._parser = XmlParser(self._start, self._end)
        self._rows: list[Row] = []
        """Complete rows that were not yielded yet."""
        self._number = 0
        self._cells: list[Cell] | None = None
        """Of the row that is open."""
        self._is_in_data = False
        self._cell: dict[str, str] | None = None
        """Attributes of the cell that is open."""
        self._column = -1
        """Of the last cell in the row that is open, blank or not."""
        self._value: list[str] | None = None
        self._formula: list[str] | None = None
        self._phonetic = False

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows in order, blank ones without cells too if the file has them. Raises WorkbookError."""
        plain: bool | None = None
        for piece in self._pieces:
            if plain is None:
                head = piece[:XML_DECLARATION_BYTES]
                declaration, _, rest = piece.partition(b"?>") if b"<?xml" in head else (b"", b"", piece)
                plain = b"<!" not in rest and (
                    b"encoding" not in declaration or _UTF8_DECLARATION.search(declaration) is not None
                )
            elif plain:
                plain = b"<!" not in piece
            if plain:
                self._read_plain(piece)
            else:
                self._parser.feed(piece)
            yield from self._rows
            self._rows = []
        self._parser.feed(b"", is_last=True)

    def _read_plain(self, piece: bytes) -> None:
        """Read a piece without comments and CDATA."""
        at, feed, find = 0, self._parser.feed, piece.find
        while True:
            row = find(b"<row ", at)
            if row < 0:
                feed(piece[at:])
                return
            if row > at:
                feed(piece[at:row])
            at = row
            if self._is_in_data and self._cells is None:
                at = self._read_plain_rows(piece, at)
            if piece.startswith(b"<row ", at):
                following = find(b"<row ", at + 1)
                feed(piece[at : following if following >= 0 else len(piece)])
                at = following if following >= 0 else len(piece)

    def _read_plain_rows(self, piece: bytes, at: int) -> int:
        """Read rows as spreadsheets write them; return where the first other one begins, or what is no row."""
        while match := _ROW(piece, at):
            end = piece.find(b"</row>", at)
            if end < 0:
                break
            try:
                content = piece[match.end() : end].decode()
            except UnicodeDecodeError as fault:
                raise WorkbookError(str(fault)) from None
            found = _CELLS(content)
            if len(found) != content.count("<c"):  # some are written in another way
                break
            self._add_plain_row(int(match[1]), found)
            at = end + len(b"</row>")
        return at

    def _add_plain_row(self, number: int, found: list[tuple[str, ...]]) -> None:
        self._open_row(number)
        cells: list[Cell] = []
        last = -1
        strings, row_text = self._strings, str(number)
        try:
            for letters, row, style, kind, formula, empty, value, inline in found:
                column = _columns.get(letters)
                if column is None:
                    column = column_of(letters)
                if column <= last or row != row_text:
                    raise WorkbookError(f"the cells of row {number} are not in order")
                last = column
                if value:
                    if kind == "s":
                        cells.append((column, "s", 0, strings[_index(value)]))
                    else:
                        cells.append((column, kind or "n", int(style) if style else 0, value))
                elif inline:
                    cells.append((column, "inlineStr", 0, inline))
                elif formula and not (kind == "str" and empty):
                    cells.append((column, "f", 0, "=" + formula.partition(">")[2].removesuffix("</f>")))
        except (IndexError, ValueError) as fault:
            raise WorkbookError(f"row {number}: {fault}") from None
        self._rows.append((number, cells))

    def _open_row(self, number: int) -> None:
        if not self._number < number <= ROWS_MAX:
            raise WorkbookError(f"row {number} is not where it belongs")
        self._number = number

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = local_name(tag)
        if name == "sheetData":
            self._is_in_data = True
        elif name == "mergeCell":
            if len(self.merged) < MERGED_RANGES_MAX:
                self.merged.append(attributes.get("ref", "")[:20])
        elif not self._is_in_data:
            return
        elif name == "row":
            if self._cells is not None:
                raise WorkbookError("a row lies in another row")
            self._open_row(_position(attributes.get("r"), self._number + 1))
            self._cells, self._column = [], -1
        elif name == "c" and self._cells is not None:
            if self._cell is not None:
                raise WorkbookError("a cell lies in another cell")
            self._cell, self._value, self._formula, self._phonetic = attributes, None, None, False
        elif self._cell is not None:
            self._start_in_cell(name)

    def _start_in_cell(self, name: str) -> None:
        if name == "v" or (name == "t" and not self._phonetic):
            self._value = [] if self._value is None else self._value
            self._parser.collect(self._value.append)
        elif name == "f":
            self._formula = []
            self._parser.collect(self._formula.append)
        elif name == "rPh":
            self._phonetic = True

    def _end(self, tag: str) -> None:
        name = local_name(tag)
        if name in ("v", "t", "f"):
            self._parser.collect(None)
        elif name == "rPh":
            self._phonetic = False
        elif name == "c" and self._cell is not None:
            self._close_cell(self._cell)
            self._cell = None
        elif name == "row" and self._cells is not None:
            self._rows.append((self._number, self._cells))
            self._cells = None
        elif name == "sheetData":
            self._is_in_data = False

    def _close_cell(self, attributes: dict[str, str]) -> None:
        cells = self._cells
        assert cells is not None
        self._move_to(attributes.get("r"))
        kind, text = attributes.get("t", "n"), "".join(self._value or ())
        is_empty_text = kind == "str" and self._value is not None
        try:
            style = int(attributes.get("s", 0))
            if text:
                cells.append((self._column, kind, style, self._strings[_index(text)] if kind == "s" else text))
            elif self._formula is not None and not is_empty_text:
                cells.append((self._column, "f", style, "=" + "".join(self._formula)))
        except (IndexError, ValueError) as fault:
            raise WorkbookError(f"row {self._number}: {fault}") from None

    def _move_to(self, reference: str | None) -> None:
        """Store the column of the cell that is open; one without a reference follows the cell before it."""
        column = self._column + 1
        if reference is not None:
            match = _REFERENCE.fullmatch(reference)
            column = column_of(match[1]) if match else -1
            if not match or int(match[2]) != self._number or column <= self._column:
                raise WorkbookError(f"the cells of row {self._number} are not in order")
        if column >= COLUMNS_MAX:
            raise WorkbookError(f"row {self._number} has too many cells")
        self._column = column


def _index(text: str) -> int:
    """Return the index of a shared string. Raises ValueError."""
    if not text.isdecimal():
        raise ValueError(f"there is no text {text[:20]}")
    return int(text)


def _position(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not text.isascii() or not text.isdecimal() or len(text) > 7:
        raise WorkbookError(f"there is no row {text[:20]}")
    return int(text)


def column_of(letters: str) -> int:
    """Return the index of a column. Raises WorkbookError if there is none with these letters."""
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - 64
    if not 1 <= column <= COLUMNS_MAX:
        raise WorkbookError(f"there is no column {letters[:20]}")
    _columns[letters] = column - 1
    return column - 1


def letters_of(column: int) -> str:
    """Return the letters of a column by its index."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
