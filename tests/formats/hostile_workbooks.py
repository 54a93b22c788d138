"""Workbooks of a few kilobytes that would cost a naive reader gigabytes or minutes."""

import io
import zipfile
import zlib

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
DECLARATION = '<?xml version="1.0"?>'
SHEET_HEAD = f'<worksheet xmlns="{_MAIN}"><sheetData>'
SHEET_END = "</sheetData></worksheet>"
SHEET_PART = "xl/worksheets/sheet1.xml"
INFLATED_BYTES = 256 * 1024
"""Pieces in which a part is decompressed."""


def row(number: int, *texts: str) -> str:
    """A row of inline texts."""
    cells = "".join(
        f'<c r="{chr(65 + at)}{number}" t="inlineStr"><is><t>{text}</t></is></c>' for at, text in enumerate(texts)
    )
    return f'<row r="{number}">{cells}</row>'


HEADER = row(1, "sku", "title")
GOOD_ROWS = HEADER + row(2, "A-1", "Teapot") + row(3, "A-2", "Cup")


def workbook(rows: str = GOOD_ROWS, *, before: str = "", after: str = "", strings: str = "", styles: str = "",
             sheets: int = 1, extra: dict[str, bytes] | None = None) -> bytes:
    """Return a workbook; `before` and `after` are XML around the rows of its first sheet."""
    numbers = range(1, sheets + 1)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
        f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
        f'ContentType="application/xml"/><Override PartName="/xl/workbook.xml" '
        f'ContentType="{_SHEET_TYPE}.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_DOCUMENT}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_DOCUMENT}"><sheets>'
        + "".join(f'<sheet name="S{n}" sheetId="{n}" r:id="rId{n}"/>' for n in numbers) + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        + "".join(
            f'<Relationship Id="rId{n}" Type="{_DOCUMENT}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in numbers
        )
        + f'<Relationship Id="rS" Type="{_DOCUMENT}/sharedStrings" Target="sharedStrings.xml"/>'
        f'<Relationship Id="rT" Type="{_DOCUMENT}/styles" Target="styles.xml"/></Relationships>',
        "xl/sharedStrings.xml": f'<sst xmlns="{_MAIN}">{strings}</sst>',
        "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}">{styles}</styleSheet>',
        SHEET_PART: before + SHEET_HEAD + rows + "</sheetData>" + after + "</worksheet>",
    }
    parts |= {f"xl/worksheets/sheet{n}.xml": SHEET_HEAD + SHEET_END for n in numbers[1:]}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as book:
        for name, text in parts.items():
            book.writestr(name, text if text.startswith("<?xml") else DECLARATION + text)
        for name, content in (extra or {}).items():
            book.writestr(name, content)
    return file.getvalue()


def long_string(cells: int = 40_000, characters: int = 200_000) -> bytes:
    """One long shared string, used by many cells: 8 GB of text."""
    strings = f"<si><t>sku</t></si><si><t>title</t></si><si><t>{'x' * characters}</t></si>"
    header = '<row><c t="s"><v>0</v></c><c t="s"><v>1</v></c></row>'
    return workbook(header + '<row><c t="s"><v>2</v></c></row>' * cells, strings=strings)


def far_cell(position: str = 'r="XFD1048576"') -> bytes:
    """A cell at the last corner of the sheet: the area is 17 thousand million cells."""
    return workbook(HEADER + f"<row><c {position}><v>1</v></c></row>")


def far_cell_over_a_boundary() -> bytes:
    """The same, lying over the end of a piece of decompressed bytes, with some bytes of the next compressed piece.

    The compressed part is stored blocks and one of blanks, such that the first 256 KiB of it decompress to 256 KiB and
    three bytes: the reader gets a piece that begins and a piece of three bytes that ends amid the position.
    """
    start = (DECLARATION + SHEET_HEAD + HEADER).encode()
    far = b'<row><c r="XFD1048576"><v>1</v></c></row>'
    middle = far.index(b"XFD") + 2
    for blanks in range(10, 3_000):
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = _stored(start, last=False) + packer.compress(b" " * blanks) + packer.flush(zlib.Z_FULL_FLUSH)
        room = INFLATED_BYTES - len(packed)
        blocks = -(-room // (65_535 + 5))
        head = len(start) + blanks
        if head + room - 5 * blocks == INFLATED_BYTES + 3:
            break
    else:
        raise AssertionError("no number of blanks fits")
    text = start.ljust(INFLATED_BYTES - middle) + far + SHEET_END.encode()
    at = head
    while room > 0:
        size = min(65_535, room - 5)
        packed += _stored(text[at : at + size], last=False)
        at, room = at + size, room - 5 - size
    assert len(packed) == INFLATED_BYTES
    assert text[:INFLATED_BYTES].endswith(b'r="XF')
    packed += _stored(text[at:], last=True)
    assert zlib.decompress(packed, -15) == text
    return _with_packed_part(workbook(), text, packed)


def _stored(content: bytes, *, last: bool) -> bytes:
    """A block of DEFLATE that is not compressed."""
    size = len(content)
    return bytes([last]) + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + content


def _with_packed_part(book: bytes, text: bytes, packed: bytes) -> bytes:
    """Return the workbook with a first sheet that was compressed by hand: written as stored, declared as packed."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as source, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as target:
        for part in source.infolist():
            target.writestr(part.filename, packed if part.filename == SHEET_PART else source.read(part))
    wrong, right = zlib.crc32(packed), zlib.crc32(text)
    size = len(packed).to_bytes(4, "little")
    altered = bytearray(file.getvalue())
    for at in _all(altered, wrong.to_bytes(4, "little") + size + size):
        altered[at - 6 : at - 4] = (8).to_bytes(2, "little")
        altered[at : at + 12] = right.to_bytes(4, "little") + size + len(text).to_bytes(4, "little")
    return bytes(altered)


def _all(data: bytes, wanted: bytes) -> list[int]:
    found = []
    at = data.find(wanted)
    while at >= 0:
        found.append(at)
        at = data.find(wanted, at + 1)
    return found


def far_cell_by_entities() -> bytes:
    """The same, with its position spelled by character references."""
    return far_cell('r="&#88;FD1048576"')


def entities(depth: int = 8) -> bytes:
    """Entities that contain each other ten times."""
    nested = "".join(f'<!ENTITY a{n} "' + f"&a{n - 1};" * 10 + '">' for n in range(1, depth + 1))
    doctype = f'{DECLARATION}<!DOCTYPE x [<!ENTITY a0 "lol">{nested}]>'
    return workbook(HEADER + row(2, "A-1", f"&a{depth};"), before=doctype)


def zip_bomb(megabytes: int = 20) -> bytes:
    """A part of blanks."""
    return workbook(after=" " * (megabytes * 1024**2))


def shared_bomb(megabytes: int = 6) -> bytes:
    """One shared string that nobody uses."""
    return workbook(strings=f"<si><t>{'x' * (megabytes * 1024**2)}</t></si>")


def merged_cells(count: int = 100_000) -> bytes:
    """Very many merged cells."""
    merged = "".join(f'<mergeCell ref="A{n}:B{n}"/>' for n in range(10, 10 + count))
    return workbook(after=f'<mergeCells count="{count}">{merged}</mergeCells>')


def many_styles(count: int = 100_000) -> bytes:
    """Very many formats of cells."""
    formats = '<xf numFmtId="14"/>' * count
    return workbook(styles=f'<cellXfs count="{count}">{formats}</cellXfs>')


def many_sheets(count: int = 2_000) -> bytes:
    """Very many sheets."""
    return workbook(sheets=count)


def many_parts(count: int = 10_000) -> bytes:
    """A directory of very many empty parts."""
    return workbook(extra={f"xl/x{n}": b"" for n in range(count)})


def deep(levels: int = 1_000_000) -> bytes:
    """Elements that are nested very deeply."""
    return workbook(GOOD_ROWS + "<row>" + "<c>" * levels + "</c>" * levels + "</row>")


def wide_row(columns: int = 16_000) -> bytes:
    """A row of very many long cells."""
    strings = f"<si><t>{'x' * 30_000}</t></si>"
    return workbook(HEADER + "<row>" + '<c t="s"><v>0</v></c>' * columns + "</row>", strings=strings)
