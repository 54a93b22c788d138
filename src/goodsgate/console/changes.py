"""Tells open pages that something has changed, and no more than that: what, they ask themselves."""

import asyncio
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from goodsgate.console.pages import HEADERS
from goodsgate.console.visit import Visit
from goodsgate.faces.door import Door
from goodsgate.store.contract import StoreBusy

REST_SECONDS = 1.0
"""Between two events of one page, however much happens: people read no faster."""
HEARTBEAT_SECONDS = 15.0
CHANGE = b"event: change\ndata: -\n\n"


class Changes:
    """GET /console/changes: Server-Sent Events."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def get(self, visit: Visit) -> Response:
        """Until the session ends, the gate closes or the page goes; raises sessions_full."""
        self._door.pulse.admit()
        headers = {**HEADERS, "x-accel-buffering": "no"}
        return StreamingResponse(self._events(visit), media_type="text/event-stream", headers=headers)

    async def _events(self, visit: Visit) -> AsyncIterator[bytes]:
        pulse = self._door.pulse
        with pulse.session():
            felt = await self._felt(None)
            yield b"retry: 3000\n\n" + CHANGE  # what has changed since the page was made, or the line was lost
            while not pulse.closed and await self._is_valid(visit):
                await pulse.change(felt, HEARTBEAT_SECONDS)
                now = await self._felt(felt)
                yield CHANGE if now != felt else b": still here\n\n"
                felt = now
                await asyncio.sleep(REST_SECONDS)
            yield b"event: end\ndata: -\n\n"

    async def _felt(self, before: object) -> object:
        """The pulse; as it was while the store is away."""
        try:
            return self._door.pulse.now()
        except StoreBusy:
            return before

    async def _is_valid(self, visit: Visit) -> bool:
        """Whether the session has not ended: a page that stays open is not let in for ever."""
        secret = visit.secret.encode()
        keyring = self._door.keyring
        try:
            return (keyring.cached(secret) or await self._door.hop(keyring.caller, secret)) is not None
        except StoreBusy:
            return True
