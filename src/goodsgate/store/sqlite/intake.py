"""Submissions on their way in: all of it in the intake file."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import apsw
import msgspec

from goodsgate.model import crash
from goodsgate.model.batch import Batch, RoundKind
from goodsgate.model.tracing import Origin
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
from goodsgate.store.shared.audit import record_act
from goodsgate.store.shared.batch_rows import search_text
from goodsgate.store.shared.idempotency import answer_key
from goodsgate.store.shared.progress import COUNT_NAMES
from goodsgate.store.shared.round_ends import RoundEnd, add_end_messages, has_webhooks
from goodsgate.store.shared.rounds import GUARDED, decode_policy, hold_times, start_time, wait_end
from goodsgate.store.shared.timestamps import id_bytes
from goodsgate.store.sqlite.batches import SqliteBatches, SqliteBatchRow, batch_row
from goodsgate.store.sqlite.database import SqliteDatabase
from goodsgate.store.sqlite.progress import read_progress
from goodsgate.store.sqlite.statements import SqliteStatements
from goodsgate.store.sqlite.uploads import PIECE_BYTES

encode = msgspec.json.Encoder().encode


class RoundPayload(msgspec.Struct, kw_only=True):
    """A new round and its payload, if it has one."""

    kind: RoundKind
    format: str
    content_encoding: str
    starts_at: int = 0
    waits_until: int = 0
    size: int = 0
    content: bytes | None = None
    """A small payload."""
    file: str | None = None
    """The name of the file of a larger one."""
    origin: Origin


class SqliteIntake:
    """Implements IntakeStore."""

    def __init__(self, database: SqliteDatabase, batches: SqliteBatches) -> None:
        self._database = database
        self._intake = database.intake
        self._uploads = database.uploads
        self._batches = batches

    # -- idempotency keys -----------------------------------------------------------------------------------------

    def reserve_idempotency_key(self, merchant: str, key: str, *, lease_seconds: float) -> IdempotentAnswer | None:
        """Reserve a key, or return its answer. Raises KeyInUseError, StoreFullError, StoreBusyError."""
        named = {"merchant": self._database.require_number(merchant), "key": key}
        now = self._database.now()
        with self._intake.writing() as db:
            row = db.first("idempotency_key", named)
            if row is not None:
                expires_at, fingerprint, body, batch = row
                if body is not None:
                    return IdempotentAnswer(fingerprint, body, batch.hex() if batch is not None else None)
                if expires_at > now:
                    raise KeyInUseError(key)
            db.change("reserve_idempotency_key", {**named, "now": now, "until": now + int(lease_seconds * 1e6)})
        return None

    def renew_idempotency_key(self, merchant: str, key: str, *, lease_seconds: float) -> None:
        """Extend the lease of a reserved key; no effect on an answered one."""
        until = self._database.now() + int(lease_seconds * 1e6)
        with self._intake.writing() as db:
            named = {"merchant": self._database.number(merchant), "key": key}
            db.change("renew_idempotency_key", {**named, "until": until})

    def release_idempotency_key(self, merchant: str, key: str) -> None:
        """Release a reserved key; without space on the disk its lease ends by itself."""
        with suppress(StoreFullError, StoreBusyError), self._intake.writing() as db:
            db.change("release_idempotency_key", {"merchant": self._database.number(merchant), "key": key})

    # -- bodies -----------------------------------------------------------------------------------------------------

    def append_upload(self, merchant: str, upload: str, piece: bytes) -> None:
        """Append bytes to an upload. Raises StoreFullError; the upload is then deleted."""
        self._uploads.append(merchant, upload, piece)

    def discard_upload(self, merchant: str, upload: str) -> None:
        """Delete an upload, if it exists."""
        self._uploads.discard(merchant, upload)

    def add_batch(self, batch: NewBatch, *, upload: str, idempotency: Idempotency[Batch] | None = None,
                  open_rounds_max: int) -> Batch:
        """Make an upload durable and queue it as round 0 of a new batch. Raises as the contract says."""
        number, id = self._database.require_number(batch.merchant), id_bytes(batch.id)
        if id is None:
            raise StoreError(f"not a batch's id: {batch.id}")
        size, content = self._uploads.sync(batch.merchant, upload)
        crash.point("seal-synced")
        row = {
            "merchant": number, "id": id, "kind": batch.kind, "collection": batch.collection,
            "policy": encode(batch.policy), "format": batch.format, "content_encoding": batch.content_encoding,
            "label": batch.label, "folded": search_text(batch), "protocol": batch.protocol,
            "protocol_data": encode(batch.protocol_data), "bytes": size,
        }
        payload = RoundPayload(
            kind=RoundKind.SUBMISSION, format=batch.format, content_encoding=batch.content_encoding, size=size,
            content=content, file=upload if content is None else None, starts_at=start_time(batch.policy),
            waits_until=wait_end(batch.policy, now=self._database.now()), origin=batch.origin,
        )
        with self._intake.writing() as db:
            _check_queue(db, number, open_rounds_max)
            try:
                # Only the transaction that holds the file knows when: others may have been accepted meanwhile.
                db.change("add_batch", {**row, "now": self._database.now()})
            except apsw.ConstraintError as fault:
                raise StoreError(f"the batch {batch.id} exists already") from fault
            added = self._add_round(db, batch.merchant, number, id, payload, idempotency)
        self._uploads.keep(batch.merchant, upload)
        return added

    def add_round(self, round: NewRound, *, upload: str | None, idempotency: Idempotency[Batch] | None = None,
                  open_rounds_max: int) -> Batch | None:
        """Queue one more round of a batch that has ended. Raises as the contract says."""
        number, id = self._database.number(round.merchant), id_bytes(round.batch)
        if number is None or id is None:
            return None
        payload = RoundPayload(
            kind=round.kind, format=round.format, content_encoding=round.content_encoding, origin=round.origin
        )
        if upload is not None:
            payload.size, payload.content = self._uploads.sync(round.merchant, upload)
            payload.file = upload if payload.content is None else None
            crash.point("seal-synced")
        with self._intake.writing() as db:
            row = batch_row(db, number, id)
            if row is None:
                return None
            self._check_ended(db, row)
            if round.rounds and row.rounds != round.rounds:
                raise RoundAddedError(round.batch)
            _check_queue(db, number, open_rounds_max)
            named = {"merchant": number, "id": id, "bytes": payload.size, "has_payload": upload is not None}
            db.change("reopen_batch", named)
            payload.waits_until = wait_end(decode_policy(row.policy), now=self._database.now())
            added = self._add_round(db, round.merchant, number, id, payload, idempotency)
        if upload is not None:
            self._uploads.keep(round.merchant, upload)
        return added

    def count_rounds_of_key(self, merchant: str, key: str) -> int:
        """Return how many rounds that the requests of a key have caused are queued or working."""
        named = {"merchant": self._database.number(merchant), "submitter": key}
        return int(self._intake.query("open_rounds_of_key", named)[0][0])

    def payload(self, merchant: str, batch: str, round: int) -> Iterator[bytes] | None:
        """Return the payload in pieces of at most 1 MiB; it may be deleted while it is read."""
        values = {"merchant": self._database.number(merchant), "id": id_bytes(batch), "round": round}
        rows = self._intake.query("payload", values)
        if not rows:
            return None
        file, size, content = rows[0]
        if file is not None:
            return self._uploads.read(file, size)
        return _pieces(content) if content is not None else None

    # -- inside a transaction ---------------------------------------------------------------------------------------

    def _add_round(self, db: SqliteStatements, merchant: str, number: int, id: bytes, payload: RoundPayload,
                   idempotency: Idempotency[Batch] | None) -> Batch:
        db.change("add_round", {
            "merchant": number, "id": id, "round_kind": payload.kind, "format": payload.format,
            "content_encoding": payload.content_encoding, "bytes": payload.size, "file": payload.file,
            "starts_at": payload.starts_at, "waits_until": payload.waits_until, "request": payload.origin.request,
            "traceparent": payload.origin.traceparent, "submitter": payload.origin.key,
        })
        if payload.content is not None:
            db.change("add_payload", {"merchant": number, "content": payload.content})
        row = batch_row(db, number, id)
        assert row is not None
        lane = {"merchant": number, "kind": row.kind, "collection": row.collection, "waits_until": payload.waits_until}
        if not db.change("open_lane", lane):
            db.change("add_lane", lane)
        batch = self._batches.from_row(row, merchant)
        assert batch is not None
        if idempotency is not None:
            answer_key(db, number, idempotency, batch, now=self._database.now(), batch=id)
        record_act(db, number, merchant, now=self._database.now())
        crash.point("seal-written")
        return batch

    def _check_ended(self, db: SqliteStatements, row: SqliteBatchRow) -> None:
        if not row.open:
            return
        with self._database.catalogue.reading() as catalogue:
            progress = read_progress(catalogue, row.merchant, row.id)
        if progress is None or not progress.has_ended(row.rounds - 1):
            raise RoundOpenError(row.id.hex())
        end = RoundEnd(
            batch=row.id.hex(), round=row.rounds - 1, kind=row.kind, collection=row.collection,
            policy=decode_policy(row.policy), progress=progress,
        )
        record_ends(db, row.merchant, [end], now=self._database.now())


def record_ends(db: SqliteStatements, merchant: int, ends: Sequence[RoundEnd], *, now: int) -> bool:
    """Record rounds of one lane that end or are held in the intake file, once; return whether messages were stored."""
    recorded, closed = [], 0
    for end in ends:
        progress = end.progress
        named = {
            "merchant": merchant, "kind": end.kind, "collection": end.collection, "id": bytes.fromhex(end.batch),
            "round": end.round, "records": progress.records, "ended_at": progress.ended_at or progress.first_at,
            "counts": progress.encode_counts(),
        }
        if progress.is_held:
            if db.change("hold_round", {**named, **hold_times(progress)}):
                db.change("block_lane", {**named, "guarded": GUARDED})
                db.change("requeue_rounds", named)
                recorded.append(end)
        elif db.change("end_round", named):
            if progress.trial:
                db.change("block_lane", {**named, "guarded": GUARDED})
            db.change("end_batch", _ended_batch(merchant, end))
            recorded.append(end)
            closed += 1
    if closed:
        lane = {"merchant": merchant, "kind": ends[0].kind, "collection": ends[0].collection}
        db.change("close_lane", {**lane, "closed": closed})
    return bool(recorded) and add_end_messages(
        db, merchant, recorded, now=now, has_webhooks=has_webhooks(db, merchant)
    )


def _ended_batch(merchant: int, end: RoundEnd) -> dict[str, Any]:
    progress = end.progress
    return {
        "merchant": merchant, "id": bytes.fromhex(end.batch), "state": end.state, "total": progress.total,
        **{name: getattr(progress, name) for name in COUNT_NAMES},
        "finished_at": progress.ended_at or progress.first_at,
        "bytes_done": progress.bytes_before + progress.bytes_done, "warned": progress.warned,
        "file_errors": progress.file_errors,
        "columns": progress.columns, "withheld": progress.withheld, "reading": progress.reading,
        "roles": progress.roles, "rule_counts": progress.rule_counts, "trial": progress.trial, "hold": progress.hold,
    }


def _check_queue(db: SqliteStatements, number: int, open_rounds_max: int) -> None:
    count = db.value("count_open_rounds", {"merchant": number})
    if count >= open_rounds_max:
        raise QueueFullError(f"{count} open rounds")


def _pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]
