"""Submissions: reserved, received, sealed; and one more round of a batch that has ended."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
from psycopg import errors

from goodsgate.model import crash
from goodsgate.model.batch import Batch, Counts, RoundKind, State
from goodsgate.store.contract import (
    Idempotency,
    IdempotentAnswer,
    KeyInUseError,
    NewBatch,
    NewRound,
    QueueFullError,
    RoundOpenError,
    StoreBusyError,
    StoreError,
    StoreFullError,
)
from goodsgate.store.moments import id_bytes, moment
from goodsgate.store.postgres.ask import Cursor, do, every
from goodsgate.store.postgres.documents import Documents, document, row_of
from goodsgate.store.postgres.server import CommitLost
from goodsgate.store.postgres.uploads import NO_REST, Rest
from goodsgate.store.queue import due_at

encode = msgspec.json.Encoder().encode

PATIENT = "SET LOCAL lock_timeout = '5s'"
"""A lane that is held by somebody who was cut off in the middle of a transaction does not hold up the door."""


class Receiving(Documents):
    """The part of the contract that API processes write by."""

    # -- idempotency keys -----------------------------------------------------------------------------------------

    def reserve_idempotency_key(self, merchant: str, key: str, *, lease_seconds: float) -> IdempotentAnswer | None:
        """None: it is ours now. Raises KeyInUseError, StoreFullError, StoreBusyError."""
        number = self.known(merchant)
        now = self.now()
        named = {"merchant": number, "key": key, "now": now, "until": now + int(lease_seconds * 1e6)}
        if self.server.at_once("reserve_answer", named, merchant=number).changed:
            return None
        rows = self.server.at_once("answer", named, merchant=number).rows
        if not rows or rows[0][2] is None:
            raise KeyInUseError(key)
        ((_, fingerprint, body, batch),) = rows
        return IdempotentAnswer(fingerprint, body, batch.hex())

    def renew_idempotency_key(self, merchant: str, key: str, *, lease_seconds: float) -> None:
        """No effect on an answered key."""
        number = self.number(merchant)
        named = {"merchant": number, "key": key, "until": self.now() + int(lease_seconds * 1e6)}
        self.server.at_once("reserve_answer_again", named, merchant=number)

    def release_idempotency_key(self, merchant: str, key: str) -> None:
        """Never raises for want of room or way: the reservation then ends by itself."""
        with suppress(StoreFullError, StoreBusyError):
            number = self.number(merchant)
            self.server.at_once("release_answer", {"merchant": number, "key": key}, merchant=number)

    # -- bodies -----------------------------------------------------------------------------------------------------

    def append_upload(self, merchant: str, upload: str, piece: bytes) -> None:
        """Raises StoreFullError, StoreBusyError."""
        self.uploads.receive(merchant, self.known(merchant), upload, piece)

    def discard_upload(self, merchant: str, upload: str) -> None:
        """Harmless if there is no such upload."""
        with suppress(StoreBusyError):
            self.uploads.discard(merchant, self.number(merchant) or 0, upload)

    def add_batch(self, batch: NewBatch, *, upload: str, idempotency: Idempotency | None = None,
                  open_rounds_max: int) -> Batch:
        """Raises QueueFullError, StoreFullError, StoreBusyError; KeyInUseError if the key's lease ended and another
        submission took it."""
        number = self.known(batch.merchant)
        if id_bytes(batch.id) is None:
            raise StoreError(f"not a batch's id: {batch.id}")
        row = {
            "merchant": number, "id": batch.id, "kind": batch.kind, "collection": batch.collection,
            "policy": encode(batch.policy).decode(), "format": batch.format, "packing": batch.content_encoding,
            "label": batch.label, "folded": batch.label.casefold(), "protocol": batch.protocol,
            "facts": encode(batch.protocol_data).decode(), "round_kind": RoundKind.SUBMISSION,
        }
        rest = self.uploads.rest(batch.merchant, upload)
        crash.point("seal-synced")
        row |= {**rest.piece, "pieces": rest.pieces, "bytes": rest.bytes, "starts_at": due_at(batch.policy)}
        row |= {"now": self.now(), "most": open_rounds_max}
        try:
            if idempotency is None and not rest.touched_at:
                sealed = _new(batch, rest, self.server.at_once("add_batch", row, merchant=number, also=PATIENT).rows)
            else:
                with self.server.transaction(number, also=PATIENT) as db:
                    self.uploads.seal(db, number, rest)
                    # The row of the lane is held to the end: rounds are numbered in the order of their commits.
                    sealed = _new(batch, rest, every(db, "add_batch", row))
                    if idempotency is not None:
                        self._keep_answer(db, number, batch.id, idempotency, sealed)
                    crash.point("seal-written")
        except errors.UniqueViolation as fault:
            raise StoreError(f"the batch {batch.id} is there already") from fault
        except CommitLost as fault:
            self.uploads.keep(batch.merchant, upload)
            sealed = self._looked_up(batch.merchant, batch.id, 1, fault)
        self.uploads.keep(batch.merchant, upload)
        self.watch.tell()
        return sealed

    def add_round(self, round: NewRound, *, upload: str | None, idempotency: Idempotency | None = None,
                  open_rounds_max: int) -> Batch | None:
        """Raises RoundOpenError, QueueFullError, StoreFullError, StoreBusyError, KeyInUseError as seal does."""
        number = self.number(round.merchant)
        if number is None or id_bytes(round.batch) is None:
            return None
        named = {"merchant": number, "id": round.batch}
        rounds = 0
        rest = self.uploads.rest(round.merchant, upload) if upload is not None else NO_REST
        try:
            with self.server.transaction(number, also=PATIENT) as db:
                row = row_of(db, number, round.batch)
                if row is None:
                    return None
                if upload is not None:
                    self.uploads.seal(db, number, rest)
                    if rest.piece["content"] is not None:
                        do(db, "add_payload", {"merchant": number, **rest.piece})
                    crash.point("seal-synced")
                lane = {"merchant": number, "kind": row.kind, "now": self.now(), "most": open_rounds_max}
                if not every(db, "open_lane", lane):
                    raise QueueFullError(round.merchant)
                if not do(db, "reopen_batch", {**named, "bytes": rest.bytes, "has_payload": upload is not None}):
                    raise RoundOpenError(round.batch)
                sent = {
                    "round_kind": round.kind, "format": round.format, "packing": round.content_encoding,
                    "bytes": rest.bytes,
                    "upload": upload, "pieces": rest.pieces,
                }
                sealed = self._add_round(db, round.merchant, number, round.batch, sent, idempotency)
                rounds = sealed.rounds
        except CommitLost as fault:
            if upload is None:
                raise  # nothing tells our round from one that somebody else has queued meanwhile
            self.uploads.keep(round.merchant, upload)
            sealed = self._looked_up(round.merchant, round.batch, rounds, fault)
            kept = self.server.at_once("payload", {**named, "round": rounds - 1}, merchant=number).rows
            if not kept or kept[0][0] is None or kept[0][0].hex() != upload:
                raise
        if upload is not None:
            self.uploads.keep(round.merchant, upload)
        self.watch.tell()
        return sealed

    def payload(self, merchant: str, batch: str, round: int) -> Iterator[bytes] | None:
        """Pieces of at most 2 MiB; StoreError where the payload is swept while it is read."""
        number = self.number(merchant)
        if number is None or id_bytes(batch) is None:
            return None
        rows = self.server.at_once("payload", {"merchant": number, "id": batch, "round": round}, merchant=number).rows
        if not rows or rows[0][0] is None:
            return None
        return self.uploads.read(number, rows[0][0].hex(), rows[0][1])

    # -- inside a transaction ---------------------------------------------------------------------------------------

    def _add_round(self, db: Cursor, merchant: str, number: int, batch: str, sent: dict[str, object],
                   idempotency: Idempotency | None) -> Batch:
        do(db, "add_round", {"merchant": number, "id": batch, **sent})
        row = row_of(db, number, batch)
        assert row is not None
        sealed = document(row, merchant)
        if idempotency is not None:
            self._keep_answer(db, number, batch, idempotency, sealed)
        crash.point("seal-written")
        return sealed

    def _keep_answer(self, db: Cursor, number: int, batch: str, idempotency: Idempotency, sealed: Batch) -> None:
        kept = do(db, "keep_answer", {
            "merchant": number, "key": idempotency.key, "now": self.now(), "fingerprint": idempotency.fingerprint,
            "body": idempotency.answer(sealed), "batch": batch,
        })
        if not kept:
            raise KeyInUseError(idempotency.key)

    def _looked_up(self, merchant: str, batch: str, rounds: int, fault: CommitLost) -> Batch:
        """The connection was lost with the commit: acknowledged only if it is there. What was sent of the upload stays,
        it may belong to the batch; if not, the sweep removes it."""
        found = self.batch(merchant, batch)
        if found is None or found.rounds < rounds:
            raise fault
        return found


def _new(batch: NewBatch, rest: Rest, placed: list[tuple[Any, ...]]) -> Batch:
    """A batch as it is when it was just sealed, by when it was accepted and its place in the lane. Raises
    QueueFullError."""
    if not placed:
        raise QueueFullError(batch.merchant)
    ((accepted_at, position),) = placed
    return Batch(
        merchant=batch.merchant, id=batch.id, kind=batch.kind, collection=batch.collection, policy=batch.policy,
        format=batch.format, content_encoding=batch.content_encoding, label=batch.label, protocol=batch.protocol,
        state=State.QUEUED,
        cancelling=False, counts=Counts(), warned=0, total=None, bytes_total=rest.bytes, bytes_done=0,
        position=position, rounds=1, columns=None, withheld=None, received_at=moment(accepted_at), started_at=None,
        finished_at=None, protocol_data=batch.protocol_data,
    )
