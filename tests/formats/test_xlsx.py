"""XLSX: the first sheet as the text a person would have typed, and files that would do harm."""

import io
import zipfile
from datetime import UTC, datetime
from functools import partial

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.engine.mapping_resolution import resolve_name
from goodsgate.formats import FormatOverflowError, write
from goodsgate.formats.workbook.values import date_text, key_text, number_format, number_text
from goodsgate.model.batch import Kind, Policy
from tests import effort
from tests.formats import hostile_workbooks
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


@settings(deadline=None, max_examples=effort.examples(20))  # each example starts parsers
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
    ("stored", "text"),
    [
        ("8410000000001", "8410000000001"), ("84100000000012.0", "84100000000012"), ("19.99", "19.99"),
        ("999999999999999", "999999999999999"), ("1E+15", "1e+15"), ("123456789012345680", "1.23456789012346e+17"),
        ("1234567890123456", "1.23456789012346e+15"), ("1.234567890123457E+16", "1.23456789012346e+16"),
        ("19.990000000000002", "19.99"), ("0.30000000000000004", "0.3"), ("12.0", "12"), ("-3", "-3"), ("-0.5", "-0.5"),
        ("0", "0"), ("007", "7"), ("1.0000000000000001E-5", "0.00001"), ("2.5E-3", "0.0025"), ("1e-300", "1e-300"),
        ("x", "x"), ("1_000", "1_000"), ("1e99999", "1e99999"),
    ],
)  # fmt: skip
def test_numbers_become_the_text_a_person_would_have_typed(stored, text):
    """Fifteen digits are what a spreadsheet keeps."""
    assert number_text(stored) == text


@pytest.mark.parametrize(
    ("code", "number", "text"),
    [
        ("General", "417", "417"), ("0", "417", "417"), ("#,##0", "4170", "4170"), ("@", "417", "417"),
        ("0.00E+00", "4006381333931", "4006381333931"), ("00000", "417", "00417"), ("00000;-00000", "417", "00417"),
        ("#00000", "417", "00417"), ("[$-409]00000", "417", "00417"), ("00000_)", "1234567", "1234567"),
        ("0.000", "90.75", "90.750"), ("0.000", "90.7512", None), ("0.00", "4711", None), ("00000", "90.75", None),
        ("0.000", "1.23456789012346e+16", "1.23456789012346e+16"), ('"SKU-"0000', "417", None),
        ("000-000", "4711", None),
        ("0%", "4711", None), ("#,##0.00", "4711.5", None), ('0" pcs"', "12", None), ("0.0", "-2.5", "-2.5"),
        ("# ?/?", "0.5", None), ('"a;b"0', "5", None),
    ],
)  # fmt: skip
def test_a_numeric_key_is_as_its_format_shows_it(code, number, text):
    """None where the format adds something that may or may not belong to the key, or hides digits."""
    assert key_text(number, number_format(code)) == text


@pytest.mark.parametrize(
    ("code", "serial", "text"),
    [
        ("yyyy-mm-dd", "46053", "2026-01-31"), ("d.m.yy", "46053.5", "2026-01-31T12:00:00"),
        ("yyyy-mm-dd h:mm:ss", "46054.35416666666", "2026-02-01T08:30:00"),
        ("m/d/yy h:mm", "46054", "2026-02-01T00:00:00"),
        ("h:mm:ss", "0.127835648148148", "03:04:05"), ("[h]:mm:ss", "1.50005787037037", "36:00:05"),
        ("yyyy-mm-dd", "1", "1900-01-01"), ("yyyy-mm-dd", "61", "1900-03-01"),
        ("[$-407]d. mmmm yyyy", "46053", "2026-01-31"),
        ('yyyy"y"', "46053", "2026-01-31"), ("yyyy-mm-dd", "2958466", None), ("yyyy-mm-dd", "-1", None),
    ],
)  # fmt: skip
def test_a_number_with_the_format_of_a_date_is_a_date(code, serial, text):
    """In ISO 8601; none where a spreadsheet shows none either."""
    assert date_text(serial, number_format(code), from_1904=False) == text


def test_dates_of_old_macintosh_files_begin_in_1904():
    """The same serial is four years later."""
    assert date_text("0", number_format("yyyy-mm-dd"), from_1904=True) == "1904-01-01"


def test_formats_that_are_no_dates_are_not_taken_for_dates():
    """Letters in quotation marks, brackets or after a backslash say nothing."""
    for code in ("General", "0.00", '0.00" d"', "[Red]0", r"0\d", "[$EUR] 0.00", "#,##0.00 [$€-407]", "0.00E+00"):
        assert number_format(code).kind not in ("date", "datetime", "elapsed"), code


PRODUCT = {"resolve": partial(resolve_name, Kind.PRODUCT, Policy())}


def test_typed_cells_are_read():
    """Numbers, dates, booleans and formulas as a spreadsheet stores them; text that looks like a number stays text."""

    def fill(book, sheet):
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row(0, 0, ["gtin", "price", "from", "sale", "sum", "text"])
        sheet.write_row(1, 0, [4006381333931, 19.9])
        sheet.write_datetime(1, 2, datetime(2026, 3, 1, tzinfo=UTC).replace(tzinfo=None), day)
        sheet.write_boolean(1, 3, True)
        sheet.write_formula(1, 4, "=1+1", None, 2)
        sheet.write_string(1, 5, "8.41E+12")

    found = read(workbook(fill), "xlsx")
    assert found.records == [["4006381333931", "19.9", "2026-03-01", "TRUE", "2", "8.41E+12"]]
    assert read(workbook(fill), "xlsx", options={"comma": True}).records[0][:2] == ["4006381333931", "19,9"]


def test_errors_and_formulas_without_a_value_are_issues_of_their_row():
    """Each names its column; the other rows are not affected, wherever chunks end."""

    def rows(xml):
        cells = (
            b'<c r="A3" t="e"><v>#REF!</v></c><c r="B3"><f>UPPER("x")</f><v/></c><c r="C3"><f t="shared" si="0"/></c>'
            b'<c r="D3" t="str"><f>""</f><v></v></c>'
        )
        return xml.replace(b"</sheetData>", b'<row r="3">' + cells + b"</row></sheetData>")

    data = b"".join(write(iter([["1", "Cup", "5"]]), format="xlsx", header=["SKU", "title", "price"]))
    expected = [
        ("cell_error", "SKU", "#REF!"), ("formula_without_value", "title", '=UPPER("x")'),
        ("formula_without_value", "price", "="),
    ]
    for change in (rows, lambda xml: rows(xml) + b"<!-- slower -->"):
        for most in (1, 100):
            found = read(altered(data, change), "xlsx", options=PRODUCT, chunk_records_max=most)
            assert found.issues == {1: expected}
            assert found.records[0] == ["1", "Cup", "5"]


def test_keys_are_read_as_they_are_shown():
    """Numbers of columns that hold keys follow their formats; prices and attributes stay exact."""

    def fill(book, sheet):
        padded, three, both = (book.add_format({"num_format": code}) for code in ("00000", "0.000", "0.00"))
        day = book.add_format({"num_format": "d-mmm"})
        sheet.write_row(0, 0, ["sku", "title", "gtin", "price", "fit"])
        for at, (sku, form) in enumerate([(417, padded), (90.75, three), (90.75, None), (4711, both), (46053, day)], 1):
            sheet.write(at, 0, sku, form)
            sheet.write_row(at, 1, ["x", 4006381333931, 7.5, 5], padded)

    found = read(workbook(fill), "xlsx", options=PRODUCT)
    assert [row[0] for row in found.records[:3]] == ["00417", "90.750", "90.75"]
    assert {tuple(row[2:]) for row in found.records} == {("4006381333931", "7.5", "5")}
    assert found.issues == {
        3: [("sku_number_format", "sku", "4711")], 4: [("sku_number_format", "sku", "2026-01-31")],
    }


def test_unusual_but_valid_xml_is_read():
    """Prefixes, other quotation marks, no references, CDATA, character references, runs with formats."""
    rows = (
        "<x:row><x:c t='inlineStr'><x:is><x:t>sku</x:t></x:is></x:c><x:c t='inlineStr'><x:is><x:t>title</x:t></x:is>"
        "</x:c></x:row><x:row r='4' ><x:c r='A4'><x:v><![CDATA[0]]>12</x:v></x:c><x:c r = 'B4' t='inlineStr'><x:is>"
        "<x:r><x:t>T&#101;a</x:t></x:r><x:r><x:rPr/><x:t>pot</x:t></x:r><x:rPh><x:t>no</x:t></x:rPh></x:is></x:c></x:row>"
    )
    data = altered(
        b"".join(write(iter([]), format="xlsx", header=["a"])),
        lambda _: b'<?xml version="1.0"?><x:worksheet xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
        b"><x:sheetData>" + rows.encode() + b"</x:sheetData></x:worksheet>",
    )
    found = read(data, "xlsx")
    assert (found.reader.header, found.records, found.source_rows) == (["sku", "title"], [["12", "Teapot"]], [4])


@pytest.mark.parametrize("rows", [
    '<row r="2"><c r="B2"><v>1</v></c><c r="A2"><v>2</v></c></row>',
    '<row r="2"><c r="A2"><v>1</v></c><c r="A2"><v>2</v></c></row>',
    '<row r="3"><c r="A3"><v>1</v></c></row><row r="2"><c r="A2"><v>2</v></c></row>',
    '<row r="2"><c r="A3"><v>1</v></c></row>', '<row r="2"><c r="XFE2"><v>1</v></c></row>',
    '<row r="1048577"><c r="A1048577"><v>1</v></c></row>', '<row r="2"><c r="A2" t="s"><v>9</v></c></row>',
    '<row r="2"><c r="A2" t="s"><v>-1</v></c></row>', '<row r="2"><row r="3"></row></row>',
    '<row r="2"><c r="A2"></row>',
])
def test_sheets_that_contradict_themselves_are_refused(rows):
    """Read with regular expressions or with the parser of XML."""
    for comment in ("", "<!-- slower -->"):
        found = read(hostile_workbooks.workbook(hostile_workbooks.HEADER + comment + rows), "xlsx")
        assert (found.stopped, found.records) == ("payload_corrupt", []), comment


def test_merged_cells_and_cells_without_a_header_are_reported():
    """Once for the file; what is merged above the header does not matter."""

    def fill(book, sheet):
        sheet.merge_range("A1:C1", "Prices of spring")
        sheet.write_row(1, 0, ["sku", "title", "brand"])
        sheet.write_row(2, 0, ["1", "Cup", "", "", "check!"])
        sheet.merge_range("C3:C4", "Acme")
        sheet.write_row(3, 0, ["2", "Bowl"])
        sheet.write(3, 4, "why?")

    found = read(workbook(fill), "xlsx", options=PRODUCT)
    assert found.records == [["1", "Cup", "Acme"], ["2", "Bowl", ""]]
    assert sorted(found.notices) == [
        ("cells_merged", "C3:C4"), ("cells_without_header", "E (2, from row 3)"),
        ("rows_above_header", '1 "Prices of spring"'),
    ]


def test_rows_keep_their_numbers_and_other_sheets_are_reported():
    """Blank rows above and between, hidden and further sheets."""

    def fill(book, sheet):
        sheet.write_row(2, 1, [" sku ", "title", "sku"])
        sheet.write_row(3, 1, ["1", "x", "y"])
        sheet.write_row(6, 1, ["2", "z", ""])

    found = read(workbook(fill, names=("Goods", "Notes", "Old")), "xlsx")
    assert found.reader.header == ["sku", "title", "sku"]
    assert (found.records, found.source_rows) == ([["1", "x", "y"], ["2", "z", ""]], [4, 7])
    assert sorted(found.notices) == [("header_duplicate", "sku"), ("rows_empty", "2"), ("sheets_ignored", "Notes, Old")]


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
    assert (found.records, found.stopped) == ([["1", "2"]], None)
    assert found.notices == [("cells_without_header", "XFD (1, from row 1048576)")]


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
