"""The table of fields, and how submitters' names find their place in it."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodsgate.model import fields
from goodsgate.model.batch import Kind
from goodsgate.model.fields import FIELDS, REQUIRED, VARIANT_FIELDS
from goodsgate.rules.record_rules import RULE_MAKERS
from tests.data import sample_bytes
from tests.invented import offers, sales_lines

SALES = sales_lines(1_000).content
OFFERS = offers("dollar").content
COLUMNS = [
    (SALES, Kind.STOCK, {"StockCode": "id", "Quantity": "quantity"}),
    (SALES, Kind.PRICE, {"StockCode": "id", "UnitPrice": "price"}),
    (OFFERS, Kind.PRODUCT,
     {"id": "id", "name": "title", "description": "description", "manufacturer": "brand", "price": "price"}),
    ("luma-apparel/products_gear_bags.csv", Kind.PRODUCT,
     {"sku": "id", "name": "title", "category": "product_type", "price": "price", "special_price": "sale_price"}),
    ("luma-apparel/configurable-products.csv.gz", Kind.STOCK, {"sku": "id", "qty": "quantity"}),
    ("spree-home/products.csv", Kind.PRODUCT,
     {"sku": "id", "name": "title", "price": "price", "currency": "currency", "image1_src": "image_link",
      "weight": "product_weight", "tax_category": "tax_category"}),
    ("sunrise-fashion/inventory.csv.gz", Kind.STOCK,
     {"sku": "id", "quantityOnStock": "quantity", "supplyChannel": "location"}),
    ("openfoodfacts/products-2020-spreadsheet.csv.gz", Kind.PRODUCT,
     {"code": "id", "product_name": "title", "brands": "brand", "categories": "product_type", "url": "link",
      "image_url": "image_link"}),
]

NAMES = [
    ("id", "id"), ("SKU", "id"), ("Stock Code", "id"), ("item_id", "id"), ("g:id", "id"), ("Title", "title"),
    ("body_html", "description"), ("additionalImageLink", "additional_image_link"), ("Sale-Price", "sale_price"),
    ("EAN", "gtin"), ("colour", "color"), ("price.currency", "price.currency"),
    ("Price.CurrencyCode", "price.currency_code"),
    ("attributes.fit", "attributes.fit"), ("Attributes.Fit", "attributes.Fit"), ("variants.0.sku", "variants.0.id"),
    ("variants.0.attributes.x", "variants.0.attributes.x"), ("variants.1", "variants.1"),
    ("weight.unit", "product_weight.unit"),
    ("name.en", None), ("title.x", None), ("nothing", None), ("", None), (".", None), ("price.", None),
    ("quantity", None),
]


@pytest.mark.parametrize(("path", "kind", "expected"), COLUMNS)
def test_columns_of_real_files_find_their_fields(path, kind, expected):
    """So that the files go in as they are."""
    content = path if isinstance(path, bytes) else sample_bytes(path)
    header = next(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    resolved = {name: fields.resolve(name, kind) for name in header}
    assert expected.items() <= resolved.items()


@pytest.mark.parametrize(("path", "kind", "expected"), [
    ("kibo-sandbox/inventory.jsonl.gz", Kind.STOCK, {"locationCode": "location", "onHand": "quantity"}),
    ("kibo-sandbox/products.jsonl.gz", Kind.PRODUCT, {"productCode": "id", "price": "price"}),
])
def test_members_of_kibo_find_their_fields(path, kind, expected):
    """camelCase or not."""
    members = json.loads(sample_bytes(path).splitlines()[0])
    assert {name: fields.resolve(name, kind) for name in members if name in expected} == expected


@pytest.mark.parametrize(("name", "field"), NAMES)
def test_names_resolve_whatever_their_case_and_spacing(name, field):
    """Exact name, alias, or a member below."""
    assert fields.resolve(name, Kind.PRODUCT) == field


@pytest.mark.parametrize(("name", "near"), [
    ("descripton", "description"), ("tittle", "title"), ("brnad", "brand"), ("xyzzy", None), ("", None),
])
def test_the_nearest_field_is_suggested(name, near):
    """Of a name that nobody has."""
    assert fields.nearest(name, Kind.PRODUCT) == near


@pytest.mark.parametrize(("name", "kind", "expected"), [
    ("price", Kind.PRODUCT, "text"), ("quantity", Kind.STOCK, "integer"), ("multipack", Kind.PRODUCT, "integer"),
    ("additional_image_link", Kind.PRODUCT, "list"), ("product_type", Kind.PRODUCT, "text"),
    ("attributes", Kind.PRODUCT, "object"), ("variants", Kind.PRODUCT, "list"),
    ("variants.0.quantity", Kind.PRODUCT, "integer"),
    ("variants.0.additional_image_link", Kind.PRODUCT, "list"), ("variants.0.nothing", Kind.PRODUCT, "text"),
    ("attributes.quantity", Kind.PRODUCT, "text"), ("price.value", Kind.PRODUCT, "text"), ("_verb", Kind.STOCK, "text"),
    ("nothing", Kind.STOCK, "text"),
])
def test_cells_become_the_type_of_their_field(name, kind, expected):
    """A category's path holds commas and is not split."""
    assert fields.cell_type(name, kind) == expected


@pytest.mark.parametrize("kind", Kind)
def test_the_table_is_in_order(kind):
    """No name or alias stands for two fields, every type has a rule, every resolved name is known."""
    seen = {}
    for field in FIELDS[kind].values():
        assert field.type in RULE_MAKERS or field.type in ("any", "variants")
        assert bool(field.choices) == (field.type == "choice")
        assert bool(field.units) == (field.type == "measure")
        for name in (field.name, *field.aliases):
            folded = name.replace("_", "")
            assert seen.setdefault(folded, field.name) == field.name
            assert fields.resolve(name, kind) == field.name
    assert REQUIRED[kind] in FIELDS[kind]
    assert "id" in FIELDS[kind]


def test_members_of_variants_are_those_of_products():
    """But for the quantity, which a product has not."""
    assert set(VARIANT_FIELDS) - set(FIELDS[Kind.PRODUCT]) == {"quantity"}


@given(st.text(max_size=30), st.sampled_from(Kind))
def test_any_name_resolves_to_a_known_field_or_none(name, kind):
    """And says what its cells become."""
    field = fields.resolve(name, kind)
    assert field is None or field.split(".")[0] in FIELDS[kind]
    assert fields.cell_type(name, kind) in ("text", "integer", "list", "object")
    near = fields.nearest(name, kind)
    assert near is None or near in FIELDS[kind]
