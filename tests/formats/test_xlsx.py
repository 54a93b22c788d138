"""XLSX: the first sheet as the text a person would have typed, and files that would do harm."""

import io
import zipfile
from datetime import UTC, date, datetime, time, timedelta

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.formats import FormatOverflowError, write
from goodsgate.formats.xlsx_parser import text_of
from tests.formats.helpers import PACKINGS, SIZES, packed, read

CELL = st.text(
    st.characters(exclude_categories=["Cs", "Cn", "Cc"]) | st.sampled_from("\t\n\r'\"=<&_x0041_"), max_size=8
)


def workbook(fill, *, names=("Sheet1",)) -> bytes:
    """The bytes of a workbook; `fill(book, sheet)` fills its first sheet."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        sheets = [book.add_worksheet(name) for name in names]
        fill(book, sheets[0])
    return file.getvalue()


@settings(deadline=None, max_examples=20)  # each example starts parsers
@given(st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=6), PACKINGS, SIZES)
def test_written_files_are_read_back(rows, content_encoding, sizes):
    """Cells come back character for character, and never as numbers or formulas."""
    data = packed(b"".join(write(iter(rows), format="xlsx", header=["a", "b", "c"])), content_encoding)
    found = read(data, "xlsx", content_encoding=content_encoding, sizes=[size * 50 for size in sizes],
        chunk_records_max=2)
    numbered = [(number, row) for number, row in enumerate(rows, 2) if "".join(row).strip()]
    assert list(zip(found.source_rows, found.records, strict=True)) == numbered
    assert found.reader.header == ["a", "b", "c"]
    skipped = read(data, "xlsx", content_encoding=content_encoding, skip=2)
    assert (skipped.records, skipped.source_rows) == (found.records[2:], found.source_rows[2:])


def test_text_that_looks_like_a_number_stays_text():
    """GTINs keep their zeros, formulas stay letters."""
    row = ["04006381333931", "8.41E+12", "=1+1", "-5", "https://a.example", "1.50"]
    found = read(b"".join(write(iter([row]), format="xlsx", header=list("abcdef"))), "xlsx")
    assert found.records == [row]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (8410000000001.0, "8410000000001"), (84100000000012.0, "84100000000012"), (19.99, "19.99"),
        (999999999999999.0, "999999999999999"), (1e15, "1e+15"), (123456789012345680.0, "1.23456789012346e+17"),
        (19.990000000000002, "19.99"), (0.30000000000000004, "0.3"), (12.0, "12"), (-3.0, "-3"), (-0.5, "-0.5"),
        (0.0, "0"), (0.00001, "1e-05"), (7, "7"), (True, "TRUE"), (False, "FALSE"), (date(2026, 3, 1), "2026-03-01"),
        (datetime(2026, 3, 1, 10, 30, tzinfo=None), "2026-03-01T10:30:00"), (time(3, 4, 5), "03:04:05"),
        (timedelta(days=1, hours=12, seconds=5), "36:00:05"), ("text", "text"), ("", ""),
        (float("inf"), "inf"),
    ],
)  # fmt: skip
def test_cells_become_the_text_a_person_would_have_typed(cell, text):
    """Fifteen digits are what a spreadsheet keeps."""
    assert text_of(cell) == text


def test_typed_cells_are_read():
    """Numbers, dates and booleans as a spreadsheet stores them; an error is an empty cell."""

    def fill(book, sheet):
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row(0, 0, ["gtin", "price", "from", "sale", "broken", "text"])
        sheet.write_row(1, 0, [4006381333931, 19.9])
        sheet.write_datetime(1, 2, datetime(2026, 3, 1, tzinfo=UTC).replace(tzinfo=None), day)
        sheet.write_boolean(1, 3, True)
        sheet.write_formula(1, 4, "=NA()", None, "#N/A")
        sheet.write_string(1, 5, "8.41E+12")

    assert read(workbook(fill), "xlsx").records == [["4006381333931", "19.9", "2026-03-01", "TRUE", "", "8.41E+12"]]


def test_rows_keep_their_numbers_and_other_sheets_are_reported():
    """Blank rows above and between, hidden and further sheets."""

    def fill(book, sheet):
        sheet.write_row(2, 1, [" sku ", "title", "sku"])
        sheet.write_row(3, 1, ["1", "x", "y"])
        sheet.write_row(6, 1, ["2", "z", ""])

    found = read(workbook(fill, names=("Goods", "Notes", "Old")), "xlsx")
    assert found.reader.header == ["sku", "title", "sku"]
    assert (found.records, found.source_rows) == ([["1", "x", "y"], ["2", "z", ""]], [4, 7])
    assert sorted(found.notices) == [("header_duplicate", "sku"), ("rows_empty", "4"), ("sheets_ignored", "Notes, Old")]


def test_a_hidden_first_sheet_is_skipped():
    """What the person saw is meant."""

    def fill(book, sheet):
        sheet.write_row(0, 0, ["secret"])
        shown = book.add_worksheet("Shown")
        shown.write_row(0, 0, ["sku"])
        shown.write_row(1, 0, ["1"])
        shown.activate()
        sheet.hide()

    found = read(workbook(fill), "xlsx")
    assert (found.reader.header, found.records) == (["sku"], [["1"]])


def test_an_empty_sheet_is_reported():
    """No row, or a header alone."""
    assert read(workbook(lambda book, sheet: None), "xlsx").notices == [("payload_empty", None)]
    assert read(workbook(lambda book, sheet: sheet.write(0, 0, "sku")), "xlsx").notices == [("payload_empty", None)]


def test_cells_and_columns_are_limited():
    """As in every other table."""
    data = b"".join(write(iter([["x" * 30, "é" * 15, "x" * 31]]), format="xlsx", header=["a", "b", "c"]))
    assert read(data, "xlsx", cell_bytes_max=31).unreadable == {}
    assert read(data, "xlsx", cell_bytes_max=30).unreadable == {0: "cell_too_long"}
    assert read(data, "xlsx", columns_max=3).stopped is None
    assert read(data, "xlsx", columns_max=2).stopped == "columns_too_many"


def test_files_over_the_limits_are_refused():
    """At the limit they are; packed and unpacked sizes each."""
    data = b"".join(write(iter([["1", "2"]] * 50), format="xlsx", header=["a", "b"]))
    size = sum(part.file_size for part in zipfile.ZipFile(io.BytesIO(data)).infolist())
    assert len(read(data, "xlsx", xlsx_bytes_max=len(data)).records) == 50
    assert read(data, "xlsx", xlsx_bytes_max=len(data) - 1).stopped == "payload_corrupt"
    assert len(read(data, "xlsx", xlsx_unpacked_bytes_max=size).records) == 50
    assert read(data, "xlsx", xlsx_unpacked_bytes_max=size - 1).stopped == "payload_inflates"


def altered(data: bytes, change) -> bytes:
    """The workbook with its first sheet's XML changed."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for part in source.infolist():
            content = source.read(part)
            target.writestr(part.filename, change(content) if part.filename.endswith("sheet1.xml") else content)
    return file.getvalue()


@pytest.mark.parametrize("cell", [b'<c r="XFD1048576">', b"<c r='XFD1048576'>", b'<c r = "XFD1048576">'])
def test_a_far_cell_does_not_exhaust_memory(cell):
    """Two cells at the corners of the sheet span seventeen thousand million."""
    data = b"".join(write(iter([["1", "2"]]), format="xlsx", header=["a", "b"]))
    far = b'<row r="1048576">' + cell + b"<v>1</v></c></row></sheetData>"
    found = read(altered(data, lambda xml: xml.replace(b"</sheetData>", far)), "xlsx")
    assert (found.records, found.stopped) == ([], "payload_inflates")


def test_a_false_zip_directory_is_not_trusted():
    """The parts are unpacked and counted, whatever size they claim."""
    data = b"".join(write(iter([["1", "2"]]), format="xlsx", header=["a", "b"]))
    large = altered(data, lambda xml: xml + b" " * 3_000_000)
    with zipfile.ZipFile(io.BytesIO(large)) as archive:
        claimed = archive.getinfo("xl/worksheets/sheet1.xml").file_size
    lying = large.replace(claimed.to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert lying != large
    assert read(lying, "xlsx", xlsx_unpacked_bytes_max=2_000_000).stopped == "payload_inflates"


def test_damage_is_reported():
    """Cut or changed anywhere, the reader never raises."""
    data = b"".join(write(iter([["1", "2"]] * 5), format="xlsx", header=["a", "b"]))
    for length in range(0, len(data), 397):
        found = read(data[:length], "xlsx")
        assert found.records == []
        assert found.stopped in ("payload_truncated", "payload_corrupt") or (length == 0 and found.notices)
    for at in range(0, len(data), 173):
        found = read(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :], "xlsx")
        assert found.stopped or found.reader.header
    assert read(b"sku,title\n1,2\n", "xlsx").stopped == "payload_corrupt"


def test_records_that_do_not_fit_an_xlsx_are_refused_before_the_first_byte():
    """Long cells and too many columns; rows are too many to write here."""
    assert list(write(iter([["x" * 32_767]]), format="xlsx", header=["a"]))
    with pytest.raises(FormatOverflowError, match="32,767"):
        next(write(iter([["x" * 32_768]]), format="xlsx", header=["a"]))
    with pytest.raises(FormatOverflowError, match="columns"):
        next(write(iter([["x"] * 16_385]), format="xlsx", header=["a"]))
