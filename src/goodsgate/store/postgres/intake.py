"""Submissions on their way in."""

from collections.abc import Iterator
from contextlib import suppress

import msgspec

from goodsgate.model import crash
from goodsgate.model.audit import ACT
from goodsgate.model.batch import Batch, Counts, RoundKind, State
from goodsgate.store.contract import (
    Idempotency,
    IdempotentAnswer,
    KeyInUseError,
    NewBatch,
    NewRound,
    QueueFullError,
    RoundAddedError,
    RoundOpenError,
    StoreBusyError,
    StoreError,
    StoreFullError,
)
from goodsgate.store.postgres.batches import PostgresBatches, batch_from_row, batch_row
from goodsgate.store.postgres.database import PostgresDatabase
from goodsgate.store.postgres.server import CommitLostError
from goodsgate.store.postgres.uploads import NO_REST, UploadRest
from goodsgate.store.shared.audit import record_act
from goodsgate.store.shared.batch_rows import search_text
from goodsgate.store.shared.database import ConstraintError, Row
from goodsgate.store.shared.idempotency import answer_key
from goodsgate.store.shared.rounds import decode_policy, start_time, wait_end
from goodsgate.store.shared.timestamps import id_bytes, timestamp

encode = msgspec.json.Encoder().encode

LOCK_TIMEOUT = "SET LOCAL lock_timeout = '5s'"
"""A lane locked by a process that was cut off in the middle of a transaction must not block clients for long."""


class PostgresIntake:
    """Implements IntakeStore."""

    def __init__(self, database: PostgresDatabase, batches: PostgresBatches) -> None:
        self._database = database
        self._server = database.server
        self._uploads = database.uploads
        self._batches = batches

    # -- idempotency keys -----------------------------------------------------------------------------------------

    def reserve_idempotency_key(self, merchant: str, key: str, *, lease_seconds: float) -> IdempotentAnswer | None:
        """Reserve a key, or return its answer. Raises KeyInUseError, StoreFullError, StoreBusyError."""
        number = self._database.require_number(merchant)
        now = self._database.now()
        values = {"merchant": number, "key": key, "now": now, "until": now + int(lease_seconds * 1e6)}
        if self._server.run("reserve_idempotency_key", values, number).changed:
            return None
        rows = self._server.query("idempotency_key", values, number)
        if not rows or rows[0][2] is None:
            raise KeyInUseError(key)
        ((_, fingerprint, body, batch),) = rows
        return IdempotentAnswer(fingerprint, body, batch.hex() if batch is not None else None)

    def renew_idempotency_key(self, merchant: str, key: str, *, lease_seconds: float) -> None:
        """Extend the lease of a reserved key; no effect on an answered one."""
        number = self._database.number(merchant)
        until = self._database.now() + int(lease_seconds * 1e6)
        self._server.run("renew_idempotency_key", {"merchant": number, "key": key, "until": until}, number)

    def release_idempotency_key(self, merchant: str, key: str) -> None:
        """Release a reserved key; if the server cannot be reached, its lease ends by itself."""
        with suppress(StoreFullError, StoreBusyError):
            number = self._database.number(merchant)
            self._server.run("release_idempotency_key", {"merchant": number, "key": key}, number)

    # -- bodies -----------------------------------------------------------------------------------------------------

    def append_upload(self, merchant: str, upload: str, piece: bytes) -> None:
        """Append bytes to an upload. Raises StoreFullError, StoreBusyError."""
        self._uploads.append(merchant, self._database.require_number(merchant), upload, piece)

    def discard_upload(self, merchant: str, upload: str) -> None:
        """Delete an upload, if it exists."""
        with suppress(StoreBusyError):
            self._uploads.discard(merchant, self._database.number(merchant) or 0, upload)

    def add_batch(self, batch: NewBatch, *, upload: str, idempotency: Idempotency[Batch] | None = None,
                  open_rounds_max: int) -> Batch:
        """Make an upload durable and queue it as round 0 of a new batch. Raises as the contract says."""
        number = self._database.require_number(batch.merchant)
        if id_bytes(batch.id) is None:
            raise StoreError(f"not a batch's id: {batch.id}")
        row = {
            "merchant": number, "id": batch.id, "kind": batch.kind, "collection": batch.collection,
            "policy": encode(batch.policy).decode(), "format": batch.format, "content_encoding": batch.content_encoding,
            "label": batch.label, "folded": search_text(batch), "protocol": batch.protocol,
            "protocol_data": encode(batch.protocol_data).decode(), "round_kind": RoundKind.SUBMISSION,
            "request": batch.origin.request, "traceparent": batch.origin.traceparent,
            "submitter": batch.origin.key,
        }
        rest = self._uploads.rest(batch.merchant, number, upload)
        crash.point("seal-synced")
        row |= {**rest.piece, "pieces": rest.pieces, "bytes": rest.bytes, "starts_at": start_time(batch.policy)}
        now = self._database.now()
        row |= {"now": now, "rounds_max": open_rounds_max, "waits_until": wait_end(batch.policy, now=now)}
        try:
            if idempotency is None and not rest.touched_at and ACT.get() is None:
                added = _new_batch(batch, rest, self._server.run("add_batch", row, number, also=LOCK_TIMEOUT).rows)
            else:
                with self._server.transaction(number, also=LOCK_TIMEOUT) as db:
                    self._uploads.take(db, number, rest)
                    # The row of the lane is locked to the end: rounds are numbered in the order of their commits.
                    added = _new_batch(batch, rest, db.rows("add_batch", row))
                    if idempotency is not None:
                        answer_key(db, number, idempotency, added, now=self._database.now(), batch=batch.id)
                    record_act(db, number, batch.merchant, now=now)
                    crash.point("seal-written")
        except ConstraintError as fault:
            raise StoreError(f"the batch {batch.id} exists already") from fault
        except CommitLostError as fault:
            self._uploads.keep(batch.merchant, upload)
            added = self._find_committed(batch.merchant, batch.id, 1, fault)
        self._uploads.keep(batch.merchant, upload)
        self._database.notifications.notify(batch.merchant)
        return added

    def add_round(self, round: NewRound, *, upload: str | None, idempotency: Idempotency[Batch] | None = None,
                  open_rounds_max: int) -> Batch | None:
        """Queue one more round of a batch that has ended. Raises as the contract says."""
        number = self._database.number(round.merchant)
        if number is None or id_bytes(round.batch) is None:
            return None
        named = {"merchant": number, "id": round.batch}
        rounds = 0
        rest = self._uploads.rest(round.merchant, number, upload) if upload is not None else NO_REST
        try:
            with self._server.transaction(number, also=LOCK_TIMEOUT) as db:
                row = batch_row(db, number, round.batch)
                if row is None:
                    return None
                if upload is not None:
                    self._uploads.take(db, number, rest)
                    if rest.piece["content"] is not None:
                        db.change("add_payload", {"merchant": number, **rest.piece})
                    crash.point("seal-synced")
                now = self._database.now()
                waiting = {"waits_until": wait_end(decode_policy(row.policy), now=now)}
                lane = {
                    "merchant": number, "kind": row.kind, "collection": row.collection, "now": now,
                    "rounds_max": open_rounds_max,
                }
                if not db.rows("open_lane", {**lane, **waiting}):
                    raise QueueFullError(round.merchant)
                reopened = {"bytes": rest.bytes, "has_payload": upload is not None, "expected": round.rounds}
                if not db.change("reopen_batch", {**named, **reopened}):
                    now_row = batch_row(db, number, round.batch)
                    is_added = round.rounds and now_row is not None and now_row.rounds != round.rounds
                    raise (RoundAddedError if is_added else RoundOpenError)(round.batch)
                db.change("add_round", {
                    **named, "round_kind": round.kind, "format": round.format,
                    "content_encoding": round.content_encoding, "bytes": rest.bytes, "upload": upload,
                    "pieces": rest.pieces, **waiting, "request": round.origin.request,
                    "traceparent": round.origin.traceparent, "submitter": round.origin.key,
                })
                row = batch_row(db, number, round.batch)
                assert row is not None
                added = batch_from_row(row, round.merchant)
                if idempotency is not None:
                    answer_key(db, number, idempotency, added, now=self._database.now(), batch=round.batch)
                record_act(db, number, round.merchant, now=now)
                crash.point("seal-written")
                rounds = added.rounds
        except CommitLostError as fault:
            if upload is None:
                raise  # nothing distinguishes this round from one that another process has queued meanwhile
            self._uploads.keep(round.merchant, upload)
            added = self._find_committed(round.merchant, round.batch, rounds, fault)
            payload = self._server.query("payload", {**named, "round": rounds - 1}, number)
            if not payload or payload[0][0] is None or payload[0][0].hex() != upload:
                raise
        if upload is not None:
            self._uploads.keep(round.merchant, upload)
        self._database.notifications.notify(round.merchant, batches=[round.batch])
        return added

    def count_rounds_of_key(self, merchant: str, key: str) -> int:
        """Return how many rounds that the requests of a key have caused are queued or working."""
        number = self._database.number(merchant)
        if number is None:
            return 0
        rows = self._server.query("open_rounds_of_key", {"merchant": number, "submitter": key}, number)
        return int(rows[0][0])

    def payload(self, merchant: str, batch: str, round: int) -> Iterator[bytes] | None:
        """Return the payload in pieces of at most 2 MiB; StoreError if it is swept while it is read."""
        number = self._database.number(merchant)
        if number is None or id_bytes(batch) is None:
            return None
        rows = self._server.query("payload", {"merchant": number, "id": batch, "round": round}, number)
        if not rows or rows[0][0] is None:
            return None
        return self._uploads.read(number, rows[0][0].hex(), rows[0][1])

    # -- inside -------------------------------------------------------------------------------------------------------

    def _find_committed(self, merchant: str, batch: str, rounds: int, fault: CommitLostError) -> Batch:
        """Return the batch if the commit whose connection was lost took effect, and raise the fault otherwise.

        The pieces of the upload stay, because they may belong to the batch; if not, the sweep deletes them.
        """
        found = self._batches.batch(merchant, batch)
        if found is None or found.rounds < rounds:
            raise fault
        return found


def _new_batch(batch: NewBatch, rest: UploadRest, rows: list[Row]) -> Batch:
    """Return a new batch with its time of acceptance and position. Raises QueueFullError if there is no row."""
    if not rows:
        raise QueueFullError(batch.merchant)
    ((accepted_at, position),) = rows
    return Batch(
        merchant=batch.merchant, id=batch.id, kind=batch.kind, collection=batch.collection, policy=batch.policy,
        format=batch.format, content_encoding=batch.content_encoding, label=batch.label, protocol=batch.protocol,
        state=State.QUEUED, cancelling=False, counts=Counts(), warned=0, total=None, bytes_total=rest.bytes,
        bytes_done=0, position=position, rounds=1, columns=None, withheld=None, received_at=timestamp(accepted_at),
        started_at=None, finished_at=None, protocol_data=batch.protocol_data,
    )
