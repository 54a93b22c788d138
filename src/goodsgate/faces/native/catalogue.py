"""What is held, and what rules look up."""

import tempfile
from collections.abc import Iterator
from typing import IO

from starlette.responses import Response

from goodsgate.engine.refusal import Refusal
from goodsgate.faces.door import HEAD_BYTES, PIECE_BYTES, Door
from goodsgate.faces.native.answers import answer, page
from goodsgate.faces.native.detection import detect
from goodsgate.faces.native.words import item_words
from goodsgate.faces.refusals import refuse
from goodsgate.faces.routes import Call, Handler
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import KEY_SEPARATOR, Item, item_key
from goodsgate.store.contract import Page

MAPPED_COLUMNS_MAX = 2_000
MAPPED_FIELDS_MAX = 20
MAPPED_CHARACTERS_MAX = 200


class Catalogue:
    """Handlers of collections, reference data and mappings."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._engine = door.engine
        self._store = door.store

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {
            "collections": self.collections, "items": self.items, "item": self.item, "prices": self.prices,
            "stock": self.stock, "reference": self.reference, "load_reference": self.load_reference,
            "mappings": self.mappings, "mapping": self.mapping, "put_mapping": self.put_mapping,
            "drop_mapping": self.drop_mapping,
        }

    # -- collections ------------------------------------------------------------------------------------------------
    async def collections(self, call: Call) -> Response:
        """GET /v1/collections."""
        rows = await self._door.hop(self._store.collections, call.merchant)
        return answer(
            {"collections": [{"kind": kind, "collection": name, "items": items} for kind, name, items in rows]}
        )

    async def items(self, call: Call) -> Response:
        """GET /v1/collections/{collection}/items."""
        found = await self._door.hop(
            self._store.items, call.merchant, Kind(call.query["kind"]), call.path["collection"],
            after=call.query["after"], limit=self._limit(call), prefix=call.query["prefix"],
        )
        return page(call, "items", [item_words(item) for item in found.rows], found.next)

    async def item(self, call: Call) -> Response:
        """GET /v1/collections/{collection}/items/{key}."""
        kind, key = Kind(call.query["kind"]), call.path["key"]
        if kind is not Kind.PRODUCT:
            sku, at, location = key.rpartition("@")
            key = item_key(sku, location) if at else key
        found = await self._door.hop(self._engine.item, call.merchant, kind, call.path["collection"], key)
        return answer(item_words(found))

    async def prices(self, call: Call) -> Response:
        """GET /v1/collections/{collection}/prices/{sku}."""
        return await self._places(call, Kind.PRICE)

    async def stock(self, call: Call) -> Response:
        """GET /v1/collections/{collection}/stock/{sku}."""
        return await self._places(call, Kind.STOCK)

    async def _places(self, call: Call, kind: Kind) -> Response:
        found = await self._door.hop(self._entries, call, kind)
        return page(call, "entries", [item_words(item) for item in found.rows], found.next, sku=call.path["sku"])

    def _entries(self, call: Call, kind: Kind) -> Page[Item]:
        """The entry without a location and the first page of the others, or a further page, or that of one location."""
        merchant, collection, sku = call.merchant, call.path["collection"], call.path["sku"]
        location, after = call.query["location"], call.query["after"]
        if location is not None:
            return Page([self._engine.item(merchant, kind, collection, item_key(sku, location))], None)
        found = self._store.items(
            merchant, kind, collection, prefix=sku + KEY_SEPARATOR, after=after, limit=self._limit(call)
        )
        plain = self._store.item(merchant, kind, collection, sku) if after is None else None
        if plain is None and not found.rows and after is None:
            raise Refusal("item_unknown")
        return Page([plain, *found.rows] if plain is not None else found.rows, found.next)

    # -- reference data ---------------------------------------------------------------------------------------------
    async def reference(self, call: Call) -> Response:
        """GET /v1/reference/{kind}."""
        found = await self._door.hop(
            self._engine.reference, call.merchant, call.path["kind"], search=call.query["q"],
            after=call.query["after"], limit=self._limit(call),
        )
        return page(call, "entries", found.rows, found.next)

    async def load_reference(self, call: Call) -> Response:
        """PUT /v1/reference/{kind}: the body goes to a temporary file first, since all of it or nothing is loaded."""
        config = self._door.config
        body = call.body(config.reference_body_bytes_max, config.body_idle_seconds)
        head = piece = await body.read(HEAD_BYTES)
        format, packing = detect(call, head)
        with tempfile.TemporaryFile() as file:
            while piece:
                await self._door.hop(file.write, piece)
                piece = await body.read(PIECE_BYTES)
            held = await self._door.hop(
                self._engine.load_reference, call.merchant, call.path["kind"], _pieces(file), format=format,
                packing=packing, replace=call.query["replace"],
            )
        return answer({"kind": call.path["kind"], "entries": held})

    # -- mappings ---------------------------------------------------------------------------------------------------
    async def mappings(self, call: Call) -> Response:
        """GET /v1/mappings."""
        return answer({"mappings": await self._door.hop(self._store.mappings, call.merchant)})

    async def mapping(self, call: Call) -> Response:
        """GET /v1/mappings/{name}."""
        found = await self._door.hop(self._store.mapping, call.merchant, call.path["name"])
        if found is None:
            raise Refusal("mapping_unknown")
        return answer(found)

    async def put_mapping(self, call: Call) -> Response:
        """PUT /v1/mappings/{name}."""
        mapping: dict[str, list[str]] = await call.document(dict[str, list[str]], self._door)
        _check_mapping(mapping)
        await self._door.hop(self._store.put_mapping, call.merchant, call.path["name"], mapping)
        return answer(mapping)

    async def drop_mapping(self, call: Call) -> Response:
        """DELETE /v1/mappings/{name}."""
        if not await self._door.hop(self._store.drop_mapping, call.merchant, call.path["name"]):
            raise Refusal("mapping_unknown")
        return Response(status_code=204)

    def _limit(self, call: Call) -> int:
        return min(int(call.query["limit"]), self._door.config.page_rows_max)


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
