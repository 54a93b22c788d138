"""What a merchant has in stock and at which prices, as files: asked for, made beside the work, fetched by links."""

import hmac
import secrets
from collections.abc import Iterator
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from starlette.responses import Response, StreamingResponse

from goodsgate.engine.refusal import Refusal
from goodsgate.engine.secrets import MasterUnknown
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.problems import refuse
from goodsgate.model.batch import Kind, now
from goodsgate.model.catalogue import Resource
from goodsgate.protocols.mircate.answers import answer, missing
from goodsgate.protocols.mircate.exporting import SORT, Export, Step, export_of, named, path_of
from goodsgate.protocols.mircate.guesses import EXPORTS_MAX, FAILED, LINK_SECONDS
from goodsgate.protocols.mircate.transport import Asked, Method, page_of
from goodsgate.store.contract import ResourcesFullError, Store, StoreError
from goodsgate.store.objects import Objects, open_objects

PURPOSE = "mircate export"
PAGE = 100


class Exports:
    """Export Stock/Price, List Exports, Get Exported Files, and the files."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store: Store = context.store

    def methods(self) -> dict[str, Method]:
        """By operation id."""
        return {
            "export_stock_price": Method(work=self.export_stock_price),
            "list_exports": Method(work=self.list_exports),
            "get_exported_files": Method(work=self.get_exported_files),
        }

    def handlers(self) -> dict[str, Handler]:
        """Of what is no call."""
        return {"exported_file": self.file}

    @cached_property
    def _objects(self) -> Objects:
        config = self._context.config
        try:
            return open_objects(config.exports, store=config.store, name="exports", setting="exports")
        except StoreError as fault:
            raise Refusal("store_busy", f"No export can be kept: {fault}.") from fault

    def export_stock_price(self, asked: Asked) -> Response:
        """Begin one."""
        told = asked.arguments
        _ = self._objects  # nothing is begun that could not be kept
        kinds = tuple(kind for kind in (Kind.STOCK, Kind.PRICE) if told.get("type", kind.upper()) == kind.upper())
        export = Export(kinds=kinds, channel=told.get("channel"), asked_at=now())
        name = secrets.token_hex(16)
        try:
            self._store.add_resource(
                asked.merchant, SORT, name=name, body=msgspec.json.encode(export), labels=[(name, 0)],
                messages=[Step().message(name)], resources_max=EXPORTS_MAX,
            )
        except ResourcesFullError as fault:
            raise Refusal("queue_full", retry_after_seconds=60) from fault
        return answer({"exportId": name})

    def list_exports(self, asked: Asked) -> Response:
        """Newest first."""
        found = [(resource, export_of(resource)) for resource in self._all(asked.merchant)][::-1]
        first, size = page_of(asked.arguments)
        rows = found[first : first + size]
        return answer({"exports": [_words(resource, export) for resource, export in rows], "total": len(found)})

    def get_exported_files(self, asked: Asked) -> Response:
        """Links by which whoever has them may fetch the files for an hour."""
        resource = named(self._store, asked.merchant, asked.arguments["exportId"])
        if resource is None:
            raise missing()
        base = self._context.config.public_url.rstrip("/") or str(asked.request.http.base_url).rstrip("/")
        export = export_of(resource)
        files = [{"filename": file, "url": self._link(resource, file, base)} for file in export.files]
        return answer({**_words(resource, export), "files": files})

    def _all(self, merchant: str) -> Iterator[Resource]:
        after = 0
        while page := self._store.resources(merchant, SORT, after=after, limit=PAGE):
            yield from page
            after = page[-1].number

    # -- links --------------------------------------------------------------------------------------------------------

    def _link(self, resource: Resource, file: str, base: str) -> str:
        signed = self._objects.sign(path_of(resource, file), LINK_SECONDS)
        if signed is not None:
            return signed
        until = str(int(now().timestamp()) + LINK_SECONDS)
        place = f"{quote(resource.merchant)}/{resource.name}/{file}"
        signature, master = self._context.engine.secrets.derived(PURPOSE, f"{place}/{until}")
        query = urlencode({"until": until, "by": master, "signature": signature.hex()})
        return f"{base}/mircate/exports/{place}?{query}"

    async def file(self, request: ApiRequest) -> Response:
        """GET /mircate/exports/{merchant}/{export}/{file}: what a link leads to."""
        place = "/".join(quote(request.path[name]) for name in ("merchant", "export", "file"))
        await self._context.run_in_thread(self._check, place, request.query)
        found = await self._context.run_in_thread(self._objects.get, place)
        if found is None:
            raise missing()
        headers = {
            "content-disposition": f'attachment; filename="{request.path["file"]}"',
            "cache-control": "private, no-store"
        }
        return StreamingResponse(await self._context.stream(found), media_type="text/csv", headers=headers)

    def _check(self, place: str, query: dict[str, Any]) -> None:
        until, by, signature = str(query["until"]), str(query["by"]), str(query["signature"])
        try:
            wanted, _ = self._context.engine.secrets.derived(PURPOSE, f"{place}/{until}", by=by)
        except MasterUnknown as fault:
            raise refuse("forbidden") from fault
        if not hmac.compare_digest(wanted.hex(), signature) or int(until) < now().timestamp():
            raise refuse("forbidden")


def _words(resource: Resource, export: Export) -> dict[str, object]:
    words: dict[str, object] = {
        "exportId": resource.name, "status": export.status, "createdAt": export.asked_at,
        "types": [kind.upper() for kind in export.kinds],
    }
    if export.channel is not None:
        words["channel"] = export.channel
    return {**words, "message": export.trouble} if export.status == FAILED else words

