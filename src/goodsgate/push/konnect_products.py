"""Records as products of Fynd Konnect: one product with its sizes for the records of a group."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import groupby
from typing import Any

from goodsgate.model.issue import Issue
from goodsgate.push.contract import SourceRecord, WireUnit
from goodsgate.push.transport import encode_json
from goodsgate.push.values import (
    LENGTHS_IN_CENTIMETRES,
    WEIGHTS_IN_GRAMS,
    convert_measure,
    first_of,
    missing,
    plain_number,
    slug_of,
    split_money,
    structured,
    text_of,
    texts_of,
    too_long,
)

REQUIRED = {
    "name": "/title", "departments": "/departments", "category": "/product_type", "brand": "/brand",
    "country_of_origin": "/country_of_origin", "tax_identifier": "/tax_rule", "hs_code": "/hs_code",
    "trader": "/trader",
}
"""Member that a product must have → the field of a record that gives it."""
OWN = (
    "item_type", "slug", "departments", "net_quantity", "no_of_boxes", "short_description", "trader",
    "product_publish", "tags", "return_config", "custom_order", "attributes",
)
"""Members that a record may have under the platform's own names; as cells, lists and objects are JSON."""
LISTS = ("departments", "tags")
CHARACTERS_MAX = {"name": 300, "short_description": 50, "description": 5000}
GTIN_TYPES = {8: "EAN", 12: "UPC", 13: "EAN", 14: "EAN"}
ONE_SIZE = "OS"

FIELD_OF_MEMBER = {
    **REQUIRED, "item_code": "/id", "slug": "/slug", "description": "/description", "media": "/image_link",
    "highlights": "/product_highlight", "sizes.primary_identifier": "/id", "sizes.size": "/size",
    "sizes.price": "/maximum_retail_price", "sizes.price_effective": "/price", "sizes.identifiers": "/gtin",
    "sizes.item_length": "/product_length", "sizes.item_width": "/product_width",
    "sizes.item_height": "/product_height", "sizes.item_weight": "/product_weight",
}
"""Member of a product, positions left out → the field of a record."""


def product_units(records: Iterable[SourceRecord], defaults: Mapping[str, str]) -> Iterator[WireUnit]:
    """Yield a product for consecutive records of one `item_group_id`, and for each other record.

    `defaults` are values of members that a record lacks.
    """
    for (code, is_deletion), together in groupby(records, key=_group_of):
        group = [*together]
        numbers = tuple(record.number for record in group)
        template = text_of(group[0].members.get("template")) or defaults.get("template", "")
        if is_deletion:
            body: dict[str, Any] = {"item_code": code}
            issues = [] if template else [missing("/template")]
        else:
            body = _product(code, group, defaults)
            issues = [*_issues_of(body, template)]
        yield WireUnit(
            name=code, numbers=numbers, body=encode_json(body), group=template, is_deletion=is_deletion,
            issues=tuple(issues),
        )


def _group_of(record: SourceRecord) -> tuple[str, bool]:
    return text_of(record.members.get("item_group_id")) or record.sku, record.is_deletion


def _product(code: str, group: list[SourceRecord], defaults: Mapping[str, str]) -> dict[str, Any]:
    members = {**defaults, **{name: value for name, value in group[0].members.items() if value not in (None, "")}}
    categories = texts_of(members.get("product_type") or members.get("category"))
    tax_rule = text_of(members.get("tax_rule"))
    images = [*texts_of(members.get("image_link")), *texts_of(members.get("additional_image_link"))]
    product: dict[str, Any] = {
        "item_code": code, "slug": slug_of(code), "name": text_of(members.get("title")),
        "category": categories[0].rpartition(">")[2].strip() if categories else "",
        "brand": text_of(members.get("brand")), "country_of_origin": text_of(members.get("country_of_origin")),
        "tax_identifier": {"tax_rule_id": tax_rule} if tax_rule else None, "hs_code": text_of(members.get("hs_code")),
        "description": text_of(members.get("description")),
        "highlights": texts_of(members.get("product_highlight")),
        "media": [{"url": url, "type": "image"} for url in images], "is_dependent": False,
        "sizes": _sizes(group),
    }
    for name in OWN:
        value = structured(members.get(name))
        if name in LISTS and isinstance(value, str | int):
            value = [part.strip() for part in str(value).split(",") if part.strip()]
        if value not in (None, ""):
            product[name] = value
    product.setdefault("attributes", {})
    return {name: value for name, value in product.items() if value not in (None, "", [])}


def _sizes(group: list[SourceRecord]) -> list[dict[str, Any]]:
    names = [text_of(record.members.get("size")) or ONE_SIZE for record in group]
    if len({*names}) < len(names):
        colors = [text_of(record.members.get("color")) for record in group]
        names = [f"{color} {name}".strip() for color, name in zip(colors, names, strict=True)]
    return [_size(record, name) for record, name in zip(group, names, strict=True)]


def _size(record: SourceRecord, name: str) -> dict[str, Any]:
    members = record.members
    price, effective = prices_of(members)
    gtins = texts_of(members.get("gtin"))
    measures = {
        "item_length": convert_measure(members.get("product_length"), LENGTHS_IN_CENTIMETRES),
        "item_width": convert_measure(members.get("product_width"), LENGTHS_IN_CENTIMETRES),
        "item_height": convert_measure(members.get("product_height"), LENGTHS_IN_CENTIMETRES),
        "item_weight": convert_measure(members.get("product_weight"), WEIGHTS_IN_GRAMS),
    }
    size: dict[str, Any] = {"primary_identifier": record.sku, "size": name}
    size |= {"price": price, "price_effective": effective} if price is not None else {}
    size |= {name: plain_number(value) for name, value in measures.items() if value is not None}
    if gtins:
        size["identifiers"] = [
            {"gtin_type": GTIN_TYPES.get(len(gtin), "EAN"), "gtin_value": gtin, "primary": at == 0}
            for at, gtin in enumerate(gtins)
        ]
    return size


def prices_of(members: Mapping[str, Any]) -> tuple[int | float | Decimal | None, int | float | Decimal | None]:
    """Return the maximum retail price and the selling price of a record; None if it has no price."""
    _, full = first_of(members, ("maximum_retail_price", "price"))
    _, selling = first_of(members, ("sale_price", "price"))
    price, effective = split_money(full), split_money(selling)
    if price is None or effective is None:
        return None, None
    return plain_number(price[0]), plain_number(effective[0])


def _issues_of(product: Mapping[str, Any], template: str) -> Iterator[Issue]:
    """Yield what the platform requires and the product lacks."""
    if not template:
        yield missing("/template")
    for name, path in REQUIRED.items():
        if not product.get(name):
            yield missing(path)
    if any("price" not in size for size in product["sizes"]):
        yield missing("/price")
    for name, most in CHARACTERS_MAX.items():
        text = product.get(name)
        if isinstance(text, str) and len(text) > most:
            yield too_long(FIELD_OF_MEMBER.get(name, f"/{name}"), text, most)


def as_update(body: dict[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """Return a product as an update takes it, under the slug that the platform has for it, which cannot change."""
    slug = current.get("slug")
    return {
        **body, "item_type": body.get("item_type", "standard"),
        "is_dependent": "Yes" if body.get("is_dependent") else "No",
        **({"slug": slug} if isinstance(slug, str) and slug else {}),
    }
