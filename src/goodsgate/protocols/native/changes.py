"""The change feed: changes of the catalogue in their order, as pages, long polls and server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta

import msgspec
from starlette.responses import Response, StreamingResponse

from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import CURSOR_HEADER, ServerContext, find_secret
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.long_poll import unless_disconnected
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import display_key, split_key
from goodsgate.model.journal import ChangeOperation, ItemChange, JournalPage
from goodsgate.protocols.native.responses import JSON, next_link
from goodsgate.store.contract import StoreBusyError

NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"
MEDIA_TYPES = (JSON, NDJSON, EVENT_STREAM)
NOW = "now"
"""A cursor of requests: behind the last change."""
HEARTBEAT_SECONDS = 15.0
STREAM_SECONDS_MAX = 3_600.0
"""Then an event stream ends, and its client goes on with another one."""
STORE_RETRY_SECONDS = 1.0
"""Interval at which an event stream retries while the store is unavailable."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ChangeDocument(msgspec.Struct, frozen=True):
    """A change as clients read it."""

    number: int
    cursor: str
    written_at: datetime
    kind: Kind
    collection: str
    key: str | None
    sku: str | None
    location: str | None
    operation: ChangeOperation
    batch: str | None
    order: str | None
    record: int | None
    row: int | None
    before: msgspec.Raw | msgspec.UnsetType | None = msgspec.UNSET
    after: msgspec.Raw | msgspec.UnsetType | None = msgspec.UNSET


_encoder = msgspec.json.Encoder()


class ChangeHandlers:
    """Handlers of the change feed."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._engine = context.engine

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {"changes": self.changes}

    async def changes(self, request: ApiRequest) -> Response:
        """Handle GET /v1/changes."""
        media_type = _wanted_media_type(request.http.headers.get("accept", ""))
        after: str | None = request.query["after"]
        if media_type == EVENT_STREAM:
            after = request.http.headers.get("last-event-id") or after
        if after == NOW:
            after = (await self._context.run_in_thread(self._engine.last_change, request.merchant)).cursor
        if media_type == EVENT_STREAM:
            page = await self._read(request, after)
            self._context.sessions.hold(request.http.scope, request.merchant)
            headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
            return StreamingResponse(self._events(request, page), media_type=EVENT_STREAM, headers=headers)
        seconds = min(float(request.query["wait"]), self._context.limits.wait_seconds_max)
        if seconds:
            self._context.sessions.hold(request.http.scope, request.merchant)
            page = await unless_disconnected(request.http, self._wait(request, after, seconds))
        else:
            page = await self._read(request, after)
        body = await self._context.run_in_thread(_page_body, request, page, media_type)
        headers = {
            CURSOR_HEADER: page.position.cursor, "link": f'<{_next(request, page)}>; rel="next"',
            "cache-control": "no-store",
        }
        return Response(body, media_type=media_type, headers=headers)

    async def _read(self, request: ApiRequest, after: str | None) -> JournalPage:
        """Return the next changes that are there. Raises as `Engine.changes`."""
        query = request.query
        return await self._context.run_in_thread(
            self._engine.changes, request.merchant, after=after, kind=Kind(query["kind"]) if query["kind"] else None,
            collection=query["collection"], limit=query["limit"],
        )

    async def _wait(self, request: ApiRequest, after: str | None, seconds: float) -> JournalPage:
        """Return the next changes as soon as there are some, or none when the time is up."""
        signal, loop = self._context.change_signal, asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            token = signal.now()
            page = await self._read(request, after)
            left = until - loop.time()
            if page.changes or left <= 0 or signal.closed:
                return page
            after = page.position.cursor
            if page.is_last:
                await signal.wait_for_change(token, left)

    async def _events(self, request: ApiRequest, page: JournalPage) -> AsyncIterator[bytes]:
        """Yield changes as events until the gate stops, the time is up, or the key or the cursor is no longer valid."""
        loop = asyncio.get_running_loop()
        until = loop.time() + STREAM_SECONDS_MAX
        yield b"retry: 3000\n\n"
        while True:
            yield await self._context.run_in_thread(_events, request, page)
            if self._context.change_signal.closed or loop.time() > until:
                return
            try:
                await self._context.caller(find_secret(dict(request.http.scope["headers"])), scope="read")
                page = await self._wait(request, page.position.cursor, HEARTBEAT_SECONDS)
            except StoreBusyError:
                # Ending the stream would make every client connect again at the same moment.
                page = JournalPage([], page.position, is_last=True)
                await asyncio.sleep(STORE_RETRY_SECONDS)
            except Refusal:
                return  # a new request is answered with the reason


def _wanted_media_type(accept: str) -> str:
    """Return the first media type of the header that there is; JSON if it names none."""
    names = (name.split(";")[0].strip().lower() for name in accept.split(","))
    return next((name for name in names if name in MEDIA_TYPES), JSON)


def _page_body(request: ApiRequest, page: JournalPage, media_type: str) -> bytes:
    documents = list(_serialize_changes(page.changes, request.query["fields"]))
    if media_type == NDJSON:
        return _encoder.encode_lines(documents)
    return _encoder.encode({
        "changes": documents, "cursor": page.position.cursor, "more": not page.is_last, "next": _next(request, page),
    })


def _next(request: ApiRequest, page: JournalPage) -> str:
    link = next_link(request.http.url.path, request.query, page.position.cursor)
    assert link is not None
    return link


def _events(request: ApiRequest, page: JournalPage) -> bytes:
    """Return an event for each change, and a cursor without data if the page goes on behind the last one."""
    events = [
        b"event: change\nid: %s\ndata: %s\n\n" % (document.cursor.encode(), _encoder.encode(document))
        for document in _serialize_changes(page.changes, request.query["fields"])
    ]
    if not page.changes or page.changes[-1].position != page.position:
        events.append(b": heartbeat\nid: %s\n\n" % page.position.cursor.encode())
    return b"".join(events)


def _serialize_changes(changes: Iterable[ItemChange], fields: list[str]) -> Iterable[ChangeDocument]:
    """Yield changes; their documents are inserted as the stored bytes."""
    with_before, with_after = "before" in fields, "after" in fields
    written_at, time = 0, EPOCH
    for change in changes:
        if change.written_at != written_at:
            written_at = change.written_at
            time = EPOCH + timedelta(microseconds=written_at)
        sku, location = split_key(change.key)
        before, after = change.before, change.after
        yield ChangeDocument(
            change.number, change.position.cursor, time, change.kind, change.collection,
            display_key(change.key), sku, location, change.operation, change.batch, change.order, change.record,
            change.row,
            (msgspec.Raw(before.document) if before is not None else None) if with_before else msgspec.UNSET,
            (msgspec.Raw(after.document) if after is not None else None) if with_after else msgspec.UNSET,
        )
