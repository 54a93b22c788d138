"""Exports of a merchant's stock and prices: requested, written in the background, downloaded by links."""

import hmac
import re
import secrets
from collections.abc import Iterator
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from starlette.responses import Response, StreamingResponse

from goodsgate.engine.refusal import Refusal
from goodsgate.engine.secrets import UnknownMasterError
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.problems import refuse
from goodsgate.model.batch import Kind, now
from goodsgate.model.catalogue import Resource
from goodsgate.protocols.mircate.dispatcher import CallMethod, MethodCall, page_bounds
from goodsgate.protocols.mircate.export_files import (
    RESOURCE_TYPE,
    ExportStep,
    StockPriceExport,
    file_path,
    find_export,
    read_export,
)
from goodsgate.protocols.mircate.responses import json_response, not_found
from goodsgate.protocols.mircate.unpublished import EXPORTS_MAX, FAILED, LINK_SECONDS
from goodsgate.store.contract import ResourcesFullError, Store, StoreError
from goodsgate.store.objects import Objects

_UNTIL = re.compile(r"[0-9]{1,12}")

PURPOSE = "mircate export"
PAGE = 100


class ExportMethods:
    """Methods Export Stock/Price, List Exports and Get Exported Files, and the handler of files."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store: Store = context.store

    def methods(self) -> dict[str, CallMethod]:
        """Return the methods by operation id."""
        return {
            "export_stock_price": CallMethod(work=self.export_stock_price),
            "list_exports": CallMethod(work=self.list_exports),
            "get_exported_files": CallMethod(work=self.get_exported_files),
        }

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers of paths that are not calls."""
        return {"exported_file": self.file}

    @cached_property
    def _objects(self) -> Objects:
        try:
            return self._context.services.open_exports()
        except StoreError as fault:
            raise Refusal("store_busy", f"No export can be kept: {fault}.") from fault

    def export_stock_price(self, call: MethodCall) -> Response:
        """Start an export."""
        arguments = call.arguments
        _ = self._objects  # without a storage, no export is started
        kinds = tuple(kind for kind in (Kind.STOCK, Kind.PRICE) if arguments.get("type", kind.upper()) == kind.upper())
        export = StockPriceExport(kinds=kinds, channel=arguments.get("channel"), requested_at=now())
        name = secrets.token_hex(16)
        try:
            self._store.add_resource(
                call.merchant, RESOURCE_TYPE, name=name, body=msgspec.json.encode(export), labels=[(name, 0)],
                messages=[ExportStep().message(name)], resources_max=EXPORTS_MAX,
            )
        except ResourcesFullError as fault:
            raise Refusal("queue_full", retry_after_seconds=60) from fault
        return json_response({"exportId": name})

    def list_exports(self, call: MethodCall) -> Response:
        """List exports, newest first."""
        exports = [(resource, read_export(resource)) for resource in self._exports(call.merchant)][::-1]
        first, size = page_bounds(call.arguments)
        rows = exports[first : first + size]
        documents = [_serialize(resource, export) for resource, export in rows]
        return json_response({"exports": documents, "total": len(exports)})

    def get_exported_files(self, call: MethodCall) -> Response:
        """Return links to the files, which work for anybody who has them, for an hour."""
        resource = find_export(self._store, call.merchant, call.arguments["exportId"])
        if resource is None:
            raise not_found()
        base = self._context.services.settings.public_url or str(call.request.http.base_url).rstrip("/")
        export = read_export(resource)
        files = [{"filename": file, "url": self._link(resource, file, base)} for file in export.files]
        return json_response({**_serialize(resource, export), "files": files})

    def _exports(self, merchant: str) -> Iterator[Resource]:
        after = 0
        while page := self._store.resources(merchant, RESOURCE_TYPE, after=after, limit=PAGE):
            yield from page
            after = page[-1].number

    # -- links --------------------------------------------------------------------------------------------------------

    def _link(self, resource: Resource, file: str, base: str) -> str:
        presigned = self._objects.sign(file_path(resource, file), LINK_SECONDS)
        if presigned is not None:
            return presigned
        until = str(int(now().timestamp()) + LINK_SECONDS)
        path = f"{quote(resource.merchant)}/{resource.name}/{file}"
        signature, master = self._context.services.secrets.derived(PURPOSE, f"{path}/{until}")
        query = urlencode({"until": until, "by": master, "signature": signature.hex()})
        return f"{base}/mircate/exports/{path}?{query}"

    async def file(self, request: ApiRequest) -> Response:
        """Answer GET /mircate/exports/{merchant}/{export}/{file}, to which a link leads."""
        path = "/".join(quote(request.path[name]) for name in ("merchant", "export", "file"))
        await self._context.run_in_thread(self._check_link, path, request.query)
        content = await self._context.run_in_thread(self._objects.get, path)
        if content is None:
            raise not_found()
        headers = {
            "content-disposition": f'attachment; filename="{request.path["file"]}"',
            "cache-control": "private, no-store"
        }
        return StreamingResponse(await self._context.threads.stream(content), media_type="text/csv", headers=headers)

    def _check_link(self, path: str, query: dict[str, Any]) -> None:
        until, by, signature = str(query["until"]), str(query["by"]), str(query["signature"])
        try:
            expected, _ = self._context.services.secrets.derived(PURPOSE, f"{path}/{until}", by=by)
        except UnknownMasterError as fault:
            raise refuse("forbidden") from fault
        if not hmac.compare_digest(expected.hex(), signature) or not _UNTIL.fullmatch(until) \
                or int(until) < now().timestamp():
            raise refuse("forbidden")


def _serialize(resource: Resource, export: StockPriceExport) -> dict[str, object]:
    document: dict[str, object] = {
        "exportId": resource.name, "status": export.status, "createdAt": export.requested_at,
        "types": [kind.upper() for kind in export.kinds],
    }
    if export.channel is not None:
        document["channel"] = export.channel
    return {**document, "message": export.last_error} if export.status == FAILED else document

