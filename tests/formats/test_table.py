"""CSV and TSV, against the csv module, with real files and with everything that breaks them."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.formats import Limits, open_reader, table, write
from goodsgate.formats.delimiter import delimiter_of
from tests.data import sample_bytes
from tests.formats.helpers import PACKINGS, SIZES, packed, peak, pieces, read
from tests.invented import offers

CELL = st.text(st.sampled_from('ab0 ,;|\t"\'\n\r.é€'), max_size=6)
CHARSETS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"])


def blank(row):
    """No cell holds anything."""
    return not "".join(row).strip()


@st.composite
def tables(draw):
    """A header of three and rows that fit it."""
    names = draw(st.lists(st.text("abc_;|.", min_size=1, max_size=5), min_size=3, max_size=3, unique=True))
    return names, draw(st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=8))


@settings(deadline=None)
@given(tables(), st.sampled_from(["csv", "tsv"]), PACKINGS, SIZES, st.integers(1, 300), st.integers(1, 5))
def test_written_files_are_read_back(given_table, format, content_encoding, sizes, chunk_bytes, block_records):
    """Cells come back byte for byte."""
    names, rows = given_table
    data = packed(b"".join(write(iter(rows), format=format, header=names)), content_encoding)
    found = read(
        data, format, content_encoding=content_encoding, sizes=sizes, chunk_bytes=chunk_bytes,
        chunk_records_max=block_records
    )
    assert found.reader.header == names
    assert found.records == [row for row in rows if not blank(row)]
    assert not found.unreadable
    assert found.stopped is None


@settings(deadline=None)
@given(tables(), st.sampled_from(",;\t|"), st.sampled_from(["\r\n", "\n"]), st.booleans(), CHARSETS, SIZES)
def test_any_dialect_is_read_as_the_csv_module_reads_it(given_table, delimiter, end, quoted, charset, sizes):
    """Delimiter, line end, quoting and charset of others; places are lines."""
    names, rows = given_table
    names = [name.replace(";", "_").replace("|", "_") for name in names]
    rows = [[cell.replace("\r", "") for cell in row] for row in rows]
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows([names, *rows])
    data = text.getvalue()
    found = read(data.encode(charset), "csv", sizes=sizes, encoding="cp1252" if charset == "cp1252" else None)
    reader = csv.reader(io.StringIO(data, newline=""), delimiter=delimiter)
    next(reader)
    expected, line = [], reader.line_num + 1
    for row in reader:
        if not blank(row):
            expected.append((line, row))
        line = reader.line_num + 1
    assert list(zip(found.source_rows, found.records, strict=True)) == expected
    assert not found.unreadable


@settings(deadline=None)
@given(st.text(st.sampled_from('ab,"\n\r'), max_size=80), SIZES, st.integers(0, 6))
def test_any_text_is_read_and_skipping_gives_the_rest(body, sizes, skip):
    """Any mess of quotation marks: rows with line numbers, the same after skipping."""
    data = ("h,i\n" + body).encode()
    limits = {"line_bytes_max": 30, "chunk_records_max": 2}
    whole, rest = read(data, "csv", sizes=sizes, **limits), read(data, "csv", sizes=(50,), skip=skip, **limits)
    assert (rest.records, rest.source_rows) == (whole.records[skip:], whole.source_rows[skip:])
    assert rest.unreadable == {index - skip: code for index, code in whole.unreadable.items() if index >= skip}
    assert rest.notices == whole.notices
    assert set(whole.unreadable.values()) <= {"row_ragged", "quotes_broken", "line_too_long"}


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [("sku,title", ","), ("sku;title;price", ";"), ("sku\ttitle", "\t"), ("sku|title", "|"), ("sku", ","), ("", ","),
     ('"price, EUR";"name, short";sku', ";"), ('"a;b;c",d', ","), ("a,b;c", ","), ("a;b;c,d", ";")],
)  # fmt: skip
def test_the_delimiter_is_detected_in_the_header(line, delimiter):
    """The most frequent outside quotation marks; a comma in doubt."""
    assert delimiter_of(line) == delimiter


def test_the_sep_directive_of_a_spreadsheet_is_followed():
    """`sep=` in front of the header, which keeps its line."""
    found = read(b"sep=|\r\na,b|c\r\n1|2\r\n", "csv")
    assert (found.reader.header, found.records, found.source_rows) == (["a,b", "c"], [["1", "2"]], [3])


def test_old_line_ends_are_read():
    """Carriage returns alone, as spreadsheets for old Macintoshes write them; and doubled ones."""
    old = read(b'a,b\r1,"x\ry"\r\r3,4\r', "csv", sizes=(3,))
    assert (old.records, old.source_rows) == ([["1", "x\ry"], ["3", "4"]], [2, 5])
    doubled = read(b"a,b\r\r\n1,2\r\r\n3,4\r\r\n", "csv")
    assert (doubled.records, doubled.reader.header) == ([["1", "2"], ["3", "4"]], ["a", "b"])


def test_a_header_is_trimmed_and_completed():
    """Blank lines before it are empty rows; the first of two equal names counts."""
    found = read(b"\n,,\n sku , title,,sku,\n1,2,3,4,5\n", "csv")
    assert found.reader.header == ["sku", "title", "column_3", "sku", "column_5"]
    assert found.notices == [("header_duplicate", "sku"), ("rows_empty", "2")]
    assert found.source_rows == [4]


@pytest.mark.parametrize("header", [b'sku,"title', b"sku,\xe9\xc3\xa9\xc3\xa9", b"sku,a\0b", b'sku,"a"b'])
def test_an_invalid_header_stops_reading(header):
    """Without names no row means anything."""
    found = read(header + b"\n1,2\n", "csv")
    assert (found.reader.header, found.records, found.stopped) == ([], [], "payload_corrupt")


@pytest.mark.parametrize(("count", "stops"), [(4, False), (5, False), (6, True)])
def test_columns_have_a_limit(count, stops):
    """Told with how many there are."""
    found = read(b",".join([b"x"] * count) + b"\n" + b",".join([b"1"] * count), "csv", columns_max=5)
    assert found.stopped == ("columns_too_many" if stops else None)
    assert len(found.records) == (not stops)


@pytest.mark.parametrize(
    ("row", "code", "cells"),
    [("1,2,3", None, ["1", "2", "3"]), ("1,2,3,,", None, ["1", "2", "3"]), ("1,2,3, ,", None, ["1", "2", "3"]),
     ("1,2,", None, ["1", "2", ""]), ("1,2", "row_ragged", ["1", "2"]), ("1", "row_ragged", ["1"]),
     ("1,2,3,4", "row_ragged", ["1", "2", "3", "4"]), ('1,2,3,,"x"', "row_ragged", ["1", "2", "3", "", "x"])],
)  # fmt: skip
def test_a_ragged_row_is_reported(row, code, cells):
    """Empty cells beyond the header are none; missing ones may be a line that broke."""
    found = read(f"a,b,c\n0,0,0\n{row}\n9,9,9\n".encode(), "csv")
    assert found.records == [["0"] * 3, cells, ["9"] * 3]
    assert found.unreadable == ({1: code} if code else {})


def test_empty_rows_are_counted():
    """Blank lines, delimiters alone, blanks between them; once for the file."""
    found = read(b'a,b\n1,2\n\n,\n , \n"",\n" "\n3,4\n,,,,\n', "csv")
    assert (found.records, found.source_rows) == ([["1", "2"], ["3", "4"]], [2, 8])
    assert found.notices == [("rows_empty", "6")]


@pytest.mark.parametrize(("length", "code"), [(19, None), (20, None), (21, "cell_too_long")])
def test_cells_have_a_limit_in_bytes(length, code):
    """In one line or several; the issue names the column."""
    odd = "x" * (length % 2)
    for cell in ("x" * length, '"' + "x\n" * (length // 2) + odd + '"', "é" * (length // 2) + odd):
        found = read(f"a,b\n1,{cell}\n".encode(), "csv", cell_bytes_max=20)
        assert found.unreadable == ({0: code} if code else {})


def test_a_long_cell_names_its_column():
    """The first one over the limit; what is kept of it is its start."""
    reader = read(b"a,b\n1," + b"x" * 200_000 + b"\n2,2\n", "csv", cell_bytes_max=100_000)
    assert [len(cell) for cell in reader.records[0]] == [1, 4096]
    assert reader.records[1] == ["2", "2"]


def test_cells_beyond_the_usual_limit_of_the_csv_module_are_read():
    """Its 131,072 characters are not ours."""
    found = read(b'a,b\n1,"' + b"x" * 200_000 + b'"\n', "csv")
    assert (len(found.records[0][1]), found.unreadable) == (200_000, {})


@pytest.mark.parametrize(
    ("rows", "codes"),
    [
        ('1,"open\n2,fine\n3,"quoted"\n4,fine\n', {0: "quotes_broken"}),
        ('1,"open\n2,fine\n3,fine\n4,fine\n', {0: "quotes_broken"}),
        ('1,"a"b\n2,fine\n', {0: "quotes_broken"}),
        ('1,27" screen\n2,fine\n', {}),
        ('1,"a\nb"c\n2,fine\n', {0: "quotes_broken", 1: "row_ragged"}),
        ('1,fine\n2,"open', {1: "quotes_broken"}),
    ],
)
def test_a_quotation_mark_too_many_costs_one_line(rows, codes):
    """The rows behind it are read."""
    found = read(("a,b\n" + rows).encode(), "csv")
    assert found.unreadable == codes
    assert len(found.records) == rows.count("\n") + (not rows.endswith("\n"))
    assert found.source_rows == list(range(2, 2 + len(found.records)))


@pytest.mark.parametrize(("line", "cells"), [
    ('1, "Cup, big"', ["1", "Cup, big"]), (' "1",  "Cup"', ["1", "Cup"]),
    ('"1", "two\nlines, both"', ["1", "two\nlines, both"]),
    ('1, Cup', ["1", " Cup"]), ('"1", Cup', ["1", " Cup"]), ('"1","a, ""b"""', ["1", 'a, "b"']),
])
def test_a_blank_before_a_quotation_mark_belongs_to_no_cell(line, cells):
    """Elsewhere blanks are those of the cell; a header is read in the same way."""
    assert read(f'"id", "title"\n{line}\n'.encode(), "csv").records == [cells]
    assert read(b' "id", "title"\n1,2\n', "csv").reader.header == ["id", "title"]


def test_an_open_quotation_mark_does_not_swallow_the_file():
    """A record of many lines over the limit is one broken line; all rows behind it are read."""
    rows = b"".join(b"%d,fine\n" % number for number in range(5000))
    found = read(b'a,b\n1,"open\n' + rows, "csv", line_bytes_max=10_000)
    assert found.unreadable == {0: "line_too_long"}
    assert len(found.records) == 5001


def test_unclosed_quotation_marks_take_linear_time():
    """Every line opens a quotation and none closes it: work stays in proportion, and nothing is lost silently."""
    assert table.REREAD_CHARACTERS_FREE == 16 * 1024 * 1024
    lines = 100_000
    found = read(b"h,i\n" + b'x","y\n' * lines, "csv", line_bytes_max=200_000)
    assert found.good == []
    assert 80 < len(found.records) < 1000
    assert set(found.unreadable.values()) == {"line_too_long", "quotes_broken"}


def test_a_tab_separated_file_need_not_quote():
    """Marks that do not pair are text where the cells are as many as the header; pairs are taken off."""
    found = read(b'a\tb\n"open\tx\n"in" out\ty\n5"\tz\n"quoted\tcell"\tw\n"more\tx\ty\n', "tsv")
    assert found.records[:4] == [['"open', "x"], ['"in" out', "y"], ['5"', "z"], ["quoted\tcell", "w"]]
    assert found.unreadable == {4: "quotes_broken"}


def test_a_line_over_the_limit_is_reported():
    """At it and below it is read."""
    for length, code in ((29, None), (30, None), (31, "line_too_long")):
        line = b"1," + b"x" * (length - 2)
        for sizes in ((5,), (1000,)):
            found = read(b"a,b\n0,0\n" + line + b'\n2,"2"\n', "csv", sizes=sizes, line_bytes_max=30)
            assert found.unreadable == ({1: code} if code else {})
            assert (found.records[0], found.records[2]) == (["0", "0"], ["2", "2"])


@pytest.mark.parametrize(
    ("path", "format", "count", "columns"),
    [
        ("openfoodfacts/products-2020-spreadsheet.csv.gz", "csv", 132, 166),
        ("openfoodfacts/products-2026-export.tsv.gz", "tsv", 109, 210),
        ("luma-apparel/configurable-products.csv.gz", "csv", 100, 70),
        ("spree-home/products.csv", "csv", 211, None),
        ("offers", "csv", 600, 5),
        ("sunrise-fashion/inventory.csv.gz", "csv", 26_137, None),
    ],
)
def test_real_files_are_read_as_the_csv_module_reads_them(path, format, count, columns):
    """Byte-order mark, HTML over many lines, wide and sparse rows."""
    data = offers("mixed").content if path == "offers" else sample_bytes(path)
    found = read(data, format)
    text = io.StringIO(data.decode("utf-8-sig"), newline="")
    limit = csv.field_size_limit()
    assert limit >= 1024 * 1024
    rows = list(csv.reader(text, delimiter="\t" if format == "tsv" else ","))
    assert len(found.records) == count
    assert columns in (None, len(found.reader.header))
    assert found.reader.header == [name.strip() for name in rows[0]]
    readable = [row for row in rows[1:] if not blank(row)]
    assert [row[: len(rows[0])] for row in found.records] == [row[: len(rows[0])] for row in readable]
    assert found.stopped is None


def test_memory_does_not_grow_with_the_file():
    """Ten megabytes of rows, and none of them held."""
    line = b"SKU-1,Linen shirt,A light shirt for warm days,19.99 EUR,in_stock,new,Acme,https://shop.example/p/1\n"

    def rows(count):
        yield b"id,title,description,price,availability,condition,brand,link\n"
        for _ in range(count):
            yield line * 1000

    def most(count):
        limits = Limits(chunk_bytes=1 << 20, chunk_seconds=3600)
        reader = open_reader(rows(count), format="csv", content_encoding="identity", limits=limits)
        return peak(lambda: sum(len(chunk.rows) for chunk in reader.chunks()))[1]

    assert most(100) < most(30) * 1.2 < 30 * 1024 * 1024


def test_pieces_are_never_assumed_to_be_lines():
    """One byte at a time."""
    data = b'a,b\r\n1,"x\r\ny"\r\n2,z\r\n'
    assert read(pieces(data, (1,)), "csv").records == [["1", "x\r\ny"], ["2", "z"]]
