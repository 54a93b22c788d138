"""A feed that was exported for another system and comes back is unchanged."""

import pytest

from goodsgate.engine import export as exports
from goodsgate.model.batch import Kind
from tests.shop import Shop

ITEMS = [
    {"id": "A-1", "item_group_id": "A", "title": "Shirt <b>&", "price": "9.90 EUR", "sale_price": "7.90 EUR",
     "color": "Blue", "size": "M", "product_weight": "250 g", "product_type": "Home > Kitchen",
     "image_link": "https://x.example/a.jpg", "gtin": "4006381333931", "availability": "in_stock"},
    {"id": "A-2", "item_group_id": "A", "title": "Shirt <b>&", "price": "9.90 EUR", "color": "Red", "size": "M",
     "product_type": "Home > Kitchen"},
    {"id": "B", "title": "Mug", "price": "1.00 EUR"},
]
TRIPS = [
    ("google", "csv"), ("google", "tsv"), ("google", "xlsx"), ("google", "google_rss"), ("shopify", "csv"),
    ("woocommerce", "csv"), ("magento", "csv"), (None, "ndjson"), (None, "json"), (None, "csv"), (None, "tsv"),
    (None, "xlsx"),
]


@pytest.mark.parametrize(("profile", "format"), TRIPS)
def test_what_is_exported_and_submitted_again_is_unchanged(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, profile: str | None, format: str
) -> None:
    """In every format and profile that the gate reads; what was left out stays as it was."""
    monkeypatch.setattr(exports, "PAGE_ITEMS", 2)
    shop.run(ITEMS)
    before = shop.items()
    report = shop.engine.export("acme", Kind.PRODUCT, "products", format=format, profile=profile)
    body = b"".join(report.pieces)
    ended = shop.run(body, format="xml" if format == "google_rss" else format, currency="EUR")
    assert (ended.counts.unchanged, ended.counts.accounted) == (len(ITEMS), len(ITEMS)), shop.findings(ended.id)
    assert shop.items() == before
