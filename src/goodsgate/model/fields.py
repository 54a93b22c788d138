"""The table of fields: names, types, limits, and alternative names that submitters use.

Names, lengths and allowed values follow the Google Merchant product data specification where it defines the field
(support.google.com/merchants/answer/7052112). A length is a number of Unicode code points. Variants, attributes, HS
code, tax rule, versions and stock are additions of Goodsgate.

Members that are not in the table are stored unchanged and not checked.
"""

import functools
import re
from typing import Literal

import msgspec

from goodsgate.model.batch import Kind
from goodsgate.model.nearest import nearest_name

Type = Literal[
    "sku", "location", "text", "long_text", "gtin", "choice", "yes_no", "money", "whole", "measure", "moment", "span",
    "url", "brand", "category", "tax_rule", "hs_code", "country", "currency", "attributes", "variants", "any",
]
"""The type of a field's value; each type has one rule. ``any`` is a known name without checks."""

SKU_CHARACTERS_MAX = 50
"""Google's limit for ``id``; also used for a variant's id and for ``item_group_id``."""
LOCATION_CHARACTERS_MAX = 64
"""Google's limit for ``store_code`` in local inventory."""
URL_CHARACTERS_MAX = 2_000
QUANTITY_MAX = 999_999_999
ATTRIBUTE_CHARACTERS_MAX = 1_000
INT64_MAX = 2**63 - 1


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a record."""

    name: str
    type: Type = "text"
    characters_max: int = 100
    repeated: int = 0
    """Maximum values of a list; 0 for fields with a single value. A single value needs no list."""
    choices: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    minimum: int = 0
    maximum: int = QUANTITY_MAX
    splits: bool = True
    """Whether a cell with commas is a list; false if values can contain commas."""
    aliases: tuple[str, ...] = ()


WEIGHT_UNITS = ("lb", "oz", "g", "kg")
LENGTH_UNITS = ("cm", "in")
UNIT_PRICING_UNITS = (
    "oz", "lb", "mg", "g", "kg", "floz", "pt", "qt", "gal", "ml", "cl", "l", "cbm", "in", "ft", "yd", "cm", "m",
    "sqft", "sqm", "ct",
)
ENERGY_CLASSES = ("A+++", "A++", "A+", "A", "B", "C", "D", "E", "F", "G")
DESTINATIONS = (
    "Shopping_ads", "Buy_on_Google_listings", "Display_ads", "Local_inventory_ads", "Free_listings",
    "Free_local_listings", "Cloud_retail", "Local_cloud_retail", "YouTube_Shopping", "YouTube_affiliate",
)


def _measure(name: str, units: tuple[str, ...], maximum: int, *aliases: str) -> Field:
    return Field(name=name, type="measure", units=units, maximum=maximum, aliases=aliases)


ID = Field(
    name="id", type="sku", characters_max=SKU_CHARACTERS_MAX,
    aliases=(
        "sku", "sku_id", "code", "item_id", "item_code", "item_number", "product_code", "product_sku",
        "stock_code", "stock_keeping_unit", "variation_product_code", "article_number", "offer_id", "seller_sku",
        "product_id", "variant_sku",
    ),
)
GTIN = Field(name="gtin", type="gtin", characters_max=14, aliases=(
    "ean", "ean13", "ean_code", "upc", "upc_code", "barcode", "gtin13", "gtin14", "gtin12", "gtin8", "isbn13", "jan",
    "gtins", "variant_barcode",
))
PRICE = Field(name="price", type="money", aliases=(
    "unit_price", "price_amount", "selling_price", "standard_price", "regular_price", "variant_price",
))
SALE_PRICE = Field(name="sale_price", type="money", aliases=("special_price", "discounted_price", "price_effective"))
SALE_SPAN = Field(name="sale_price_effective_date", type="span")
CURRENCY = Field(name="currency", type="currency", aliases=("currency_code", "iso_currency_code"))
LOCATION = Field(name="location", type="location", characters_max=LOCATION_CHARACTERS_MAX, aliases=(
    "location_id", "location_code", "store_code", "store_id", "warehouse", "warehouse_code", "supply_channel",
))
QUANTITY = Field(name="quantity", type="whole", aliases=(
    "qty", "quantity_on_stock", "on_hand", "inventory_count", "inventory_quantity", "stock", "stock_quantity",
    "qty_on_hand", "quantity_on_hand",
))
VERSION = Field(name="version_number", type="whole", maximum=INT64_MAX)
OBSERVED_AT = Field(name="observed_at", type="moment")

PRODUCT = (
    ID,
    # basic product data
    Field(name="title", characters_max=150, aliases=("name", "product_name", "item_name", "product_title")),
    Field(name="description", type="long_text", characters_max=5_000, aliases=(
        "body_html", "body", "product_description", "long_description", "product_full_description",
    )),
    Field(name="link", type="url", aliases=("url", "product_url")),
    Field(name="image_link", type="url", aliases=(
        "image", "image_url", "image_src", "image1_src", "main_image", "main_image_url", "image_address",
    )),
    Field(name="additional_image_link", type="url", repeated=10, aliases=("additional_image_links",)),
    Field(name="mobile_link", type="url"),
    Field(name="canonical_link", type="url"),
    Field(name="virtual_model_link", type="url"),
    # price and availability
    Field(name="availability", type="choice", choices=("in_stock", "out_of_stock", "preorder", "backorder")),
    Field(name="availability_date", type="moment", aliases=("available_on", "available_from")),
    Field(name="expiration_date", type="moment", aliases=("discontinue_on", "available_until")),
    PRICE, SALE_PRICE, SALE_SPAN, CURRENCY,
    Field(name="cost_of_goods_sold", type="money", aliases=("cost", "cost_price", "purchase_price")),
    Field(name="maximum_retail_price", type="money", aliases=("mrp", "msrp", "msrp_price", "recommended_retail_price")),
    Field(name="auto_pricing_min_price", type="money", aliases=("map_price", "minimum_advertised_price")),
    Field(name="unit_pricing_measure", type="measure", units=UNIT_PRICING_UNITS),
    Field(name="unit_pricing_base_measure", type="measure", units=UNIT_PRICING_UNITS),
    Field(name="installment", type="any"),
    Field(name="subscription_cost", type="any"),
    Field(name="loyalty_program", type="any"),
    # category
    Field(name="google_product_category", type="category", characters_max=750, aliases=("google_category",)),
    Field(name="product_type", type="category", characters_max=750, repeated=10, splits=False,
          aliases=("category", "categories", "category_path", "category_name", "category_code", "product_types")),
    # identifiers
    Field(name="brand", type="brand", characters_max=70, aliases=(
        "brands", "brand_name", "manufacturer", "manufacturer_name", "vendor",
    )),
    GTIN,
    Field(name="mpn", characters_max=70, aliases=(
        "manufacturer_part_number", "mfg_part_number", "part_number", "article_number_manufacturer",
    )),
    Field(name="identifier_exists", type="yes_no"),
    # detailed description
    Field(name="condition", type="choice", choices=("new", "refurbished", "used")),
    Field(name="adult", type="yes_no"),
    Field(name="multipack", type="whole", minimum=0),
    Field(name="is_bundle", type="yes_no"),
    Field(name="energy_efficiency_class", type="choice", choices=ENERGY_CLASSES),
    Field(name="min_energy_efficiency_class", type="choice", choices=ENERGY_CLASSES),
    Field(name="max_energy_efficiency_class", type="choice", choices=ENERGY_CLASSES),
    Field(name="age_group", type="choice", choices=("newborn", "infant", "toddler", "kids", "adult")),
    Field(name="gender", type="choice", choices=("male", "female", "unisex")),
    Field(name="color", aliases=("colour",)),
    Field(name="material", characters_max=200),
    Field(name="pattern"),
    Field(name="size"),
    Field(name="size_type", type="choice", repeated=2,
          choices=("regular", "petite", "maternity", "big", "tall", "plus")),
    Field(name="size_system", type="choice",
          choices=("US", "UK", "EU", "DE", "FR", "JP", "CN", "IT", "BR", "MEX", "AU")),
    Field(name="item_group_id", characters_max=50, aliases=("parent_sku", "parent_id", "group_id", "parent_code")),
    _measure("product_length", LENGTH_UNITS, 3_000, "length", "depth"),
    _measure("product_width", LENGTH_UNITS, 3_000, "width"),
    _measure("product_height", LENGTH_UNITS, 3_000, "height"),
    _measure("product_weight", WEIGHT_UNITS, 2_000, "weight"),
    Field(name="product_detail", type="any"),
    Field(name="product_highlight", characters_max=150, repeated=100, splits=False),
    Field(name="certification", type="any"),
    # campaigns, marketplaces, destinations
    Field(name="ads_redirect", type="url"),
    *(Field(name=f"custom_label_{number}") for number in range(5)),
    Field(name="promotion_id", characters_max=50, repeated=10),
    Field(name="external_seller_id", characters_max=50),
    Field(name="excluded_destination", type="choice", repeated=10, choices=DESTINATIONS),
    Field(name="included_destination", type="choice", repeated=10, choices=DESTINATIONS),
    Field(name="shopping_ads_excluded_country", type="country", repeated=300),
    Field(name="pause", type="choice", choices=("ads", "all")),
    # shipping and tax
    Field(name="shipping", type="any"),
    Field(name="shipping_label"),
    _measure("shipping_weight", WEIGHT_UNITS, 2_000, "package_weight"),
    _measure("shipping_length", LENGTH_UNITS, 400, "package_length"),
    _measure("shipping_width", LENGTH_UNITS, 400, "package_width"),
    _measure("shipping_height", LENGTH_UNITS, 400, "package_height"),
    Field(name="ships_from_country", type="country"),
    Field(name="max_handling_time", type="whole"),
    Field(name="min_handling_time", type="whole"),
    Field(name="transit_time_label"),
    Field(name="tax", type="any"),
    Field(name="tax_category", aliases=("tax_class", "tax_class_name")),
    # ours
    Field(name="tax_rule", type="tax_rule", aliases=("tax_rule_id", "tax_rule_code")),
    Field(name="hs_code", type="hs_code", characters_max=12, aliases=("hsn_code", "tariff_code", "customs_code")),
    Field(name="country_of_origin", type="country", aliases=(
        "country_of_manufacture", "origin_country", "made_in", "country_origin",
    )),
    Field(name="attributes", type="attributes", characters_max=ATTRIBUTE_CHARACTERS_MAX),
    Field(name="variants", type="variants"),
    VERSION, OBSERVED_AT,
)

VARIANT_NAMES = (
    "id", "title", "price", "sale_price", "gtin", "mpn", "color", "size", "size_type", "size_system", "material",
    "pattern", "link", "image_link", "additional_image_link", "availability", "condition", "product_weight",
    "attributes",
)


def _table(*rows: Field) -> dict[str, Field]:
    return {row.name: row for row in rows}


FIELDS: dict[Kind, dict[str, Field]] = {
    Kind.PRODUCT: _table(*PRODUCT),
    Kind.PRICE: _table(ID, LOCATION, PRICE, SALE_PRICE, SALE_SPAN, CURRENCY, VERSION, OBSERVED_AT),
    Kind.STOCK: _table(ID, LOCATION, QUANTITY, VERSION, OBSERVED_AT),
}
"""Kind → name → field, in the order in which they are documented."""

VARIANT_FIELDS: dict[str, Field] = {
    **{name: FIELDS[Kind.PRODUCT][name] for name in VARIANT_NAMES}, "quantity": QUANTITY,
}
"""Members of one entry of ``variants``. ``quantity`` is a field here and in stock, but not of a product, because feeds
use that name for the size of a pack as often as for the stock."""

REQUIRED: dict[Kind, str] = {Kind.PRODUCT: "title", Kind.PRICE: "price", Kind.STOCK: "quantity"}
"""The field that a record must have besides ``id`` to create an item; not needed for update and delete."""

MONEY_MEMBERS = ("value", "amount", "currency", "currency_code")
"""Members of a price given as an object; ``amount`` is ``value`` and ``currency_code`` is ``currency``."""
MEASURE_MEMBERS = ("value", "unit")

NEAR_ENOUGH = 80
"""Similarity, 0 to 100, from which a name is suggested."""

_SPACING = re.compile(r"[\s_\-]+")


def resolve(name: str, kind: Kind) -> str | None:
    """Return the field for a submitter's column or member; case, spaces, dashes and underscores do not matter.

    Dotted names are paths to members: ``price.currency``, ``attributes.fit``, ``variants.0.sku``. None for an unknown
    name.
    """
    known = FIELDS[kind]
    if name in known:
        return name
    top, dot, below = name.partition(".")
    field = _names(kind).get(_fold(top))
    if field is None or not dot:
        return field
    return f"{field}.{_below(known[field], below)}" if below and holds_members(field, kind) else None


def resolve_in_variant(name: str) -> str | None:
    """Return the field of a variant for a submitter's member; None for an unknown name."""
    return name if name in VARIANT_FIELDS else _variant_names().get(_fold(name))


def nearest(name: str, kind: Kind) -> str | None:
    """Return the field whose name or alias is close to a name that `resolve` does not know; None if none is."""
    names = _names(kind)
    near = nearest_name(_fold(name), names, similarity_min=NEAR_ENOUGH)
    return names[near] if near is not None else None


def holds_members(name: str, kind: Kind) -> bool:
    """Return whether a dot after the field's name leads to a member."""
    field = FIELDS[kind].get(name)
    return field is not None and field.type in ("money", "measure", "attributes", "variants", "any")


def cell_type(name: str, kind: Kind) -> Literal["text", "integer", "list", "object"]:
    """Return the type as which the text of a cell is stored; the name may be dotted."""
    top, _, below = name.partition(".")
    field = FIELDS[kind].get(top)
    if field is not None and below:
        at, _, member = below.partition(".")
        field = VARIANT_FIELDS.get(member) if field.type == "variants" and at.isdigit() else None
    if field is None:
        return "text"
    if field.type == "whole":
        return "integer"
    if field.type in ("attributes", "any"):
        return "object"
    return "list" if field.type == "variants" or (field.repeated and field.splits) else "text"


def _below(field: Field, below: str) -> str:
    if field.type == "variants":
        at, dot, member = below.partition(".")
        return f"{at}{dot}{_variant_names().get(_fold(member), member)}"
    members = {"money": MONEY_MEMBERS, "measure": MEASURE_MEMBERS}.get(field.type, ())
    return next((member for member in members if _fold(member) == _fold(below)), below)


def _fold(name: str) -> str:
    return _SPACING.sub("", name.removeprefix("g:")).lower()


@functools.cache
def _names(kind: Kind) -> dict[str, str]:
    return _folded(FIELDS[kind])


@functools.cache
def _variant_names() -> dict[str, str]:
    return _folded(VARIANT_FIELDS)


def _folded(fields: dict[str, Field]) -> dict[str, str]:
    names = {_fold(alias): field.name for field in fields.values() for alias in field.aliases}
    names.update({_fold(name): name for name in fields})  # a field's own name beats another's alias
    return names
