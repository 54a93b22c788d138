"""Who works which lane: claims, leases, cancels.

A lane's row says whose it is; `attempt` is the fencing token. A claim takes the row, so that of several workers one
gets it; a settle looks at the row once more as its last statement and holds it until it is committed, so that a worker
whose lane was taken over commits before the takeover, or not at all.
"""

import time
from contextlib import suppress
from datetime import datetime

from psycopg import errors

from goodsgate.model import crash
from goodsgate.model.batch import Batch, Kind
from goodsgate.store.contract import Claim, LeaseLost, Renewal, StoreBusy, StoreFull, Work
from goodsgate.store.moments import microseconds, moment
from goodsgate.store.postgres.ask import Cursor, do, every, one, value
from goodsgate.store.postgres.receiving import Receiving
from goodsgate.store.progress import Progress
from goodsgate.store.queue import HELD, OpenRound, together, work_of

IMPATIENT = "SET LOCAL lock_timeout = '1s'"
"""A lane that somebody holds who was cut off in the middle of a transaction is not waited for: there are others."""


class Lanes(Receiving):
    """The part of the contract by which work is handed out."""

    _lease_ends: float | None = None
    """When the first of others' leases ends, on the monotonic clock; as it stood when there was nothing to claim."""

    def claim(self, worker: str, *, lease_seconds: float, works_max: int, bytes_max: int) -> Claim | None:
        """The lane is this worker's alone until its lease ends by the server's clock."""
        try:
            return self._claim(worker, lease_seconds, works_max=works_max, bytes_max=bytes_max)
        except StoreBusy as fault:
            if isinstance(fault.__cause__, errors.LockNotAvailable):
                return None
            raise

    def _claim(self, worker: str, lease_seconds: float, *, works_max: int, bytes_max: int) -> Claim | None:
        with self.server.transaction(every=True, also=IMPATIENT) as db:
            now = self.now()
            lane = _find(db, now)
            if lane is None:
                ends = value(db, "next_lease", {"now": now})
                self._lease_ends = time.monotonic() + (ends - now) / 1e6 if ends is not None else None
                return None
            number, merchant, kind, cancelling = lane
            named = {"merchant": number, "kind": kind}
            now = self.now()
            until = now + int(lease_seconds * 1e6)
            attempt = value(db, "take_lane", {**named, "worker": worker, "until": until, "served": now})
            asked = {**named, "cancelling": cancelling, "limit": works_max, "now": now, "held": HELD}
            rounds = together([OpenRound(*row) for row in every(db, "open_rounds", asked)], bytes_max // works_max)
            started = {"merchant": number, "rounds": [found.id for found in rounds], "now": now}
            do(db, "start_round", started)
            do(db, "start_batch", {**started, "batches": [found.seq for found in rounds]})
            standing = progress_of(db, number, [found.batch.hex() for found in rounds])
        crash.point("claim-taken")
        works: list[Work] = []
        for found in rounds:
            work = work_of(merchant, kind, found, standing.get(found.batch.hex()))
            if works and work.portions:
                break
            works.append(work)
            if work.portions:
                break
        return Claim(
            merchant=merchant, kind=Kind(kind), worker=worker, attempt=attempt, until=moment(until), works=works
        )

    def wait(self, seconds: float) -> None:
        """Until somebody tells of new work, or the next lease ends, which nobody tells of."""
        left = self._lease_ends - time.monotonic() if self._lease_ends is not None else None
        self.watch.wait(seconds, left=left)

    def renew(self, claim: Claim, *, lease_seconds: float) -> Renewal:
        """Raises LeaseLost. Another lane waits, or a round to be cancelled that the claim does not hold."""
        now = self.now()
        named = {"merchant": self.number(claim.merchant), "kind": claim.kind, "attempt": claim.attempt, "now": now}
        # A fall that takes it along lets the lease end sooner; to wait for the disk is to wait for the last portion.
        with self.server.transaction(every=True, lazy=True) as db:
            if not do(db, "renew_lane", {**named, "until": now + int(lease_seconds * 1e6)}):
                raise LeaseLost(f"{claim.merchant} {claim.kind}")
            waiting = value(db, "other_lane_waits", named)
            cancelling = frozenset(batch.hex() for (batch,) in every(db, "cancelling_rounds", named))
        mine = cancelling & {work.batch for work in claim.works}
        return Renewal(bool(waiting) or mine != cancelling, mine)

    def start(self, merchant: str, kind: Kind, collection: str, *, before: datetime | None = None) -> int:
        """Each in its old place in the lane."""
        number = self.number(merchant)
        named = {"merchant": number, "kind": kind, "collection": collection, "held": HELD}
        with self.server.transaction(number) as db:
            started = do(db, "start_held", {**named, "before": None if before is None else microseconds(before)})
        self.watch.tell()
        return started

    def rest(self, claim: Claim, work: Work, *, seconds: float) -> None:
        """No effect if the lane is somebody else's by now."""
        number = self.number(claim.merchant)
        named = {"merchant": number, "kind": claim.kind, "attempt": claim.attempt}
        resting = {"id": work.batch, "round": work.round, "until": self.now() + int(seconds * 1e6)}
        with self.server.transaction(number) as db:
            do(db, "rest_round", {**named, **resting})

    def release(self, claim: Claim) -> None:
        """Never raises for want of room or way: the lease then ends by itself."""
        with suppress(StoreFull, StoreBusy):
            number = self.number(claim.merchant)
            named = {"merchant": number, "kind": claim.kind, "attempt": claim.attempt}
            with self.server.transaction(number) as db:
                do(db, "give_lane_back", named)
            self.watch.tell()

    def cancel(self, merchant: str, batch: str) -> Batch | None:
        """Takes effect when the worker next looks; a batch that has ended stays as it is."""
        found = self.batch(merchant, batch)
        if found is None or found.position is None or found.cancelling:
            return found
        number = self.known(merchant)
        with self.server.transaction(number) as db:
            do(db, "cancel_round", {"merchant": number, "id": batch})
        self.watch.tell()
        return self.batch(merchant, batch)


def _find(db: Cursor, now: int) -> tuple[int, str, str, bool] | None:
    """The lane to be worked next, its row held: one with a round to be cancelled, or that which was served longest ago.

    One that a submission is just entering is waited for only if there is no other.
    """
    for statement, cancelling in (("cancelling_lane", True), ("ready_lane", False), ("awaited_lane", False)):
        row = one(db, statement, {"now": now})
        if row is not None:
            number, kind = row
            return int(number), str(value(db, "merchant_of", {"merchant": number})), str(kind), cancelling
    return None


def progress_of(db: Cursor, merchant: int, batches: list[str]) -> dict[str, Progress]:
    """Of those batches that have begun, by id."""
    found = {}
    for id, *row in every(db, "progress", {"merchant": merchant, "batches": batches}):
        found[id.hex()] = Progress(**dict(zip(Progress.__struct_fields__, row, strict=True)))
    return found
