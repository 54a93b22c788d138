"""Tells open pages that something has changed, and no more than that: what, they ask themselves."""

import asyncio
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from goodsgate.console.pages import HEADERS
from goodsgate.console.visit import Visit
from goodsgate.http.context import ServerContext
from goodsgate.store.contract import StoreBusyError

REST_SECONDS = 1.0
"""Between two events of one page, however much happens: people read no faster."""
HEARTBEAT_SECONDS = 15.0
CHANGE = b"event: change\ndata: -\n\n"


class Changes:
    """GET /console/changes: Server-Sent Events."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    async def get(self, visit: Visit) -> Response:
        """Until the session ends, the gate closes or the page goes; raises sessions_full."""
        self._context.change_signal.admit()
        headers = {**HEADERS, "x-accel-buffering": "no"}
        return StreamingResponse(self._events(visit), media_type="text/event-stream", headers=headers)

    async def _events(self, visit: Visit) -> AsyncIterator[bytes]:
        signal = self._context.change_signal
        with signal.session():
            token = await self._token(None)
            yield b"retry: 3000\n\n" + CHANGE  # what has changed since the page was made, or the line was lost
            while not signal.closed and await self._is_valid(visit):
                await signal.wait_for_change(token, HEARTBEAT_SECONDS)
                now = await self._token(token)
                yield CHANGE if now != token else b": still here\n\n"
                token = now
                await asyncio.sleep(REST_SECONDS)
            yield b"event: end\ndata: -\n\n"

    async def _token(self, before: object) -> object:
        """Return the change token, or `before` while the store is unavailable."""
        try:
            return self._context.change_signal.now()
        except StoreBusyError:
            return before

    async def _is_valid(self, visit: Visit) -> bool:
        """Whether the session has not ended: a page that stays open is not let in for ever."""
        secret = visit.secret.encode()
        authenticator = self._context.authenticator
        try:
            caller = authenticator.cached(secret) or await self._context.run_in_thread(authenticator.caller, secret)
            return caller is not None
        except StoreBusyError:
            return True
