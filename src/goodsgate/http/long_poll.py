"""Batch documents, built once per change however many clients poll, and requests that wait for the next change."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine
from time import monotonic
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from goodsgate.http.admission import AdmissionLimit

T = TypeVar("T")

CHANGE_TOKEN_SECONDS = 0.001
"""Reading the change token costs as much as the rest of a poll, so concurrent polls share one read."""
TICK_SECONDS = 0.005
"""Interval at which the store's change token is read while a request waits."""
TICK_SECONDS_A_SESSION = 0.001
"""Added to the interval for each waiting request, so that polling never takes the whole process."""
VARY = b"Authorization, X-API-Key, Goodsgate-Merchant, Accept-Encoding"
"""What a document depends on, as `http.application` says it for all responses."""
DOCUMENTS_BYTES_MAX = 32 * 1024**2
"""Total size of cached documents; beyond it the oldest are dropped."""


class ChangeSignal:
    """The store's change token, shared by all requests that wait for a change."""

    def __init__(self, read_token: Callable[[], object], sessions: AdmissionLimit) -> None:
        self._read_token = read_token
        self._token: object = None
        self.expires_at = 0.0
        """Monotonic time at which the token is read again; set to 0.0 after a possible change."""
        self._sessions = sessions
        self.closed = False

    def now(self) -> object:
        """Return the change token, at most CHANGE_TOKEN_SECONDS old; it always reflects this process's own changes."""
        moment = monotonic()
        if moment >= self.expires_at:
            self._token = self._read_token()
            self.expires_at = moment + CHANGE_TOKEN_SECONDS
        return self._token

    async def wait_for_change(self, before: object, seconds: float) -> None:
        """Wait until the token differs from `before`, for at most `seconds`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not self.closed and (left := until - loop.time()) > 0:
            await asyncio.sleep(min(left, TICK_SECONDS + TICK_SECONDS_A_SESSION * self._sessions.total))
            if self.now() != before:
                return

    def close(self) -> None:
        """End all waits permanently."""
        self.closed = True


class BatchDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as a protocol represents it, ready to send."""

    body: bytes
    etag: str
    """A strong entity tag, quotes included."""
    ended: bool
    change_token: object
    """The store's change token from before the document was built."""
    built_at: float
    """Monotonic clock."""
    tag: bytes
    """The entity tag as bytes."""
    tag_headers: list[tuple[bytes, bytes]]
    headers: list[tuple[bytes, bytes]]


def make_document(body: bytes, *, ended: bool, change_token: object) -> BatchDocument:
    """Return the document of a JSON body with its response headers."""
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    tag = etag.encode()
    tag_headers = [(b"etag", tag), (b"cache-control", b"private, no-cache"), (b"vary", VARY)]
    sizes = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    return BatchDocument(
        body=body, etag=etag, ended=ended, change_token=change_token, built_at=monotonic(), tag=tag,
        tag_headers=tag_headers,
        headers=sizes + tag_headers,
    )


Render = Callable[[str, str], Awaitable[tuple[bytes, bool]]]
"""Returns the body for a merchant and a batch, and whether the batch has ended. Raises batch_unknown."""


class DocumentCache:
    """Cache of one protocol's batch documents; an entry is valid while the change token stays the same."""

    def __init__(self, signal: ChangeSignal, render: Render, *, ended_seconds: float = 0.0) -> None:
        """Create an empty cache; documents of batches that have ended stay valid for at least `ended_seconds`."""
        self._ended_seconds = ended_seconds
        self._signal = signal
        self._render = render
        self._documents: dict[tuple[str, str], BatchDocument] = {}
        self._total_bytes = 0

    def cached(self, merchant: str, batch: str) -> BatchDocument | None:
        """Return the document if nothing has changed since it was built; never blocks."""
        document = self._documents.get((merchant, batch))
        if document is None:
            return None
        if document.ended and self._ended_seconds and monotonic() < document.built_at + self._ended_seconds:
            return document
        return document if document.change_token == self._signal.now() else None

    async def get(self, merchant: str, batch: str) -> BatchDocument:
        """Return the current document, from the cache or rendered now."""
        document = self.cached(merchant, batch)
        if document is not None:
            return document
        change_token = self._signal.now()
        body, ended = await self._render(merchant, batch)
        document = make_document(body, ended=ended, change_token=change_token)
        replaced = self._documents.pop((merchant, batch), None)
        self._total_bytes += len(body) - (len(replaced.body) if replaced else 0)
        self._documents[merchant, batch] = document
        while self._total_bytes > DOCUMENTS_BYTES_MAX and len(self._documents) > 1:
            self._total_bytes -= len(self._documents.pop(next(iter(self._documents))).body)
        return document

    async def wait_for_change(self, merchant: str, batch: str, *, since: str | None, seconds: float) -> BatchDocument:
        """Return the document once its entity tag differs from `since`, the batch has ended, or the time is up."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            document = await self.get(merchant, batch)
            left = until - loop.time()
            if document.ended or left <= 0 or self._signal.closed or (since is not None and document.etag != since):
                return document
            await self._signal.wait_for_change(document.change_token, left)


async def unless_disconnected(request: Request, change: Coroutine[Any, Any, T]) -> T:
    """Return what is awaited; raise ClientDisconnect as soon as the client disconnects."""
    result = asyncio.ensure_future(change)
    disconnect = asyncio.ensure_future(_wait_for_disconnect(request))
    try:
        await asyncio.wait((result, disconnect), return_when=asyncio.FIRST_COMPLETED)
        if not result.done():
            raise ClientDisconnect
        return result.result()
    finally:
        result.cancel()
        disconnect.cancel()


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
