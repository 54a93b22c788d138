"""Where work comes from, and how long its steps take.

A request has an id and perhaps a trace context (W3C Trace Context). Both are stored with what it submits, stand on the
log lines of the worker, and go out with messages. Spans are recorded only if the process has a `Tracer`.
"""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Protocol, TypeVar

import msgspec

T = TypeVar("T")

TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
"""The header of W3C Trace Context; versions after 00 may have more parts."""


class Origin(msgspec.Struct, frozen=True):
    """The request that has caused something."""

    request: str = ""
    """Its id; empty if it was none of HTTP."""
    traceparent: str = ""
    """Its trace context; empty if it has none."""
    key: str = ""
    """Id of the key that it used; empty if it used none."""

    @property
    def trace_id(self) -> str:
        """The id of its trace; empty if it has none."""
        return self.traceparent[3:35]


NO_ORIGIN = Origin()
ORIGIN: ContextVar[Origin] = ContextVar("goodsgate.origin", default=NO_ORIGIN)
"""What this task or thread works for; log lines have it."""
current_origin = ORIGIN.get


def set_origin_key(key: str) -> None:
    """Name the key that the request in progress uses."""
    ORIGIN.set(msgspec.structs.replace(ORIGIN.get(), key=key))


def parse_traceparent(text: str) -> str:
    """Return a trace context if it is valid, else an empty text: whoever sends another one is not traced."""
    match = TRACEPARENT.fullmatch(text)
    return "" if match is None or (match[2] is not None and text.startswith("00")) else text[:55]


class TracedRound(Protocol):
    """What a span of a worker says of a round."""

    @property
    def merchant(self) -> str:
        """Its merchant."""

    @property
    def batch(self) -> str:
        """Id of its batch."""

    @property
    def number(self) -> int:
        """Its number within the batch."""

    @property
    def origin(self) -> Origin:
        """The request that has caused it."""


class Tracer(Protocol):
    """Records spans."""

    def step(self, name: str, rounds: "tuple[TracedRound, ...]") -> AbstractContextManager[None]:
        """Record a step of a worker, once for each of the rounds that take it together."""

    def receive(self, merchant: str, batch: str, began_at: int) -> AbstractContextManager[None]:
        """Record how a submission is received, from `began_at` in nanoseconds until it is durable."""

    def delivery(self, topic: str, traceparent: str) -> AbstractContextManager[str]:
        """Record the delivery of a message; the context is the `traceparent` to send along."""


_tracer: Tracer | None = None
_NOTHING = nullcontext()


def install(tracer: Tracer | None) -> None:
    """Let a tracer record the spans of this process; None: nobody does."""
    global _tracer
    _tracer = tracer


def step(name: str, *rounds: TracedRound) -> AbstractContextManager[None]:
    """Record a step of a worker that takes the rounds further; costs nothing without a tracer."""
    return _NOTHING if _tracer is None else _tracer.step(name, rounds)


def receive(merchant: str, batch: str, began_at: int) -> AbstractContextManager[None]:
    """Record how a submission is received, from `began_at` in nanoseconds on; costs nothing without a tracer."""
    return _NOTHING if _tracer is None else _tracer.receive(merchant, batch, began_at)


def delivery(topic: str, traceparent: str) -> AbstractContextManager[str]:
    """Record the delivery of a message; without a tracer its own trace context is sent along."""
    return nullcontext(traceparent) if _tracer is None else _tracer.delivery(topic, traceparent)


def each_step(name: str, round: TracedRound, values: Iterator[T]) -> Iterator[T]:
    """Return an iterator whose every step is recorded; the same one without a tracer."""
    return values if _tracer is None else _each_step(name, round, values)


def _each_step(name: str, round: TracedRound, values: Iterator[T]) -> Iterator[T]:
    while True:
        with step(name, round):
            value = next(values, None)
        if value is None:
            return
        yield value
