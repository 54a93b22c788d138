"""Drives check and apply: claims the head of a lane, works it stretch by stretch, settles each, gives way.

A worker settles one portion after the other; where settling is another machine's work, it reads and judges the next
stretch meanwhile. It stops, and gives the lease back, between two portions; a kill at any point leaves either the
portion's whole effect or nothing, and the lease runs out.
"""

import gc
import logging
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial

import msgspec

from goodsgate.config import Config
from goodsgate.engine import portion as portions
from goodsgate.engine.ahead import Made
from goodsgate.engine.apply import CANCELLED, DELETED
from goodsgate.engine.lease import Heartbeat
from goodsgate.engine.making import Making
from goodsgate.engine.opened import Opened
from goodsgate.engine.settling import Settling
from goodsgate.engine.source import Stretch
from goodsgate.engine.together import GROUPS_CLAIMED, Together
from goodsgate.model import crash
from goodsgate.model.batch import Result, RoundKind, State, Withheld, new_id
from goodsgate.model.catalogue import Delete
from goodsgate.model.issue import issue
from goodsgate.rules import Schema
from goodsgate.store.contract import (
    ChunkCommit,
    Claim,
    ClaimedRound,
    LeaseLostError,
    Retention,
    Store,
    StoreError,
    SweepCounts,
)

log = logging.getLogger(__name__)

KEPT_OPEN_MAX = 4
"""Rounds kept open between claims, so that giving way costs no reading again."""
FAULTS_MAX = 3
"""Times a round may fail outside its records before it is broken."""
SWITCH_SECONDS = 0.0001
"""A thread that waits for the interpreter gets it after this long, where the store settles in this process."""
SWITCH_SECONDS_ELSEWHERE = 0.0005
"""The same where it is settled elsewhere: what settles hands over a megabyte at a time, and has more to wait for."""
MISSING_KEYS = 10_000
"""Deletions of a full feed settled at once."""
SWEEP_STEPS = 20
SWEEP_SECONDS_MAX = 0.2
"""A sweep gives way to the work after this long, and goes on between two claims."""
FULL_PAUSE_SECONDS = 1.0
"""Wait before trying again after the store was full or busy."""


class Worker:
    """One worker over a store."""

    def __init__(self, store: Store, config: Config, name: str | None = None, *,
                 schemas: Mapping[str, Schema] | None = None) -> None:
        """`schemas` are those that policies may name."""
        self._store = store
        self._config = config
        self.name = name or f"worker-{new_id()[:12]}"
        self._making = Making(store, config, schemas or {})
        self._kept: dict[tuple[str, str, int], Opened] = {}
        self._faults: dict[tuple[str, str, int], int] = {}
        self._stop = threading.Event()
        self._swept = time.monotonic()
        self._heartbeat = Heartbeat(store, lease_seconds=config.lease_seconds)
        self._settling = Settling(store)
        self._together = Together(store, config, self._settling, self._making)

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; finishes the portion in hand."""
        self._stop = stop
        # Decoded records are freed block by block; the collector finds nothing in them and costs 5 to 10 %.
        gc.freeze()
        gc.set_threshold(500_000, 50, 100)
        # The thread that settles asks for the interpreter between statements of a tenth of a millisecond or more.
        sys.setswitchinterval(SWITCH_SECONDS_ELSEWHERE if self._store.commits_remotely else SWITCH_SECONDS)
        while not stop.is_set():
            try:
                busy = self.step()
                if time.monotonic() - self._swept > self._config.sweep_seconds:
                    self._sweep()
            except StoreError as fault:
                log.warning("the store refuses, trying again", extra={"fault": repr(fault)})
                stop.wait(FULL_PAUSE_SECONDS)
                continue
            if not busy:
                self._store.wait_for_work(self._config.poll_seconds)
        self.close()

    def close(self) -> None:
        """Let go of the threads beside it; it steps no more."""
        self._heartbeat.stop()
        self._settling.close()

    def step(self) -> bool:
        """Claim and work once; False if there was nothing to do."""
        config = self._config
        claim = self._store.claim(
            self.name, lease_seconds=config.lease_seconds, rounds_max=config.claim_rounds_max * GROUPS_CLAIMED,
            bytes_max=config.claim_bytes_max * GROUPS_CLAIMED,
        )
        if claim is None:
            return False
        crash.point("claimed")
        self._making.anew()
        try:
            with self._heartbeat.keeping(claim):
                self._claimed(claim)
        except LeaseLostError:
            log.warning("lease lost", extra={"merchant": claim.merchant, "lane": claim.kind})
            for work in claim.rounds:
                self._kept.pop(_name(work), None)
        finally:
            self._store.release_claim(claim)
        return True

    def _claimed(self, claim: Claim) -> None:
        if len(claim.rounds) > 1 and self._together.work(claim, self._stop):
            return
        work = claim.rounds[0]
        try:
            self._alone(claim, work)
        except StoreError:
            self._kept.pop(_name(work), None)
            raise
        except Exception:
            self._fault(claim, work, self._kept.pop(_name(work), None))

    def _fault(self, claim: Claim, work: ClaimedRound, opened: Opened | None) -> None:
        """A failure that no single record explains: claimable again, but not for ever."""
        fault = new_id()
        log.exception("fault in a round", extra={"fault": fault, "batch": work.batch})
        name = _name(work)
        self._faults[name] = self._faults.get(name, 0) + 1
        if self._faults[name] >= FAULTS_MAX:
            del self._faults[name]
            told = [issue("round_fault", value=fault)]
            portion = portions.plain(opened.work if opened is not None else work, ends=State.BROKEN)
            self._settling.settle(claim, msgspec.structs.replace(portion, file_issues=told))

    # -- one round ------------------------------------------------------------------------------------------------

    def _alone(self, claim: Claim, work: ClaimedRound) -> None:
        opened = self._open(work)
        if self._work_through(claim, opened):
            self._kept.pop(_name(work), None)

    def _work_through(self, claim: Claim, opened: Opened) -> bool:
        """Until the round ends (True) or somebody else's turn has come (False)."""
        work = opened.work
        if work.cancelling:
            self._cancel(claim, opened)
            return True
        if work.round_kind is RoundKind.REMOVAL:
            return self._remove(claim, opened, confirmed=True)
        if work.policy.pace_seconds and work.round_kind is RoundKind.SUBMISSION:
            return self._push(claim, opened)
        while True:
            stretch = opened.take()
            ends = stretch is None or opened.exhausted
            removes = ends and work.policy.mode == "full" and work.round_kind is RoundKind.SUBMISSION
            if stretch is not None:
                self._stretch(claim, opened, stretch, ends=ends and not removes)
            elif not removes:
                self._settle_end(claim, opened)
            if removes:
                return self._remove(claim, opened, confirmed=False)
            if ends:
                return True
            renewal = self._store.renew_claim(claim, lease_seconds=self._config.lease_seconds)
            if work.batch in renewal.cancelling:
                self._cancel(claim, opened)
                return True
            if renewal.others_waiting or self._stop.is_set():
                return False
            self._making.anew()
            opened.alone = True
            del stretch  # freed before the next is made

    def _push(self, claim: Claim, opened: Opened) -> bool:
        """One record; then the round rests, and whoever waits has its turn."""
        stretch = opened.take()
        if stretch is None:
            self._settle_end(claim, opened)
            return True
        opened.judged = opened.made = None
        ends = opened.exhausted and len(stretch) <= 1
        self._stretch(claim, opened, stretch.part(0, 1), ends=ends)
        if ends:
            return True
        if len(stretch) > 1:
            opened.give_back(stretch.part(1, len(stretch)))
        self._store.defer(claim, opened.work, seconds=opened.work.policy.pace_seconds)
        return False

    def _open(self, work: ClaimedRound) -> Opened:
        name = _name(work)
        opened = self._kept.pop(name, None)
        if opened is None or opened.work.records != work.records or opened.work.chunks != work.chunks:
            opened = Opened(self._store, self._config, work)
        opened.claimed(work)
        self._kept[name] = opened
        if len(self._kept) > KEPT_OPEN_MAX:
            del self._kept[next(iter(self._kept))]
        return opened

    def _stretch(self, claim: Claim, opened: Opened, stretch: Stretch, *, ends: bool) -> None:
        """Work and settle a stretch; what fails is halved until the record at fault stands alone."""
        try:
            made = self._making.portion(opened, stretch)
            self._settle_made(claim, opened, stretch, made, ends=ends)
            return
        except StoreError:
            raise
        except Exception:
            if not len(stretch):
                raise
            fault = new_id()
            told = {"fault": fault, "batch": opened.work.batch, "records": len(stretch)}
            log.exception("fault in a stretch", extra=told)
        if len(stretch) == 1:
            stretch.unreadable[0] = issue("internal_fault", value=fault)
            lines = [b"{}"] if stretch.lines else []
            rows: list[list[str]] = [[]] if stretch.rows else []
            stripped = msgspec.structs.replace(stretch, lines=lines, rows=rows)
            self._settle_made(claim, opened, stripped, self._making.portion(opened, stripped), ends=ends)
            return
        middle = len(stretch) // 2
        self._stretch(claim, opened, stretch.part(0, middle), ends=False)
        self._stretch(claim, opened, stretch.part(middle, len(stretch)), ends=ends)

    def _settle_made(self, claim: Claim, opened: Opened, stretch: Stretch, made: Made, *, ends: bool) -> None:
        """Commit what a stretch changes, made once more by what is held then if that has to be."""
        def again() -> list[ChunkCommit]:
            return [opened.dress(self._making.portion(opened, stretch, earlier=made.earlier).portion, ends=ends)]

        dressed = opened.dress(made.portion, ends=ends)
        ahead = None if ends else partial(
            opened.look_ahead, dressed, partial(self._making.foreseen, opened),
            partial(self._making.ahead, opened, made),
        )
        (settled,) = self._settling.settle(claim, dressed, ahead=ahead, again=again)
        opened.settled(settled)

    def _settle_end(self, claim: Claim, opened: Opened) -> None:
        """Commit the end of a round behind which nothing is left."""
        portion = opened.dress(portions.plain(opened.work), ends=True)
        self._settling.settle(claim, portion)
        opened.settled(portion)

    # -- cancel and removal -----------------------------------------------------------------------------------------

    def _cancel(self, claim: Claim, opened: Opened) -> None:
        """Count what is left as cancelled; the records of a fix or a retry stay rejected."""
        if opened.work.round_kind is not RoundKind.SUBMISSION:
            self._settling.settle(claim, portions.plain(opened.work, ends=State.FINISHED))
            return
        while (stretch := opened.take()) is not None:
            opened.shape(stretch)
            portion = opened.dress(portions.plain(
                opened.work, results=bytes([CANCELLED]) * len(stretch), records=stretch.taken,
                bytes_done=stretch.bytes_done,
            ))
            self._settling.settle(claim, portion)
            opened.settled(portion)
        self._settling.settle(claim, opened.dress(portions.plain(opened.work, ends=State.CANCELLED)))

    def _remove(self, claim: Claim, opened: Opened, *, confirmed: bool) -> bool:
        """Delete what a full feed no longer holds, unless that is more than the policy lets pass unasked.

        Page by page; False if somebody else's turn has come, and it goes on with what is then still missing.
        """
        if not confirmed and opened.end()[0] is not State.FINISHED:
            self._settle_end(claim, opened)
            return True
        asks = not confirmed
        last = None
        while True:
            work = opened.work
            held, missing, keys = self._store.absent_items(work, after=last, limit=MISSING_KEYS)
            if not keys:
                self._settling.settle(claim, opened.dress(portions.plain(work, ends=State.FINISHED)))
                return True
            if asks and (missing > held * work.policy.delete_share_max or self._keyless(work)):
                portion = opened.dress(portions.plain(work, ends=State.FINISHED))
                withheld = Withheld(items=held, deletions=missing)
                self._settling.settle(claim, msgspec.structs.replace(portion, withheld=withheld))
                return True
            asks = False  # answered by the first page
            shown: list[str | None] = [*keys]
            portion = opened.dress(portions.plain(work, results=bytes([DELETED]) * len(keys), keys=shown))
            portion = msgspec.structs.replace(portion, deletes=[Delete(key, None) for key in keys])
            self._settling.settle(claim, portion)
            opened.settled(portion)
            last = keys[-1]
            renewal = self._store.renew_claim(claim, lease_seconds=self._config.lease_seconds)
            if work.batch in renewal.cancelling:
                self._cancel(claim, opened)
                return True
            if renewal.others_waiting or self._stop.is_set():
                return False

    def _keyless(self, work: ClaimedRound) -> bool:
        """Whether a record of the feed has no readable key, so that it cannot be told what the feed lacks."""
        after = 0
        while rows := self._store.results(work.merchant, work.batch, after=after, limit=10_000, result=Result.REJECTED):
            if any(row.key is None for row in rows):
                return True
            after = rows[-1].number
        return False

    def _sweep(self) -> None:
        self._swept = time.monotonic()
        begun = time.monotonic()
        kept = retention(self._config)
        while (swept := self._store.sweep(kept, steps_max=SWEEP_STEPS)) != SweepCounts():
            log.info("swept", extra=msgspec.structs.asdict(swept))
            if time.monotonic() - begun > SWEEP_SECONDS_MAX:
                self._swept = 0.0  # there is more: again after the next claim
                return


def retention(config: Config) -> Retention:
    """How long things are kept, as the settings have it."""
    day = 86_400
    return Retention(
        payload_seconds=int(config.payload_days * day), report_seconds=int(config.report_days * day),
        batch_seconds=int(config.batch_days * day), answer_seconds=int(config.idempotency_hours * 3_600),
        tombstone_seconds=int(config.tombstone_days * day), message_seconds=int(config.message_days * day),
        stock_order_seconds=int(config.stock_order_days * day),
    )


def _name(work: ClaimedRound) -> tuple[str, str, int]:
    return work.merchant, work.batch, work.number
