"""The change feed: changes of the catalogue in their order, as pages, long polls and server-sent events."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from starlette.responses import Response, StreamingResponse

from goodsgate.engine.change_documents import change_documents, encode_change, encode_change_lines
from goodsgate.engine.refusal import Refusal
from goodsgate.http.change_watch import Subject, Topic
from goodsgate.http.context import CURSOR_HEADER, ServerContext, find_secret
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.long_poll import unless_disconnected
from goodsgate.model.batch import Kind
from goodsgate.model.journal import JournalPage, JournalPosition
from goodsgate.model.json_text import write_json
from goodsgate.protocols.native.responses import JSON, next_link
from goodsgate.store.contract import StoreBusyError

NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"
MEDIA_TYPES = (JSON, NDJSON, EVENT_STREAM)
NOW = "now"
"""A cursor of requests: behind the last change."""
PAGE_FACTOR = 10
"""A page may have so many times the changes that a page of a listing has rows."""
HEARTBEAT_SECONDS = 15.0
STREAM_SECONDS_MAX = 3_600.0
"""Then an event stream ends, and its client goes on with another one."""
UNKNOWN = -1
"""A generation that is never the current one."""
STORE_RETRY_SECONDS = 1.0
"""Interval at which an event stream retries while the store is unavailable."""


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
            page = await unless_disconnected(request.http, self._next_page(request, after, seconds))
        else:
            page = await self._read(request, after)
        if page.changes:
            body = await self._context.run_in_thread(_page_body, request, page, media_type)
        else:
            body = _page_body(request, page, media_type)
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
            collection=query["collection"],
            limit=min(query["limit"], PAGE_FACTOR * self._context.limits.page_rows_max),
        )

    async def _next_page(self, request: ApiRequest, after: str | None, seconds: float) -> JournalPage:
        """Return the next changes as soon as there are some, or none when the time is up."""
        with self._context.change_watch.hold(Topic.JOURNAL, request.merchant) as subject:
            generation = subject.generation
            page = _read_before(subject, after) or await self._read(request, after)
            if not page.changes:
                page, _ = await self._wait(request, page, subject, generation, seconds)
            return page

    async def _wait(self, request: ApiRequest, page: JournalPage, subject: Subject, generation: int, seconds: float,
                    ) -> tuple[JournalPage, int]:
        """Return the changes behind a page as soon as there are some, and the generation of the journal.

        The page was read when the journal had `generation`; nothing is read before it has another one.
        """
        watch, loop = self._context.change_watch, asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            if page.is_last:
                watch.record(subject, (page.position.number,))
                subject.last_seen = generation, page.position
                if not await watch.wait(subject, generation, until - loop.time()):
                    return msgspec.structs.replace(page, changes=[]), generation
            generation = subject.generation
            page = await self._read(request, page.position.cursor)
            if page.changes or watch.closed or loop.time() >= until:
                return page, generation

    async def _events(self, request: ApiRequest, page: JournalPage) -> AsyncIterator[bytes]:
        """Yield changes as events until the gate stops, the time is up, or the key or the cursor is no longer valid."""
        yield b"retry: 3000\n\n"
        with self._context.change_watch.hold(Topic.JOURNAL, request.merchant) as subject:
            async for events in self._watched_events(request, page, subject):
                yield events

    async def _watched_events(self, request: ApiRequest, page: JournalPage, subject: Subject) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        until = loop.time() + STREAM_SECONDS_MAX
        generation = UNKNOWN
        while True:
            yield await self._context.run_in_thread(_events, request, page)
            if self._context.change_watch.closed or loop.time() > until:
                return
            try:
                await self._context.caller(find_secret(dict(request.http.scope["headers"])), permission="read")
                page, generation = await self._wait(request, page, subject, generation, HEARTBEAT_SECONDS)
            except StoreBusyError:
                # Ending the stream would make every client connect again at the same moment.
                page, generation = JournalPage([], page.position, is_last=True), UNKNOWN
                await asyncio.sleep(STORE_RETRY_SECONDS)
            except Refusal:
                return  # a new request is answered with the reason


def _wanted_media_type(accept: str) -> str:
    """Return the first media type of the header that there is; JSON if it names none."""
    names = (name.split(";")[0].strip().lower() for name in accept.split(","))
    return next((name for name in names if name in MEDIA_TYPES), JSON)


def _read_before(subject: Subject, after: str | None) -> JournalPage | None:
    """Return an empty page if the journal ended at this cursor when it was last read, and has not changed since."""
    if subject.last_seen is None:
        return None
    generation, position = subject.last_seen
    assert isinstance(position, JournalPosition)
    is_end = generation == subject.generation and position.cursor == after
    return JournalPage([], position, is_last=True) if is_end else None


def _page_body(request: ApiRequest, page: JournalPage, media_type: str) -> bytes:
    documents = list(change_documents(page.changes, request.query["fields"]))
    if media_type == NDJSON:
        return encode_change_lines(documents)
    return write_json({
        "changes": documents, "cursor": page.position.cursor, "more": not page.is_last, "next": _next(request, page),
    })


def _next(request: ApiRequest, page: JournalPage) -> str:
    link = next_link(request.http.url.path, request.query, page.position.cursor)
    assert link is not None
    return link


def _events(request: ApiRequest, page: JournalPage) -> bytes:
    """Return an event for each change, and a cursor without data if the page goes on behind the last one."""
    events = [
        b"event: change\nid: %s\ndata: %s\n\n" % (document.cursor.encode(), encode_change(document))
        for document in change_documents(page.changes, request.query["fields"])
    ]
    if not page.changes or page.changes[-1].position != page.position:
        events.append(b": heartbeat\nid: %s\n\n" % page.position.cursor.encode())
    return b"".join(events)
