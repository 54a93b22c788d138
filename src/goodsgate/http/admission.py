"""Bounds on what is open at once: uploads that are arriving, and requests that wait for a change."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from prometheus_client import Gauge
from starlette.types import Message, Receive, Scope

from goodsgate.engine.refusal import Refusal
from goodsgate.http.connections import BODY_BYTES_AHEAD, client_network
from goodsgate.http.problems import refuse
from goodsgate.observe import CALLER as CALLER
from goodsgate.observe import WAITED

WAITING = "sessions"
"""Name of the limit of requests that wait for a change; their time says nothing about the gate's speed."""
HELD = "goodsgate.held"
"""Key of an ASGI scope with the ExitStack that is closed when the response has been sent."""
BUFFER_BYTES = 32 * 1024**2
"""Bytes that all uploads together may hold in each of their buffers; with many uploads, each gets less."""
BUFFER_BYTES_MIN = 64 * 1024
SHORT_BYTES = 64 * 1024
SHORT_SECONDS = 1.0
"""A body that takes no more is not counted: many small submissions at once are ordinary."""


class AdmissionLimit:
    """A count of what is open at once, in all and for each merchant; safe for threads.

    Each is counted before it is compared, so that requests that arrive together do not pass the limit together.
    """

    def __init__(self, name: str, *, total_max: int, merchant_max: int, gauge: Gauge) -> None:
        self._name = name
        self._total_max = total_max
        self._merchant_max = merchant_max
        self._gauge = gauge
        self._lock = threading.Lock()
        self._by_merchant: Counter[str] = Counter()
        self.total = 0

    def acquire(self, merchant: str) -> None:
        """Count one more. Raises ``NAME_full`` or ``merchant_NAME_full``, which counts nothing."""
        with self._lock:
            self._add(merchant, 1)
            exceeds_total, exceeds_own = self.total > self._total_max, self._by_merchant[merchant] > self._merchant_max
            if exceeds_total or exceeds_own:
                self._add(merchant, -1)
        if exceeds_own:
            raise refuse(f"merchant_{self._name}_full", limit=self._merchant_max)
        if exceeds_total:
            raise refuse(f"{self._name}_full", limit=self._total_max)

    def release(self, merchant: str) -> None:
        """Count one less."""
        with self._lock:
            self._add(merchant, -1)

    def hold(self, scope: Scope, merchant: str) -> None:
        """Count a request until its response has been sent. Raises as `acquire`."""
        self.acquire(merchant)
        scope[HELD].callback(self.release, merchant)
        if self._name == WAITING:
            scope[WAITED] = True

    def _add(self, merchant: str, number: int) -> None:
        self.total += number
        self._by_merchant[merchant] += number
        if not self._by_merchant[merchant]:
            del self._by_merchant[merchant]
        self._gauge.set(self.total)


class ArrivingBodies:
    """The bodies that are arriving: their number, their least speed, and their end when the gate stops."""

    def __init__(self, limit: AdmissionLimit, *, bytes_per_second_min: int) -> None:
        self.limit = limit
        self.bytes_per_second_min = bytes_per_second_min
        self.is_cut_off = False
        self._waiting: set[asyncio.Timeout] = set()

    def buffer_bytes(self) -> int:
        """Return the size of one buffer of an upload."""
        return max(BUFFER_BYTES_MIN, min(BODY_BYTES_AHEAD, BUFFER_BYTES // max(1, self.limit.total)))

    @contextmanager
    def waiting(self, timeout: asyncio.Timeout) -> Iterator[None]:
        """Let `cut_off` end the timeout."""
        self._waiting.add(timeout)
        try:
            yield
        finally:
            self._waiting.discard(timeout)

    def cut_off(self) -> int:
        """Refuse all bodies that are still arriving, and return their number."""
        self.is_cut_off = True
        now = asyncio.get_running_loop().time()
        for timeout in self._waiting:
            timeout.reschedule(now)
        return len(self._waiting)


class Receiver:
    """ASGI `receive` of one request, which counts its body as an upload while it is arriving."""

    def __init__(self, receive: Receive, scope: Scope, uploads: ArrivingBodies) -> None:
        self._receive = receive
        self._scope = scope
        self._uploads = uploads
        headers = dict(scope["headers"])
        self.ended = headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers
        """Whether the whole body has been read."""
        self._holder: str | None = None
        self.bytes_read = 0
        """Bytes of the body so far."""
        self._waited_seconds = 0.0

    async def __call__(self) -> Message:
        """Return the next message."""
        message = await self._receive()
        self.ended = not message.get("more_body", False)
        if self.ended:
            self.release()
        return message

    async def read_body(self, idle_seconds: float) -> Message:
        """Return the next message of the body. A short body is not counted as an upload.

        Raises uploads_full, merchant_uploads_full, upload_stalled, and stopping.
        """
        uploads, loop = self._uploads, asyncio.get_running_loop()
        if uploads.is_cut_off:
            raise refuse("stopping")
        while True:
            short_seconds = SHORT_SECONDS - self._waited_seconds
            if self.bytes_read >= SHORT_BYTES or short_seconds <= 0:
                self._acquire()
            left = idle_seconds + self.bytes_read / uploads.bytes_per_second_min - self._waited_seconds
            seconds = min(idle_seconds, max(0.0, left))
            becomes_long = self._holder is None and short_seconds < seconds
            began = loop.time()
            try:
                async with asyncio.timeout(short_seconds if becomes_long else seconds) as timeout:
                    with uploads.waiting(timeout):
                        message = await self()
            except TimeoutError:
                if uploads.is_cut_off:
                    raise refuse("stopping") from None
                if not becomes_long:
                    raise Refusal(
                        "upload_stalled", limit_seconds=idle_seconds,
                        bytes_per_second_min=uploads.bytes_per_second_min,
                    ) from None
                self._waited_seconds = max(SHORT_SECONDS, self._waited_seconds + loop.time() - began)
                continue
            self._waited_seconds += loop.time() - began
            self.bytes_read += len(message.get("body", b""))
            return message

    def _acquire(self) -> None:
        if self._holder is None:
            caller = self._scope.get(CALLER)
            holder = caller.merchant if caller is not None else client_network(self._scope.get("client"))
            self._uploads.limit.acquire(holder)
            self._holder = holder

    def release(self) -> None:
        """Stop counting the upload."""
        if self._holder is not None:
            self._uploads.limit.release(self._holder)
            self._holder = None


@contextmanager
def held_request(scope: Scope, receive: Receive, uploads: ArrivingBodies) -> Iterator[Receiver]:
    """Return the receiver of a request; what the request holds is released at the end of the context."""
    with ExitStack() as held:
        scope[HELD] = held
        receiver = Receiver(receive, scope, uploads)
        held.callback(receiver.release)
        yield receiver
