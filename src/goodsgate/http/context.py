"""The parts of one API process that all protocols share: engine, thread pool, authentication and request bodies."""

import asyncio
import contextlib
import contextvars
import functools
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import IO, TYPE_CHECKING, ParamSpec, TypeVar, cast
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Scope as ASGIScope
from starlette.types import Send

from goodsgate.auth import Authenticator, Caller
from goodsgate.engine import Engine, Report
from goodsgate.engine.dry_run import DryRunner
from goodsgate.engine.receive import Receipt, Submission
from goodsgate.engine.refusal import Refusal
from goodsgate.formats import FormatOverflowError
from goodsgate.http.admission import HELD, WAITING, AdmissionLimit, ArrivingBodies, Receiver
from goodsgate.http.change_watch import ChangeWatch
from goodsgate.http.long_poll import ChangeSignal
from goodsgate.http.problems import refuse
from goodsgate.http.quotas import APPLIED, QuotaExceededError, Quotas
from goodsgate.http.services import HttpLimits, ProtocolServices
from goodsgate.http.threads import WORK, RequestThreads, Work
from goodsgate.model.audit import ACT
from goodsgate.model.permissions import granting_scopes
from goodsgate.observe import Metrics, StatisticsCache
from goodsgate.store.contract import HealthCheck

if TYPE_CHECKING:
    from goodsgate.http.proxies import TrustedProxies
    from goodsgate.http.traffic import TrafficLog
    from goodsgate.http.trouble import OrderedTrouble

_LENGTH = re.compile(r"[0-9]{1,18}")

HEAD_BYTES = 4096
"""Bytes of a body that are read before its format is detected."""
PIECE_BYTES = 1024**2
"""Bytes of a stored body that are read at once."""

DRAIN_BYTES = 4 * 1024**2
DRAIN_SECONDS = 2.0
"""Bytes and time that are still read of a refused body, so that the client receives the refusal."""

MERCHANT_HEADER = "goodsgate-merchant"
"""Header in which an admin names the merchant that a request is for."""

LEFT_OUT_HEADER = "goodsgate-left-out"
"""Header of an export with the members that it leaves out, percent-encoded."""
LEFT_OUT_CHARACTERS_MAX = 4_000

CURSOR_HEADER = "goodsgate-changes-cursor"
"""Header with the cursor behind which changes go on."""

P = ParamSpec("P")
T = TypeVar("T")


class ServerContext:
    """The parts of one API process that handlers of requests use."""

    def __init__(self, engine: Engine, services: ProtocolServices, limits: HttpLimits, *,
                 dry_runner: DryRunner, workers_alive: Callable[[], int] | None = None,
                 logs_requests: bool = False) -> None:
        self.engine = engine
        self.trouble: OrderedTrouble | None = None
        """None: trouble on demand is not allowed."""
        self.traffic: TrafficLog | None = None
        """None: requests and responses are not recorded."""
        self.checks: list[Callable[[], list[HealthCheck]]] = []
        """Further checks for `/readyz`, which are quick or remember their results."""
        self.proxies: TrustedProxies | None = None
        """None: the client is whoever connects."""
        self.store = engine.store
        self.services = services
        self.limits = limits
        self.dry_runner = dry_runner
        self.authenticator = Authenticator(engine.store)
        self.statistics = StatisticsCache(engine.store.statistics)
        self.metrics = Metrics(self.statistics, logs_requests=logs_requests)
        self.sessions = AdmissionLimit(
            WAITING, total_max=limits.sessions_max, merchant_max=limits.sessions_per_merchant_max,
            gauge=self.metrics.sessions,
        )
        self.change_signal = ChangeSignal(engine.store.change_token)
        self.change_watch = ChangeWatch(engine.store, self.run_in_thread)
        uploads = AdmissionLimit(
            "uploads", total_max=limits.uploads_max, merchant_max=limits.uploads_per_merchant_max,
            gauge=self.metrics.uploads,
        )
        self.uploads = ArrivingBodies(uploads, bytes_per_second_min=limits.body_bytes_per_second_min)
        self.workers_alive = workers_alive
        self.reports = AdmissionLimit(
            "reports", total_max=limits.reports_max, merchant_max=limits.reports_per_merchant_max,
            gauge=self.metrics.reports,
        )
        self.threads = RequestThreads(limits)
        self.quotas = Quotas(engine.store, engine.limits, self.metrics, run=self.run_in_thread)

    async def run_in_thread(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run blocking work in a thread for requests of this kind, and return its result; waits for a free thread."""
        task = functools.partial(work, *args, **kwargs)
        if ACT.get() is not None:
            task = functools.partial(contextvars.copy_context().run, task)
        try:
            return await self.threads.run(task)
        finally:
            self.change_signal.expires_at = 0.0  # the work may have changed something

    async def report(self, scope: ASGIScope, merchant: str, write: Callable[[], Report]) -> Response:
        """Return a report as a streamed download; it counts as open until it has been sent.

        Raises reports_full, merchant_reports_full, and parameter_invalid if the format cannot hold the report.
        """
        self.reports.hold(scope, merchant)
        report = await self.threads.run(write, Work.REPORTS)
        try:
            pieces = await self.threads.stream(report.pieces)
        except FormatOverflowError as fault:
            raise Refusal("parameter_invalid", str(fault), parameter="format") from fault
        headers = {"content-disposition": f'attachment; filename="{report.filename}"'}
        for position in report.positions:
            headers[CURSOR_HEADER] = position.cursor
        if report.left_out:
            names = [quote(name) for name in report.left_out]
            headers[LEFT_OUT_HEADER] = ", ".join(names)[:LEFT_OUT_CHARACTERS_MAX]
        return StreamingResponse(pieces, media_type=report.media_type, headers=headers)

    def close(self) -> None:
        """End waiting requests, cancel queued work and wait for running work."""
        self.change_watch.close()
        self.threads.close()

    # -- authentication ---------------------------------------------------------------------------------------------
    async def caller(self, secret: bytes | None, *, permission: str) -> Caller:
        """Return the caller with this secret. Raises unauthorized, or forbidden if the key lacks the permission."""
        if secret is None:
            raise refuse("unauthorized")
        caller = self.authenticator.cached(secret) or await self.run_in_thread(self.authenticator.caller, secret)
        if caller is None:
            raise refuse("unauthorized", "The key is not valid.")
        require_permission(caller, permission)
        return caller

    async def merchant(self, request: Request, caller: Caller) -> str:
        """Return the merchant that a request is for: the key's own, or for admins the one that the header names."""
        wanted = request.headers.get(MERCHANT_HEADER)
        if wanted is None or wanted == caller.merchant:
            return caller.merchant
        if not caller.may("admin"):
            raise refuse("forbidden", "The key may not act for another merchant.")
        if not await self.run_in_thread(self.authenticator.merchant_exists, wanted):
            raise refuse("merchant_unknown")
        return wanted

    async def apply_quotas(self, request: Request, merchant: str, key: str, settings: Mapping[str, str], *,
                           has_headers: bool = False) -> None:
        """Count a request against the quotas of its merchant and its key, whose `settings` are given.

        Raises too_many_requests. With `has_headers`, the response says what is left.
        """
        length = request.headers.get("content-length", "")
        size = int(length) if _LENGTH.fullmatch(length) else 0
        try:
            applied = await self.quotas.admit(merchant, key, settings, size=size)
        except QuotaExceededError as fault:
            if has_headers:
                request.scope[APPLIED] = fault.applied
            raise fault.refusal from None
        if applied:
            if has_headers:
                request.scope[APPLIED] = applied
            if "transfer-encoding" in request.headers:
                receiver = cast(Receiver, request.receive)
                request.scope[HELD].callback(lambda: self.quotas.charge(applied, receiver.bytes_read))

    # -- submissions ------------------------------------------------------------------------------------------------
    async def stream_body(self, body: "RequestBody", begin: Callable[[bytes], Submission]) -> Receipt:
        """Stream a body into the submission that `begin` returns for its first bytes.

        Nothing remains of a submission that fails.
        """
        try:
            head = await body.read(HEAD_BYTES)
            if body.ended:
                receipt = await self.run_in_thread(_submit_short_body, begin, head)
            else:
                receipt = await self._stream_long_body(body, begin, head)
        except BaseException as fault:
            self.metrics.submissions.labels("broken_off" if isinstance(fault, ClientDisconnect) else "refused").inc()
            raise
        self.metrics.body_bytes.inc(body.bytes_read)
        self.metrics.submissions.labels("accepted" if receipt.batch is not None else "replayed").inc()
        return receipt

    @asynccontextmanager
    async def copy_body(self, body: "RequestBody", head: bytes) -> AsyncIterator[Iterator[bytes]]:
        """Copy a body that begins with `head` to a temporary file; the context is its pieces, to be read in a thread.

        What is done with them runs in the threads for files.
        """
        with tempfile.TemporaryFile() as file:
            piece = head
            while piece:
                await self.run_in_thread(file.write, piece)
                piece = await body.read(self.uploads.buffer_bytes())
            WORK.set(Work.FILES)
            yield _pieces(file)

    async def _stream_long_body(self, body: "RequestBody", begin: Callable[[bytes], Submission],
                                piece: bytes) -> Receipt:
        """Stream a body of several pieces: the next piece is read while the last one is written."""
        submission = await self.run_in_thread(begin, piece)
        writing: asyncio.Future[None] | None = None
        try:
            while not body.ended:
                writing = asyncio.ensure_future(self.run_in_thread(submission.write, piece))
                piece = await body.read(self.uploads.buffer_bytes())
                await writing
            return await self.run_in_thread(_finish, submission, piece)
        except BaseException:
            if writing is not None:
                await asyncio.wait([writing])
            await self.run_in_thread(submission.abort)
            raise


def require_permission(caller: Caller, permission: str) -> None:
    """Raise forbidden if the key lacks the permission."""
    if not caller.may(permission):
        scopes = granting_scopes(permission)
        detail = f"The key lacks the permission {permission}; keys with the scope {' or '.join(scopes)} have it."
        raise refuse("forbidden", detail, permission=permission, scopes=scopes)


def find_secret(headers: Mapping[bytes, bytes]) -> bytes | None:
    """Return the secret in a request's headers: `Authorization: Bearer`, else `X-API-Key`."""
    authorization = headers.get(b"authorization")
    if authorization is None:
        return headers.get(b"x-api-key")
    return authorization[7:].strip() if authorization[:7].lower() == b"bearer " else None


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(PIECE_BYTES):
        yield piece


def _submit_short_body(begin: Callable[[bytes], Submission], body: bytes) -> Receipt:
    submission = begin(body)
    try:
        return _finish(submission, body)
    except BaseException:
        submission.abort()
        raise


def _finish(submission: Submission, piece: bytes) -> Receipt:
    if piece:
        submission.write(piece)
    return submission.finish()


class RequestBody:
    """The body of a request, read in pieces of a size that the reader chooses."""

    def __init__(self, request: Request, *, bytes_max: int, idle_seconds: float) -> None:
        self._receiver = cast(Receiver, request.receive)
        self._bytes_max = bytes_max
        self._idle_seconds = idle_seconds
        length = request.headers.get("content-length")
        self._declared_bytes = int(length) if length is not None and _LENGTH.fullmatch(length) else None
        self.bytes_read = 0
        self.ended = False
        if self._declared_bytes is not None and self._declared_bytes > bytes_max:
            raise self._too_large()

    def _too_large(self) -> Refusal:
        return Refusal(
            "payload_too_large", f"The body is larger than {self._bytes_max} bytes.", limit_bytes=self._bytes_max
        )

    async def read(self, least: int) -> bytes:
        """Return at least `least` bytes, or the rest of the body.

        Raises payload_too_large, body_incomplete, ClientDisconnect if the client disconnects, and as
        `Receiver.read_body`.
        """
        parts: list[bytes] = []
        end = self.bytes_read + least
        while self.bytes_read < end and not self.ended:
            message = await self._receiver.read_body(self._idle_seconds)
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part: bytes = message.get("body", b"")
            parts.append(part)
            self.bytes_read += len(part)
            self.ended = not message.get("more_body", False)
            if self.bytes_read > self._bytes_max:
                raise self._too_large()
            if self.ended and self._declared_bytes is not None and self.bytes_read != self._declared_bytes:
                raise refuse("body_incomplete", declared_bytes=self._declared_bytes, received_bytes=self.bytes_read)
        return b"".join(parts)


async def drain_body(response: Response, receive: Receiver, send: Send) -> None:
    """Send a refusal while the request's body is still arriving, and read on for a moment.

    A connection that is closed with unread data is reset, and the client would lose the response with it.
    """
    headers = [*response.raw_headers, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(response.body), "more_body": True})
    read = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while read < DRAIN_BYTES and not receive.ended:
                read += len((await receive()).get("body", b""))
    await send({"type": "http.response.body", "body": b"", "more_body": False})
