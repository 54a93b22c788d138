"""Collections of the catalogue, reference data and saved profiles."""

from functools import partial
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.engine.edits import ItemName
from goodsgate.engine.feed_check import check_feed
from goodsgate.engine.feed_table import FeedTable
from goodsgate.engine.history import HistoryEntry, item_history
from goodsgate.engine.item_search import ItemQuery, find_items
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.saved_profiles import SavedProfile, delete_profile, save_profile, saved_profiles
from goodsgate.engine.search import SearchResult
from goodsgate.http.context import HEAD_BYTES, ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.problems import refuse
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import KEY_SEPARATOR, Item, display_key, item_key, split_key
from goodsgate.model.field_state import FieldLock
from goodsgate.model.versions import plain_group_versions, plain_version
from goodsgate.profiles import profile_names
from goodsgate.protocols.native.batches import detect_format, named_encoding
from goodsgate.protocols.native.edits import named_item
from goodsgate.protocols.native.feeds import feed_check_response
from goodsgate.protocols.native.responses import json_response, page_response
from goodsgate.store.contract import Page
from goodsgate.targets import load_target, target_names

HISTORY_CHANGES_MAX = 100
"""Changes of an item that are looked up at once; each is in a place of its own."""
SEARCH_SECONDS = 0.25
"""So long are items examined for one page if the search index cannot answer."""
FILTERS = ("q", "prefix", "gtin", "brand", "group", "batch", "since")
MAPPED_COLUMNS_MAX = 2_000
MAPPED_FIELDS_MAX = 20
MAPPED_CHARACTERS_MAX = 200


class CatalogueHandlers:
    """Handlers of collections, reference data and profiles."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._engine = context.engine
        self._store = context.store

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "collections": self.collections, "items": self.items, "export": self.export,
            "feed_issues": self.feed_issues, "item": self.item,
            "history": self.history,
            "prices": self.prices, "stock": self.stock, "reference": self.reference,
            "load_reference": self.load_reference,
            "profiles": self.profiles, "profile": self.profile, "put_profile": self.put_profile,
            "delete_profile": self.delete_profile,
        }

    # -- collections ------------------------------------------------------------------------------------------------
    async def collections(self, request: ApiRequest) -> Response:
        """Handle GET /v1/collections."""
        rows = await self._context.run_in_thread(self._store.collections, request.merchant)
        return json_response(
            {"collections": [{"kind": kind, "collection": name, "items": items} for kind, name, items in rows]}
        )

    async def items(self, request: ApiRequest) -> Response:
        """Handle GET /v1/collections/{collection}/items."""
        result = await self._context.run_in_thread(self._items, request)
        examined = {"examined": result.examined} if result.examined else {}
        rows = [_serialize_item(item) for item in result.items]
        return page_response(request, "items", rows, result.next, **examined)

    async def export(self, request: ApiRequest) -> Response:
        """Handle GET /v1/collections/{collection}/export."""
        query = request.query
        return await self._context.report(request.http.scope, request.merchant, partial(
            self._engine.export, request.merchant, Kind(query["kind"]), request.path["collection"],
            format=query["format"] or ("csv" if query["profile"] else "ndjson"), profile=query["profile"],
            after=query["after"], leaves_incomplete=query["incomplete"] == "leave_out",
        ))

    async def feed_issues(self, request: ApiRequest) -> Response:
        """Handle GET /v1/collections/{collection}/feed-issues."""
        query = request.query
        if query["profile"] not in target_names():
            raise Refusal("parameter_invalid", f"profile must be one of {', '.join(target_names())}.",
                          parameter="profile")
        check = await self._context.run_in_thread(
            check_feed, self._store, request.merchant, request.path["collection"],
            FeedTable(load_target(query["profile"])), only_errors=query["only"] == "errors", after=query["after"],
            limit=self._limit(request), seconds=SEARCH_SECONDS,
        )
        return feed_check_response(request, check)

    def _items(self, request: ApiRequest) -> SearchResult:
        merchant, collection, query = request.merchant, request.path["collection"], request.query
        kind, group = Kind(query["kind"]), query["group"]
        if query["item_group_id"] is not None:
            if kind is not Kind.PRODUCT or any(query[name] is not None for name in FILTERS):
                raise Refusal("parameter_invalid", "item_group_id is for kind=product, without other filters.",
                    parameter="item_group_id", expected="no other filter")
            group = query["item_group_id"]
        wanted = ItemQuery(
            text=query["q"], prefix=query["prefix"], gtin=query["gtin"], brand=query["brand"], group=group,
            batch=query["batch"], since=query["since"],
        )
        return find_items(
            self._store, merchant, kind, collection, wanted, after=query["after"], limit=self._limit(request),
            seconds=SEARCH_SECONDS,
        )

    async def item(self, request: ApiRequest) -> Response:
        """Handle GET /v1/collections/{collection}/items/{key}."""
        name = named_item(request)
        item = await self._context.run_in_thread(
            self._engine.item, name.merchant, name.kind, name.collection, name.key
        )
        return json_response(_serialize_item(item))

    async def history(self, request: ApiRequest) -> Response:
        """Handle GET /v1/collections/{collection}/history/{key}."""
        name = named_item(request)
        page = await self._context.run_in_thread(self._history, request, name)
        return page_response(request, "changes", page.rows, page.next, key=display_key(name.key))

    def _history(self, request: ApiRequest, name: ItemName) -> Page[HistoryEntry]:
        """Return a page of changes; raises item_unknown unless the item is or was there, as far as is known."""
        page = item_history(
            self._store, name.merchant, name.kind, name.collection, name.key, after=request.query["after"],
            limit=min(self._limit(request), HISTORY_CHANGES_MAX),
        )
        if not page.rows and request.query["after"] is None:
            self._engine.item(name.merchant, name.kind, name.collection, name.key)
        return page

    async def prices(self, request: ApiRequest) -> Response:
        """Handle GET /v1/collections/{collection}/prices/{sku}."""
        return await self._entries_response(request, Kind.PRICE)

    async def stock(self, request: ApiRequest) -> Response:
        """Handle GET /v1/collections/{collection}/stock/{sku}."""
        return await self._entries_response(request, Kind.STOCK)

    async def _entries_response(self, request: ApiRequest, kind: Kind) -> Response:
        page = await self._context.run_in_thread(self._entries, request, kind)
        rows = [_serialize_item(item) for item in page.rows]
        return page_response(request, "entries", rows, page.next, sku=request.path["sku"])

    def _entries(self, request: ApiRequest, kind: Kind) -> Page[Item]:
        """Return the entries of one SKU, the one without a location first, or the entry of one location."""
        merchant, collection, sku = request.merchant, request.path["collection"], request.path["sku"]
        location, after = request.query["location"], request.query["after"]
        if location is not None:
            return Page([self._engine.item(merchant, kind, collection, item_key(sku, location))], None)
        page = self._store.items(
            merchant, kind, collection, prefix=sku + KEY_SEPARATOR, after=after, limit=self._limit(request)
        )
        plain = self._store.item(merchant, kind, collection, sku) if after is None else None
        if plain is None and not page.rows and after is None:
            raise Refusal("item_unknown")
        return Page([plain, *page.rows] if plain is not None else page.rows, page.next)

    # -- reference data ---------------------------------------------------------------------------------------------
    async def reference(self, request: ApiRequest) -> Response:
        """Handle GET /v1/reference/{kind}."""
        page = await self._context.run_in_thread(
            self._engine.reference, request.merchant, request.path["kind"], search=request.query["q"],
            after=request.query["after"], limit=self._limit(request),
        )
        return page_response(request, "entries", page.rows, page.next)

    async def load_reference(self, request: ApiRequest) -> Response:
        """Handle PUT /v1/reference/{kind}.

        The body is written to a temporary file first, because it is loaded as a whole or not at all.
        """
        limits = self._context.limits
        body = request.body(limits.reference_body_bytes_max, limits.body_idle_seconds)
        head = await body.read(HEAD_BYTES)
        format, content_encoding = detect_format(request, head)
        encoding = named_encoding(request)
        async with self._context.copy_body(body, head) as pieces:
            entries = await self._context.run_in_thread(
                self._engine.load_reference, request.merchant, request.path["kind"], pieces, format=format,
                content_encoding=content_encoding, encoding=encoding, replace=request.query["replace"],
            )
        return json_response({"kind": request.path["kind"], "entries": entries})

    # -- profiles ---------------------------------------------------------------------------------------------------
    async def profiles(self, request: ApiRequest) -> Response:
        """Handle GET /v1/profiles."""
        saved = await self._context.run_in_thread(saved_profiles, self._store, request.merchant)
        return json_response({"profiles": saved, "shipped": profile_names()})

    async def profile(self, request: ApiRequest) -> Response:
        """Handle GET /v1/profiles/{name}."""
        saved = await self._context.run_in_thread(saved_profiles, self._store, request.merchant)
        if request.path["name"] not in saved:
            raise Refusal("profile_unknown")
        return json_response(saved[request.path["name"]])

    async def put_profile(self, request: ApiRequest) -> Response:
        """Handle PUT /v1/profiles/{name}."""
        profile: SavedProfile = await request.decode_body(SavedProfile, self._context)
        _check_mapping(profile.map)
        await self._context.run_in_thread(save_profile, self._store, request.merchant, request.path["name"], profile)
        return json_response(profile)

    async def delete_profile(self, request: ApiRequest) -> Response:
        """Handle DELETE /v1/profiles/{name}."""
        if not await self._context.run_in_thread(delete_profile, self._store, request.merchant, request.path["name"]):
            raise Refusal("profile_unknown")
        return Response(status_code=204)

    def _limit(self, request: ApiRequest) -> int:
        return min(int(request.query["limit"]), self._context.limits.page_rows_max)


def _check_mapping(mapping: dict[str, list[str]]) -> None:
    if len(mapping) > MAPPED_COLUMNS_MAX:
        raise refuse("body_invalid", "The mapping has too many columns.", limit=MAPPED_COLUMNS_MAX)
    for column, fields in mapping.items():
        if len(fields) > MAPPED_FIELDS_MAX:
            raise refuse("body_invalid", "A column is mapped to too many fields.", limit=MAPPED_FIELDS_MAX)
        if not all(1 <= len(name) <= MAPPED_CHARACTERS_MAX for name in (column, *fields)):
            detail = f"A name must have 1 to {MAPPED_CHARACTERS_MAX} characters."
            raise refuse("body_invalid", detail, limit=MAPPED_CHARACTERS_MAX)


def _serialize_item(item: Item) -> dict[str, Any]:
    """Return one item; its record is inserted as the stored bytes."""
    sku, location = split_key(item.key)
    versions, locks = plain_group_versions(item.version, item.group_versions), item.locks
    return {
        "key": display_key(item.key),
        "sku": sku,
        "location": location,
        "kind": item.kind,
        "collection": item.collection,
        "version": plain_version(item.version) if item.version is not None else None,
        **({"versions": versions} if versions is not None else {}),
        **({"locked": {field: _serialize_lock(lock) for field, lock in locks.items()}} if locks else {}),
        "batch": item.batch,
        "written_at": item.written_at,
        "record": msgspec.Raw(item.document),
    }


def _serialize_lock(lock: FieldLock) -> dict[str, Any]:
    return {"supplied": lock.supplied} if lock.supplied is not msgspec.UNSET else {}
