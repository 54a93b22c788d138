"""A feed that was exported for another system and comes back is unchanged."""

import pytest

from goodsgate.engine import export as exports
from goodsgate.engine.export import exported_profiles
from goodsgate.model.batch import Kind
from goodsgate.profiles import load_profile
from tests.shop import Shop

ITEMS = [
    {"id": "A-1", "item_group_id": "A", "title": "Shirt <b>&", "price": "9.90 EUR", "sale_price": "7.90 EUR",
     "color": "Blue", "size": "M", "product_weight": "250 g", "product_type": "Home > Kitchen",
     "image_link": "https://x.example/a.jpg", "gtin": "4006381333931", "availability": "in_stock",
     "sale_price_effective_date": "2026-04-01/2026-04-30", "shipping": [
         {"country": "US", "region": "CA", "service": "Overnight", "price": "16.00 USD"},
         {"country": "DE", "price": "4.95 EUR"}],
     "product_detail": [{"section_name": "General", "attribute_name": "Fit", "attribute_value": "slim"}]},
    {"id": "A-2", "item_group_id": "A", "title": "Shirt <b>&", "price": "9.90 EUR", "color": "Red", "size": "M",
     "product_type": "Home > Kitchen", "image_link": "https://x.example/b.jpg"},
    {"id": "B", "title": "Mug", "price": "1.00 EUR"},
]
TRIPS = [
    ("google", "tsv"), ("google", "xlsx"), ("google", "google_rss"), ("shopify", "xlsx"),
    *((name, "csv") for name in exported_profiles() if Kind.PRODUCT in load_profile(name).kinds),
    (None, "ndjson"), (None, "json"), (None, "csv"), (None, "tsv"), (None, "xlsx"), (None, "google_rss"),
]

KILOGRAMS = ("prestashop",)
"""Profiles whose weights have no unit but this one."""


@pytest.mark.parametrize(("profile", "format"), TRIPS)
def test_what_is_exported_and_submitted_again_is_unchanged(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, profile: str | None, format: str
) -> None:
    """In every format and profile that the gate reads; what was left out stays as it was."""
    monkeypatch.setattr(exports, "PAGE_ITEMS", 2)
    first = ITEMS[0] | ({"product_weight": "0.25 kg"} if profile in KILOGRAMS else {})
    shop.run([first, *ITEMS[1:]])
    before = shop.items()
    report = shop.engine.export("acme", Kind.PRODUCT, "products", format=format, profile=profile)
    body = b"".join(report.pieces)
    ended = shop.run(body, format="xml" if format == "google_rss" else format, currency="EUR")
    assert (ended.counts.unchanged, ended.counts.accounted) == (len(ITEMS), len(ITEMS)), shop.findings(ended.id)
    assert shop.items() == before


def test_nul_is_rejected_in_names_of_attributes_and_kept_in_unknown_members(shop: Shop) -> None:
    """Both stores say the same, and what was accepted can be read."""
    batch = shop.run(
        b'{"id":"A","title":"x","attributes":{"co\\u0000l":"red"}}\n'
        b'{"id":"B","title":"x","variants":[{"id":"B1","attributes":{"co\\u0000l":"red"}}]}\n'
        b'{"id":"C","title":"x","un\\u0000known":"1\\u0000"}\n'
    )
    codes = shop.codes(batch.id)
    assert (codes[1], codes[2], codes.get(3)) == (["nul_characters"], ["nul_characters"], None)
    assert shop.items() == {"C": {"id": "C", "title": "x", "un\0known": "1\0"}}
