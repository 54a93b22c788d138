"""Products as Shopify's Admin API answers them, as the rows of Shopify's product export.

Source of the names: https://shopify.dev/docs/api/admin-rest/latest/resources/product. A product has a list of variants,
each of which becomes a row; further images have rows of their own. So everything that is known about the table holds
for the JSON, too: what belongs together, options, prices before a reduction. Other members become columns
``product.name`` and ``variant.name``, as far as the first product has them.
"""

from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Any

import orjson

from goodsgate.formats.payload_reader import PayloadReader, RecordRun
from goodsgate.model.json_text import cell_text

OPTIONS = 3
GRAMS = {"g": Decimal(1), "kg": Decimal(1000), "oz": Decimal("28.349523125"), "lb": Decimal("453.59237")}
PRODUCT = {
    "handle": "Handle", "title": "Title", "body_html": "Body (HTML)", "vendor": "Vendor", "product_type": "Type",
    "tags": "Tags", "status": "Status",
}
"""Member of a product → column."""
VARIANT = {
    "sku": "Variant SKU", "price": "Variant Price", "compare_at_price": "Variant Compare At Price",
    "barcode": "Variant Barcode", "grams": "Variant Grams", "inventory_management": "Variant Inventory Tracker",
    "inventory_quantity": "Variant Inventory Qty", "inventory_policy": "Variant Inventory Policy",
    "fulfillment_service": "Variant Fulfillment Service", "requires_shipping": "Variant Requires Shipping",
    "taxable": "Variant Taxable", "tax_code": "Variant Tax Code",
}
"""Member of a variant → column."""
IMAGE = ("Image Src", "Image Position", "Image Alt Text")
READ_OTHERWISE = frozenset({
    "variants", "options", "images", "image", "option1", "option2", "option3", "image_id", "created_at", "updated_at",
    "admin_graphql_api_id", "product_id", "old_inventory_quantity",
})
"""Members that are read in another way, and those by which Shopify keeps its books, which are left out."""

Members = dict[str, Any]


def with_products(runs: Iterator[RecordRun], reader: PayloadReader) -> Iterator[RecordRun]:
    """Yield the records, as rows of a table if the first one is a product of Shopify's API."""
    for run in runs:
        if not run.records:
            yield run  # with nothing but skipped bytes
            continue
        product = _product(run.records[0]) if 0 not in run.unreadable else None
        if product is None:
            yield run
            yield from runs
            return
        reader.header = _header(product)
        for products in chain((run,), runs):
            yield _as_rows(products, reader.header)


def _header(product: Members) -> list[str]:
    """Return the columns of the rows, with those of the other members that the first product has."""
    others = [
        *(f"product.{name}" for name in product if name not in PRODUCT and name not in READ_OTHERWISE),
        *(f"variant.{name}" for name in product["variants"][0] if name not in VARIANT and name not in READ_OTHERWISE),
    ]
    options = [name for at in range(1, OPTIONS + 1) for name in (f"Option{at} Name", f"Option{at} Value")]
    return [*PRODUCT.values(), *options, *VARIANT.values(), *IMAGE, "Variant Image", *others]


def _product(line: bytes) -> Members | None:
    """Return a record if it is a product of Shopify's API."""
    if b'"variants"' not in line or (b'"handle"' not in line and b'"body_html"' not in line):
        return None
    try:
        product = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    variants = product.get("variants") if isinstance(product, dict) else None
    if not isinstance(variants, list) or not variants or not isinstance(variants[0], dict):
        return None
    is_shopify = "handle" in product or "body_html" in product
    return product if is_shopify and {"product_id", "option1"} & variants[0].keys() else None


def _as_rows(run: RecordRun, header: list[str]) -> RecordRun:
    """Return the rows of the products of a run; what cannot be read stays one row."""
    rows = RecordRun([], [], {}, run.size)
    for at, line in enumerate(run.records):
        found: list[dict[str, str]] = []
        if at in run.unreadable:
            rows.unreadable[len(rows.records)] = run.unreadable[at]
            rows.records.append([line.decode("utf-8", "replace")])
            rows.source_rows.append(run.source_rows[at])
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            value = None
        if isinstance(value, dict):
            found = _product_rows(value)
        for cells in found or [{"Title": line.decode("utf-8", "replace")}]:
            rows.records.append([cells.get(name, "") for name in header])
            rows.source_rows.append(run.source_rows[at])
    return rows


def _product_rows(product: Members) -> list[dict[str, str]]:
    """Return the rows of a product: one for each variant, and one for each image that has no other row."""
    shared = {PRODUCT.get(name, f"product.{name}"): _text(value) for name, value in product.items()
              if name not in READ_OTHERWISE}
    for at, option in enumerate(_objects(product, "options")[:OPTIONS], 1):
        shared[f"Option{at} Name"] = _text(option.get("name"))
    images = _objects(product, "images") or _objects({"images": [product.get("image")]}, "images")
    links = {image.get("id"): _text(image.get("src")) for image in images}
    rows = [shared | _variant_cells(variant, links) for variant in _objects(product, "variants")]
    for at, image in enumerate(images):
        if at >= len(rows):
            rows.append({"Handle": shared.get("Handle", "")})
        cells = (_text(image.get("src")), _text(image.get("position")), _text(image.get("alt")))
        rows[at] |= dict(zip(IMAGE, cells, strict=True))
    return rows


def _variant_cells(variant: Members, links: dict[object, str]) -> dict[str, str]:
    cells = {VARIANT.get(name, f"variant.{name}"): _text(value) for name, value in variant.items()
             if name not in READ_OTHERWISE}
    cells |= {f"Option{at} Value": _text(variant.get(f"option{at}")) for at in range(1, OPTIONS + 1)}
    cells["Variant Image"] = links.get(variant.get("image_id"), "") if variant.get("image_id") else ""
    unit = GRAMS.get(_text(variant.get("weight_unit")))
    if not cells.get("Variant Grams") and unit is not None:
        with suppress(InvalidOperation):
            cells["Variant Grams"] = format((Decimal(_text(variant.get("weight"))) * unit).normalize(), "f")
    return cells


def _objects(value: Members, name: str) -> list[Members]:
    entries = value.get(name)
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else cell_text(value)
