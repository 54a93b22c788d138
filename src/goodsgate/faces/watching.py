"""Documents of batches, made once a change however many ask, and those who wait for the next change."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import msgspec
from prometheus_client import Gauge

from goodsgate.faces.refusals import refuse

PULSE_SECONDS = 0.001
"""Feeling the pulse costs as much as all the rest of a poll, so that polls by the thousand share it."""
TICK_SECONDS = 0.005
"""How often the store's pulse is felt while somebody waits."""
TICK_SECONDS_A_SESSION = 0.001
"""The more wait, the less often each looks, so that looking for them all never takes the whole process."""
DOCUMENTS_BYTES_MAX = 32 * 1024**2
"""Documents kept; past this the oldest go."""


class Pulse:
    """Feels the store's pulse for those who wait for a change, and counts them."""

    def __init__(self, feel: Callable[[], object], *, sessions_max: int, gauge: Gauge) -> None:
        self._feel = feel
        self._felt: object = None
        self._until = 0.0
        self._sessions_max = sessions_max
        self._sessions = 0
        self._gauge = gauge
        self.closed = False

    def now(self) -> object:
        """The store's pulse, at most PULSE_SECONDS old; what this process itself has changed is always in it."""
        moment = monotonic()
        if moment >= self._until:
            self._felt = self._feel()
            self._until = moment + PULSE_SECONDS
        return self._felt

    def forget(self) -> None:
        """Feel anew when next asked: this process may have changed something."""
        self._until = 0.0

    def admit(self) -> None:
        """Raise sessions_full if nobody else may wait now."""
        if self._sessions >= self._sessions_max:
            raise refuse("sessions_full", limit=self._sessions_max)

    @contextmanager
    def session(self) -> Iterator[None]:
        """Wait inside."""
        self._sessions += 1
        self._gauge.set(self._sessions)
        try:
            yield
        finally:
            self._sessions -= 1
            self._gauge.set(self._sessions)

    async def change(self, before: object, seconds: float) -> None:
        """Wait until the pulse is another one than `before`, at most so long."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not self.closed and (left := until - loop.time()) > 0:
            await asyncio.sleep(min(left, TICK_SECONDS + TICK_SECONDS_A_SESSION * self._sessions))
            if self.now() != before:
                return

    def close(self) -> None:
        """End all waiting, for good."""
        self.closed = True


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as a face words it, ready to be sent."""

    body: bytes
    etag: str
    """A strong entity tag, quotes included."""
    ended: bool
    pulse: object
    """The store's pulse from before the document was made."""
    made: float
    """When, by the monotonic clock."""
    tag: bytes
    """The entity tag as it stands in headers."""
    tag_headers: list[tuple[bytes, bytes]]
    headers: list[tuple[bytes, bytes]]


def make_document(body: bytes, *, ended: bool, pulse: object) -> Document:
    """The document of a JSON body, with the headers it is sent with."""
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    tag = etag.encode()
    tag_headers = [(b"etag", tag), (b"cache-control", b"private, no-cache")]
    sizes = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    return Document(
        body=body, etag=etag, ended=ended, pulse=pulse, made=monotonic(), tag=tag, tag_headers=tag_headers,
        headers=sizes + tag_headers,
    )


Make = Callable[[str, str], Awaitable[tuple[bytes, bool]]]
"""Merchant and batch → body, and whether the batch has ended; raises batch_unknown."""


class Documents:
    """The documents of one face, each valid as long as the store's pulse is the same."""

    def __init__(self, pulse: Pulse, make: Make, *, ended_seconds: float = 0.0) -> None:
        """`ended_seconds`: that of a batch that has ended is good for so long, though it may be opened again."""
        self._ended_seconds = ended_seconds
        self._pulse = pulse
        self._make = make
        self._kept: dict[tuple[str, str], Document] = {}
        self._kept_bytes = 0

    def fresh(self, merchant: str, batch: str) -> Document | None:
        """The document if nothing has changed since it was made; touches no thread."""
        kept = self._kept.get((merchant, batch))
        if kept is not None and kept.ended and self._ended_seconds and monotonic() < kept.made + self._ended_seconds:
            return kept
        return kept if kept is not None and kept.pulse == self._pulse.now() else None

    async def document(self, merchant: str, batch: str) -> Document:
        """The document as it is now."""
        fresh = self.fresh(merchant, batch)
        if fresh is not None:
            return fresh
        pulse = self._pulse.now()
        body, ended = await self._make(merchant, batch)
        made = make_document(body, ended=ended, pulse=pulse)
        self._keep((merchant, batch), made)
        return made

    def _keep(self, key: tuple[str, str], made: Document) -> None:
        replaced = self._kept.pop(key, None)
        self._kept_bytes += len(made.body) - (len(replaced.body) if replaced else 0)
        self._kept[key] = made
        while self._kept_bytes > DOCUMENTS_BYTES_MAX and len(self._kept) > 1:
            self._kept_bytes -= len(self._kept.pop(next(iter(self._kept))).body)

    async def changed(self, merchant: str, batch: str, *, since: str | None, seconds: float) -> Document:
        """The document once the batch has ended, or it is not the one of the entity tag `since`, or time is up."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            document = await self.document(merchant, batch)
            left = until - loop.time()
            if document.ended or left <= 0 or self._pulse.closed or (since is not None and document.etag != since):
                return document
            await self._pulse.change(document.pulse, left)
