"""Reports that a spreadsheet can open safely, and fixes that get back what was received."""

import csv
import io
import zipfile
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from goodsgate.engine import fix_records
from goodsgate.formats import Chunk, write
from goodsgate.formats.formula_marks import is_marked, mark_formula, unmark_formula
from goodsgate.model.batch import Kind, Policy, RoundKind
from goodsgate.store.contract import ClaimedRound
from tests import effort, factories
from tests.shop import Shop, ndjson

SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20'"
CHARACTERS = st.sampled_from(SIGNS + "5.,1aB \u00e4\"") | st.characters(codec="utf-8", exclude_characters="\0")
CELLS = st.text(CHARACTERS, max_size=8)
ATTACKS = [
    "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\uff1d1+1", "\uff0b1", "\uff0d1",
    "\uff201", "'=1", "''+x", "+49 30 1234", "-", "=",
]
PLAIN = ["-5", "+4.20", "-1,234.56", "5", "a=b", "", "'", "'a", "'5", " =1", "10-4"]


@pytest.mark.parametrize("cell", ATTACKS)
def test_cells_that_a_spreadsheet_would_run_are_marked(cell):
    """In CSV and TSV; not in a raw file."""
    for format, delimiter in (("csv", ","), ("tsv", "\t")):
        content = b"".join(write([[cell, "x"]], format=format, header=[cell, "b"], marks=True)).decode()
        rows = list(csv.reader(io.StringIO(content, newline=""), delimiter=delimiter))
        assert rows == [[f"'{cell}", "b"], [f"'{cell}", "x"]]
        content = b"".join(write([[cell, "x"]], format=format, header=["a", "b"])).decode()
        assert list(csv.reader(io.StringIO(content, newline=""), delimiter=delimiter))[1] == [cell, "x"]


@pytest.mark.parametrize("cell", PLAIN)
def test_numbers_and_texts_are_not_marked(cell):
    """They are written as they are."""
    assert mark_formula(cell) == cell


@given(cell=CELLS)
def test_marks_are_removed_where_they_were_put(cell):
    """From any text, and only once."""
    assert unmark_formula(mark_formula(cell)) == cell
    assert is_marked(mark_formula(cell)) or mark_formula(cell) == cell


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop whose records are all rejected."""
    return Shop(tmp_path_factory.mktemp("marks"), kind="sqlite")


@pytest.mark.parametrize("raw", [False, True], ids=["marked", "raw"])
@given(cells=st.lists(CELLS.filter(lambda cell: cell.strip() == cell), min_size=2, max_size=2))
@example(cells=["null", "=null"])
@example(cells=["true", "-5"])
@settings(max_examples=effort.examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_report_that_is_sent_back_is_what_was_received(shop, raw, cells):
    """Any cell text, of a table and of JSON, marked or raw."""
    rejected = {"sku": "A", "title": cells[0], "=note": cells[1], "price": "on request"}
    table = io.StringIO()
    csv.writer(table).writerows([[*rejected], [*rejected.values()]])
    for body, format in ((ndjson([rejected]), "ndjson"), (table.getvalue().encode(), "csv")):
        batch = shop.run(body, format=format)
        (finding,) = shop.store.rejected_records("acme", batch.id, limit=9)
        report = b"".join(shop.engine.report("acme", batch.id, format="csv", raw=raw).pieces).decode()
        header, row = list(csv.reader(io.StringIO(report, newline="")))
        assert raw or not any(cell[:1] in ("=", "+", "@", "\t") for cell in row if cell[1:2] not in "0123456789")
        round = ClaimedRound(
            merchant="acme", batch=batch.id, number=1, round_kind=RoundKind.FIX, kind=Kind.PRODUCT, format="csv",
            collection="products", policy=Policy(), content_encoding="identity", bytes_total=1, columns=batch.columns,
            received_at=factories.NOW, started_at=factories.NOW, cancelling=False, chunks=0, records=0, total=0,
            mapping=None,
        )
        chunk = Chunk(lines=[], rows=[row], source_rows=[2], unreadable={}, bytes_done=1)
        fixed = fix_records.assemble(chunk, header=header, round=round, columns=batch.columns, store=shop.store)
        if batch.columns is not None:
            assert fixed.rows == [orjson.loads(finding.raw or b"")]
        else:
            assert orjson.loads(fixed.lines[0]) == rejected


def test_an_edited_cell_loses_its_mark_with_the_original(shop):
    """As a whole: a fix of a marked file, where the formula was corrected, and of cells without one."""
    body = b'sku,title,price\r\nA,=1+1,on request\r\nB,T,"on request"\r\n'
    batch = shop.run(body, format="csv", collection="edited")
    report = shop.report(batch.id, format="csv").decode()
    assert "A,'=1+1,on request" in report
    fixed = report.replace("'=1+1", "'=2+2").replace("on request", "5 EUR").replace("B,T", "B,'-text")
    shop.fix(batch.id, fixed.encode(), format="csv")
    shop.work()
    items = shop.items("edited")
    assert {key: item["title"] for key, item in items.items()} == {"A": "=2+2", "B": "'-text"}


def test_an_xlsx_has_no_formulas(tmp_path: Path):
    """Every cell is a text."""
    rows = [[cell] for cell in ATTACKS if "\r" not in cell]
    file = tmp_path / "report.xlsx"
    file.write_bytes(b"".join(write(rows, format="xlsx", header=["=a"], marks=True)))
    with zipfile.ZipFile(file) as book:
        sheet = book.read("xl/worksheets/sheet1.xml")
    assert b"<f>" not in sheet
    assert sheet.count(b't="inlineStr"') == len(rows) + 1
