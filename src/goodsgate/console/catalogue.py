"""The catalogue: collections, items by SKU, GTIN or title, and one item with its price and stock by location."""

from typing import Any

import msgspec
import orjson
from starlette.responses import Response

from goodsgate.console.destinations import item_feed_issues
from goodsgate.console.edits import item_members
from goodsgate.console.rendering import PageRenderer
from goodsgate.console.request import ConsoleRequest
from goodsgate.engine.edits import is_editable
from goodsgate.engine.history import HistoryEntry, item_history
from goodsgate.engine.item_search import ItemQuery, find_by_text, find_items, parse_search
from goodsgate.engine.search import SearchResult, contains_text, search
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model import fields
from goodsgate.model.batch import Batch, Kind
from goodsgate.model.catalogue import KEY_SEPARATOR, Item, split_key
from goodsgate.model.finding import Finding
from goodsgate.model.json_text import read_json, write_json

PAGE_ITEMS = 50
FIRST_SEARCH_SECONDS = 0.06
NEXT_SEARCH_SECONDS = 0.25
"""Time limits of a search: short for the page itself, longer for the fragments that continue it."""
LOCATIONS_MAX = 500
HISTORIES_MAX = 20
"""Items of one SKU whose changes are shown."""
TEXT_CHARACTERS_MAX = 160


class ItemRow(msgspec.Struct, frozen=True, kw_only=True):
    """One item in a list."""

    item: Item
    title: str
    gtin: str
    price: str
    quantity: str


class CataloguePages:
    """Everything under ``/console/merchants/{merchant}/catalogue``."""

    def __init__(self, context: ServerContext, renderer: PageRenderer) -> None:
        self._context = context
        self._store = context.store
        self._destinations = context.services.destinations
        self._renderer = renderer

    async def collections(self, request: ConsoleRequest) -> Response:
        """Return the list of collections."""
        merchant = await request.merchant()
        rows = await self._context.run_in_thread(self._store.collections, merchant)
        values = {"collections": rows, "merchant": merchant, "section": "catalogue"}
        return self._renderer.response(request, "collections.html", values)

    async def items(self, request: ConsoleRequest) -> Response:
        """Return the items of a collection by key, or those that match a search."""
        merchant, kind = await request.merchant(), kind_in_path(request)
        return await self._context.run_in_thread(self._render_items, request, merchant, kind)

    def _render_items(self, request: ConsoleRequest, merchant: str, kind: Kind) -> Response:
        collection, text = request.path_param("collection"), request.query.get("q")
        after = request.query.get_raw("after") or None
        anywhere = request.query.get("in") == "anywhere"
        if text:
            seconds = NEXT_SEARCH_SECONDS if request.is_fragment else FIRST_SEARCH_SECONDS
            result, anywhere = self._search(
                merchant, kind, collection, text, after=after, seconds=seconds, anywhere=anywhere
            )
        else:
            page = self._store.items(merchant, kind, collection, after=after, limit=PAGE_ITEMS)
            result = SearchResult(items=page.rows, examined=0, next=page.next)
        values: dict[str, Any] = {
            "rows": [item_row(item) for item in result.items], "result": result, "q": text, "kind": kind,
            "after": after, "collection": collection, "merchant": merchant, "section": "catalogue",
            "first_page": request.link(after=None),
            "next_page": request.link(
                after=result.next, **{"in": "anywhere" if anywhere else None}
            ) if result.next is not None else None,
        }
        template = "items_fragment.html" if request.is_fragment else "items.html"
        return self._renderer.response(request, template, values)

    def _search(self, merchant: str, kind: Kind, collection: str, text: str, *, after: str | None, seconds: float,
                anywhere: bool) -> tuple[SearchResult, bool]:
        """Search by words and filters; if the index finds nothing, item by item for the text anywhere.

        Returns whether it was searched for anywhere, too. An item whose key is the text comes first.
        """
        query = parse_search(text)
        if query != ItemQuery(text=text.strip()):
            result = find_items(
                self._store, merchant, kind, collection, query, after=after, limit=PAGE_ITEMS, seconds=seconds
            )
            return result, False
        page = None
        if not anywhere:
            page = find_by_text(self._store, merchant, kind, collection, text, after=after, limit=PAGE_ITEMS)
        if page is not None and (page.rows or after is not None):
            result = SearchResult(items=page.rows, examined=0, next=page.next)
        else:
            anywhere, matches = True, contains_text(text, kind)
            result = search(self._store, merchant, kind, collection, matches, after=after, seconds=seconds)
        exact = self._store.item(merchant, kind, collection, text) if after is None else None
        if exact is None or any(item.key == exact.key for item in result.items):
            return result, anywhere
        return msgspec.structs.replace(result, items=[exact, *result.items]), anywhere

    async def item(self, request: ConsoleRequest) -> Response:
        """Return one item with its price and stock, and the batches that last changed them."""
        merchant, kind = await request.merchant(), kind_in_path(request)
        return await self._context.run_in_thread(self._render_item, request, merchant, kind)

    def _render_item(self, request: ConsoleRequest, merchant: str, kind: Kind) -> Response:
        collection, key = request.path_param("collection"), request.query.get_raw("key")
        sku, _ = split_key(key)
        item = self._store.item(merchant, kind, collection, key)
        prices, stock = (self._by_location(merchant, each, collection, sku) for each in (Kind.PRICE, Kind.STOCK))
        if item is None and not prices and not stock:
            raise refuse("item_unknown")
        values: dict[str, Any] = {
            "item": item, "row": item_row(item) if item else None, "prices": [*map(item_row, prices)], "sku": sku,
            "stock": [*map(item_row, stock)], "kind": kind, "collection": collection, "merchant": merchant,
            "section": "catalogue", "split_key": split_key, "members": item_members(item) if item else [],
            "batches": self._batches(merchant, [*([item] if item else []), *prices, *stock]),
            "document": msgspec.json.format(item.document, indent=2).decode("utf-8", "replace") if item else "",
            "history": self._history(merchant, collection, [item, *prices, *stock], key, kind),
            "findings": self._issue_history(merchant, kind, collection, key),
            "feed_issues": item_feed_issues(self._destinations.all(merchant), item) if item else [],
            "can_edit": item is not None and request.caller.may("correct") and is_editable(self._store, merchant, item),
        }
        return self._renderer.response(request, "item.html", values)

    def _history(self, merchant: str, collection: str, items: list[Item | None], key: str, kind: Kind,
                 ) -> list[tuple[str, HistoryEntry]]:
        """Return what has changed of the item, its prices and its stock, the newest first, each with its name."""
        names = dict.fromkeys((each.kind, each.key) for each in items if each is not None)
        names.setdefault((kind, key))
        entries = [
            (_history_name(each_kind, each_key), entry) for each_kind, each_key in [*names][:HISTORIES_MAX]
            for entry in item_history(self._store, merchant, each_kind, collection, each_key, limit=PAGE_ITEMS).rows
        ]
        return sorted(entries, key=lambda pair: -pair[1].number)[:PAGE_ITEMS]

    def _issue_history(self, merchant: str, kind: Kind, collection: str, key: str) -> list[tuple[Batch, Finding]]:
        """Return the item's findings in batches of its kind and collection, as far as they are kept."""
        findings = self._store.findings_by_key(merchant, key, limit=PAGE_ITEMS)
        batches = {id: self._store.batch(merchant, id) for id in {id for id, _ in findings}}
        pairs = ((batches[id], finding) for id, finding in findings)
        return [
            (batch, finding) for batch, finding in pairs
            if batch is not None and (batch.kind, batch.collection) == (kind, collection)
        ]

    def _by_location(self, merchant: str, kind: Kind, collection: str, sku: str) -> list[Item]:
        """Return the entry of a SKU without a location, and those of its locations."""
        everywhere = self._store.item(merchant, kind, collection, sku)
        page = self._store.items(merchant, kind, collection, prefix=sku + KEY_SEPARATOR, limit=LOCATIONS_MAX)
        return [everywhere, *page.rows] if everywhere is not None else page.rows

    def _batches(self, merchant: str, items: list[Item]) -> dict[str, Batch]:
        """Return the batches that last changed the items, as far as they are kept."""
        batches = {id: self._store.batch(merchant, id) for id in {item.batch for item in items}}
        return {id: batch for id, batch in batches.items() if batch is not None}


def _history_name(kind: Kind, key: str) -> str:
    """Return what the changes of an item are called beside those of the other items of its SKU."""
    _, location = split_key(key)
    return f"{kind}, {location}" if location else str(kind)


def kind_in_path(request: ConsoleRequest) -> Kind:
    """Return the kind in the path; raises not_found."""
    try:
        return Kind(request.path_param("kind"))
    except ValueError:
        raise refuse("not_found") from None


def item_row(item: Item) -> ItemRow:
    """Return what a list shows of an item, by whatever names its members have."""
    try:
        document = read_json(item.document)
    except orjson.JSONDecodeError:
        document = None
    texts: dict[str, str] = {}
    for name, value in document.items() if isinstance(document, dict) else ():
        field = fields.resolve(name, item.kind) or name
        if field not in texts or name == field:
            texts[field] = value if isinstance(value, str) else write_json(value).decode()
    return ItemRow(
        item=item, title=texts.get("title", "")[:TEXT_CHARACTERS_MAX],
        gtin=texts.get("gtin", "")[:TEXT_CHARACTERS_MAX], price=_price(texts), quantity=texts.get("quantity", ""),
    )


def _price(texts: dict[str, str]) -> str:
    price, currency = texts.get("price", ""), texts.get("currency", "")
    return f"{price} {currency}" if price and currency and currency not in price else price
