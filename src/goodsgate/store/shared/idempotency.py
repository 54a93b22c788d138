"""Answers under idempotency keys, stored in the transaction of what the request changes."""

from goodsgate.store.contract import Idempotency, KeyInUseError
from goodsgate.store.contract.values import Subject
from goodsgate.store.shared.database import Statements


def answer_key(db: Statements, number: int, idempotency: Idempotency[Subject], subject: Subject, *, now: int,
               batch: str | bytes | None = None) -> None:
    """Store the first answer under a key. Raises KeyInUseError if another request was answered under it meanwhile.

    `number` is that of the merchant that uses the key; `batch` is an id as the store keeps it.
    """
    answered = db.change("answer_idempotency_key", {
        "merchant": number, "key": idempotency.key, "now": now, "fingerprint": idempotency.fingerprint,
        "body": idempotency.answer(subject), "batch": batch,
    })
    if not answered:
        raise KeyInUseError(idempotency.key)
