"""The header of a table is found below titles and comments, in texts and in workbooks alike."""

import msgspec
import pytest

from goodsgate.engine.reader import read_options
from goodsgate.formats import write
from goodsgate.formats.contract import ReadOptions
from goodsgate.formats.header_row import NAMES_MAX, find_header, table_columns
from goodsgate.model.batch import Kind, Policy
from tests.formats.helpers import Read, read

OPTIONS = {"resolve": read_options(Kind.PRODUCT, Policy()).resolve}

TITLE, NAMES, RECORD = ["Price list Spring 2026", "", ""], ["sku", "title", "price"], ["C-1", "Cup", "7.90"]


def tables(rows: list[list[str]], **options: object) -> list[Read]:
    """The rows as CSV, as TSV and as XLSX."""
    width = max(map(len, rows))
    padded = [[*row, *[""] * (width - len(row))] for row in rows]
    text = "".join(",".join(row) + "\n" for row in padded)
    return [
        read(text.encode(), "csv", options=OPTIONS | options),
        read(text.replace(",", "\t").encode(), "tsv", options=OPTIONS | options),
        read(b"".join(write(iter(padded[1:]), format="xlsx", header=padded[0])), "xlsx", options=OPTIONS | options),
    ]


@pytest.mark.parametrize(("above", "told"), [
    ([], None), ([TITLE], '1 "Price list Spring 2026"'),
    ([["Identification", "", "Commercial"]], '1 "Identification Commercial"'),
    ([TITLE, ["", "", ""], ["# a comment", "", ""]], '1 "Price list Spring 2026", 3 "# a comment"'),
    ([["x", "", ""]] * 45, '1 "x", 2 "x", 3 "x", …'),
])  # fmt: skip
def test_titles_above_the_header_are_reported_and_not_read(above: list[list[str]], told: str | None) -> None:
    """Records keep their numbers."""
    for found in tables([*above, NAMES, RECORD]):
        assert (found.reader.header, found.records) == (NAMES, [RECORD])
        assert found.source_rows == [len(above) + 2]
        assert [value for code, value in found.notices if code == "rows_above_header"] == ([told] if told else [])
        decisions = {each.what: (each.value, each.how) for each in found.reader.decisions}
        assert decisions.get("header_row") == ((str(len(above) + 1), "detected") if told else None)


def test_a_named_row_is_the_header_whatever_it_looks_like() -> None:
    """A row without text is an error, and nothing is read."""
    for found in tables([NAMES, ["Code", "Text", "x"], RECORD], header_row=2):
        assert (found.reader.header, found.records) == (["Code", "Text", "x"], [RECORD])
        (decision,) = (each for each in found.reader.decisions if each.what == "header_row")
        assert (decision.value, decision.how) == ("2", "given")
    for found in tables([NAMES, RECORD], header_row=1):
        assert (found.reader.header, found.records) == (NAMES, [RECORD])
    for found in tables([NAMES, RECORD], header_row=7):
        assert (found.refused, found.records) == ("header_row_blank", [])


@pytest.mark.parametrize("rows", [
    [["Code A", "Text B"], ["1", "x"], ["2", "y"]],  # nothing is known
    [["Artikelnr.", "Merkmal 1", "Merkmal 2"], ["A-1", "color", "size"], ["A-2", "color", "size"]],
    [["Codigo A", "X", "Y"], ["sku", "7.90", "title"]],  # numbers are values
])  # fmt: skip
def test_the_first_row_is_the_header_if_none_is_recognized_above_narrower_ones(rows: list[list[str]]) -> None:
    """As without detection."""
    resolve = {"sku": "id", "title": "title", "color": "color"}.get
    for found in tables(rows, resolve=resolve):
        assert (found.reader.header, found.records) == (rows[0], rows[1:])


def test_rows_of_several_lines_around_the_header_are_read_whole() -> None:
    """A title, a name and a value with line breaks, and what follows."""
    data = b'"Spring\nlist",,\nsku,"title","price\ngross"\n"C-1","Cup\nwhite",7.90\nC-2,Bowl,5\n'
    found = read(data, "csv", options=OPTIONS)
    assert found.reader.header == ["sku", "title", "price\ngross"]
    assert (found.records, found.source_rows) == ([["C-1", "Cup\nwhite", "7.90"], ["C-2", "Bowl", "5"]], [5, 7])


def test_lines_above_the_header_that_cannot_be_read_do_no_harm() -> None:
    """Their bytes concern nobody; those of the header do."""
    assert read(b"Title \0,,\nsku,title,x\n1,a,b\n", "csv", options=OPTIONS).reader.header is not None
    data = b"Preise,,\nfoo \0,,\nsku,title,price\n1,a,5\n"
    found = read(data, "csv", options=OPTIONS)
    assert (found.reader.header, found.records, found.unreadable) == (NAMES, [["1", "a", "5"]], {})


def test_a_table_ends_where_its_header_has_no_names_for_long() -> None:
    """A stray cell far to the right is no column."""
    assert table_columns(["", "sku", "title", "", "price", "", *[""] * 30, "x"]) == (1, 5)
    assert table_columns([]) == (0, 0)


def test_labels_above_the_names_of_a_system_are_no_header() -> None:
    """What a profile recognizes beats what is merely known."""
    options = read_options(Kind.PRODUCT, Policy())
    rows = [["SKU", "Title", "Price"], ["a_sku", "a_title", "a_price"], RECORD]
    recognizing = msgspec.structs.replace(options, recognizes=lambda names: "a_sku" in names)
    assert (find_header(rows, recognizing), find_header(rows, options)) == (1, 0)


def test_few_names_of_a_wide_row_are_looked_up() -> None:
    """A table of many columns that nobody knows does not hold a worker; known ones among the first are found."""
    looked_up: list[str] = []

    def resolve(name: str) -> str | None:
        looked_up.append(name)
        return {"sku": "id", "name": "title"}.get(name)

    rows = [[f"column {row} {at}" for at in range(50_000)] for row in range(3)]
    options = ReadOptions(resolve=resolve)
    assert find_header(rows, options) is None
    assert len(looked_up) <= 3 * NAMES_MAX
    assert find_header([*rows, [*rows[0][:100], "sku", "name", *rows[0]]], options) == 3
