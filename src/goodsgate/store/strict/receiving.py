"""How a submission comes in, watched."""

# ruff: noqa: D102 – the contract says what each method does.
from collections.abc import Iterator

from goodsgate.model.batch import Batch, State
from goodsgate.store.contract import Idempotency, IdempotentAnswer, NewBatch, NewRound
from goodsgate.store.demands import check_id, check_merchant, checked_pieces, must
from goodsgate.store.strict.messages import Messages


class Receiving(Messages):
    """From a reserved key to a sealed batch, and rounds after it."""

    def reserve_idempotency_key(self, merchant: str, key: str, *, lease_seconds: float) -> IdempotentAnswer | None:
        check_merchant(merchant)
        must(bool(key) and lease_seconds > 0, "a key, and for how long", key, lease_seconds)
        return self.store.reserve_idempotency_key(merchant, key, lease_seconds=lease_seconds)

    def renew_idempotency_key(self, merchant: str, key: str, *, lease_seconds: float) -> None:
        must(lease_seconds > 0, "for how long", lease_seconds)
        self.store.renew_idempotency_key(merchant, key, lease_seconds=lease_seconds)

    def release_idempotency_key(self, merchant: str, key: str) -> None:
        self.store.release_idempotency_key(merchant, key)

    def append_upload(self, merchant: str, upload: str, piece: bytes) -> None:
        check_merchant(merchant)
        check_id(upload)
        self.store.append_upload(merchant, upload, piece)

    def discard_upload(self, merchant: str, upload: str) -> None:
        check_id(upload)
        self.store.discard_upload(merchant, upload)

    def add_batch(self, batch: NewBatch, *, upload: str, idempotency: Idempotency | None = None,
                  open_rounds_max: int) -> Batch:
        check_merchant(batch.merchant)
        check_id(batch.id)
        check_id(upload)
        must(bool(batch.collection) and open_rounds_max > 0, "a collection, and how long the queue may be", batch)
        sealed = self.store.add_batch(batch, upload=upload, idempotency=idempotency, open_rounds_max=open_rounds_max)
        must(sealed.state is State.QUEUED and sealed.rounds == 1, "a sealed batch is queued", sealed)
        return self._watched(sealed, batch.merchant, batch.id, None)

    def add_round(self, round: NewRound, *, upload: str | None, idempotency: Idempotency | None = None,
                  open_rounds_max: int) -> Batch | None:
        check_merchant(round.merchant)
        must(open_rounds_max > 0, "how long the queue may be", open_rounds_max)
        found = self.store.add_round(round, upload=upload, idempotency=idempotency, open_rounds_max=open_rounds_max)
        if found is None:
            return None
        must(found.state is State.QUEUED and found.rounds > 1, "a batch that is open again is queued", found)
        return self._watched(found, round.merchant, round.batch, None)

    def payload(self, merchant: str, batch: str, round: int) -> Iterator[bytes] | None:
        must(round >= 0, "rounds are counted from 0", round)
        pieces = self.store.payload(merchant, batch, round)
        return checked_pieces(pieces) if pieces is not None else None
