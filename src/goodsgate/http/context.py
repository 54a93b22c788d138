"""What every protocol stands on: the engine, the thread pool behind the door, who is calling, and how a body is
read."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from starlette.requests import ClientDisconnect, Request

from goodsgate.auth import Authenticator, Caller
from goodsgate.config import Config
from goodsgate.engine import Engine
from goodsgate.engine.receive import Receipt, Submission
from goodsgate.engine.refusal import Refusal
from goodsgate.http.long_poll import ChangeSignal
from goodsgate.http.problems import refuse
from goodsgate.http.services import HttpLimits, ProtocolServices
from goodsgate.observe import Metrics, StatisticsCache

HEAD_BYTES = 4096
"""What the format of a body is told from, at least, if there is as much."""
PIECE_BYTES = 1024**2
"""Bytes gathered before a thread is troubled with them."""
STREAM_BYTES = 256 * 1024
"""The same for answers."""

ACT_FOR = "goodsgate-merchant"

P = ParamSpec("P")
T = TypeVar("T")


class ServerContext:
    """Shared by all protocols of one process."""

    def __init__(self, engine: Engine, services: ProtocolServices, limits: HttpLimits, config: Config, *,
                 workers_alive: Callable[[], int] | None = None) -> None:
        self.engine = engine
        self.store = engine.store
        self.services = services
        self.limits = limits
        self.config = config
        self.authenticator = Authenticator(engine.store)
        self.statistics = StatisticsCache(engine.store.statistics)
        self.metrics = Metrics(self.statistics)
        self.change_signal = ChangeSignal(engine.store.change_token, sessions_max=limits.sessions_max,
            gauge=self.metrics.sessions)
        self.workers_alive = workers_alive
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix="request")

    async def run_in_thread(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do blocking work in the pool; waits for a free thread."""
        bound = functools.partial(work, *args, **kwargs)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, bound)
        finally:
            self.change_signal.invalidate()

    def close(self) -> None:
        """Wait for the threads that are busy and let go of the rest."""
        self.change_signal.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    # -- who is calling ---------------------------------------------------------------------------------------------
    async def caller(self, secret: bytes | None, *, scope: str) -> Caller:
        """Whoever's secret it is, if the key has the scope; raises unauthorized or forbidden."""
        if secret is None:
            raise refuse("unauthorized")
        caller = self.authenticator.cached(secret) or await self.run_in_thread(self.authenticator.caller, secret)
        if caller is None:
            raise refuse("unauthorized", "The key is not valid.")
        if not caller.may(scope):
            raise refuse("forbidden", f"The key lacks the scope {scope}.", scope=scope)
        return caller

    async def merchant(self, request: Request, caller: Caller) -> str:
        """For whom the caller acts: the key's merchant, or for admins the one that the header names."""
        wanted = request.headers.get(ACT_FOR)
        if wanted is None or wanted == caller.merchant:
            return caller.merchant
        if not caller.may("admin"):
            raise refuse("forbidden", "The key may not act for another merchant.")
        if not await self.run_in_thread(self.authenticator.knows, wanted):
            raise refuse("merchant_unknown")
        return wanted

    # -- answers that are streams -----------------------------------------------------------------------------------
    async def stream(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Blocking pieces drawn through the pool, a quarter of a megabyte at a time.

        The first are drawn at once: what goes wrong there is raised before an answer has begun.
        """
        return self._rest(await self.run_in_thread(_draw, pieces), pieces)

    async def _rest(self, drawn: bytes, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        while drawn:
            yield drawn
            drawn = await self.run_in_thread(_draw, pieces)

    # -- submissions ------------------------------------------------------------------------------------------------
    async def stream_body(self, body: "RequestBody", begin: Callable[[bytes], Submission]) -> Receipt:
        """Stream a body into the submission that `begin` makes of its first bytes; of a failed one nothing is left."""
        try:
            piece = await body.read(HEAD_BYTES)
            receipt = await (self.run_in_thread(_submit_whole, begin,
                piece) if body.ended else self._stream_long_body(body, begin, piece))
        except BaseException as fault:
            self.metrics.submissions.labels("broken_off" if isinstance(fault, ClientDisconnect) else "refused").inc()
            raise
        self.metrics.body_bytes.inc(body.bytes_read)
        self.metrics.submissions.labels("accepted" if receipt.batch is not None else "replayed").inc()
        return receipt

    async def _stream_long_body(self, body: "RequestBody", begin: Callable[[bytes], Submission],
                                piece: bytes) -> Receipt:
        """The next piece is read while the last one is written."""
        submission = await self.run_in_thread(begin, piece)
        writing: asyncio.Future[None] | None = None
        try:
            while not body.ended:
                writing = asyncio.ensure_future(self.run_in_thread(submission.write, piece))
                piece = await body.read(PIECE_BYTES)
                await writing
            return await self.run_in_thread(_finish, submission, piece)
        except BaseException:
            if writing is not None:
                await asyncio.wait([writing])
            await self.run_in_thread(submission.abort)
            raise


def find_secret(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The secret that a request's headers carry; `Authorization: Bearer` goes before `X-API-Key`."""
    authorization = headers.get(b"authorization")
    if authorization is None:
        return headers.get(b"x-api-key")
    return authorization[7:].strip() if authorization[:7].lower() == b"bearer " else None


def _draw(pieces: Iterator[bytes]) -> bytes:
    drawn: list[bytes] = []
    size = 0
    while size < STREAM_BYTES and (piece := next(pieces, None)) is not None:
        drawn.append(piece)
        size += len(piece)
    return b"".join(drawn)


def _submit_whole(begin: Callable[[bytes], Submission], piece: bytes) -> Receipt:
    """A body that has come whole, in one go."""
    submission = begin(piece)
    try:
        return _finish(submission, piece)
    except BaseException:
        submission.abort()
        raise


def _finish(submission: Submission, piece: bytes) -> Receipt:
    if piece:
        submission.write(piece)
    return submission.finish()


class RequestBody:
    """The body of a request, read in pieces of the reader's choice."""

    def __init__(self, request: Request, *, bytes_max: int, idle_seconds: float) -> None:
        self._receive = request.receive
        self._bytes_max = bytes_max
        self._idle_seconds = idle_seconds
        self._declared = _declared(request.headers.get("content-length"))
        self.bytes_read = 0
        self.ended = False
        if self._declared is not None and self._declared > bytes_max:
            raise self._too_large()

    def _too_large(self) -> Refusal:
        return Refusal(
            "payload_too_large", f"The body is larger than {self._bytes_max} bytes.", limit_bytes=self._bytes_max
        )

    async def read(self, least: int) -> bytes:
        """At least so many bytes, or what is left. Raises payload_too_large, upload_stalled, body_incomplete, and
        ClientDisconnect if the client hung up."""
        gathered: list[bytes] = []
        size = 0
        while size < least and not self.ended:
            chunk = await self._chunk()
            gathered.append(chunk)
            size += len(chunk)
        return b"".join(gathered)

    async def _chunk(self) -> bytes:
        try:
            async with asyncio.timeout(self._idle_seconds):
                message = await self._receive()
        except TimeoutError:
            raise Refusal("upload_stalled", limit_seconds=self._idle_seconds) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        self.bytes_read += len(chunk)
        self.ended = not message.get("more_body", False)
        if self.bytes_read > self._bytes_max:
            raise self._too_large()
        if self.ended and self._declared is not None and self.bytes_read != self._declared:
            raise refuse("body_incomplete", declared_bytes=self._declared, received_bytes=self.bytes_read)
        return chunk


def _declared(content_length: str | None) -> int | None:
    return int(content_length) if content_length is not None and content_length.isdecimal() else None
