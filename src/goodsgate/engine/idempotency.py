"""Requests under an idempotency key: carried out once, and answered the same every time.

The key is looked up before anything else of a request, because the first request may have changed what the second one
is checked against: a batch that was fixed is open again. The answer is stored in the transaction of the effect.
"""

from collections.abc import Callable

import msgspec

from goodsgate.engine.refusal import Refusal
from goodsgate.model.audit import mark_recorded
from goodsgate.store.contract import Idempotency, IdempotentAnswer, Store
from goodsgate.store.contract.values import Subject

RESERVE_SECONDS = 5.0
"""An idempotency key whose request shows no life for this long can be taken again: its process may be dead.

If it is alive after all, the first of the two requests that is stored counts, and the other one is refused.
"""


class RequestKey(msgspec.Struct, frozen=True, kw_only=True):
    """The idempotency key of a request without a long body."""

    merchant: str
    """The merchant that uses the key."""
    key: str
    fingerprint: bytes
    """What two requests with the key must have in common."""

    def answered_by(self, answer: Callable[[Subject], bytes]) -> Idempotency[Subject]:
        """Return the key for the store, to be answered by `answer`."""
        return Idempotency(merchant=self.merchant, key=self.key, fingerprint=self.fingerprint, answer=answer)


def reserve(store: Store, merchant: str, key: str) -> IdempotentAnswer | None:
    """Reserve a key, or return its answer. Raises Refusal (key_malformed), and errors of the store."""
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
        raise Refusal("key_malformed")
    return store.reserve_idempotency_key(merchant, key, lease_seconds=RESERVE_SECONDS)


def check_same_request(answer: IdempotentAnswer, fingerprint: bytes) -> None:
    """Raise key_reused if an answer belongs to another request."""
    if answer.fingerprint != fingerprint:
        raise Refusal("key_reused")


def answer_once(store: Store, key: RequestKey | None, act: Callable[[], bytes]) -> bytes:
    """Return what `act` returns, or what it returned for the first request with the key.

    `act` must store its answer under the key itself. Raises Refusal: key_malformed, key_reused; errors of the store,
    such as KeyInUseError; and what `act` raises, after which the key is free again.
    """
    if key is None:
        return act()
    replay = reserve(store, key.merchant, key.key)
    if replay is not None:
        check_same_request(replay, key.fingerprint)
        mark_recorded()
        return replay.body
    try:
        return act()
    except BaseException:
        store.release_idempotency_key(key.merchant, key.key)
        raise
