"""Items are written with the columns, units and values of a profile."""

import csv
import io

import orjson
import pytest

from goodsgate.engine.export import exported_profiles
from goodsgate.engine.profile_table import ProfileTable
from goodsgate.engine.refusal import Refusal
from goodsgate.model.batch import Kind
from goodsgate.profiles import load_profile, recognise
from tests.shop import Shop

ITEM = {
    "id": "A-1", "item_group_id": "A", "title": "Shirt", "price": "9.90 EUR", "sale_price": "7.90 EUR", "color": "Blue",
    "size": "M", "product_weight": "0.25 kg", "image_link": "https://x.example/a.jpg", "availability": "in_stock",
    "additional_image_link": ["https://x.example/b.jpg", "https://x.example/c.jpg"], "gtin": "4006381333931",
    "product_type": "Home > Kitchen", "attributes": {"fit": "slim", "washes": [30, 40]}, "x": 1,
}
EXPECTED = {
    "shopify": {
        "Handle": "A", "Variant SKU": "A-1", "Title": "Shirt", "Variant Price": "7.90",
        "Variant Compare At Price": "9.90", "Variant Grams": "250", "Option1 Name": "Color", "Option1 Value": "Blue",
        "Option2 Value": "M", "Option3 Name": "fit", "Option3 Value": "slim", "Variant Barcode": "4006381333931",
    },
    "woocommerce": {
        "SKU": "A-1", "Parent": "A", "Name": "Shirt", "Regular price": "9.90", "Sale price": "7.90", "In stock?": "1",
        "Images": "https://x.example/a.jpg,https://x.example/b.jpg,https://x.example/c.jpg",
        "Attribute 1 name": "Color", "Attribute 1 value(s)": "Blue",
    },
    "spree": {"sku": "A-1", "weight": "0.25", "weight_unit": "kg", "price": "7.90", "compare_at_price": "9.90"},
    "google": {"id": "A-1", "price": "9.90 EUR", "sale_price": "7.90 EUR", "availability": "in_stock", "size": "M"},
}
LEFT_OUT = {"shopify": {"availability", "additional_image_link", "currency", "x"}, "google": {"attributes", "x"}}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_item_is_written_as_the_profile_reads_it(shop: Shop, name: str) -> None:
    """Options, prices before a reduction, units, lists of images; what is left out is named."""
    shop.run([ITEM])
    report = shop.engine.export("acme", Kind.PRODUCT, "products", format="csv", profile=name)
    (row,) = csv.DictReader(io.StringIO(b"".join(report.pieces).decode(), newline=""))
    assert {column: row[column] for column in EXPECTED[name]} == EXPECTED[name]
    assert {*report.left_out} >= LEFT_OUT.get(name, {"x"})


@pytest.mark.parametrize("name", exported_profiles())
def test_what_a_profile_writes_is_recognized(name: str) -> None:
    """Every profile of a table, by its header; for an item with a title and a price alone, too."""
    table = ProfileTable(load_profile(name), load_profile(name).kinds[0])
    for fields in ({"id", "title", "price"}, {*ITEM}):
        header = table.header(fields)
        assert len(table.row(orjson.loads(orjson.dumps(ITEM)), header)) == len(header) == len({*header})
        if name != "google":
            assert recognise(header, kind=load_profile(name).kinds[0])[0].name == name


@pytest.mark.parametrize(("profile", "format"), [("none", "csv"), ("bmecat", "csv"), ("shopify", "ndjson"),
                                                 ("shopify", "google_rss")])
def test_a_profile_that_cannot_be_written_is_refused(shop: Shop, profile: str, format: str) -> None:
    """With the profiles, or the formats, that can be."""
    with pytest.raises(Refusal, match=r"shopify|csv"):
        shop.engine.export("acme", Kind.PRODUCT, "products", format=format, profile=profile)
