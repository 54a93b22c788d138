"""Batch documents, built once per change however many clients poll, and requests that wait for the next change."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from time import monotonic
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from goodsgate.http.change_watch import ChangeWatch, Subject, Topic
from goodsgate.model.batch import FINAL_STATES, Batch, Revision, State

T = TypeVar("T")

CHANGE_TOKEN_SECONDS = 0.001
"""Reading the change token costs as much as the rest of a poll, so concurrent polls share one read."""
VARY = b"Authorization, X-API-Key, Goodsgate-Merchant, Accept-Encoding"
"""What a document depends on, as `http.application` says it for all responses."""
DOCUMENTS_BYTES_MAX = 8 * 1024**2
"""Memory that the documents of a cache take, with all that is kept of each; beyond it the oldest are dropped."""
DOCUMENT_OVERHEAD_BYTES = 2_000
"""What an entry of the cache takes besides its body, at most: names, headers, tags, and the subject that it watches."""


class ChangeSignal:
    """The store's change token, shared by all requests that ask whether a document is current."""

    def __init__(self, read_token: Callable[[], object]) -> None:
        self._read_token = read_token
        self._token: object = None
        self.expires_at = 0.0
        """Monotonic time at which the token is read again; set to 0.0 after a possible change."""

    def now(self) -> object:
        """Return the change token, at most CHANGE_TOKEN_SECONDS old; it always reflects this process's own changes."""
        moment = monotonic()
        if moment >= self.expires_at:
            self._token = self._read_token()
            self.expires_at = moment + CHANGE_TOKEN_SECONDS
        return self._token


class RenderedBatch(msgspec.Struct, frozen=True):
    """What a protocol says of a batch."""

    body: bytes
    ended: bool
    revision: Revision
    """Of the batch that it was rendered from."""
    is_queued: bool


def rendered(batch: Batch, body: bytes) -> RenderedBatch:
    """Return a body with what tells whether it is still current."""
    return RenderedBatch(body, batch.state in FINAL_STATES, batch.revision, batch.state is State.QUEUED)


class BatchDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as a protocol represents it, ready to send."""

    body: bytes
    etag: str
    """A strong entity tag, quotes included."""
    ended: bool
    change_token: object
    """The store's change token from before the document was built."""
    watched: tuple[Subject, int] | None
    """For a request that waits: what it waits for, and its generation from before the document was built."""
    built_at: float
    """Monotonic clock."""
    tag: bytes
    """The entity tag as bytes."""
    tag_headers: list[tuple[bytes, bytes]]
    headers: list[tuple[bytes, bytes]]


def make_document(body: bytes, *, ended: bool, change_token: object,
                  watched: tuple[Subject, int] | None = None) -> BatchDocument:
    """Return the document of a JSON body with its response headers."""
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    tag = etag.encode()
    tag_headers = [(b"etag", tag), (b"cache-control", b"private, no-cache"), (b"vary", VARY)]
    sizes = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    return BatchDocument(
        body=body, etag=etag, ended=ended, change_token=change_token, watched=watched,
        built_at=monotonic(), tag=tag,
        tag_headers=tag_headers,
        headers=sizes + tag_headers,
    )


Render = Callable[[str, str], Awaitable[RenderedBatch]]
"""Returns what a protocol says of a merchant's batch. Raises batch_unknown."""


class DocumentCache:
    """Cache of one protocol's batch documents; an entry is valid while the change token stays the same."""

    def __init__(self, signal: ChangeSignal, watch: ChangeWatch, render: Render, *, ended_seconds: float = 0.0) -> None:
        """Create an empty cache; documents of batches that have ended stay valid for at least `ended_seconds`."""
        self._ended_seconds = ended_seconds
        self._signal = signal
        self._watch = watch
        self._render = render
        self._documents: dict[tuple[str, str], BatchDocument] = {}
        self._total_bytes = 0
        self._loading: dict[tuple[Subject, int], asyncio.Task[BatchDocument]] = {}
        """Documents that are being built for requests that wait, so that each is built once for all of them."""

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
        found = await self._render(merchant, batch)
        return self._keep(merchant, batch, make_document(found.body, ended=found.ended, change_token=change_token))

    async def wait_for_change(self, merchant: str, batch: str, *, since: str | None, seconds: float) -> BatchDocument:
        """Return the document once its entity tag differs from `since`, the batch has ended, or the time is up."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        with self._watch.hold(Topic.BATCH, merchant, batch) as subject:
            while True:
                generation = subject.generation
                document = await self._watched(subject, generation)
                left = until - loop.time()
                if document.ended:
                    self._watch.drop(subject)
                    return document
                if left <= 0 or self._watch.closed or (since is not None and document.etag != since):
                    return document
                await self._watch.wait(subject, generation, left)

    async def _watched(self, subject: Subject, generation: int) -> BatchDocument:
        """Return the document of this generation of a batch."""
        _, merchant, batch = subject.key
        document = self._documents.get((merchant, batch))
        if document is not None and document.watched == (subject, generation):
            return document
        loading = self._loading.get((subject, generation))
        if loading is None:
            loading = asyncio.ensure_future(self._load(subject, generation))
            self._loading[subject, generation] = loading
            loading.add_done_callback(partial(self._forget_loading, (subject, generation)))
        return await asyncio.shield(loading)

    def _forget_loading(self, name: tuple[Subject, int], loading: "asyncio.Task[BatchDocument]") -> None:
        del self._loading[name]
        if not loading.cancelled():
            loading.exception()  # those who wait for it raise it; there may be nobody any more

    async def _load(self, subject: Subject, generation: int) -> BatchDocument:
        _, merchant, batch = subject.key
        change_token = self._signal.now()
        found = await self._render(merchant, batch)
        self._watch.record(subject, found.revision, is_queued=found.is_queued)
        return self._keep(merchant, batch, make_document(
            found.body, ended=found.ended, change_token=change_token, watched=(subject, generation)
        ))

    def _keep(self, merchant: str, batch: str, document: BatchDocument) -> BatchDocument:
        replaced = self._documents.pop((merchant, batch), None)
        self._total_bytes += _size_of(document) - (_size_of(replaced) if replaced else 0)
        self._documents[merchant, batch] = document
        while self._total_bytes > DOCUMENTS_BYTES_MAX:
            self._total_bytes -= _size_of(self._documents.pop(next(iter(self._documents))))
        return document


def _size_of(document: BatchDocument) -> int:
    return len(document.body) + DOCUMENT_OVERHEAD_BYTES


async def unless_disconnected(request: Request, change: Coroutine[Any, Any, T]) -> T:
    """Return what is awaited; raise ClientDisconnect as soon as the client disconnects."""
    waiting = asyncio.current_task()
    assert waiting is not None
    watching = asyncio.ensure_future(_cancel_on_disconnect(request, waiting))
    try:
        return await change
    except asyncio.CancelledError:
        if watching.done() and not watching.cancelled() and not waiting.uncancel():
            raise ClientDisconnect from None
        raise
    finally:
        watching.cancel()


async def _cancel_on_disconnect(request: Request, waiting: "asyncio.Task[Any]") -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    waiting.cancel()
