"""Server-sent events that tell open pages to reload their live fragments."""

import asyncio
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from goodsgate.console.rendering import HEADERS
from goodsgate.console.request import ConsoleRequest
from goodsgate.http.change_watch import ChangeWatch, Subject, Topic
from goodsgate.http.context import ServerContext
from goodsgate.store.contract import StoreBusyError

PAUSE_SECONDS = 1.0
"""Shortest time between two events: people do not read faster."""
HEARTBEAT_SECONDS = 15.0
CHANGE_EVENT = b"event: change\ndata: -\n\n"


class ChangeEvents:
    """The event stream of open pages. An event says that something changed, not what."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    async def get(self, request: ConsoleRequest) -> Response:
        """Stream events until the session ends, the gate stops or the client disconnects; raises as `sessions.hold`."""
        self._context.sessions.hold(request.http.scope, request.caller.merchant)
        headers = {**HEADERS, "x-accel-buffering": "no"}
        return StreamingResponse(self._events(request), media_type="text/event-stream", headers=headers)

    async def _events(self, request: ConsoleRequest) -> AsyncIterator[bytes]:
        watch = self._context.change_watch
        merchant = "" if request.is_admin else request.caller.merchant  # who sees them all hears of all
        with watch.hold(Topic.MERCHANT, merchant) as subject:
            async for event in self._changes(request, watch, subject):
                yield event

    async def _changes(self, request: ConsoleRequest, watch: ChangeWatch, subject: Subject) -> AsyncIterator[bytes]:
        token = self._change_token(None)
        # Reload once at the start: something may have changed since the page was rendered or the stream was lost.
        yield b"retry: 3000\n\n" + CHANGE_EVENT
        generation = subject.generation
        while not watch.closed and await self._is_valid(request):
            has_changed = await watch.wait(subject, generation, HEARTBEAT_SECONDS)
            generation, current = subject.generation, self._change_token(token)
            yield CHANGE_EVENT if has_changed or current != token else b": still here\n\n"
            token = current
            await asyncio.sleep(PAUSE_SECONDS)
        yield b"event: end\ndata: -\n\n"

    def _change_token(self, previous: object) -> object:
        """Return the change token, or `previous` while the store is unavailable."""
        try:
            return self._context.change_signal.now()
        except StoreBusyError:
            return previous

    async def _is_valid(self, request: ConsoleRequest) -> bool:
        """Return whether the session is still valid, so that an open page does not outlive it."""
        secret = request.token.encode()
        authenticator = self._context.authenticator
        try:
            caller = authenticator.cached(secret) or await self._context.run_in_thread(authenticator.caller, secret)
            return caller is not None
        except StoreBusyError:
            return True
