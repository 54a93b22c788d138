"""Submissions: reserved, received, sealed; and one more round of a batch that has ended."""

from collections.abc import Iterator
from contextlib import suppress

import apsw
import msgspec

from goodsgate.model import crash
from goodsgate.model.batch import Batch, Policy, RoundKind, State
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
from goodsgate.store.moments import id_bytes
from goodsgate.store.progress import COUNTED, Progress, ended
from goodsgate.store.queue import decode_policy, due_at
from goodsgate.store.sqlite.ask import do, one, value
from goodsgate.store.sqlite.documents import Documents, Row, row_of
from goodsgate.store.sqlite.messages import put_messages
from goodsgate.store.sqlite.progress import progress_of
from goodsgate.store.sqlite.uploads import PIECE_BYTES

encode = msgspec.json.Encoder().encode


class Receiving(Documents):
    """The part of the contract that API processes write by; all of it in the intake file."""

    # -- idempotency keys -----------------------------------------------------------------------------------------

    def reserve_idempotency_key(self, merchant: str, key: str, *, lease_seconds: float) -> IdempotentAnswer | None:
        """None: it is ours now. Raises KeyInUseError, StoreFullError, StoreBusyError."""
        named = {"merchant": self.known(merchant), "key": key}
        now = self.now()
        with self.intake.writing() as db:
            row = one(db, "answer", named)
            if row is not None:
                until, fingerprint, body, batch = row
                if body is not None:
                    return IdempotentAnswer(fingerprint, body, batch.hex())
                if until > now:
                    raise KeyInUseError(key)
            do(db, "reserve_answer", {**named, "now": now, "until": now + int(lease_seconds * 1e6)})
        return None

    def renew_idempotency_key(self, merchant: str, key: str, *, lease_seconds: float) -> None:
        """No effect on an answered key."""
        named = {"merchant": self.number(merchant), "key": key, "until": self.now() + int(lease_seconds * 1e6)}
        with self.intake.writing() as db:
            do(db, "reserve_answer_again", named)

    def release_idempotency_key(self, merchant: str, key: str) -> None:
        """Never raises for want of room: the reservation then ends by itself."""
        with suppress(StoreFullError, StoreBusyError), self.intake.writing() as db:
            do(db, "release_answer", {"merchant": self.number(merchant), "key": key})

    # -- bodies -----------------------------------------------------------------------------------------------------

    def append_upload(self, merchant: str, upload: str, piece: bytes) -> None:
        """Raises StoreFullError; the upload is then forgotten."""
        self.uploads.receive(merchant, upload, piece)

    def discard_upload(self, merchant: str, upload: str) -> None:
        """Harmless if there is no such upload."""
        self.uploads.discard(merchant, upload)

    def add_batch(self, batch: NewBatch, *, upload: str, idempotency: Idempotency | None = None,
                  open_rounds_max: int) -> Batch:
        """Raises QueueFullError, StoreFullError, StoreBusyError; KeyInUseError if the key's lease ended and another
        submission took it."""
        number, packed = self.known(batch.merchant), id_bytes(batch.id)
        if packed is None:
            raise StoreError(f"not a batch's id: {batch.id}")
        size, content = self.uploads.synced(batch.merchant, upload)
        crash.point("seal-synced")
        row = {
            "merchant": number, "id": packed, "kind": batch.kind, "collection": batch.collection,
            "policy": encode(batch.policy), "format": batch.format, "packing": batch.content_encoding,
            "label": batch.label,
            "folded": batch.label.casefold(), "protocol": batch.protocol, "facts": encode(batch.protocol_data),
            "bytes": size,
        }
        sent = _Sent(
            kind=RoundKind.SUBMISSION, format=batch.format, packing=batch.content_encoding, size=size, content=content,
            file=upload if content is None else None, starts_at=due_at(batch.policy),
        )
        with self.intake.writing() as db:
            _check_queue(db, number, open_rounds_max)
            try:
                # Only who has the file to itself knows when: others may have come first meanwhile.
                do(db, "add_batch", {**row, "now": self.now()})
            except apsw.ConstraintError as fault:
                raise StoreError(f"the batch {batch.id} is there already") from fault
            sealed = self._add_round(db, batch.merchant, number, packed, sent, idempotency)
        self.uploads.keep(batch.merchant, upload)
        return sealed

    def add_round(self, round: NewRound, *, upload: str | None, idempotency: Idempotency | None = None,
                  open_rounds_max: int) -> Batch | None:
        """Raises RoundOpenError, QueueFullError, StoreFullError, StoreBusyError, KeyInUseError as seal does."""
        number, packed = self.number(round.merchant), id_bytes(round.batch)
        if number is None or packed is None:
            return None
        sent = _Sent(kind=round.kind, format=round.format, packing=round.content_encoding)
        if upload is not None:
            sent.size, sent.content = self.uploads.synced(round.merchant, upload)
            sent.file = upload if sent.content is None else None
            crash.point("seal-synced")
        with self.intake.writing() as db:
            row = row_of(db, number, packed)
            if row is None:
                return None
            self._check_ended(db, row)
            _check_queue(db, number, open_rounds_max)
            named = {"merchant": number, "id": packed, "bytes": sent.size, "has_payload": upload is not None}
            do(db, "reopen_batch", named)
            sealed = self._add_round(db, round.merchant, number, packed, sent, idempotency)
        if upload is not None:
            self.uploads.keep(round.merchant, upload)
        return sealed

    def payload(self, merchant: str, batch: str, round: int) -> Iterator[bytes] | None:
        """Pieces of at most 1 MiB; removing the payload while it is read does no harm."""
        asked = {"merchant": self.number(merchant), "id": id_bytes(batch), "round": round}
        with self.intake.reading() as db:
            row = one(db, "payload", asked)
        if row is None:
            return None
        file, content = row
        if file is not None:
            return self.uploads.read(file)
        return _pieces(content) if content is not None else None

    # -- inside a transaction ---------------------------------------------------------------------------------------

    def _add_round(self, db: apsw.Connection, merchant: str, number: int, packed: bytes, sent: "_Sent",
                   idempotency: Idempotency | None) -> Batch:
        named = {"merchant": number, "id": packed}
        do(db, "add_round", {
            **named, "round_kind": sent.kind, "format": sent.format, "packing": sent.packing, "bytes": sent.size,
            "file": sent.file, "starts_at": sent.starts_at,
        })
        if sent.content is not None:
            do(db, "add_payload", {"merchant": number, "content": sent.content})
        row = row_of(db, number, packed)
        assert row is not None
        do(db, "open_lane", {"merchant": number, "kind": row.kind})
        sealed = self.shown(row, merchant)
        assert sealed is not None
        if idempotency is not None:
            self._keep_answer(db, number, packed, idempotency, sealed)
        crash.point("seal-written")
        return sealed

    def _keep_answer(self, db: apsw.Connection, number: int, packed: bytes, idempotency: Idempotency,
                     sealed: Batch) -> None:
        named = {"merchant": number, "key": idempotency.key}
        row = one(db, "answer", named)
        if row is not None and row[2] is not None:
            raise KeyInUseError(idempotency.key)
        do(db, "keep_answer", {
            **named, "now": self.now(), "fingerprint": idempotency.fingerprint, "body": idempotency.answer(sealed),
            "batch": packed,
        })

    def _check_ended(self, db: apsw.Connection, row: Row) -> None:
        if not row.open:
            return
        with self.catalogue.reading() as catalogue:
            progress = progress_of(catalogue, row.merchant, row.id)
        if progress is None or not progress.has_ended(row.rounds - 1):
            raise RoundOpenError(row.id.hex())
        policy = decode_policy(row.policy)
        mirror_end(db, row.merchant, row.kind, row.id, row.rounds - 1, progress, policy=policy, now=self.now())


class _Sent(msgspec.Struct, kw_only=True):
    """The payload of a round, if it has one."""

    kind: RoundKind
    format: str
    packing: str
    size: int = 0
    content: bytes | None = None
    starts_at: int = 0
    file: str | None = None


def mirror_end(db: apsw.Connection, merchant: int, kind: str, batch: bytes, round: int, progress: Progress, *,
               policy: Policy, now: int) -> None:
    """Tell the intake file that a round has ended, once, whoever comes first; and whoever is to be told, with it."""
    named = {"merchant": merchant, "kind": kind, "id": batch, "round": round}
    if not do(db, "end_round", named):
        return
    counts = {name: getattr(progress, name) for name in COUNTED}
    do(db, "end_batch", {
        **named, **counts, "total": progress.total,
        # Without an end there is a later round, which the intake file, put back from a backup, knows nothing of.
        "state": progress.ended or State.FINISHED, "finished_at": progress.ended_at or progress.first_at,
        "bytes_done": progress.bytes_before + progress.bytes_done, "warned": progress.warned,
        "columns": progress.columns, "withheld": progress.withheld,
    })
    do(db, "close_lane", named)
    put_messages(db, merchant, now, ended(policy, batch.hex(), round, progress.ended))


def _check_queue(db: apsw.Connection, number: int, open_rounds_max: int) -> None:
    there = value(db, "count_open_rounds", {"merchant": number})
    if there >= open_rounds_max:
        raise QueueFullError(f"{there} open rounds")


def _pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]
