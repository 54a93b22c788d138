"""Claim the head of a lane, work it, and give it back.

A worker commits one chunk after the other. It stops, and gives the lease back, between two commits; a kill at any point
leaves either the chunk's whole effect or nothing, and the lease runs out.
"""

import gc
import logging
import sys
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from goodsgate.engine.chunk_commit import Committer, empty_commit
from goodsgate.engine.guards import Guards
from goodsgate.engine.lease import Heartbeat
from goodsgate.engine.outage import StoreOutage
from goodsgate.engine.passing import Passing, is_plain
from goodsgate.engine.revert import Revert, is_revert
from goodsgate.engine.scheduling import (
    LetPass,
    Paced,
    PreparedAhead,
    Removal,
    Schedule,
    Sequential,
    WorkerParts,
    cancelled_state,
)
from goodsgate.engine.settings import WorkerSettings
from goodsgate.engine.small_batches import GROUPS_CLAIMED, SmallBatches
from goodsgate.engine.validator import Validator
from goodsgate.engine.waiting_references import ReferenceWatch
from goodsgate.model import crash
from goodsgate.model.batch import Kind, RoundKind, State, new_id
from goodsgate.model.extras import ExtraMissingError
from goodsgate.model.issue import Issue, issue
from goodsgate.model.tracing import NO_ORIGIN, ORIGIN
from goodsgate.rules import Schema
from goodsgate.store.contract import (
    Claim,
    ClaimedRound,
    LeaseLostError,
    Store,
    StoreError,
    SupportsPrefetch,
    SweepCounts,
)

log = logging.getLogger(__name__)

OPEN_ROUNDS_MAX = 4
"""Rounds that stay open between claims."""
FAULTS_MAX = 3
"""Times in a row, without a committed chunk, that a round may fail outside its records before it is broken."""
FAULTS_COUNTED_MAX = 1_000
"""Rounds whose faults are counted at once."""
EXTRA_MISSING_PAUSE_SECONDS = 5.0
"""Pause after a batch that needs an extra which is not installed."""
SWITCH_SECONDS = 0.0001
"""A thread that waits for the interpreter gets it after this time, where this process commits by itself."""
SWITCH_SECONDS_REMOTE = 0.0005
"""The same where another process commits: this one hands over megabytes at a time, and has more to wait for."""
WATCH_SECONDS = 1.0
"""A busy worker looks this often for references that have arrived."""
IDLE_WATCH_SECONDS = 0.2
"""An idle one looks this often."""
LARGEST_BATCH_SHARE = 10
"""A batch is committed in a group if so many of its size would fit into one."""
GATHER_SECONDS = 0.01
"""Pause after a small group of batches. While a client submits one after the other, the next group is larger then,
and costs less for each batch."""
GATHER_ROUNDS = 16
GATHER_BYTES = 65_536
"""A group of fewer rounds and bytes is a small one."""
SWEEP_STEPS = 20
SWEEP_SECONDS_MAX = 0.2
"""A sweep gives way to the work after this time, and goes on between two claims."""
FILL_ITEMS = 500
"""Items that are looked at in one step while the search index is filled."""

RoundId = tuple[str, str, int]


class FaultCount(NamedTuple):
    """Faults of a round in a row."""

    chunks: int
    """Chunks that were committed then."""
    faults: int


class Worker:
    """One worker of a store."""

    def __init__(self, store: Store, settings: WorkerSettings, name: str | None = None, *,
                 schemas: Mapping[str, Schema] | None = None, stop: threading.Event | None = None,
                 known_issues: Mapping[int, list[Issue]] | None = None) -> None:
        """Take the `schemas` that policies may name; once `stop` is set, the worker ends after the chunk in hand.

        `known_issues` are what somebody else has found about records, by their number; for a worker of one batch.
        """
        self._store = store
        self._settings = settings
        self.name = name or f"worker-{new_id()[:12]}"
        self._stop = stop or threading.Event()
        self._swept_at = time.monotonic()
        self._heartbeat = Heartbeat(store, lease_seconds=settings.lease_seconds)
        self._validator = Validator(
            store, settings.check_limits, {} if schemas is None else schemas, known_issues=known_issues
        )
        self._committer = Committer(store)
        self._guards = Guards(store, self._validator.merchant_data, hold_hours=settings.hold_hours)
        self._parts = WorkerParts(
            store=store, validator=self._validator, committer=self._committer, read_limits=settings.read_limits,
            lease_seconds=settings.lease_seconds, guards=self._guards, stop=self._stop,
        )
        self._watch = ReferenceWatch(store)
        self._can_prefetch = isinstance(self._store, SupportsPrefetch)
        self._watched_at = time.monotonic()
        self._small_batches = SmallBatches(
            self._parts, rounds_max=settings.claim_rounds_max, bytes_max=settings.claim_bytes_max
        )
        self._lane: tuple[str, Kind, str] | None = None
        self.gathers = False
        """Whether the last claim was so small that the next one can wait for more batches."""
        self._open: dict[RoundId, Schedule] = {}
        self._faults: dict[RoundId, FaultCount] = {}

    def run(self) -> None:
        """Work until the worker is told to stop."""
        # Decoded records are freed chunk by chunk; the collector finds nothing in them and costs 5 to 10 %.
        gc.freeze()
        gc.set_threshold(500_000, 50, 100)
        # The thread that commits wants the interpreter between statements of a tenth of a millisecond or more.
        sys.setswitchinterval(SWITCH_SECONDS_REMOTE if self._can_prefetch else SWITCH_SECONDS)
        outage = StoreOutage("the worker")
        while not self._stop.is_set():
            try:
                has_worked = self.step()
                pause = WATCH_SECONDS if has_worked else IDLE_WATCH_SECONDS
                if time.monotonic() - self._watched_at > pause:
                    has_worked = self.watch_references() or has_worked
                if time.monotonic() - self._swept_at > self._settings.sweep_seconds:
                    self._sweep()
            except StoreError as fault:
                outage.wait(fault, self._stop)
                continue
            except ExtraMissingError as fault:  # the batch waits for a worker that has it
                log.error("the worker cannot process a batch: %s", fault)
                self._stop.wait(EXTRA_MISSING_PAUSE_SECONDS)
                continue
            outage.end()
            if not has_worked:
                self._store.wait_for_work(self._settings.poll_seconds)
            elif self.gathers:
                self._stop.wait(GATHER_SECONDS)
        self.close()

    def stop(self) -> None:
        """Let `run` return after the chunk in hand."""
        self._stop.set()

    def close(self) -> None:
        """End the worker's threads; it cannot step any more."""
        self._heartbeat.stop()
        self._committer.close()

    def step(self) -> bool:
        """Claim a lane and work it until it is another lane's turn; False if there was nothing to do."""
        settings = self._settings
        rounds_max = settings.claim_rounds_max * GROUPS_CLAIMED
        claim = self._store.claim(
            self.name, lease_seconds=settings.lease_seconds, rounds_max=rounds_max,
            bytes_max=settings.claim_bytes_max // min(settings.claim_rounds_max, LARGEST_BATCH_SHARE) * rounds_max,
        )
        if claim is None:
            return False
        self.gathers = self._is_small_group(claim)
        crash.point("claimed")
        self._validator.refresh()
        claim.rounds[:] = map(self._guards.watch, claim.rounds)
        try:
            with self._heartbeat.keeping(claim):
                if len(claim.rounds) < 2 or not self._small_batches.run(claim):
                    self._work(claim, claim.rounds[0])
        except LeaseLostError:
            log.warning("lease lost", extra={
                "merchant": claim.merchant, "lane": claim.kind, "collection": claim.collection
            })
        finally:
            ORIGIN.set(NO_ORIGIN)
            self._store.release_claim(claim)
        return True

    def _is_small_group(self, claim: Claim) -> bool:
        """Return whether a lane is served again, so that no other lane waits, and had only a few small batches.

        A single batch is none: its client may wait for the end before it submits the next.
        """
        last, self._lane = self._lane, (claim.merchant, claim.kind, claim.collection)
        return (
            last == self._lane and 1 < len(claim.rounds) < GATHER_ROUNDS
            and sum(round.bytes_total for round in claim.rounds) < GATHER_BYTES
        )

    def watch_references(self) -> bool:
        """Queue the waiting records whose references have arrived, and give up held batches whose time is over.

        Return whether there are any.
        """
        self._watched_at = time.monotonic()
        has_expired = self._guards.discard_expired()
        return self._watch.add_rounds() or has_expired

    def _work(self, claim: Claim, round: ClaimedRound) -> None:
        """Work one round; its schedule is kept if it has not ended."""
        ORIGIN.set(round.origin)
        name = round.merchant, round.batch, round.number
        schedule = self._open.pop(name, None)
        if round.worker_deaths and (round.cancelling or round.worker_deaths >= self._settings.worker_deaths_max):
            self._end_unread(claim, round, issue("worker_died", value=str(round.worker_deaths)))
            return
        if round.policy.trouble == "broken" and round.round_kind is RoundKind.SUBMISSION and not round.cancelling:
            self._end_unread(claim, round, issue("trouble_ordered"))
            return
        try:
            if schedule is None or not schedule.resume(round):
                schedule = self._open_round(round)
            has_ended = schedule.cancel(claim) if round.cancelling else schedule.run(claim)
        except (StoreError, ExtraMissingError):
            raise
        except Exception:
            self._count_fault(claim, name, schedule.round if schedule is not None else round)
            return
        if not has_ended:
            self._open[name] = schedule
            if len(self._open) > OPEN_ROUNDS_MAX:
                del self._open[next(iter(self._open))]

    def _open_round(self, round: ClaimedRound) -> Schedule:
        """Choose how a round is worked."""
        if round.round_kind is RoundKind.REMOVAL:
            return Removal(self._parts, round)
        if round.round_kind is RoundKind.SUBMISSION:
            if is_revert(round):
                return Revert(self._parts, round)
            if round.policy.pace_seconds and not round.is_trial:
                return Paced(self._parts, round)
            if self._can_prefetch:
                return PreparedAhead(self._parts, round, let_pass=self._let_pass(round))
        return Sequential(self._parts, round, let_pass=self._let_pass(round))

    def _let_pass(self, round: ClaimedRound) -> LetPass | None:
        """Return what lets small batches pass a round; None if it is small itself, or never passed."""
        settings = self._settings
        bytes_max = settings.claim_bytes_max // settings.claim_rounds_max
        if not settings.passing.records_max or round.bytes_total <= bytes_max or not is_plain(round):
            return None
        return Passing(
            self._parts, self._small_batches, settings.passing, bytes_max=bytes_max,
            rounds_max=settings.claim_rounds_max,
        ).let_pass

    def _count_fault(self, claim: Claim, name: RoundId, round: ClaimedRound) -> None:
        """Log a fault that no single record explains: the round can be claimed again, but not for ever."""
        fault = new_id()
        log.exception("fault in a round", extra={"fault": fault, "batch": round.batch})
        last = self._faults.pop(name, None)
        faults = last.faults + 1 if last is not None and last.chunks == round.chunks else 1
        if round.cancelling or faults >= FAULTS_MAX:
            self._end_unread(claim, round, issue("round_fault", value=fault))
        else:
            self._faults[name] = FaultCount(round.chunks, faults)
            if len(self._faults) > FAULTS_COUNTED_MAX:  # those of rounds that have gone on since
                del self._faults[next(iter(self._faults))]

    def _end_unread(self, claim: Claim, round: ClaimedRound, problem: Issue) -> None:
        """End a round whose payload cannot be read: as cancelled if that is requested, else as broken by the problem.
        """
        log.error("a round is ended unread", extra={"batch": round.batch, "code": problem.code})
        if round.cancelling:
            commit = empty_commit(round, cancelled_state(round))
        else:
            commit = empty_commit(round, State.BROKEN, file_issues=[problem])
        self._committer.commit(claim, [commit], lambda: [commit])

    def _sweep(self) -> None:
        """Remove expired data and fill the search index, for a while."""
        self._swept_at = begun = time.monotonic()
        while (counts := self._store.sweep(self._settings.retention, steps_max=SWEEP_STEPS)) != SweepCounts():
            log.info("swept", extra=msgspec.structs.asdict(counts))
            if time.monotonic() - begun > SWEEP_SECONDS_MAX:
                self._swept_at = 0.0  # there is more: again after the next claim
                break
        begun = time.monotonic()
        while self._store.fill_search(limit=FILL_ITEMS):
            if time.monotonic() - begun > SWEEP_SECONDS_MAX:
                self._swept_at = 0.0
                return
