"""Who works which lane: claims, leases, cancels.

The lease table is in the intake file. Fencing is in both: `attempt` in the intake file says whose the lane is, and a
claim that takes over from a worker that did not give the lane back raises the fence in the catalogue file before it
looks where the rounds stand. A stale worker's settle therefore comes before that look, or not at all.
"""

import time
from contextlib import suppress
from datetime import datetime

import apsw
import msgspec
import orjson

from goodsgate.model import crash
from goodsgate.model.batch import Batch, Kind
from goodsgate.store.contract import Claim, ClaimedRound, LeaseLostError, Renewal, StoreBusyError, StoreFullError
from goodsgate.store.moments import id_bytes, microseconds, moment
from goodsgate.store.queue import HELD, OpenRound, decode_policy, together, work_of
from goodsgate.store.sqlite.ask import do, each, one, value
from goodsgate.store.sqlite.progress import progress_among
from goodsgate.store.sqlite.receiving import Receiving, mirror_end


class Lane(msgspec.Struct, frozen=True):
    """A lane as it was found."""

    number: int
    merchant: str
    kind: str
    holder: str | None
    """The worker that has not given it back, if its lease ran out."""
    cancelling: bool


class Lanes(Receiving):
    """The part of the contract by which work is handed out."""

    _served = 0

    def claim(self, worker: str, *, lease_seconds: float, rounds_max: int, bytes_max: int) -> Claim | None:
        """None also while another process has the worker's seat."""
        if not self.seated():
            return None
        while True:
            with self.intake.reading() as db:
                lane = _find(db, self.now())
            if lane is None:
                return None
            claim = self._take(lane, worker, lease_seconds, rounds_max, bytes_max)
            if claim is not None:
                return claim

    def _take(self, lane: Lane, worker: str, lease_seconds: float, rounds_max: int, bytes_max: int) -> Claim | None:
        """None if somebody else was faster, or all its rounds proved to have ended."""
        now = self.now()
        until = now + int(lease_seconds * 1e6)
        named = {"merchant": lane.number, "kind": lane.kind}
        with self.intake.writing() as db:
            if _find(db, now) != lane:
                return None
            taken = {**named, "worker": worker, "until": until, "served": self._next_served(db, now)}
            attempt = value(db, "take_lane", taken)
            asked = {**named, "cancelling": lane.cancelling, "limit": rounds_max, "now": now, "held": HELD}
            rounds = [OpenRound(*row) for row in each(db, "open_rounds", asked)]
            rounds = together(rounds, bytes_max // rounds_max)
            started = {"merchant": lane.number, "now": now}
            do(db, "start_round", {**started, "rounds": _json([found.id for found in rounds])})
            do(db, "start_batch", {**started, "batches": _json([found.seq for found in rounds])})
        crash.point("claim-taken")
        claim = Claim(
            merchant=lane.merchant, kind=Kind(lane.kind), worker=worker, attempt=attempt, expires_at=moment(until),
            rounds=[]
        )
        if lane.holder is not None:
            with self.catalogue.writing() as db:
                do(db, "raise_fence", {**named, "attempt": attempt})
        works = self._works(lane, rounds)
        if not works:
            self.release_claim(claim)
            return None
        return msgspec.structs.replace(claim, rounds=works)

    def _works(self, lane: Lane, rounds: list[OpenRound]) -> list[ClaimedRound]:
        """Where the rounds stand. One that ended although the intake was not told, by a crash, is told of now."""
        with self.catalogue.at_desk() as db:
            standing = progress_among(db, lane.number, [found.batch for found in rounds])
        works: list[ClaimedRound] = []
        for found in rounds:
            progress = standing.get(found.batch)
            if progress is not None and progress.has_ended(found.number):
                with self.intake.writing() as db:
                    mirror_end(
                        db, lane.number, lane.kind, found.batch, found.number, progress,
                        policy=decode_policy(found.policy), now=self.now(),
                    )
                continue
            work = work_of(lane.merchant, lane.kind, found, progress)
            if works and work.chunks:
                break
            works.append(work)
            if work.chunks:
                break
        return works

    def _next_served(self, db: apsw.Connection, now: int) -> int:
        """Grows from claim to claim, whatever the clock does."""
        if not self._served:
            self._served = value(db, "last_served")
        self._served = max(self._served + 1, now)
        return self._served

    def wait_for_work(self, seconds: float) -> None:
        """Nobody tells of new work: it is looked for again."""
        time.sleep(seconds)

    def renew_claim(self, claim: Claim, *, lease_seconds: float) -> Renewal:
        """Raises LeaseLostError. Another lane waits, or a round to be cancelled that the claim does not hold."""
        now = self.now()
        named = {"merchant": self.number(claim.merchant), "kind": claim.kind, "attempt": claim.attempt, "now": now}
        with self.intake.writing() as db:
            if not do(db, "renew_lane", {**named, "until": now + int(lease_seconds * 1e6)}):
                raise LeaseLostError(f"{claim.merchant} {claim.kind}")
            waiting = value(db, "other_lane_waits", named)
            cancelling = frozenset(batch for (batch,) in each(db, "cancelling_rounds", named))
        mine = cancelling & {work.batch for work in claim.rounds}
        return Renewal(bool(waiting) or mine != cancelling, mine)

    def release_rounds(self, merchant: str, kind: Kind, collection: str, *, before: datetime | None = None) -> int:
        """Each in its old place in the lane."""
        named = {"merchant": self.number(merchant), "kind": kind, "collection": collection, "held": HELD}
        with self.intake.writing() as db:
            return do(db, "start_held", {**named, "before": None if before is None else microseconds(before)})

    def defer(self, claim: Claim, work: ClaimedRound, *, seconds: float) -> None:
        """No effect if the lane is somebody else's by now."""
        named = {"merchant": self.number(claim.merchant), "kind": claim.kind, "attempt": claim.attempt}
        resting = {"id": id_bytes(work.batch), "round": work.number, "until": self.now() + int(seconds * 1e6)}
        with self.intake.writing() as db:
            do(db, "rest_round", {**named, **resting})

    def release_claim(self, claim: Claim) -> None:
        """Never raises for want of room: the lease then ends by itself."""
        named = {"merchant": self.number(claim.merchant), "kind": claim.kind, "attempt": claim.attempt}
        with suppress(StoreFullError, StoreBusyError), self.intake.writing() as db:
            do(db, "give_lane_back", named)

    def cancel(self, merchant: str, batch: str) -> Batch | None:
        """Takes effect when the worker next looks; a batch that has ended stays as it is."""
        found = self.batch(merchant, batch)
        if found is None or found.position is None or found.cancelling:
            return found
        with self.intake.writing() as db:
            do(db, "cancel_round", {"merchant": self.number(merchant), "id": id_bytes(batch)})
        return self.batch(merchant, batch)

    def check_lease(self, db: apsw.Connection, number: int, claim: Claim) -> None:
        """Inside a transaction of the catalogue file: raises LeaseLostError unless the lane is still the claim's."""
        named = {"merchant": number, "kind": claim.kind}
        fence = one(db, "fence", named)
        with self.intake.reading() as intake:
            lease = one(intake, "lease", named)
        fenced = fence is not None and fence[0] > claim.attempt
        if fenced or lease is None or lease[0] != claim.attempt or lease[1] is None:
            raise LeaseLostError(f"{claim.merchant} {claim.kind}")


def _find(db: apsw.Connection, now: int) -> Lane | None:
    """The lane to be worked next: one with a round to be cancelled, or that which was served longest ago."""
    for statement, cancelling in (("cancelling_lane", True), ("ready_lane", False)):
        row = one(db, statement, {"now": now})
        if row is not None:
            number, merchant, kind, holder = row
            return Lane(number, merchant, kind, holder, cancelling)
    return None


def _json(numbers: list[int]) -> str:
    return orjson.dumps(numbers).decode()
