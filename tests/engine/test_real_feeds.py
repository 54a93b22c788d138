"""The shared data sets go in as they are, with a mapping where names cannot be guessed; counts are the data's own."""

from typing import Any

import pytest

from goodsgate.model.batch import Kind, State, Strictness
from tests.data import shared
from tests.shop import Shop

STOCK: dict[str, Any] = {"kind": Kind.STOCK}
PRICE: dict[str, Any] = {"kind": Kind.PRICE, "currency": "GBP"}
FEEDS: list[tuple[str, str, dict[str, Any], dict[str, int], dict[tuple[str, str], int]]] = [
    (
        "openfoodfacts/products-2020-spreadsheet.csv.gz", "csv", {"mapping": {"code": ["id", "gtin"]}},
        {"total": 1470},
        {
            ("gtin_rounded", "/gtin"): 1253, ("duplicate_in_batch", "/id"): 1000, ("sku_missing", "/id"): 3,
            ("field_missing", "/title"): 6, ("gtin_check_digit", "/gtin"): 1,
        },
    ),
    (
        "openfoodfacts/products-2026-export.tsv.gz", "tsv", {"mapping": {"code": ["id", "gtin"]}},
        {"total": 1000, "created": 974}, {("gtin_check_digit", "/gtin"): 4, ("field_missing", "/title"): 22},
    ),
    ("leipzig-offers/abt.csv.gz", "csv", {}, {"total": 1081}, {("price_currency_form", "/price"): 418}),
    ("leipzig-offers/buy.csv.gz", "csv", {}, {"total": 1092}, {("price_currency_form", "/price"): 590}),
    (
        "leipzig-offers/amazon.csv.gz", "csv", {"currency": "USD"},
        {"total": 1363}, {("price_zero", "/price"): 199},
    ),
    (
        "leipzig-offers/google.csv.gz", "csv", {"currency": "USD"},
        {"total": 3226}, {("price_currency_form", "/price"): 62},
    ),
    (
        "luma-apparel/configurable-products.csv.gz", "csv", {"currency": "USD"},
        {"total": 1994, "created": 1994}, {("unit_missing", "/product_weight"): 1847},
    ),
    (
        "spree-home/products.csv", "csv", {"duplicates": Strictness.OFF},
        {"total": 211, "rejected": 174}, {("field_missing", "/title"): 174},
    ),
    ("sunrise-fashion/inventory.csv.gz", "csv", STOCK, {"total": 26137, "created": 26137}, {}),
    (
        "kibo-sandbox/products.jsonl.gz", "ndjson",
        {"currency": "USD", "mapping": {"content.productName": ["title"], "price.price": ["price"], "upc": []}},
        {"total": 71, "created": 71}, {},
    ),
    (
        "kibo-sandbox/inventory.jsonl.gz", "ndjson", {**STOCK, "mapping": {"upc": ["id"]}},
        {"total": 2003, "created": 2003}, {},
    ),
    (
        "bestbuy/products-sample.json.gz", "json", {"currency": "USD", "mapping": {"name": ["id", "title"]}},
        {"total": 3291}, {("text_entities", "/description"): 378},
    ),
]


@pytest.mark.parametrize(("path", "format", "how", "counts", "groups"), FEEDS, ids=[f"{f[0]}" for f in FEEDS])
def test_a_real_feed(shop: Shop, path: str, format: str, how: dict[str, Any], counts: dict[str, int],
                     groups: dict[tuple[str, str], int]) -> None:
    """Every record accounted for, the known dirt counted exactly, and the second time nothing is written."""
    body = shared(f"data/{path}").read_bytes()
    packing = "gzip" if path.endswith(".gz") else "identity"
    batch = shop.run(body, format=format, packing=packing, **how)
    assert batch.state is State.FINISHED
    assert batch.counts.accounted == batch.total
    for name, count in counts.items():
        assert (batch.total if name == "total" else getattr(batch.counts, name)) == count, name
    found = {(g.code, g.field): g.count for g in shop.store.groups("acme", batch.id, limit=1000)}
    for group, count in groups.items():
        assert found.get(group) == count, group
    assert not [code for code, _ in found if code.endswith("_fault")]
    again = shop.run(body, format=format, packing=packing, **how)
    assert again.counts.rejected == batch.counts.rejected
    assert again.counts.created == 0


def test_a_year_of_sales_lines_as_prices_and_stock(shop: Shop, kind: str) -> None:
    """541,909 lines of 4,070 codes: the last of each wins; codes that differ by case are told."""
    if kind != "sqlite":
        pytest.skip("it is about the rules, and takes long; the smaller feeds run on every store")
    body = shared("data/online-retail/lines.csv.gz").read_bytes()
    price = shop.run(body, format="csv", packing="gzip", duplicates=Strictness.OFF, **PRICE)
    assert (price.total, price.counts.created, price.counts.rejected) == (541_909, 4_070, 6)
    groups = {(g.code, g.field): g.count for g in shop.store.groups("acme", price.id)}
    assert groups["price_negative", "/price"] == 2
    assert groups["price_decimals", "/price"] == 4
    assert groups["price_zero", "/price"] == 2_515
    assert groups["sku_case_twin", "/id"] == 112
    stock = shop.run(body, format="csv", packing="gzip", duplicates=Strictness.OFF, **STOCK)
    assert stock.counts.rejected == 10_624


def test_spree_names_its_continuation_rows(shop: Shop) -> None:
    """A row without a name continues the product above: it is named as what is missing, not dropped."""
    body = shared("data/spree-home/products.csv").read_bytes()
    batch = shop.run(body, format="csv", duplicates=Strictness.OFF)
    assert batch.counts.created + batch.counts.updated + batch.counts.unchanged == 37
