"""Destinations: places to which workers write feeds of a merchant's catalogue."""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.engine.destination_definitions import (
    DestinationChange,
    DestinationView,
    PublishedFile,
    decode_destination_report,
)
from goodsgate.engine.destinations import DestinationAnswer
from goodsgate.engine.export import MEDIA_TYPES
from goodsgate.engine.feed_check import FeedCheck, check_feed
from goodsgate.engine.feed_files import wanted_items
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.report import Report
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.model.job import JobRun
from goodsgate.model.json_text import write_json
from goodsgate.protocols.native.batch_queries import matches
from goodsgate.protocols.native.feeds import feed_check_response
from goodsgate.protocols.native.idempotency import request_key
from goodsgate.protocols.native.responses import JSON, json_response, page_response

CHECK_SECONDS = 0.25
"""So long are items examined for one page."""
COMPRESSED_MEDIA_TYPES = {"gzip": "application/gzip", "zstd": "application/zstd"}


class DestinationHandlers:
    """Handlers of everything under ``/v1/destinations``, and of the feeds that are served."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._destinations = context.services.destinations
        self._base_url = context.services.settings.public_url or context.services.settings.local_url

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "destinations": self.destinations, "destination": self.destination, "put_destination": self.put,
            "delete_destination": self.delete, "pause_destination": self.pause, "resume_destination": self.resume,
            "run_destination": self.run, "approve_destination": self.approve, "discard_destination": self.discard,
            "test_destination": self.test, "destination_runs": self.runs, "destination_issues": self.issues,
            "served_feed": self.served,
        }

    async def destinations(self, request: ApiRequest) -> Response:
        """Handle GET /v1/destinations."""
        views = await self._context.run_in_thread(self._destinations.all, request.merchant)
        return json_response({"destinations": [self._document(view) for view in views]})

    async def destination(self, request: ApiRequest) -> Response:
        """Handle GET /v1/destinations/{name}."""
        return json_response(self._document(await self._view(request)))

    async def put(self, request: ApiRequest) -> Response:
        """Handle PUT /v1/destinations/{name}."""
        change = await request.decode_body(DestinationChange, self._context)
        saved = await self._context.run_in_thread(
            self._destinations.save, request.merchant, request.path["name"], change
        )
        return json_response(self._document(saved))

    async def delete(self, request: ApiRequest) -> Response:
        """Handle DELETE /v1/destinations/{name}."""
        await self._context.run_in_thread(self._destinations.delete, request.merchant, request.path["name"])
        return Response(status_code=204)

    async def pause(self, request: ApiRequest) -> Response:
        """Handle POST /v1/destinations/{name}/pause."""
        return await self._act(request, self._destinations.pause)

    async def resume(self, request: ApiRequest) -> Response:
        """Handle POST /v1/destinations/{name}/resume."""
        return await self._act(request, self._destinations.resume)

    async def run(self, request: ApiRequest) -> Response:
        """Handle POST /v1/destinations/{name}/run."""
        return await self._act(request, self._destinations.request_run)

    async def approve(self, request: ApiRequest) -> Response:
        """Handle POST /v1/destinations/{name}/approve."""
        return await self._act(request, self._destinations.approve)

    async def discard(self, request: ApiRequest) -> Response:
        """Handle POST /v1/destinations/{name}/discard."""
        return await self._act(request, self._destinations.discard)

    async def test(self, request: ApiRequest) -> Response:
        """Handle POST /v1/destinations/{name}/test."""
        await request.read_body(self._context)
        pinned = await self._context.run_in_thread(
            self._destinations.test, request.merchant, request.path["name"]
        )
        return json_response({"connected": True, "host_key": pinned or None})

    async def runs(self, request: ApiRequest) -> Response:
        """Handle GET /v1/destinations/{name}/runs."""
        view, query = await self._view(request), request.query
        limit = min(int(query["limit"]), self._context.limits.page_rows_max)
        runs = await self._context.run_in_thread(self._destinations.runs, view, before=query["after"], limit=limit)
        after = str(runs[-1].number) if len(runs) == limit else None
        return page_response(request, "runs", [*map(destination_run_document, runs)], after)

    async def issues(self, request: ApiRequest) -> Response:
        """Handle GET /v1/destinations/{name}/issues."""
        view, query = await self._view(request), request.query
        table = view.destination.table()
        if table is None:
            return feed_check_response(request, FeedCheck(items=[], examined=0, next=None))
        check = await self._context.run_in_thread(
            check_feed, self._context.store, request.merchant, view.destination.collection, table,
            wanted=wanted_items(view.destination.request), only_errors=query["only"] == "errors",
            after=query["after"], limit=min(int(query["limit"]), self._context.limits.page_rows_max),
            seconds=CHECK_SECONDS,
        )
        return feed_check_response(request, check)

    async def served(self, request: ApiRequest) -> Response:
        """Handle GET /v1/feeds/{merchant}/{feed}/{signature}/{file}."""
        path = request.path
        view, file = await self._context.run_in_thread(
            self._served_file, path["merchant"], int(path["feed"]), path["signature"], path["file"]
        )
        etag = f'"{file.sha256}"'
        headers = {"etag": etag, "cache-control": "no-cache"}
        if view.state.published_at is not None:
            headers["last-modified"] = view.state.published_at.strftime("%a, %d %b %Y %H:%M:%S GMT")
        known = request.http.headers.get("if-none-match")
        if known is not None and matches(known, etag):
            return Response(status_code=304, headers=headers)
        response = await self._context.report(
            request.http.scope, view.merchant, lambda: self._open(view, file)
        )
        response.headers.update({**headers, "content-length": str(file.bytes)})
        return response

    def _served_file(self, merchant: str, number: int, signature: str, name: str,
                     ) -> tuple[DestinationView, PublishedFile]:
        """Return what a served address means. Raises Refusal: feed_unknown, the same for whatever is wrong."""
        view = self._destinations.served(merchant, number, signature)
        for file in view.state.files if view is not None else ():
            if view is not None and file.name == name:
                return view, file
        raise Refusal("feed_unknown")

    def _open(self, view: DestinationView, file: PublishedFile) -> Report:
        destination = view.destination
        pieces = self._destinations.open_objects().get(file.path)
        if pieces is None:
            raise Refusal("feed_unknown")
        media_type = COMPRESSED_MEDIA_TYPES.get(destination.compression) or MEDIA_TYPES[destination.format]
        return Report(media_type=media_type, filename=file.name, pieces=pieces)

    async def _view(self, request: ApiRequest) -> DestinationView:
        return await self._context.run_in_thread(
            self._destinations.destination, request.merchant, request.path["name"]
        )

    async def _act(self, request: ApiRequest, act: Callable[..., DestinationView]) -> Response:
        """Carry out a request without a body once."""
        key = request_key(request, await request.read_body(self._context))
        answer = DestinationAnswer(key, self._encode) if key is not None else None

        def work() -> bytes:
            return self._encode(act(request.merchant, request.path["name"], answer=answer))

        body = await self._context.run_in_thread(self._context.engine.answer_once, key, work)
        return Response(body, media_type=JSON)

    def _encode(self, view: DestinationView) -> bytes:
        return write_json(self._document(view))

    def _document(self, view: DestinationView) -> dict[str, Any]:
        """Return a destination as the API shows it: without the values of its credential."""
        destination, state = view.destination, view.state
        urls = served_urls(view, self._destinations.signature(view), self._base_url) if destination.is_served else []
        return {
            "name": view.name, "to": destination.to, "urls": urls, "description": destination.description,
            "profile": destination.profile, "format": destination.format, "compression": destination.compression,
            "kind": destination.kind, "collection": destination.collection, "groups": destination.groups,
            "in_stock": destination.in_stock, "fields": destination.fields, "values": destination.values,
            "incomplete": destination.incomplete, "mode": destination.mode,
            "file_items_max": destination.file_items_max, "cron": destination.cron, "timezone": destination.timezone,
            "hold_if_shrinks": destination.hold_if_shrinks, "username": destination.username,
            "credential": destination.credential.display(), "host_key": destination.host_key or None,
            "endpoint": destination.endpoint, "region": destination.region, "created_at": destination.created_at,
            "paused_at": destination.paused_at, "state": view.status, "held_run": view.held_run or None,
            "next_run_at": destination.next_run(state), "last_run_at": state.ran_at,
            "published_at": state.published_at, "items": state.items, "error": state.error or None,
            "runs": view.job.last_run,
        }


def served_urls(view: DestinationView, signature: str, base_url: str) -> list[str]:
    """Return the addresses of the files of a served feed; that of the first one before it was ever published."""
    run = JobRun(number=view.state.published_run, started_at=view.state.published_at or view.destination.created_at)
    names = [file.name for file in view.state.files] or [view.destination.file_name(run, 1)]
    return [f"{base_url}/v1/feeds/{view.merchant}/{view.number}/{signature}/{name}" for name in names]


def destination_run_document(run: JobRun) -> dict[str, Any]:
    """Return a run as the API shows it."""
    report = decode_destination_report(run)
    return {
        "number": run.number, "state": report.state, "requested": report.requested, "started_at": run.started_at,
        "ended_at": run.ended_at, "reason": report.reason or None, "retry_at": report.retry_at,
        "items": report.items, "written": report.written, "incomplete": report.incomplete, "full": report.is_full,
        "left_out": report.left_out, "issues": msgspec.to_builtins(report.issues),
        "files": [
            {"name": file.name, "items": file.items, "bytes": file.bytes, "sha256": file.sha256}
            for file in report.files
        ],
    }
