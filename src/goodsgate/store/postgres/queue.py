"""Lanes: claims, leases and cancellations.

A lane's row says whose it is; `attempt` is the fencing token. A claim locks the row, so that one of several workers
gets it. A commit checks the row once more in its last statement and locks it until the end, so that a worker whose lane
was taken over commits before the takeover, or fails.
"""

import time
from collections.abc import Sequence
from datetime import datetime

import msgspec
from psycopg import errors

from goodsgate.model import crash
from goodsgate.model.batch import Batch, Kind
from goodsgate.store.contract import (
    Claim,
    ClaimedRound,
    Idempotency,
    InFront,
    LaneStatus,
    Renewal,
    StoreBusyError,
)
from goodsgate.store.postgres.batches import PostgresBatches, batch_from_row, batch_row
from goodsgate.store.postgres.database import PostgresDatabase
from goodsgate.store.postgres.lookups import PostgresLookups
from goodsgate.store.postgres.progress import progress_from_row
from goodsgate.store.shared.audit import record_act
from goodsgate.store.shared.database import ALL_MERCHANTS
from goodsgate.store.shared.idempotency import answer_key
from goodsgate.store.shared.maintenance import list_lanes
from goodsgate.store.shared.progress import Progress
from goodsgate.store.shared.rounds import (
    GUARDED,
    HELD,
    OpenRound,
    ReleaseFailures,
    claimed_round,
    lane_values,
    lost_lease,
    read_behind,
    rest_seconds,
    select_rounds,
)
from goodsgate.store.shared.timestamps import id_bytes, microseconds, timestamp

LOCK_TIMEOUT = "SET LOCAL lock_timeout = '1s'"
"""A lane locked by a process that was cut off in the middle of a transaction is not waited for: there are others."""
ROUND_COLUMNS = len(OpenRound.__struct_fields__)
"""The next columns of a row are the progress of its batch."""


class PostgresQueue:
    """Implements QueueStore."""

    def __init__(self, database: PostgresDatabase, batches: PostgresBatches, lookups: PostgresLookups) -> None:
        self._database = database
        self._server = database.server
        self._batches = batches
        self._lookups = lookups
        self._next_lease_end: float | None = None
        """When the first lease of others ends, on the monotonic clock; as of the last claim without a result."""
        self._release_failures = ReleaseFailures()

    def claim(self, worker: str, *, lease_seconds: float, rounds_max: int, bytes_max: int) -> Claim | None:
        """Claim the head of a lane until the lease ends by the server's clock."""
        self._lookups.before_claim()
        try:
            claim = self._claim(worker, lease_seconds, rounds_max=rounds_max, bytes_max=bytes_max)
        except StoreBusyError as fault:
            if isinstance(fault.__cause__, errors.LockNotAvailable):
                return None
            raise
        if claim is not None:
            self._lookups.after_claim(claim)
            self._database.notifications.note(claim.merchant, batches=[round.batch for round in claim.rounds])
        return claim

    def _claim(self, worker: str, lease_seconds: float, *, rounds_max: int, bytes_max: int) -> Claim | None:
        lane = self._lease(worker, lease_seconds)
        if lane is None:
            return None
        claim, values, is_lost = lane
        crash.point("claim-taken")
        try:
            lane_name = (claim.merchant, claim.kind, claim.collection)
            has_died = is_lost and self._release_failures.has_died(lane_name, claim.attempt - 1)
            limits = {"rounds_max": rounds_max, "bytes_max": bytes_max // rounds_max}
            rounds = self._rounds(claim, values, has_died=has_died, **limits)
        except BaseException:
            self.release_claim(claim)
            raise
        if rounds is None:
            return self._claim(worker, lease_seconds, rounds_max=rounds_max, bytes_max=bytes_max)
        claim.rounds.extend(rounds)
        if not claim.rounds:
            self.release_claim(claim)
            return None
        return claim

    def _lease(self, worker: str, lease_seconds: float) -> tuple[Claim, dict[str, object], bool] | None:
        """Lease the next lane; return the claim, the values with which its rounds are read, and whether it was lost.

        It was lost if the last claim was not released before its lease ended.

        That is a lane with a round to be cancelled, or the one that was served longest ago. A lane that a submission is
        just locking is waited for only if there is no other.
        """
        for name in ("claim_lane", "claim_awaited_lane"):
            now = self._database.now()
            until = now + int(lease_seconds * 1e6)
            values = {"worker": worker, "until": until, "now": now}
            rows = self._server.run(name, values, ALL_MERCHANTS, also=LOCK_TIMEOUT).rows
            if rows:
                number, merchant, kind, collection, cancelling, attempt, last_holder, blocked_from = rows[0]
                self._database.cache_number(merchant, number)
                claim = Claim(
                    merchant=merchant, kind=Kind(kind), collection=collection, worker=worker, attempt=attempt,
                    expires_at=timestamp(until), rounds=[],
                )
                read = {
                    **lane_values(number, claim), "cancelling": cancelling, "now": now, "held": HELD,
                    "blocked_from": blocked_from,
                }
                return claim, read, last_holder is not None
        end = self._server.query("next_lease", {"now": now}, ALL_MERCHANTS)[0][0]
        self._next_lease_end = time.monotonic() + (end - now) / 1e6 if end is not None else None
        return None

    def _rounds(self, claim: Claim, values: dict[str, object], *, rounds_max: int, bytes_max: int, has_died: bool,
                ) -> list[ClaimedRound] | None:
        """Return the rounds of a claim with their progress; None if the lane rests after the death of a worker."""
        number = self._database.require_number(claim.merchant)
        rows = self._server.query("open_rounds", {**values, "limit": rounds_max}, number)
        opened = [(OpenRound(*row[:ROUND_COLUMNS]), progress_from_row(row[ROUND_COLUMNS:])) for row in rows]
        selected = select_rounds([row for row, _ in opened], bytes_max)
        if has_died:
            lost = [(row, progress) for row, progress in opened if row.attempt == claim.attempt - 1]
            if self._count_deaths(claim, number, lost):
                return None
            selected = selected[:1]  # alone, to find the culprit
        started = {"rounds": [row.id for row in selected], "batches": [row.seq for row in selected], **values}
        self._server.run("start_rounds", started, number, lazy=True)
        rounds: list[ClaimedRound] = []
        for row, progress in opened[: len(selected)]:
            round = claimed_round(claim.merchant, claim.kind, row, progress)
            if rounds and round.chunks:
                break
            rounds.append(round)
            if round.chunks:
                break
        return rounds

    def _count_deaths(self, claim: Claim, number: int, lost: list[tuple[OpenRound, Progress | None]]) -> bool:
        """Count the death of the last worker at the rounds that it held; return whether the lane rests now."""
        for row, progress in lost:
            row.count_death(row.chunks(progress))
        seconds = rest_seconds(row for row, _ in lost)
        with self._server.transaction(number) as db:
            for row, _ in lost:
                db.change("count_death", {
                    "merchant": number, "round": row.id, "deaths": row.deaths, "chunks": row.death_chunks
                })
            if seconds:
                until = self._database.now() + int(seconds * 1e6)
                db.change("rest_lane", {**lane_values(number, claim), "until": until})
        return seconds > 0

    def rounds_behind(self, claim: Claim, *, limit: int) -> list[ClaimedRound]:
        """Return the rounds behind that of the claim, in their order."""
        number = self._database.require_number(claim.merchant)
        named = lane_values(number, claim)
        with self._server.reading(number) as db:
            rows = read_behind(db, named, claim, now=self._database.now(), limit=limit)
        return [claimed_round(claim.merchant, claim.kind, row, progress_from_row(rest)) for row, rest in rows]

    def start_behind(self, claim: Claim, rounds: Sequence[ClaimedRound]) -> Claim:
        """Start rounds behind that of the claim, and return the claim with them."""
        number = self._database.require_number(claim.merchant)
        values = {"merchant": number, "batches": [round.batch for round in rounds], "now": self._database.now()}
        self._server.run("start_behind", {**values, "attempt": claim.attempt}, number, lazy=True)
        return msgspec.structs.replace(claim, rounds=[*claim.rounds, *rounds])

    def wait_for_work(self, seconds: float) -> None:
        """Wait for a notification of new work, or until the next lease ends, of which nobody notifies."""
        left = self._next_lease_end - time.monotonic() if self._next_lease_end is not None else None
        self._database.notifications.wait(seconds, left=left)

    def renew_claim(self, claim: Claim, *, lease_seconds: float) -> Renewal:
        """Extend the lease. Others wait if another lane has work, or a round to be cancelled is not in the claim."""
        now = self._database.now()
        number = self._database.number(claim.merchant)
        named = {**lane_values(number, claim), "now": now}
        renewed = {**named, "until": now + int(lease_seconds * 1e6)}
        # If a crash loses the renewal, the lease ends sooner; to wait for the disk is to wait for the last chunk.
        rows = self._server.run("renew_lease", renewed, number, lazy=True).rows
        if not rows:
            raise lost_lease(claim)
        ((batches,),) = rows
        ((waiting,),) = self._server.query("other_lane_waits", named, ALL_MERCHANTS)
        cancelling = frozenset(batch.replace("-", "") for batch in batches)
        own = cancelling & {round.batch for round in claim.rounds}
        return Renewal(waiting or own != cancelling, own)

    def release_claim(self, claim: Claim) -> None:
        """Release the lane; if the server cannot be reached, the lease ends by itself."""
        with self._release_failures.releasing(claim):
            number = self._database.number(claim.merchant)
            named = lane_values(number, claim)
            # A server that crashes just now may lose it: then the lease ends by itself, too.
            self._server.run("release_lane", named, number, lazy=True)
            self._database.notifications.notify(claim.merchant, batches=[round.batch for round in claim.rounds])

    def defer(self, claim: Claim, round: ClaimedRound, *, seconds: float) -> None:
        """Keep a round from being claimed for some seconds; no effect if the claim was taken over."""
        number = self._database.number(claim.merchant)
        named = lane_values(number, claim)
        until = self._database.now() + int(seconds * 1e6)
        self._server.run("defer_round", {**named, "id": round.batch, "round": round.number, "until": until}, number)

    def release_rounds(self, merchant: str, kind: Kind, collection: str, *, before: datetime | None = None) -> int:
        """Let held rounds be claimed, each in its old place in the lane; return their number."""
        number = self._database.number(merchant)
        named = {"merchant": number, "kind": kind, "collection": collection, "held": HELD}
        values = {**named, "before": None if before is None else microseconds(before)}
        released = self._server.run("release_held_rounds", values, number).changed
        self._database.notifications.notify(merchant)
        return released

    def cancel(self, merchant: str, batch: str, *, idempotency: Idempotency[Batch] | None = None) -> Batch | None:
        """Request a cancellation, which takes effect when the worker next renews its claim."""
        number = self._database.number(merchant)
        if number is None or id_bytes(batch) is None:
            return None
        with self._server.transaction(number) as db:
            db.change("cancel_round", {"merchant": number, "id": batch})
            row = batch_row(db, number, batch)
            cancelled = batch_from_row(row, merchant) if row is not None else None
            if cancelled is not None and idempotency is not None:
                answer_key(db, number, idempotency, cancelled, now=self._database.now(), batch=batch)
            if cancelled is not None:
                record_act(db, number, merchant, now=self._database.now())
        self._database.notifications.notify(merchant, batches=[batch])
        return cancelled

    def approve(self, merchant: str, batch: str, *, idempotency: Idempotency[Batch] | None = None) -> Batch | None:
        """Let a held batch be applied in its old place in the lane."""
        number = self._database.number(merchant)
        if number is None or id_bytes(batch) is None:
            return None
        with self._server.transaction(number) as db:
            row = batch_row(db, number, batch)
            if row is None:
                return None
            if db.change("approve_round", {"merchant": number, "id": batch}):
                db.change("block_lane", {
                    "merchant": number, "kind": row.kind, "collection": row.collection, "guarded": GUARDED
                })
                row = batch_row(db, number, batch)
                assert row is not None
            approved = batch_from_row(row, merchant)
            if idempotency is not None:
                answer_key(db, number, idempotency, approved, now=self._database.now(), batch=batch)
            record_act(db, number, merchant, now=self._database.now())
        self._database.notifications.notify(merchant, batches=[batch])
        return approved

    def blocking_batch(self, merchant: str, batch: str) -> str | None:
        """Return the held batch that this one waits behind."""
        number = self._database.number(merchant)
        rows = self._server.query("blocking_batch", {"merchant": number, "id": batch}, number)
        return rows[0][0].hex() if rows else None

    def in_front(self, merchant: str, batch: str) -> InFront | None:
        """Return what is in front of a batch in its lane."""
        number = self._database.number(merchant)
        rows = self._server.query("in_front", {"merchant": number, "id": batch}, number)
        return InFront(batch=rows[0][0].hex(), batches=rows[0][1], bytes=rows[0][2]) if rows else None

    def expired_holds(self, *, limit: int = 100) -> list[tuple[str, str]]:
        """Return merchant and id of held batches whose time is over."""
        rows = self._server.query("expired_holds", {"now": self._database.now(), "limit": limit}, ALL_MERCHANTS)
        return [(merchant, id.hex()) for merchant, id in rows]

    def lanes(self, *, merchant: str | None = None, limit: int = 100) -> list[LaneStatus]:
        """Return lanes with work, the next to be served first."""
        return list_lanes(self._database, merchant, limit)
