"""What is held, and what rules look up."""

import tempfile
from collections.abc import Iterator
from typing import IO

from starlette.responses import Response

from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import HEAD_BYTES, PIECE_BYTES, ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.problems import refuse
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import KEY_SEPARATOR, Item, item_key
from goodsgate.protocols.native.answers import answer, page
from goodsgate.protocols.native.detection import detect
from goodsgate.protocols.native.words import item_words
from goodsgate.store.contract import Page

MAPPED_COLUMNS_MAX = 2_000
MAPPED_FIELDS_MAX = 20
MAPPED_CHARACTERS_MAX = 200


class Catalogue:
    """Handlers of collections, reference data and mappings."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._engine = context.engine
        self._store = context.store

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {
            "collections": self.collections, "items": self.items, "item": self.item, "prices": self.prices,
            "stock": self.stock, "reference": self.reference, "load_reference": self.load_reference,
            "mappings": self.mappings, "mapping": self.mapping, "put_mapping": self.put_mapping,
            "drop_mapping": self.drop_mapping,
        }

    # -- collections ------------------------------------------------------------------------------------------------
    async def collections(self, request: ApiRequest) -> Response:
        """GET /v1/collections."""
        rows = await self._context.run_in_thread(self._store.collections, request.merchant)
        return answer(
            {"collections": [{"kind": kind, "collection": name, "items": items} for kind, name, items in rows]}
        )

    async def items(self, request: ApiRequest) -> Response:
        """GET /v1/collections/{collection}/items."""
        found = await self._context.run_in_thread(
            self._store.items, request.merchant, Kind(request.query["kind"]), request.path["collection"],
            after=request.query["after"], limit=self._limit(request), prefix=request.query["prefix"],
        )
        return page(request, "items", [item_words(item) for item in found.rows], found.next)

    async def item(self, request: ApiRequest) -> Response:
        """GET /v1/collections/{collection}/items/{key}."""
        kind, key = Kind(request.query["kind"]), request.path["key"]
        if kind is not Kind.PRODUCT:
            sku, at, location = key.rpartition("@")
            key = item_key(sku, location) if at else key
        found = await self._context.run_in_thread(self._engine.item, request.merchant, kind,
            request.path["collection"], key)
        return answer(item_words(found))

    async def prices(self, request: ApiRequest) -> Response:
        """GET /v1/collections/{collection}/prices/{sku}."""
        return await self._places(request, Kind.PRICE)

    async def stock(self, request: ApiRequest) -> Response:
        """GET /v1/collections/{collection}/stock/{sku}."""
        return await self._places(request, Kind.STOCK)

    async def _places(self, request: ApiRequest, kind: Kind) -> Response:
        found = await self._context.run_in_thread(self._entries, request, kind)
        return page(request, "entries", [item_words(item) for item in found.rows], found.next, sku=request.path["sku"])

    def _entries(self, request: ApiRequest, kind: Kind) -> Page[Item]:
        """The entry without a location and the first page of the others, or a further page, or that of one location."""
        merchant, collection, sku = request.merchant, request.path["collection"], request.path["sku"]
        location, after = request.query["location"], request.query["after"]
        if location is not None:
            return Page([self._engine.item(merchant, kind, collection, item_key(sku, location))], None)
        found = self._store.items(
            merchant, kind, collection, prefix=sku + KEY_SEPARATOR, after=after, limit=self._limit(request)
        )
        plain = self._store.item(merchant, kind, collection, sku) if after is None else None
        if plain is None and not found.rows and after is None:
            raise Refusal("item_unknown")
        return Page([plain, *found.rows] if plain is not None else found.rows, found.next)

    # -- reference data ---------------------------------------------------------------------------------------------
    async def reference(self, request: ApiRequest) -> Response:
        """GET /v1/reference/{kind}."""
        found = await self._context.run_in_thread(
            self._engine.reference, request.merchant, request.path["kind"], search=request.query["q"],
            after=request.query["after"], limit=self._limit(request),
        )
        return page(request, "entries", found.rows, found.next)

    async def load_reference(self, request: ApiRequest) -> Response:
        """PUT /v1/reference/{kind}: the body goes to a temporary file first, since all of it or nothing is loaded."""
        config = self._context.config
        body = request.body(config.reference_body_bytes_max, config.body_idle_seconds)
        head = piece = await body.read(HEAD_BYTES)
        format, content_encoding = detect(request, head)
        with tempfile.TemporaryFile() as file:
            while piece:
                await self._context.run_in_thread(file.write, piece)
                piece = await body.read(PIECE_BYTES)
            held = await self._context.run_in_thread(
                self._engine.load_reference, request.merchant, request.path["kind"], _pieces(file), format=format,
                content_encoding=content_encoding, replace=request.query["replace"],
            )
        return answer({"kind": request.path["kind"], "entries": held})

    # -- mappings ---------------------------------------------------------------------------------------------------
    async def mappings(self, request: ApiRequest) -> Response:
        """GET /v1/mappings."""
        return answer({"mappings": await self._context.run_in_thread(self._store.mappings, request.merchant)})

    async def mapping(self, request: ApiRequest) -> Response:
        """GET /v1/mappings/{name}."""
        found = await self._context.run_in_thread(self._store.mapping, request.merchant, request.path["name"])
        if found is None:
            raise Refusal("mapping_unknown")
        return answer(found)

    async def put_mapping(self, request: ApiRequest) -> Response:
        """PUT /v1/mappings/{name}."""
        mapping: dict[str, list[str]] = await request.decode_body(dict[str, list[str]], self._context)
        _check_mapping(mapping)
        await self._context.run_in_thread(self._store.put_mapping, request.merchant, request.path["name"], mapping)
        return answer(mapping)

    async def drop_mapping(self, request: ApiRequest) -> Response:
        """DELETE /v1/mappings/{name}."""
        if not await self._context.run_in_thread(self._store.delete_mapping, request.merchant, request.path["name"]):
            raise Refusal("mapping_unknown")
        return Response(status_code=204)

    def _limit(self, request: ApiRequest) -> int:
        return min(int(request.query["limit"]), self._context.config.page_rows_max)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(PIECE_BYTES):
        yield piece


def _check_mapping(mapping: dict[str, list[str]]) -> None:
    if len(mapping) > MAPPED_COLUMNS_MAX:
        raise refuse("body_invalid", "The mapping names too many columns.", limit=MAPPED_COLUMNS_MAX)
    for column, fields in mapping.items():
        if len(fields) > MAPPED_FIELDS_MAX:
            raise refuse("body_invalid", "A column is mapped to too many fields.", limit=MAPPED_FIELDS_MAX)
        if not all(1 <= len(name) <= MAPPED_CHARACTERS_MAX for name in (column, *fields)):
            detail = f"Names have 1 to {MAPPED_CHARACTERS_MAX} characters."
            raise refuse("body_invalid", detail, limit=MAPPED_CHARACTERS_MAX)
