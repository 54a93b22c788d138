"""Listings: SKUs with their prices and stock, one row for each size."""

from collections.abc import Iterator
from uuid import uuid4

from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import KEY_SEPARATOR, Item, item_key
from goodsgate.model.json_text import read_json
from goodsgate.protocols.konnect.responses import JsonObject, json_response, serialize_meta
from goodsgate.protocols.konnect.unpublished import COLLECTION, CURRENCY, token_location

LOCATIONS_MAX = 100
"""Locations listed for one SKU, so that a page of 500 rows stays bounded."""


class ListingHandlers:
    """Handlers of the listings and of their count."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.store

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {"listings": self.listings, "count_listings": self.count}

    async def listings(self, request: ApiRequest) -> Response:
        """Handle GET /ims/v3/listings."""
        query = request.query
        rows = await self._context.run_in_thread(
            self._rows, request.merchant, query["skus"], int(query["page_no"]), int(query["page_size"]),
            token_location(request.caller),
        )
        return json_response({"data": rows, "meta": serialize_meta(request.caller, "SUCCESS", ack_id=str(uuid4()))})

    async def count(self, request: ApiRequest) -> Response:
        """Handle GET /ims/v3/listings/count."""
        total, _ = await self._context.run_in_thread(
            self._store.list_index, request.merchant, Kind.PRODUCT, COLLECTION, "sku", limit=1
        )
        data = {"listing_count": total}
        return json_response({"data": data, "meta": serialize_meta(request.caller, "SUCCESS", ack_id=str(uuid4()))})

    def _rows(self, merchant: str, skus: list[str] | None, page: int, size: int, location: str | None,
              ) -> list[JsonObject]:
        offset = (page - 1) * size
        if skus is None:
            _, rows = self._store.list_index(merchant, Kind.PRODUCT, COLLECTION, "sku", offset=offset, limit=size)
        else:
            entries = [("sku", sku) for sku in dict.fromkeys(skus) if sku]
            owners = self._store.find_by_index(merchant, Kind.PRODUCT, COLLECTION, entries)
            rows = [(sku, key) for (_, sku), keys in sorted(owners.items()) for key in keys][offset : offset + size]
        return list(self._serialize_rows(merchant, rows, location))

    def _serialize_rows(self, merchant: str, rows: list[tuple[str, str]], location: str | None) -> Iterator[JsonObject]:
        products: dict[str, Item | None] = {}
        for sku, key in rows:
            if key not in products:
                products[key] = self._store.item(merchant, Kind.PRODUCT, COLLECTION, key)
            item = products[key]
            if item is not None:
                yield self._serialize_row(merchant, sku, read_json(item.document), location)

    def _serialize_row(self, merchant: str, sku: str, product: JsonObject, location: str | None) -> JsonObject:
        size: JsonObject = next((size for size in product["sizes"] if size.get("primary_identifier") == sku), {})
        prices = [_without_sku(item) for item in self._items(merchant, Kind.PRICE, sku, location)]
        stock = [_without_sku(item) for item in self._items(merchant, Kind.STOCK, sku, location)]
        own = prices[0] if location is not None and prices else {}
        return {
            "sku": sku, "item_code": product.get("item_code", ""), "name": product.get("name", ""),
            "size": size.get("size", ""), "brand": product.get("brand", ""), "category": product.get("category", ""),
            "mrp": own.get("mrp", size.get("price", 0)), "esp": own.get("esp", size.get("price_effective", 0)),
            "currency": own.get("currency", CURRENCY), "is_active": True,
            "identifiers": size.get("identifiers") or [{"gtin_type": "SKU", "gtin_value": sku, "primary": True}],
            "quantity": sum(int(entry.get("quantity", 0)) for entry in stock), "prices": prices, "inventory": stock,
        }

    def _items(self, merchant: str, kind: Kind, sku: str, location: str | None) -> list[Item]:
        """Return the prices or stock of a SKU at one location, or at its first hundred."""
        if location is not None:
            item = self._store.item(merchant, kind, COLLECTION, item_key(sku, location))
            return [item] if item is not None else []
        prefix = sku + KEY_SEPARATOR
        return self._store.items(merchant, kind, COLLECTION, prefix=prefix, limit=LOCATIONS_MAX).rows


def _without_sku(item: Item) -> JsonObject:
    record: JsonObject = read_json(item.document)
    return {name: value for name, value in record.items() if name != "sku"}
