"""Products as they are held: every member as it was submitted, and beside them the names that reads are known for."""

import zlib
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Item
from goodsgate.protocols.konnect.responses import json_response
from goodsgate.protocols.konnect.unpublished import COLLECTION, CURRENCY, company_id
from goodsgate.store.contract import IndexFilter, Store

CHOSEN_MAX = 1_000
"""Products that one slug or a list of item codes may lead to."""
YES = frozenset({"yes", "true"})
Words = dict[str, Any]


class ProductListHandlers:
    """Handler of GET /v3/catalog/product."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.store

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {"products": self.products}

    async def products(self, request: ApiRequest) -> Response:
        """GET /v3/catalog/product."""
        number, size = int(request.query["page_number"]), int(request.query["page_size"])
        total, items = await self._context.run_in_thread(self._page, request.merchant, request.query, number, size)
        company = company_id(request.caller)
        words = [serialize_product(item, company) for item in items]
        return json_response({"items": words, "page_number": number, "page_size": size, "total": total})

    def _page(self, merchant: str, query: dict[str, Any], number: int, size: int) -> tuple[int, list[Item]]:
        latest = query["sort_on"] == "modified_on"
        order, offset = "changed" if latest else "made", (number - 1) * size
        name = query["name"].casefold() if query["name"] else ""
        if query["slug"] is None and query["item_code"] is None:
            among = [[IndexFilter(name="name", text=name)]] if name else []
            total, rows = self._store.marks(
                merchant, Kind.PRODUCT, COLLECTION, order, among=among, backwards=latest, offset=offset, limit=size
            )
            return total, _items(self._store, merchant, [key for _, key in rows])
        chosen = [
            item for item in _items(self._store, merchant, self._chosen(merchant, query))
            if name in str(orjson.loads(item.document).get("name", "")).casefold()
        ]
        chosen.sort(key=lambda item: (dict(item.marks).get(order, ""), item.key), reverse=latest)
        return len(chosen), chosen[offset : offset + size]

    def _chosen(self, merchant: str, query: dict[str, Any]) -> list[str]:
        """Keys of the products that have the slug and one of the item codes."""
        keys = None if query["item_code"] is None else [code for code in dict.fromkeys(query["item_code"]) if code]
        if query["slug"] is not None:
            mark = ("slug", query["slug"])
            having = self._store.marked(merchant, Kind.PRODUCT, COLLECTION, [mark]).get(mark, [])
            keys = having if keys is None else [key for key in keys if key in having]
        return (keys or [])[:CHOSEN_MAX]


def _items(store: Store, merchant: str, keys: list[str]) -> list[Item]:
    found = (store.item(merchant, Kind.PRODUCT, COLLECTION, key) for key in keys)
    return [item for item in found if item is not None]


def product_uid(item: Item) -> int:
    """``uid``: the same for a product as long as it has its item code."""
    return zlib.crc32(item.key.encode()) + 10**9


def serialize_product(item: Item, company: int) -> Words:
    """A product as it is read."""
    record: Words = orjson.loads(item.document)
    marks = dict(item.marks)
    sizes = record.get("sizes") or []
    uid = product_uid(item)
    brand = record.get("brand", "")
    words = {
        **record,
        "uid": uid, "id": str(uid), "company_id": company,
        "item_type": record.get("item_type", "standard"), "brand": brand, "brand_name": brand,
        "template_tag": record.get("template", ""), "currency": CURRENCY,
        "all_sizes": [size.get("size", "") for size in sizes], "multi_size": len(sizes) > 1,
        "all_identifiers": _identifiers(sizes), "is_dependent": _truth(record.get("is_dependent")),
        "is_active": True, "is_physical": record.get("item_type") != "digital", "stage": "verified",
        "sizes": [{**size, "seller_identifier": size.get("primary_identifier", "")} for size in sizes],
    }
    if "made" in marks:
        words["created_on"], words["modified_on"] = _moment(marks["made"]), _moment(marks["changed"])
    return words


def _identifiers(sizes: list[Words]) -> list[str]:
    """Every identifier of every size, each once."""
    found: dict[str, None] = {}
    for size in sizes:
        found[str(size.get("primary_identifier", ""))] = None
        for identifier in size.get("identifiers") or ():
            found[str(identifier.get("gtin_value", ""))] = None
    found.pop("", None)
    return [*found]


def _truth(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.lower() in YES)


def _moment(microseconds: str) -> str:
    moment = datetime.fromtimestamp(int(microseconds) / 1e6, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
