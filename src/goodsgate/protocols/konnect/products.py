"""Product reads: every member as submitted, and the members that clients of the platform expect beside them."""

import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Item, ReferenceEntry
from goodsgate.model.json_text import read_json
from goodsgate.protocols.konnect.reference_data import ReferenceCache
from goodsgate.protocols.konnect.responses import JsonObject, json_response
from goodsgate.protocols.konnect.unpublished import COLLECTION, CURRENCY, company_id
from goodsgate.store.contract import IndexFilter, Store

SELECTED_MAX = 1_000
"""Limit of the products that a slug or a list of item codes selects."""
NUMBER_DIGITS_MAX = 15
"""A longer text of digits is no number of a department."""
TRUE_TEXTS = frozenset({"yes", "true"})


class ReferenceNumbers(msgspec.Struct, frozen=True):
    """The numbers of the departments and brands that products name."""

    departments: Mapping[str, int]
    """By code."""
    brands: Mapping[str, int]
    """By code and by name."""

    def department(self, value: object) -> object:
        """Return the number of a department; a value that names none is returned as it is."""
        if not isinstance(value, str):
            return value
        derived = int(value) if value.isascii() and value.isdigit() and len(value) <= NUMBER_DIGITS_MAX else value
        return self.departments.get(value, derived)

    def brand(self, name: str) -> int:
        """Return the number of a brand, derived from its name if there is no such entry."""
        return self.brands.get(name, ReferenceEntry(code=name).number)


class ProductListHandlers:
    """Handlers of product reads."""

    def __init__(self, context: ServerContext, reference: ReferenceCache) -> None:
        self._context = context
        self._reference = reference
        self._store = context.store

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {"products": self.products}

    async def products(self, request: ApiRequest) -> Response:
        """Handle GET /v3/catalog/product."""
        number, size = int(request.query["page_number"]), int(request.query["page_size"])
        total, items = await self._context.run_in_thread(self._page, request.merchant, request.query, number, size)
        company = company_id(request.caller)
        numbers = await self._context.run_in_thread(self._numbers, request.merchant)
        products = [serialize_product(item, company, numbers) for item in items]
        return json_response({"items": products, "page_number": number, "page_size": size, "total": total})

    def _numbers(self, merchant: str) -> "ReferenceNumbers":
        return ReferenceNumbers(
            departments={entry.code: entry.number for entry in self._reference.all(merchant, "department")},
            brands={
                name: entry.number for entry in self._reference.all(merchant, "brand")
                for name in (entry.code, entry.name)
            },
        )

    def _page(self, merchant: str, query: dict[str, Any], number: int, size: int) -> tuple[int, list[Item]]:
        latest = query["sort_on"] == "modified_on"
        order, offset = "changed" if latest else "made", (number - 1) * size
        name = query["name"].casefold() if query["name"] else ""
        if query["slug"] is None and query["item_code"] is None:
            filters = [[IndexFilter(name="name", contains=name)]] if name else []
            total, rows = self._store.list_index(
                merchant, Kind.PRODUCT, COLLECTION, order, filters=filters, backwards=latest, offset=offset, limit=size
            )
            return total, _read_items(self._store, merchant, [key for _, key in rows])
        selected = [
            item for item in _read_items(self._store, merchant, self._selected_keys(merchant, query))
            if name in str(read_json(item.document).get("name", "")).casefold()
        ]
        selected.sort(key=lambda item: (dict(item.index_entries).get(order, ""), item.key), reverse=latest)
        return len(selected), selected[offset : offset + size]

    def _selected_keys(self, merchant: str, query: dict[str, Any]) -> list[str]:
        """Return the keys of the products that have the slug and one of the item codes."""
        keys = None if query["item_code"] is None else [code for code in dict.fromkeys(query["item_code"]) if code]
        if query["slug"] is not None:
            entry = ("slug", query["slug"])
            matches = self._store.find_by_index(merchant, Kind.PRODUCT, COLLECTION, [entry]).get(entry, [])
            keys = matches if keys is None else [key for key in keys if key in matches]
        return (keys or [])[:SELECTED_MAX]


def _read_items(store: Store, merchant: str, keys: list[str]) -> list[Item]:
    items = (store.item(merchant, Kind.PRODUCT, COLLECTION, key) for key in keys)
    return [item for item in items if item is not None]


def product_uid(item: Item) -> int:
    """Return ``uid``, which is derived from the item code."""
    return zlib.crc32(item.key.encode()) + 10**9


def serialize_product(item: Item, company: int, numbers: ReferenceNumbers) -> JsonObject:
    """Return a product with all members that clients read."""
    record: JsonObject = read_json(item.document)
    times = dict(item.index_entries)
    sizes = record.get("sizes") or []
    uid = product_uid(item)
    brand, departments = record.get("brand", ""), record.get("departments")
    serialized = {
        **record,
        "uid": uid, "id": str(uid), "company_id": company,
        "item_type": record.get("item_type", "standard"), "brand": brand, "brand_name": brand,
        "brand_uid": numbers.brand(str(brand)),
        "template_tag": record.get("template", ""), "currency": CURRENCY,
        "all_sizes": [size.get("size", "") for size in sizes], "multi_size": len(sizes) > 1,
        "all_identifiers": _identifiers(sizes), "is_dependent": _is_true(record.get("is_dependent")),
        "is_active": True, "is_physical": record.get("item_type") != "digital", "stage": "verified",
        "sizes": [{**size, "seller_identifier": size.get("primary_identifier", "")} for size in sizes],
    }
    if isinstance(departments, list):
        serialized["departments"] = [numbers.department(each) for each in departments]
    if "made" in times:
        serialized["created_on"] = _format_time(times["made"])
        serialized["modified_on"] = _format_time(times["changed"])
    return serialized


def _identifiers(sizes: list[JsonObject]) -> list[str]:
    """Return every identifier of every size, each once."""
    identifiers: dict[str, None] = {}
    for size in sizes:
        identifiers[str(size.get("primary_identifier", ""))] = None
        for identifier in size.get("identifiers") or ():
            identifiers[str(identifier.get("gtin_value", ""))] = None
    identifiers.pop("", None)
    return [*identifiers]


def _is_true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.lower() in TRUE_TEXTS)


def _format_time(microseconds: str) -> str:
    moment = datetime.fromtimestamp(int(microseconds) / 1e6, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
