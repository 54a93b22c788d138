"""Spreadsheets as suppliers send them: what is not certain in a cell is not applied."""

from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest

from goodsgate.model.batch import Batch, Kind, Outcome
from tests.formats.hostile_workbooks import row, workbook
from tests.shop import Shop

NAMES = row(1, "sku", "title", "price")


@pytest.fixture
def shop(tmp_path: Path, kind: str) -> Iterator[Shop]:
    """A shop with one item."""
    with Shop(tmp_path, "acme", kind=kind) as made:
        made.run(b"sku,title,price\nA,Cup,7.90 EUR\n", format="csv")
        yield made


def held(shop: Shop, *keys: str) -> list[str]:
    """Those of the keys that the catalogue has."""
    return [key for key in keys if key in shop.items()]


def issues(shop: Shop, batch: Batch) -> list[tuple[int, str, str | None]]:
    """Number of the record, code and column of every issue."""
    return [(found.number, each.code, each.column) for found in shop.findings(batch.id) for each in found.issues]


def test_an_error_or_an_empty_formula_rejects_its_row_and_erases_nothing(shop: Shop) -> None:
    """The other rows are applied; a retry does not change that, and other issues of the row are told as well."""
    rows = (
        NAMES + row(2, "A", "Cup").removesuffix("</row>") +
        '<c r="C2" t="e"><f>VLOOKUP(A2,Z:Z,1)</f><v>#N/A</v></c></row>' + row(3, "B", "Bowl", "5.00 EUR")
        + '<row r="4"><c r="A4" t="e"><v>#REF!</v></c><c r="B4"><f>UPPER("x")</f><v/></c></row>'
    )
    batch = shop.run(workbook(rows), format="xlsx", currency="EUR")
    assert (batch.outcome, batch.counts.created, batch.counts.rejected) == (Outcome.PARTIAL, 1, 2)
    assert issues(shop, batch) == [
        (1, "cell_error", "price"), (3, "cell_error", "sku"), (3, "formula_without_value", "title"),
    ]
    assert held(shop, "A", "B", "#REF!") == ["A", "B"]
    shop.engine.retry("acme", batch.id)
    shop.work()
    assert shop.engine.batch("acme", batch.id).counts.rejected == 2


def test_numeric_keys_are_items_as_they_are_shown_or_rejected(shop: Shop) -> None:
    """90.750 and 90.75 are two; a number of 17 digits is none."""
    styles = (
        '<numFmts count="2"><numFmt numFmtId="164" formatCode="0.000"/><numFmt numFmtId="165" formatCode="00000"/>'
        '</numFmts><cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs>'
    )
    cells = [("90.75", 1), ("90.75", 0), ("417", 2), ("1.234567890123457E+16", 0), ("4711", 1)]
    rows = "".join(
        f'<row r="{at}"><c r="A{at}" s="{style}"><v>{number}</v></c><c r="B{at}" t="str"><v>x</v></c></row>'
        for at, (number, style) in enumerate(cells, 2)
    )
    batch = shop.run(workbook(NAMES + rows, styles=styles), format="xlsx")
    assert held(shop, "90.750", "90.75", "00417", "4711", "4711.000") == ["90.750", "90.75", "00417"]
    assert issues(shop, batch) == [(4, "sku_rounded", "sku"), (5, "sku_number_format", "sku")]


def test_a_price_has_the_currency_that_its_cell_shows(shop: Shop) -> None:
    """A number that is shown as dollars is not applied as euros; of which country, the submission may say."""
    formats = {
        r'#,##0.00\ "€"': "7.00 EUR", "[$$-409]#,##0.00": "7.00 USD", "[$$-1009]#,##0.00": "7.00 CAD",
        r'_("$"* #,##0.00_);_("$"* (#,##0.00)': "7.00 CAD", r"#,##0.00\ [$EUR]": "7.00 EUR", "[$-409]0.00": "7.00 CAD",
        '0.00" pcs"': "7.00 CAD", "General": "7.00 CAD", "[$£-809]#,##0": "7.00 GBP", '0.00 "USD"': "7.00 USD",
        "#,##0.00 [$zł-415]": "7.00 PLN",
    }
    codes = [f'<numFmt numFmtId="{n}" formatCode={quoteattr(code)}/>' for n, code in enumerate(formats, 164)]
    styles = (
        f'<numFmts>{"".join(codes)}</numFmts><cellXfs><xf numFmtId="0"/>'
        + "".join(f'<xf numFmtId="{n}"/>' for n in range(164, 164 + len(formats))) + "</cellXfs>"
    )
    rows = "".join(
        row(at + 1, f"P{at:02}", "Cup").removesuffix("</row>") + f'<c r="C{at + 1}" s="{at}"><v>7</v></c></row>'
        for at in range(1, len(formats) + 1)
    )
    batch = shop.run(workbook(NAMES + rows, styles=styles), format="xlsx", currency="CAD")
    assert (batch.outcome, issues(shop, batch)) == (Outcome.CLEAN, [])
    prices = {key: item["price"] for key, item in shop.items().items() if key[0] == "P"}
    assert [*prices.values()] == [*formats.values()]
    batch = shop.run(workbook(NAMES + rows, styles=styles), format="xlsx", currency="EUR", collection="euros")
    assert issues(shop, batch) == [(4, "price_currency_form", None)], "which dollar is not certain"


def test_a_total_below_a_list_of_prices_is_no_price(shop: Shop) -> None:
    """Whatever its language; an item of that name is one."""
    batch = shop.run(b"sku,price\nA,7.90 EUR\nSumme,7.90 EUR\n", format="csv", kind=Kind.PRICE)
    assert issues(shop, batch) == [(2, "total_row", "sku")]
    assert shop.run(b"sku,title\nTotal,A card game\n", format="csv").outcome is Outcome.CLEAN


def test_an_encoding_that_is_not_certain_applies_nothing(shop: Shop) -> None:
    """One issue names the candidates; with a name the file is applied."""
    feed = "sku,title\nC,Tea\nD,Tč\n".encode("cp1250")
    batch = shop.run(feed, format="csv")
    assert (batch.outcome, batch.total, issues(shop, batch)) == (Outcome.REJECTED, 0, [(0, "encoding_uncertain", None)])
    assert held(shop, "C", "D") == []
    assert shop.run(feed, format="csv", encoding="cp1250").outcome is Outcome.CLEAN


@pytest.mark.parametrize(("written", "named"), [("cp1250", "cp1250"), ("cp1250", None), ("utf-8-sig", "cp1250")])
def test_a_fix_is_read_in_the_charset_that_is_named_or_that_of_its_batch(shop: Shop, written: str, named: str | None,
                                                                         ) -> None:
    """A byte-order mark beats the name."""
    batch = shop.run("sku,title\nC,Čaša šaržer\nD,\n".encode("cp1250"), format="csv", encoding="cp1250")
    fix = shop.engine.fix("acme", batch.id, format="csv", encoding=named)
    body = "_row,sku,title\n2,D,Tč\n".encode(written)
    fix.write(body[:5])
    fix.write(body[5:])
    fix.finish()
    shop.work()
    assert shop.items()["D"] == {"id": "D", "title": "Tč"}
