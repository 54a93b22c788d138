"""Lanes: claims, leases and cancellations.

The lease is in the intake file, and is not synced: a power cut ends every worker, so that no lease needs to survive it.
Fencing is in both files: `attempt` in the intake file says whose the lane is, and a claim that takes over from a worker
that did not release the lane raises the fence in the catalogue file before it reads the progress of the rounds. A stale
worker's commit therefore comes before that, or fails.
"""

import time
from collections.abc import Sequence
from datetime import datetime

import msgspec
import orjson

from goodsgate.model import crash
from goodsgate.model.batch import Batch, Kind
from goodsgate.store.contract import (
    Claim,
    ClaimedRound,
    Idempotency,
    InFront,
    LaneStatus,
    Renewal,
)
from goodsgate.store.shared.audit import record_act
from goodsgate.store.shared.idempotency import answer_key
from goodsgate.store.shared.maintenance import list_lanes
from goodsgate.store.shared.progress import Progress
from goodsgate.store.shared.round_ends import RoundEnd
from goodsgate.store.shared.rounds import (
    GUARDED,
    HELD,
    OpenRound,
    ReleaseFailures,
    claimed_round,
    decode_policy,
    lane_values,
    lost_lease,
    read_behind,
    rest_seconds,
    select_rounds,
)
from goodsgate.store.shared.timestamps import id_bytes, microseconds, timestamp
from goodsgate.store.sqlite.batches import SqliteBatches, batch_row
from goodsgate.store.sqlite.database import SqliteDatabase
from goodsgate.store.sqlite.intake import record_ends
from goodsgate.store.sqlite.lookups import SqliteLookups
from goodsgate.store.sqlite.progress import read_all_progress, read_progress
from goodsgate.store.sqlite.statements import SqliteStatements


class NextLane(msgspec.Struct, frozen=True):
    """The lane to be served next."""

    number: int
    merchant: str
    kind: str
    collection: str
    holder: str | None
    """The worker that did not release it, if its lease ended."""
    attempt: int
    """The last claim."""
    blocked_from: int
    """The first round that is held; those behind it wait."""
    cancelling: bool

    @property
    def values(self) -> dict[str, object]:
        """The lane as the values of a statement."""
        return {"merchant": self.number, "kind": self.kind, "collection": self.collection}


class SqliteQueue:
    """Implements QueueStore."""

    def __init__(self, database: SqliteDatabase, batches: SqliteBatches, lookups: SqliteLookups) -> None:
        self._database = database
        self._intake = database.intake
        self._batches = batches
        self._lookups = lookups
        self._last_served = 0
        self._release_failures = ReleaseFailures()

    def claim(self, worker: str, *, lease_seconds: float, rounds_max: int, bytes_max: int) -> Claim | None:
        """Claim the head of a lane; return None also while another process holds the worker lock."""
        self._lookups.forget_stock()
        if not self._database.lock_worker():
            return None
        while True:
            with self._intake.reading() as db:
                lane = _next_lane(db, self._database.now())
            if lane is None:
                return None
            claim = self._lease(lane, worker, lease_seconds, rounds_max, bytes_max)
            if claim is not None:
                return claim

    def _lease(self, lane: NextLane, worker: str, lease_seconds: float, rounds_max: int, bytes_max: int,
               ) -> Claim | None:
        """Lease a lane; return None if another thread was faster, or all its rounds turn out to have ended."""
        now = self._database.now()
        until = now + int(lease_seconds * 1e6)
        named = lane.values
        with self._intake.writing(lazy=True) as db:
            turn = {**named, "served": self._next_served(db, now)}
            row = db.first("lease_lane", {
                **turn, "worker": worker, "until": until, "now": now, "last": lane.attempt, "holder": lane.holder
            })
            if row is None:
                return None
            (attempt,) = row
            db.change("pass_turn", turn)
            has_died = lane.holder is not None and self._release_failures.has_died(
                (lane.merchant, lane.kind, lane.collection), lane.attempt
            )
            values = {
                **named, "cancelling": lane.cancelling, "limit": rounds_max, "now": now, "held": HELD,
                "blocked_from": lane.blocked_from,
            }
            rows = [OpenRound(*row) for row in db.each("open_rounds", values)]
            lost = [row for row in rows if row.attempt == lane.attempt] if has_died else []
            # After a death the first round is claimed alone, to find the culprit.
            rows = rows[:1] if has_died else select_rounds(rows, bytes_max // rounds_max)
            started = {"merchant": lane.number, "now": now, "attempt": attempt}
            db.change("start_rounds", {**started, "rounds": _json([row.id for row in rows])})
            db.change("start_batches", {**started, "batches": _json([row.seq for row in rows])})
        crash.point("claim-taken")
        claim = Claim(
            merchant=lane.merchant, kind=Kind(lane.kind), collection=lane.collection, worker=worker, attempt=attempt,
            expires_at=timestamp(until), rounds=[],
        )
        if lane.holder is not None:
            with self._database.catalogue.writing() as db:
                db.change("raise_fence", {**named, "attempt": attempt})
            if has_died and self._count_deaths(lane, lost, attempt):
                return None
        rounds = self._rounds(lane, rows)
        if not rounds:
            self.release_claim(claim)
            return None
        return msgspec.structs.replace(claim, rounds=rounds)

    def _count_deaths(self, lane: NextLane, lost: list[OpenRound], attempt: int) -> bool:
        """Count the death of the last worker at the rounds that it held; return whether the lane rests now."""
        with self._database.catalogue.writer() as db:
            all_progress = read_all_progress(db, lane.number, [row.batch for row in lost])
        for row in lost:
            row.count_death(row.chunks(all_progress.get(row.batch)))
        seconds = rest_seconds(lost)
        named = {**lane.values, "attempt": attempt}
        with self._intake.writing(lazy=True) as db:
            for row in lost:
                db.change("count_death", {
                    "merchant": lane.number, "round": row.id, "deaths": row.deaths, "chunks": row.death_chunks
                })
            if seconds:
                db.change("rest_lane", {**named, "until": self._database.now() + int(seconds * 1e6)})
        return seconds > 0

    def _rounds(self, lane: NextLane, rows: list[OpenRound]) -> list[ClaimedRound]:
        """Return the rounds with their progress, and record the end of those that ended just before a crash."""
        with self._database.catalogue.writer() as db:
            all_progress = read_all_progress(db, lane.number, [row.batch for row in rows])
        rounds: list[ClaimedRound] = []
        for row in rows:
            progress = all_progress.get(row.batch)
            if progress is not None and (progress.has_ended(row.number) or _awaits_hold(row, progress)):
                end = RoundEnd(
                    batch=row.batch.hex(), round=row.number, kind=lane.kind, collection=row.collection,
                    policy=decode_policy(row.policy), progress=progress, traceparent=row.traceparent,
                )
                with self._intake.writing(lazy=True) as db:
                    record_ends(db, lane.number, [end], now=self._database.now())
                continue
            round = claimed_round(lane.merchant, lane.kind, row, progress)
            if rounds and round.chunks:
                break
            rounds.append(round)
            if round.chunks:
                break
        return rounds

    def _next_served(self, db: SqliteStatements, now: int) -> int:
        """Return a number that grows from claim to claim, whatever the clock does."""
        if not self._last_served:
            self._last_served = db.value("last_served")
        self._last_served = max(self._last_served + 1, now)
        return self._last_served

    def rounds_behind(self, claim: Claim, *, limit: int) -> list[ClaimedRound]:
        """Return the rounds behind that of the claim, in their order."""
        number = self._database.require_number(claim.merchant)
        named = lane_values(number, claim)
        with self._intake.reading() as db:
            rows = read_behind(db, named, claim, now=self._database.now(), limit=limit)
        if not rows:
            return []
        with self._database.catalogue.writer() as db:
            all_progress = read_all_progress(db, number, [row.batch for row, _ in rows])
        return [claimed_round(claim.merchant, claim.kind, row, all_progress.get(row.batch)) for row, _ in rows]

    def start_behind(self, claim: Claim, rounds: Sequence[ClaimedRound]) -> Claim:
        """Start rounds behind that of the claim, and return the claim with them."""
        now, number = self._database.now(), self._database.require_number(claim.merchant)
        with self._intake.writing(lazy=True) as db:
            for round in rounds:
                named = {"merchant": number, "id": id_bytes(round.batch), "now": now}
                if db.change("start_behind", {**named, "round": round.number, "attempt": claim.attempt}):
                    db.change("start_batch_behind", named)
        return msgspec.structs.replace(claim, rounds=[*claim.rounds, *rounds])

    def wait_for_work(self, seconds: float) -> None:
        """Sleep: nobody notifies of new work."""
        time.sleep(seconds)

    def renew_claim(self, claim: Claim, *, lease_seconds: float) -> Renewal:
        """Extend the lease. Others wait if another lane has work, or a round to be cancelled is not in the claim."""
        now = self._database.now()
        named = {**lane_values(self._database.number(claim.merchant), claim), "now": now}
        with self._intake.writing(lazy=True) as db:
            if not db.change("renew_lease", {**named, "until": now + int(lease_seconds * 1e6)}):
                raise lost_lease(claim)
            waiting = db.value("other_lane_waits", named)
            cancelling = frozenset(batch for (batch,) in db.each("cancelling_batches", named))
        own = cancelling & {round.batch for round in claim.rounds}
        return Renewal(bool(waiting) or own != cancelling, own)

    def release_claim(self, claim: Claim) -> None:
        """Release the lane; without space on the disk its lease ends by itself."""
        named = lane_values(self._database.number(claim.merchant), claim)
        with self._release_failures.releasing(claim), self._intake.writing(lazy=True) as db:
            db.change("release_lane", named)

    def defer(self, claim: Claim, round: ClaimedRound, *, seconds: float) -> None:
        """Keep a round from being claimed for some seconds; no effect if the claim was taken over."""
        named = lane_values(self._database.number(claim.merchant), claim)
        until = self._database.now() + int(seconds * 1e6)
        with self._intake.writing(lazy=True) as db:
            db.change("defer_round", {**named, "id": id_bytes(round.batch), "round": round.number, "until": until})

    def release_rounds(self, merchant: str, kind: Kind, collection: str, *, before: datetime | None = None) -> int:
        """Let held rounds be claimed, each in its old place in the lane; return their number."""
        named = {"merchant": self._database.number(merchant), "kind": kind, "collection": collection, "held": HELD}
        with self._intake.writing() as db:
            values = {**named, "before": None if before is None else microseconds(before)}
            return db.change("release_held_rounds", values)

    def cancel(self, merchant: str, batch: str, *, idempotency: Idempotency[Batch] | None = None) -> Batch | None:
        """Request a cancellation, which takes effect when the worker next renews its claim."""
        number, id = self._database.number(merchant), id_bytes(batch)
        if number is None or id is None:
            return None
        with self._intake.writing() as db:
            db.change("cancel_round", {"merchant": number, "id": id})
            row = batch_row(db, number, id)
            cancelled = self._batches.from_row(row, merchant, reread=True) if row is not None else None
            if cancelled is not None and idempotency is not None:
                answer_key(db, number, idempotency, cancelled, now=self._database.now(), batch=id)
            if cancelled is not None:
                record_act(db, number, merchant, now=self._database.now())
        return cancelled

    def approve(self, merchant: str, batch: str, *, idempotency: Idempotency[Batch] | None = None) -> Batch | None:
        """Let a held batch be applied in its old place in the lane."""
        number, id = self._database.number(merchant), id_bytes(batch)
        if number is None or id is None:
            return None
        with self._database.catalogue.reading() as catalogue:
            progress = read_progress(catalogue, number, id)
        with self._intake.writing() as db:
            row = batch_row(db, number, id)
            if row is None:
                return None
            now = self._database.now()
            if row.open and progress is not None and progress.is_held:  # not recorded if a crash came between
                end = RoundEnd(
                    batch=batch, round=progress.round, kind=row.kind, collection=row.collection,
                    policy=decode_policy(row.policy), progress=progress,
                )
                record_ends(db, number, [end], now=now)
            if db.change("approve_round", {"merchant": number, "id": id}):
                db.change("block_lane", {
                    "merchant": number, "kind": row.kind, "collection": row.collection, "guarded": GUARDED
                })
            row = batch_row(db, number, id)
            approved = self._batches.from_row(row, merchant, reread=True) if row is not None else None
            if approved is not None and idempotency is not None:
                answer_key(db, number, idempotency, approved, now=now, batch=id)
            record_act(db, number, merchant, now=now)
        return approved

    def blocking_batch(self, merchant: str, batch: str) -> str | None:
        """Return the held batch that this one waits behind."""
        named = {"merchant": self._database.number(merchant), "id": id_bytes(batch)}
        rows = self._intake.query("blocking_batch", named)
        return rows[0][0].hex() if rows else None

    def in_front(self, merchant: str, batch: str) -> InFront | None:
        """Return what is in front of a batch in its lane."""
        named = {"merchant": self._database.number(merchant), "id": id_bytes(batch)}
        rows = self._intake.query("in_front", named)
        return InFront(batch=rows[0][0].hex(), batches=rows[0][1], bytes=rows[0][2]) if rows else None

    def expired_holds(self, *, limit: int = 100) -> list[tuple[str, str]]:
        """Return merchant and id of held batches whose time is over."""
        rows = self._intake.query("expired_holds", {"now": self._database.now(), "limit": limit})
        return [(merchant, id.hex()) for merchant, id in rows]

    def lanes(self, *, merchant: str | None = None, limit: int = 100) -> list[LaneStatus]:
        """Return lanes with work, the next to be served first."""
        return list_lanes(self._database, merchant, limit)

    def check_lease(self, db: SqliteStatements, number: int, claim: Claim) -> None:
        """Check, inside a transaction of the catalogue file, that the lane is the claim's. Raises LeaseLostError."""
        named = lane_values(number, claim)
        fence = db.first("fence", named)
        with self._intake.reading() as intake:
            lease = intake.first("lease", named)
        fenced = fence is not None and fence[0] > claim.attempt
        if fenced or lease is None or lease[0] != claim.attempt or lease[1] is None:
            raise lost_lease(claim)


def _awaits_hold(row: OpenRound, progress: Progress) -> bool:
    """Return whether the trial of a round has ended, and a crash came before that was recorded here."""
    return progress.is_held and not row.approved and not row.cancelling


def _next_lane(db: SqliteStatements, now: int) -> NextLane | None:
    """Return a lane with a round to be cancelled, or the one that was served longest ago."""
    for statement, cancelling in (("cancelling_lane", True), ("ready_lane", False)):
        row = db.first(statement, {"now": now})
        if row is not None:
            number, merchant, kind, collection, holder, attempt, blocked_from = row
            return NextLane(number, merchant, kind, collection, holder, attempt, blocked_from, cancelling)
    return None


def _json(numbers: list[int]) -> str:
    return orjson.dumps(numbers).decode()
