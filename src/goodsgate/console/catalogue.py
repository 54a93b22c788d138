"""What is held: collections, items found by SKU, GTIN or title, and one item with its price and stock by location."""

from typing import Any

import msgspec
import orjson
from starlette.responses import Response

from goodsgate.console.pages import Pages
from goodsgate.console.visit import Visit
from goodsgate.engine.search import Found, holding, search
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model import fields
from goodsgate.model.batch import Batch, Finding, Kind
from goodsgate.model.catalogue import KEY_SEPARATOR, Item, split_key

ROWS = 50
FIRST_SECONDS = 0.06
ONWARD_SECONDS = 0.25
"""For a page to be there at once, and for what is then looked for behind it."""
PLACES = 500
"""Prices or stock of one item that are shown."""
TITLE_CHARACTERS = 160


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a list."""

    item: Item
    title: str
    gtin: str
    price: str
    quantity: str


class Catalogue:
    """Everything under ``/console/of/{merchant}/catalogue``."""

    def __init__(self, context: ServerContext, pages: Pages) -> None:
        self._context = context
        self._store = context.store
        self._pages = pages

    async def get(self, visit: Visit) -> Response:
        """The collections."""
        merchant = await visit.merchant()
        rows = await self._context.run_in_thread(self._store.collections, merchant)
        words = {"collections": rows, "merchant": merchant, "place": "catalogue"}
        return self._pages.answer(visit, "collections.html", words)

    async def items(self, visit: Visit) -> Response:
        """Of one collection, by key, or those that hold the words asked for."""
        return await self._context.run_in_thread(self._listed, visit, await visit.merchant(), kind_in_path(visit))

    def _listed(self, visit: Visit, merchant: str, kind: Kind) -> Response:
        collection, text, after = visit.param("collection"), visit.query.get("q"), visit.query.kept("after") or None
        if text:
            seconds = ONWARD_SECONDS if visit.is_part else FIRST_SECONDS
            found = self._sought(merchant, kind, collection, text, after=after, seconds=seconds)
        else:
            page = self._store.items(merchant, kind, collection, after=after, limit=ROWS)
            found = Found(items=page.rows, looked_at=0, next=page.next)
        words: dict[str, Any] = {
            "rows": [row_of(item) for item in found.items], "found": found, "q": text, "kind": kind, "after": after,
            "collection": collection, "merchant": merchant, "place": "catalogue", "first": visit.link(after=None),
            "onward": visit.link(after=found.next) if found.next is not None else None,
        }
        return self._pages.answer(visit, "items_part.html" if visit.is_part else "items.html", words)

    def _sought(self, merchant: str, kind: Kind, collection: str, text: str, *, after: str | None, seconds: float,
                ) -> Found:
        """What has the key is found at once, whatever else there is."""
        found = search(self._store, merchant, kind, collection, holding(text, kind), after=after, seconds=seconds)
        exact = self._store.item(merchant, kind, collection, text) if after is None else None
        if exact is None or any(item.key == exact.key for item in found.items):
            return found
        return msgspec.structs.replace(found, items=[exact, *found.items])

    async def item(self, visit: Visit) -> Response:
        """One, with its price and stock, and the batches that wrote each."""
        return await self._context.run_in_thread(self._shown, visit, await visit.merchant(), kind_in_path(visit))

    def _shown(self, visit: Visit, merchant: str, kind: Kind) -> Response:
        collection, key = visit.param("collection"), visit.query.kept("key")
        sku, _ = split_key(key)
        item = self._store.item(merchant, kind, collection, key)
        prices, stock = (self._places(merchant, each, collection, sku) for each in (Kind.PRICE, Kind.STOCK))
        if item is None and not prices and not stock:
            raise refuse("item_unknown")
        batches = self._batches(merchant, [*([item] if item else []), *prices, *stock])
        words: dict[str, Any] = {
            "item": item, "row": row_of(item) if item else None, "prices": [*map(row_of, prices)], "sku": sku,
            "stock": [*map(row_of, stock)], "batches": batches, "kind": kind, "collection": collection,
            "merchant": merchant, "place": "catalogue", "split": split_key,
            "document": msgspec.json.format(item.document, indent=2).decode("utf-8", "replace") if item else "",
            "members": _members(item) if item else [],
            "findings": self._ever(merchant, kind, collection, key),
        }
        return self._pages.answer(visit, "item.html", words)

    def _ever(self, merchant: str, kind: Kind, collection: str, key: str) -> list[tuple[Batch, Finding]]:
        """What was wrong with the item, in batches of its kind and collection, as long as that is kept."""
        found = self._store.findings_by_key(merchant, key, limit=ROWS)
        batches = {id: self._store.batch(merchant, id) for id in {id for id, _ in found}}
        told = ((batches[id], finding) for id, finding in found)
        return [
            (batch, finding) for batch, finding in told
            if batch is not None and (batch.kind, batch.collection) == (kind, collection)
        ]

    def _places(self, merchant: str, kind: Kind, collection: str, sku: str) -> list[Item]:
        """The entry without a location, and those of locations."""
        plain = self._store.item(merchant, kind, collection, sku)
        page = self._store.items(merchant, kind, collection, prefix=sku + KEY_SEPARATOR, limit=PLACES)
        return [plain, *page.rows] if plain is not None else page.rows

    def _batches(self, merchant: str, items: list[Item]) -> dict[str, Batch]:
        """Those that last wrote them and are still kept."""
        found = {id: self._store.batch(merchant, id) for id in {item.batch for item in items}}
        return {id: batch for id, batch in found.items() if batch is not None}


def kind_in_path(visit: Visit) -> Kind:
    """Raises not_found for what is no kind."""
    try:
        return Kind(visit.param("kind"))
    except ValueError:
        raise refuse("not_found") from None


def row_of(item: Item) -> Row:
    """What a list shows of an item, whatever names its members have."""
    try:
        document = orjson.loads(item.document)
    except orjson.JSONDecodeError:
        document = None
    found: dict[str, str] = {}
    for name, value in document.items() if isinstance(document, dict) else ():
        field = fields.resolve(name, item.kind) or name
        if field not in found or name == field:
            found[field] = value if isinstance(value, str) else orjson.dumps(value).decode()
    return Row(
        item=item, title=found.get("title", "")[:TITLE_CHARACTERS], gtin=found.get("gtin", "")[:TITLE_CHARACTERS],
        price=_price(found), quantity=found.get("quantity", ""),
    )


def _price(found: dict[str, str]) -> str:
    price, currency = found.get("price", ""), found.get("currency", "")
    return f"{price} {currency}" if price and currency and currency not in price else price


def _members(item: Item) -> list[tuple[str, str]]:
    """Name and text of each member, in their order."""
    document = orjson.loads(item.document)
    if not isinstance(document, dict):
        return []
    return [
        (name, value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
        for name, value in document.items()
    ]
