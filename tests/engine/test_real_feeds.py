"""Real feeds are loaded unchanged, with a mapping where names cannot be guessed; counts are those of the data."""

from typing import Any

import pytest

from goodsgate.model.batch import Duplicates, Kind, Outcome, State, Strictness
from tests.data import sample
from tests.invented import offers, sales_lines
from tests.shop import Shop

STOCK: dict[str, Any] = {"kind": Kind.STOCK}
PRICE: dict[str, Any] = {"kind": Kind.PRICE, "currency": "GBP"}
FEEDS: list[tuple[str, str, dict[str, Any], dict[str, int], dict[tuple[str, str], int]]] = [
    (
        "openfoodfacts/products-2020-spreadsheet.csv.gz", "csv", {"mapping": {"code": ["id", "gtin"]}},
        {"total": 132},
        {
            ("gtin_rounded", "/gtin"): 106, ("duplicate_in_batch", "/id"): 31, ("sku_missing", "/id"): 3,
            ("field_missing", "/title"): 6, ("gtin_check_digit", "/gtin"): 1,
        },
    ),
    (
        "openfoodfacts/products-2026-export.tsv.gz", "tsv", {"mapping": {"code": ["id", "gtin"]}},
        {"total": 109, "created": 83}, {("gtin_check_digit", "/gtin"): 4, ("field_missing", "/title"): 22},
    ),
    (
        "luma-apparel/configurable-products.csv.gz", "csv", {"currency": "USD"},
        {"total": 100, "created": 97, "merged": 3}, {("unit_missing", "/product_weight"): 97},
    ),
    (
        "spree-home/products.csv", "csv", {"duplicates": Strictness.OFF},
        {"total": 211, "created": 87, "merged": 124, "rejected": 0}, {},
    ),
    ("sunrise-fashion/inventory.csv.gz", "csv", STOCK, {"total": 26137, "created": 26137}, {}),
    (
        "kibo-sandbox/products.jsonl.gz", "ndjson",
        {"currency": "USD", "mapping": {"content.productName": ["title"], "price.price": ["price"], "upc": []}},
        {"total": 18, "created": 18}, {},
    ),
    (
        "kibo-sandbox/inventory.jsonl.gz", "ndjson", {**STOCK, "mapping": {"upc": ["id"]}},
        {"total": 2003, "created": 2003}, {},
    ),
    (
        "bestbuy/products-sample.json.gz", "json", {"currency": "USD", "mapping": {"name": ["id", "title"]}},
        {"total": 305}, {("text_entities", "/description"): 44},
    ),
]


@pytest.mark.parametrize(("path", "format", "how", "counts", "groups"), FEEDS, ids=[f"{f[0]}" for f in FEEDS])
def test_a_real_feed(shop: Shop, path: str, format: str, how: dict[str, Any], counts: dict[str, int],
                     groups: dict[tuple[str, str], int]) -> None:
    """Every record accounted for, the known dirt counted exactly, and the second time nothing is written."""
    body = sample(path).read_bytes()
    content_encoding = "gzip" if path.endswith(".gz") else "identity"
    batch = shop.run(body, format=format, content_encoding=content_encoding, **how)
    assert batch.state is State.FINISHED
    assert batch.counts.accounted == batch.total
    for name, count in counts.items():
        assert (batch.total if name == "total" else getattr(batch.counts, name)) == count, name
    found = {(g.code, g.field): g.count for g in shop.store.issue_groups("acme", batch.id, limit=1000)}
    for group, count in groups.items():
        assert found.get(group) == count, group
    assert not [code for code, _ in found if code.endswith("_fault")]
    again = shop.run(body, format=format, content_encoding=content_encoding, **how)
    assert again.counts.rejected == batch.counts.rejected
    assert again.counts.created == 0


@pytest.mark.parametrize(
    ("dialect", "issue"),
    [("dollar", "price_currency_form"), ("zero", "price_zero"), ("mixed", "price_currency_form")],
)
def test_offers_of_a_shop(shop: Shop, dialect: str, issue: str) -> None:
    """Each price that is not written as the specification asks has its issue."""
    file = offers(dialect)
    batch = shop.run(file.content, format="csv", currency="USD")
    counts = {(g.code, g.field): g.count for g in shop.store.issue_groups("acme", batch.id)}
    expected = {"dollar": file.priced, "zero": file.zero_prices, "mixed": file.foreign_prices}[dialect]
    assert batch.total == batch.counts.accounted == file.rows
    assert counts[issue, "/price"] == expected


def test_sales_lines_as_prices_and_stock(shop: Shop, kind: str) -> None:
    """100,000 lines of 2,000 codes: the last line of each code wins, and codes that differ by case have an issue."""
    if kind != "sqlite":
        pytest.skip("it is about the rules, and takes long; the smaller feeds run on every store")
    file = sales_lines(100_000)
    price = shop.run(file.content, format="csv", duplicates=Duplicates.OFF, **PRICE)
    rejected = file.negative_prices + file.three_decimals
    assert (price.total, price.counts.created, price.counts.rejected) == (file.lines, len(file.codes), rejected)
    groups = {(g.code, g.field): g.count for g in shop.store.issue_groups("acme", price.id)}
    assert groups["price_negative", "/price"] == file.negative_prices
    assert groups["price_decimals", "/price"] == file.three_decimals
    assert groups["price_zero", "/price"] == file.zero_prices
    assert groups["sku_case_twin", "/id"] == file.case_variants
    stock = shop.run(file.content, format="csv", duplicates=Duplicates.OFF, **STOCK)
    assert stock.counts.rejected == file.negative_quantities


def test_rows_of_spree_that_continue_a_product_are_its_variants(shop: Shop) -> None:
    """Those without a name take it from the row of the product; prices in the other currency stand beside the first."""
    body = sample("spree-home/products.csv").read_bytes()
    batch = shop.run(body, format="csv")
    assert (batch.outcome, batch.counts.created, batch.counts.merged) == (Outcome.CLEAN, 87, 124)
    item = shop.items()["AUTOMATIC-ESPRESSO-MACHINE-SILVER"]
    assert item["title"] == "Automatic Espresso Machine"
    assert (item["price"], item["prices"]) == ("879.99 USD", {"EUR": {"price": "819.99 EUR"}})
