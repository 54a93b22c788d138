"""Who works which lane: claims, leases, cancels.

A lane's row says whose it is; `attempt` is the fencing token. A claim takes the row, so that of several workers one
gets it; a settle looks at the row once more as its last statement and holds it until it is committed, so that a worker
whose lane was taken over commits before the takeover, or not at all.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from psycopg import errors

from goodsgate.model import crash
from goodsgate.model.batch import Batch, Kind
from goodsgate.store.contract import Claim, ClaimedRound, LeaseLostError, Renewal, StoreBusyError, StoreFullError
from goodsgate.store.moments import microseconds, moment
from goodsgate.store.postgres.ask import Cursor, every
from goodsgate.store.postgres.receiving import Receiving
from goodsgate.store.progress import Progress
from goodsgate.store.queue import HELD, OpenRound, together, work_of

IMPATIENT = "SET LOCAL lock_timeout = '1s'"
"""A lane that somebody holds who was cut off in the middle of a transaction is not waited for: there are others."""
ROUND = len(OpenRound.__struct_fields__)
"""What follows in a row: whether it has started, and where its batch stands."""


class Lanes(Receiving):
    """The part of the contract by which work is handed out."""

    _lease_ends: float | None = None
    """When the first of others' leases ends, on the monotonic clock; as it stood when there was nothing to claim."""

    def claim(self, worker: str, *, lease_seconds: float, rounds_max: int, bytes_max: int) -> Claim | None:
        """The lane is this worker's alone until its lease ends by the server's clock."""
        try:
            return self._claim(worker, lease_seconds, rounds_max=rounds_max, bytes_max=bytes_max)
        except StoreBusyError as fault:
            if isinstance(fault.__cause__, errors.LockNotAvailable):
                return None
            raise

    def _claim(self, worker: str, lease_seconds: float, *, rounds_max: int, bytes_max: int) -> Claim | None:
        lane = self._lane(worker, lease_seconds)
        if lane is None:
            return None
        claim, asked = lane
        crash.point("claim-taken")
        try:
            claim.rounds.extend(self._works(claim, asked, rounds_max=rounds_max, bytes_max=bytes_max // rounds_max))
        except BaseException:
            self.release_claim(claim)
            raise
        if not claim.rounds:
            self.release_claim(claim)
            return None
        return claim

    def _lane(self, worker: str, lease_seconds: float) -> tuple[Claim, dict[str, object]] | None:
        """The lane to be worked next, taken: one with a round to be cancelled, or that which was served longest ago.

        One that a submission is just entering is waited for only if there is no other. With it comes what its rounds
        are asked for by.
        """
        for name in ("claim_lane", "claim_awaited_lane"):
            now = self.now()
            until = now + int(lease_seconds * 1e6)
            taken = {"worker": worker, "until": until, "now": now}
            rows = self.server.at_once(name, taken, every=True, also=IMPATIENT).rows
            if rows:
                number, merchant, kind, cancelling, attempt = rows[0]
                self._numbers[merchant] = number
                claim = Claim(
                    merchant=merchant, kind=Kind(kind), worker=worker, attempt=attempt, expires_at=moment(until),
                    rounds=[]
                )
                return claim, {"merchant": number, "kind": kind, "cancelling": cancelling, "now": now, "held": HELD}
        ends = self.server.at_once("next_lease", {"now": now}, every=True).rows[0][0]
        self._lease_ends = time.monotonic() + (ends - now) / 1e6 if ends is not None else None
        return None

    def _works(self, claim: Claim, asked: dict[str, object], *, rounds_max: int,
               bytes_max: int) -> Iterator[ClaimedRound]:
        """The rounds that a claim takes, and where they stand."""
        number = self.known(claim.merchant)
        rows = self.server.at_once("open_rounds", {**asked, "limit": rounds_max}, merchant=number).rows
        rounds = together([OpenRound(*row[:ROUND]) for row in rows], bytes_max)
        rows = rows[: len(rounds)]
        if not all(row[ROUND] for row in rows):
            started = {"rounds": [found.id for found in rounds], "batches": [found.seq for found in rounds], **asked}
            self.server.at_once("start_round", started, merchant=number, lazy=True)
        for found, row in zip(rounds, rows, strict=True):
            work = work_of(claim.merchant, claim.kind, found, progress_of(row[ROUND + 1 :]))
            if claim.rounds and work.chunks:
                return
            yield work
            if work.chunks:
                return

    def wait_for_work(self, seconds: float) -> None:
        """Until somebody tells of new work, or the next lease ends, which nobody tells of."""
        left = self._lease_ends - time.monotonic() if self._lease_ends is not None else None
        self.watch.wait(seconds, left=left)

    def renew_claim(self, claim: Claim, *, lease_seconds: float) -> Renewal:
        """Raises LeaseLostError. Another lane waits, or a round to be cancelled that the claim does not hold."""
        now = self.now()
        number = self.number(claim.merchant)
        named = {"merchant": number, "kind": claim.kind, "attempt": claim.attempt, "now": now}
        renewed = {**named, "until": now + int(lease_seconds * 1e6)}
        # A fall that takes it along lets the lease end sooner; to wait for the disk is to wait for the last portion.
        held = self.server.at_once("renew_lane", renewed, merchant=number, lazy=True).rows
        if not held:
            raise LeaseLostError(f"{claim.merchant} {claim.kind}")
        ((batches,),) = held
        ((waiting,),) = self.server.at_once("other_lane_waits", named, every=True).rows
        cancelling = frozenset(batch.replace("-", "") for batch in batches)
        mine = cancelling & {work.batch for work in claim.rounds}
        return Renewal(waiting or mine != cancelling, mine)

    def release_rounds(self, merchant: str, kind: Kind, collection: str, *, before: datetime | None = None) -> int:
        """Each in its old place in the lane."""
        number = self.number(merchant)
        named = {"merchant": number, "kind": kind, "collection": collection, "held": HELD}
        given = {**named, "before": None if before is None else microseconds(before)}
        started = self.server.at_once("start_held", given, merchant=number).changed
        self.watch.tell()
        return started

    def defer(self, claim: Claim, work: ClaimedRound, *, seconds: float) -> None:
        """No effect if the lane is somebody else's by now."""
        number = self.number(claim.merchant)
        named = {"merchant": number, "kind": claim.kind, "attempt": claim.attempt}
        resting = {"id": work.batch, "round": work.number, "until": self.now() + int(seconds * 1e6)}
        self.server.at_once("rest_round", {**named, **resting}, merchant=number)

    def release_claim(self, claim: Claim) -> None:
        """Never raises for want of room or way: the lease then ends by itself."""
        with suppress(StoreFullError, StoreBusyError):
            number = self.number(claim.merchant)
            named = {"merchant": number, "kind": claim.kind, "attempt": claim.attempt}
            # A server that falls just now may forget it: then, too, the lease ends by itself.
            self.server.at_once("give_lane_back", named, merchant=number, lazy=True)
            self.watch.tell()

    def cancel(self, merchant: str, batch: str) -> Batch | None:
        """Takes effect when the worker next looks; a batch that has ended stays as it is."""
        found = self.batch(merchant, batch)
        if found is None or found.position is None or found.cancelling:
            return found
        number = self.known(merchant)
        self.server.at_once("cancel_round", {"merchant": number, "id": batch}, merchant=number)
        self.watch.tell()
        return self.batch(merchant, batch)


def progress_of(row: Sequence[Any]) -> Progress | None:
    """None of a batch that has not begun."""
    return None if row[1] is None else Progress(**dict(zip(Progress.__struct_fields__, row, strict=True)))


def progress_held(db: Cursor, merchant: int, batches: list[str]) -> tuple[dict[str, int], dict[str, Progress]]:
    """The numbers of those batches, which are held from now on, and where those stand that have begun; by id."""
    rows = every(db, "hold_batches", {"merchant": merchant, "batches": batches})
    standing = {id.hex(): progress for id, *row in rows if (progress := progress_of(row)) is not None}
    return {row[0].hex(): row[1] for row in rows}, standing
