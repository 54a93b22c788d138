"""A submission's bytes → a durable batch, or nothing at all."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import msgspec

from goodsgate.config import Config
from goodsgate.engine.refusal import Refusal
from goodsgate.model import crash
from goodsgate.model.batch import Batch, new_id
from goodsgate.store.contract import (
    Idempotency,
    IdempotentAnswer,
    KeyInUseError,
    NewBatch,
    NewRound,
    QueueFullError,
    RoundOpenError,
    Store,
    StoreBusyError,
    StoreFullError,
)

RESERVE_SECONDS = 5.0
"""An idempotency key whose submission shows no life for this long may be taken again: its process may be dead. Should
it live, the first of the two to be sealed counts, and the other is refused."""


class Receipt(msgspec.Struct, frozen=True):
    """What a finished submission came to: a batch, or the answer it was given before."""

    batch: Batch | None
    replay: IdempotentAnswer | None


class Watcher(Protocol):
    """Looks at a body while it comes."""

    def write(self, chunk: bytes) -> None:
        """The next bytes of it. What it raises ends the submission."""

    def protocol_data(self) -> dict[str, str]:
        """What of it is to be kept with the batch, now that all has come."""


class Submission:
    """One body on its way in; `write` it, then `finish` or `abort` it. Not for use from two threads at once."""

    def __init__(self, store: Store, config: Config, sent: NewBatch | NewRound, *, key: str | None = None,
                 fingerprint_of: str = "", answer: Callable[[Batch], bytes] | None = None,
                 watcher: Watcher | None = None) -> None:
        self._watcher = watcher
        self._store = store
        self._config = config
        self._sent = sent
        self._key = key
        self._answer = answer
        self._upload = new_id()
        self._bytes = 0
        self._hash = hashlib.sha256(fingerprint_of.encode() + b"\0")
        self._reserved = time.monotonic()
        self._before: IdempotentAnswer | None = None
        if key is not None:
            self._before = self._reserve(key)

    def _reserve(self, key: str) -> IdempotentAnswer | None:
        if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
            raise Refusal("key_malformed")
        with refusing(self._config.open_rounds_max):
            return self._store.reserve_idempotency_key(self._sent.merchant, key, lease_seconds=RESERVE_SECONDS)

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the body. Raises Refusal (payload_too_large, store_full); then abort."""
        self._bytes += len(chunk)
        limit = self._config.body_bytes_max
        if self._bytes > limit:
            raise Refusal("payload_too_large", f"The body is larger than {limit} bytes.", limit=limit)
        if self._watcher is not None:
            self._watcher.write(chunk)
        if self._key is not None:
            self._hash.update(chunk)
            if self._before is not None:
                return
        with refusing(self._config.open_rounds_max):
            if self._key is not None and time.monotonic() - self._reserved > RESERVE_SECONDS / 3:
                self._store.renew_idempotency_key(self._sent.merchant, self._key, lease_seconds=RESERVE_SECONDS)
                self._reserved = time.monotonic()
            self._store.append_upload(self._sent.merchant, self._upload, chunk)

    def finish(self) -> Receipt:
        """Make it durable. Raises Refusal; then nothing of it remains once aborted."""
        if self._before is not None:
            if self._before.fingerprint != self._hash.digest():
                raise Refusal("key_reused")
            return Receipt(None, self._before)
        if not self._bytes:
            raise Refusal("payload_empty")
        crash.point("received")
        batch = self._seal()
        crash.point("sealed")
        self._key = None
        return Receipt(batch, None)

    def _seal(self) -> Batch:
        idempotency = None
        if self._key is not None and self._answer is not None:
            idempotency = Idempotency(key=self._key, fingerprint=self._hash.digest(), answer=self._answer)
        limit = self._config.open_rounds_max
        with refusing(limit):
            if isinstance(self._sent, NewBatch):
                found = self._watcher.protocol_data() if self._watcher is not None else {}
                sent = msgspec.structs.replace(self._sent, protocol_data={**self._sent.protocol_data, **found})
                return self._store.add_batch(
                    sent, upload=self._upload, idempotency=idempotency, open_rounds_max=limit
                )
            batch = self._store.add_round(
                self._sent, upload=self._upload, idempotency=idempotency, open_rounds_max=limit
            )
        if batch is None:
            raise Refusal("batch_unknown")
        return batch

    def abort(self) -> None:
        """Forget what was received; harmless after finish."""
        self._store.discard_upload(self._sent.merchant, self._upload)
        if self._key is not None and self._before is None:
            self._store.release_idempotency_key(self._sent.merchant, self._key)


@contextmanager
def refusing(open_rounds_max: int) -> Iterator[None]:
    """What a store raises while something is queued, as refusals."""
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
    except RoundOpenError as fault:
        raise Refusal("batch_open") from fault
