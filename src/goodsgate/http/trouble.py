"""Trouble on demand: failures that a client's authors order for their next submissions, to see what their client does.

Nothing here is part of a gate whose setting `trouble` does not allow it: `app` then builds the plain `Engine`,
`ServerContext` and `Application`.
"""

import asyncio
import contextvars
import itertools
import tempfile
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any, ParamSpec, TypeVar

import msgspec
from starlette.types import Message, Receive, Scope, Send

from goodsgate.engine import Engine
from goodsgate.engine.receive import Receipt, Submission
from goodsgate.http.application import Application
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model.batch import Batch, Policy
from goodsgate.store.contract import Idempotency

ORDERED_PER_MERCHANT_MAX = 100
ORDERED_MAX = 1_000
"""Troubles that wait at once."""
SPOOL_BYTES = 1024**2
"""Body of a duplicated submission that is kept in memory; a larger one is kept in a file."""
PIECE_BYTES = 256 * 1024

P = ParamSpec("P")
T = TypeVar("T")


class TroubleKind(StrEnum):
    """What happens to a submission."""

    SLOW = "slow"
    """It is accepted, and answered late."""
    REJECTED = "rejected"
    """It is accepted, and every record is rejected."""
    PARTLY_REJECTED = "partly_rejected"
    """It is accepted, and every second record is rejected, beginning with the first."""
    BROKEN = "broken"
    """It is accepted, and its processing fails as a whole."""
    TOO_MANY_REQUESTS = "too_many_requests"
    """It is refused as if the merchant had sent too much; each protocol has a form of 429 for that."""
    FAULT = "fault"
    """It is refused as if the gate had failed."""
    CUT_OFF = "cut_off"
    """It is accepted, and the connection is closed within the response."""
    DUPLICATED = "duplicated"
    """It is accepted twice, as if something between client and gate had sent it again."""


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """An order of trouble."""

    id: int
    merchant: str
    kind: TroubleKind
    times: int | None
    """Submissions that still meet it; None: all until it ends."""
    ends_at: float | None
    """Monotonic time; None: after `times` submissions."""
    delay_seconds: float
    """Delay of a slow response."""

    @property
    def seconds(self) -> float | None:
        """Time until it ends."""
        return None if self.ends_at is None else max(0.0, self.ends_at - time.monotonic())


class OrderedTrouble:
    """Troubles of all merchants in one API process, oldest first; safe for threads."""

    def __init__(self) -> None:
        self._troubles: list[Trouble] = []
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, merchant: str, kind: TroubleKind, *, times: int | None, seconds: float | None, delay_seconds: float,
            ) -> Trouble:
        """Order trouble for the next `times` submissions, or for all within `seconds`. Raises trouble_full."""
        ends_at = None if seconds is None else time.monotonic() + seconds
        with self._lock:
            self._remove_ended()
            own = sum(each.merchant == merchant for each in self._troubles)
            if own >= ORDERED_PER_MERCHANT_MAX or len(self._troubles) >= ORDERED_MAX:
                raise refuse("trouble_full", limit=ORDERED_PER_MERCHANT_MAX)
            trouble = Trouble(
                id=next(self._ids), merchant=merchant, kind=kind, times=times, ends_at=ends_at,
                delay_seconds=delay_seconds,
            )
            self._troubles.append(trouble)
        return trouble

    def list(self, merchant: str) -> "list[Trouble]":
        """Return what is ordered for a merchant."""
        with self._lock:
            self._remove_ended()
            return [each for each in self._troubles if each.merchant == merchant]

    def clear(self, merchant: str) -> int:
        """Remove what is ordered for a merchant, and return the number of orders."""
        with self._lock:
            kept = [each for each in self._troubles if each.merchant != merchant]
            removed = len(self._troubles) - len(kept)
            self._troubles = kept
        return removed

    def take(self, merchant: str) -> Trouble | None:
        """Return the trouble that the next submission of a merchant meets."""
        with self._lock:
            self._remove_ended()
            at = next((at for at, each in enumerate(self._troubles) if each.merchant == merchant), None)
            if at is None:
                return None
            trouble = self._troubles[at]
            if trouble.times is not None and trouble.times > 1:
                self._troubles[at] = msgspec.structs.replace(trouble, times=trouble.times - 1)
            elif trouble.times is not None:
                del self._troubles[at]
        return trouble

    def _remove_ended(self) -> None:
        now = time.monotonic()
        self._troubles = [each for each in self._troubles if each.ends_at is None or each.ends_at > now]


class ResponseTrouble:
    """What happens to the response of the current request; set in the thread that submits."""

    delay_seconds = 0.0
    is_cut_off = False


RESPONSE: contextvars.ContextVar[ResponseTrouble] = contextvars.ContextVar("response_trouble")
RECORD_TROUBLES = {TroubleKind.REJECTED, TroubleKind.PARTLY_REJECTED, TroubleKind.BROKEN}


class TroubledEngine(Engine):
    """An engine whose submissions meet the troubles that are ordered."""

    ordered: OrderedTrouble

    def submit(self, *, merchant: str, policy: Policy | Callable[[], Policy], **options: Any) -> Submission:
        """Begin a new batch as `Engine.submit`. Raises queue_full and internal_fault if ordered."""
        trouble = self.ordered.take(merchant)
        response = RESPONSE.get(ResponseTrouble())
        match trouble:
            case None:
                pass
            case Trouble(kind=TroubleKind.TOO_MANY_REQUESTS):
                raise refuse("queue_full", "The queue is full, as ordered; try again.", retry_after_seconds=1)
            case Trouble(kind=TroubleKind.FAULT):
                raise refuse("internal_fault", "Internal error, as ordered.")
            case Trouble(kind=TroubleKind.SLOW):
                response.delay_seconds = trouble.delay_seconds
            case Trouble(kind=TroubleKind.CUT_OFF):
                response.is_cut_off = True
            case Trouble(kind=TroubleKind.DUPLICATED):
                return DuplicatedSubmission(self, merchant=merchant, policy=policy, **options)
            case _:
                policy = _with_trouble(policy, trouble.kind)
        return super().submit(merchant=merchant, policy=policy, **options)

    def submit_untroubled(self, **options: Any) -> Submission:
        """Begin a new batch that meets no trouble."""
        return super().submit(**options)


def _with_trouble(policy: Policy | Callable[[], Policy], kind: TroubleKind) -> Callable[[], Policy]:
    return lambda: msgspec.structs.replace(policy() if callable(policy) else policy, trouble=kind.value)


class DuplicatedSubmission(Submission):
    """A submission whose body is submitted again, as a batch of its own, once the first is durable."""

    def __init__(self, engine: TroubledEngine, **options: Any) -> None:  # the parts of Submission are in `_first`
        self._engine = engine
        self._options = options
        self._first = engine.submit_untroubled(**options)
        self._body = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - closed at the end of the submission

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        self._first.write(chunk)
        self._body.write(chunk)

    def finish(self, *, idempotency: Idempotency[Batch] | None = None) -> Receipt:
        """Make both submissions durable; return the receipt of the first."""
        receipt = self._first.finish(idempotency=idempotency)
        if receipt.batch is not None:
            options = {
                name: value for name, value in self._options.items()
                if name not in ("id", "watcher", "idempotency_key", "answer", "fingerprint_of")
            }
            second = self._engine.submit_untroubled(**{**options, "protocol_data": receipt.batch.protocol_data})
            self._body.seek(0)
            while piece := self._body.read(PIECE_BYTES):
                second.write(piece)
            second.finish()
        self._body.close()
        return receipt

    def abort(self) -> None:
        """Discard what was received."""
        self._first.abort()
        self._body.close()


class TroubledContext(ServerContext):
    """A context whose threads know the request that they work for."""

    async def run_in_thread(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run blocking work in a thread, in the context of the request."""
        context = contextvars.copy_context()
        return await super().run_in_thread(lambda: context.run(work, *args, **kwargs))


class TroubledApplication(Application):
    """An application whose responses may come late or be cut off."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        trouble = ResponseTrouble()
        RESPONSE.set(trouble)
        is_cut = False

        async def send_troubled(message: Message) -> None:
            nonlocal is_cut
            if message["type"] == "http.response.start" and trouble.delay_seconds:
                await asyncio.sleep(trouble.delay_seconds)
            if is_cut:
                return
            if trouble.is_cut_off and message["type"] == "http.response.body":
                body: bytes = message.get("body", b"")
                message = {**message, "body": body[: len(body) // 2], "more_body": True}
                is_cut = True  # the server closes the connection of a response that does not end
            await send(message)

        await super().__call__(scope, receive, send_troubled)
