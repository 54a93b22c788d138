"""Receive the bytes of a submission and make them a durable batch, or leave nothing behind."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import msgspec

from goodsgate import formats
from goodsgate.engine.idempotency import RESERVE_SECONDS, check_same_request, reserve
from goodsgate.engine.merchant_limits import MerchantLimits
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.settings import EngineSettings
from goodsgate.model import crash, tracing
from goodsgate.model.batch import Batch, Policy, new_id
from goodsgate.model.finding import FixMatch
from goodsgate.store.contract import (
    Idempotency,
    IdempotentAnswer,
    KeyInUseError,
    NewBatch,
    NewRound,
    QueueFullError,
    RoundAddedError,
    RoundOpenError,
    Store,
    StoreBusyError,
    StoreFullError,
)

HELD_ROUNDS_SHARE = 2
"""Rounds that are held until somebody releases them fill at most one part in so many of a merchant's queue."""


class Receipt(msgspec.Struct, frozen=True):
    """Outcome of a submission: a new batch, or the answer that the same submission got before."""

    batch: Batch | None
    replay: IdempotentAnswer | None
    match: FixMatch | None = None
    """How a fix matches the rejected records of its batch."""


class BodyWatcher(Protocol):
    """Observer of a body while it is received."""

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the body; an exception ends the submission."""

    def protocol_data(self) -> dict[str, str]:
        """Return what is stored with the batch, when the whole body was received."""


class PolicyResolver(Protocol):
    """What completes the policy of a submission by its first bytes."""

    def write(self, piece: bytes) -> None:
        """Take the next bytes of the body."""

    def policy(self) -> Policy:
        """Return the policy, when the whole body was received."""


class Submission:
    """One body while it is received: `write` it, then `finish` or `abort` it. Not for two threads at once."""

    def __init__(self, store: Store, settings: EngineSettings, merchant: str, begin: Callable[[], NewBatch | NewRound],
                 *, limits: MerchantLimits, key: str | None = None, fingerprint_of: str = "",
                 answer: Callable[[Batch], bytes] | None = None, watcher: BodyWatcher | None = None,
                 resolver_of: Callable[[NewBatch], PolicyResolver | None] | None = None) -> None:
        """Reserve the key; `begin` returns what is submitted, and is not called if the key was answered before.

        `resolver_of` returns what completes the policy of a new batch.
        """
        self._merchant = merchant
        self._watcher = watcher
        self._store = store
        self._settings = settings
        self._merchant_limits = limits
        self._key = key
        self._answer = answer
        self._upload = new_id()
        self._bytes = 0
        self._began_at = time.time_ns()
        self._hash = hashlib.sha256(fingerprint_of.encode() + b"\0")
        self._reserved_at = time.monotonic()
        self._replay: IdempotentAnswer | None = None
        if key is not None:
            with store_refusals(settings.usage_limits.open_rounds_max):
                self._replay = reserve(store, merchant, key)
        self._new: NewBatch | NewRound | None = None
        self._resolver: PolicyResolver | None = None
        if self._replay is None:
            try:
                self._new = begin()
                if resolver_of is not None and isinstance(self._new, NewBatch):
                    self._resolver = resolver_of(self._new)
            except BaseException:
                self.abort()
                raise

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the body. Raises Refusal (payload_too_large, store_full); then abort."""
        self._bytes += len(chunk)
        limit = self._settings.body_bytes_max
        if self._bytes > limit:
            raise Refusal("payload_too_large", f"The body is larger than {limit} bytes.", limit=limit)
        if self._watcher is not None:
            self._watcher.write(chunk)
        if self._resolver is not None:
            self._resolver.write(chunk)
        if self._key is not None:
            self._hash.update(chunk)
            if self._replay is not None:
                return
        with store_refusals(self._settings.usage_limits.open_rounds_max):
            if self._key is not None and time.monotonic() - self._reserved_at > RESERVE_SECONDS / 3:
                self._store.renew_idempotency_key(self._merchant, self._key, lease_seconds=RESERVE_SECONDS)
                self._reserved_at = time.monotonic()
            self._store.append_upload(self._merchant, self._upload, chunk)

    def finish(self, *, idempotency: Idempotency[Batch] | None = None) -> Receipt:
        """Make the submission durable. Raises Refusal; then nothing of it remains once it is aborted.

        `idempotency` is a key that the caller has reserved, for a submission that has none.
        """
        if self._replay is not None:
            check_same_request(self._replay, self._hash.digest())
            return Receipt(None, self._replay)
        if not self._bytes:
            raise Refusal("payload_empty")
        crash.point("received")
        if self._key is not None and self._answer is not None:
            idempotency = Idempotency(
                merchant=self._merchant, key=self._key, fingerprint=self._hash.digest(), answer=self._answer
            )
        assert self._new is not None
        limit = self._merchant_limits.open_rounds_max(self._merchant)
        self._merchant_limits.check_key(self._merchant, self._new.origin.key)
        if isinstance(self._new, NewBatch) and self._new.policy.start == "held":
            limit = max(1, limit // HELD_ROUNDS_SHARE)
        batch: Batch | None
        batch_id = self._new.id if isinstance(self._new, NewBatch) else self._new.batch
        with store_refusals(limit), tracing.receive(self._merchant, batch_id, self._began_at):
            if isinstance(self._new, NewBatch):
                new = self._new
                if self._resolver is not None:
                    new = msgspec.structs.replace(new, policy=self._resolver.policy())
                if self._watcher is not None:
                    data = {**new.protocol_data, **self._watcher.protocol_data()}
                    new = msgspec.structs.replace(new, protocol_data=data)
                batch = self._store.add_batch(
                    new, upload=self._upload, idempotency=idempotency, open_rounds_max=limit
                )
            else:
                batch = self._store.add_round(
                    self._new, upload=self._upload, idempotency=idempotency, open_rounds_max=limit
                )
        if batch is None:
            raise Refusal("batch_unknown")
        crash.point("sealed")
        self._key = None
        return Receipt(batch, None)

    def abort(self) -> None:
        """Discard what was received; no effect after `finish`."""
        self._store.discard_upload(self._merchant, self._upload)
        if self._key is not None and self._replay is None:
            self._store.release_idempotency_key(self._merchant, self._key)


def parse_encoding(name: str) -> str:
    """Return the charset that a submitter has named. Raises Refusal (parameter_invalid)."""
    try:
        return formats.find_encoding(name)
    except formats.UnknownEncodingError as fault:
        raise Refusal("parameter_invalid", str(fault), parameter="encoding") from fault


def parse_delimiter(name: str) -> str:
    """Return the delimiter that a submitter has named. Raises Refusal (parameter_invalid)."""
    try:
        return formats.find_delimiter(name)
    except formats.UnknownDelimiterError as fault:
        raise Refusal("parameter_invalid", str(fault), parameter="delimiter") from fault


def parse_empty_words(text: str) -> tuple[str, ...]:
    """Return the words of a list with commas."""
    return tuple(word for part in text.split(",") if (word := part.strip()))


@contextmanager
def store_refusals(open_rounds_max: int) -> Iterator[None]:
    """Raise errors of the store as refusals."""
    try:
        yield
    except QueueFullError as fault:
        raise Refusal("queue_full", limit=open_rounds_max, retry_after_seconds=30) from fault
    except StoreFullError as fault:
        raise Refusal("store_full", retry_after_seconds=60) from fault
    except StoreBusyError as fault:
        raise Refusal("store_busy", retry_after_seconds=1) from fault
    except KeyInUseError as fault:
        raise Refusal("key_in_use", retry_after_seconds=1) from fault
    except RoundAddedError as fault:
        raise Refusal(
            "batch_open",
            "Another round of the batch has been queued since its records were read. Look at what is still rejected, "
            "and send that again.",
        ) from fault
    except RoundOpenError as fault:
        raise Refusal("batch_open") from fault
