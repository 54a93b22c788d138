"""Trials of guarded batches: a report of their own, a hold that blocks the lane, and a progress that begins anew."""

from datetime import timedelta

import msgspec

from goodsgate.engine.dry_run_items import as_dry_run
from goodsgate.model.batch import Counts, Kind, Result, State
from goodsgate.model.guard import Figure, Hold, HoldMode, HoldReason
from goodsgate.model.webhook import WEBHOOK, WebhookEvent
from goodsgate.store.contract import BatchFilter, ChunkCommit, Claim, ClaimedRound, Retention, SweepCounts
from tests.store.scene import Record, Scene, advanced, chunk_commit, rejected_record
from tests.store.test_webhook_events import _event, _webhook

RETENTION = Retention(
    payload_seconds=10**6, report_seconds=100, batch_seconds=10**6, answer_seconds=10**6, tombstone_seconds=10**6
)
RECORDS = (Record("A"), rejected_record("B"))


def _hold(scene: Scene, mode: HoldMode = "wait") -> Hold:
    now = scene.clock.now
    reason = HoldReason(condition="created", limit="1", figure=Figure(1, 2))
    return Hold(
        figures={"created": Figure(1, 2)}, reasons=[reason], mode=mode, held_at=now,
        expires_at=now + timedelta(seconds=60),
    )


def _end_trial(scene: Scene, **end: object) -> Claim:
    """Claim the next round and work it as a trial of two records that ends like this."""
    claim = scene.claimed()
    claim.rounds[:] = [msgspec.structs.replace(claim.rounds[0], is_trial=True)]
    commit = as_dry_run(scene.store, chunk_commit(claim.rounds[0], *RECORDS))
    scene.store.commit(claim, [commit])
    after = advanced(claim.rounds[0], commit)
    scene.store.commit(claim, [chunk_commit(after, **end)])  # type: ignore[arg-type]
    scene.store.release_claim(claim)
    return claim


def _hold_next(scene: Scene, mode: HoldMode = "wait") -> None:
    _end_trial(scene, ends=State.HELD, hold=_hold(scene, mode))


def _cancel(round: ClaimedRound) -> ChunkCommit:
    return chunk_commit(round, ends=State.CANCELLED, cancels_results=True)


def test_a_trial_has_a_report_and_changes_nothing(scene: Scene) -> None:
    """Once it is held, for every process, and after a restart."""
    batch = scene.seal()
    _hold_next(scene)
    scene.reopen()
    found = scene.batch(batch)
    assert (found.state, found.is_trial, found.total, found.position) == (State.HELD, True, 2, 0)
    assert found.counts == Counts(created=1, rejected=1)
    assert found.hold == _hold(scene)
    assert [row.result for row in scene.store.results("acme", batch)] == [Result.CREATED, Result.REJECTED]
    assert [change.key for change in scene.store.diff("acme", batch)] == ["A"]
    assert len(scene.store.findings("acme", batch)) == len(scene.store.issue_groups("acme", batch)) == 1
    assert scene.held() == {}
    assert scene.store.statistics()["rounds.held"] == 1
    assert "records.created" not in scene.store.statistics()


def test_a_held_round_blocks_its_lane_until_it_is_approved(scene: Scene) -> None:
    """Others of the merchant go on; approved, the round begins anew in its old place."""
    batch, behind = scene.seal(), scene.seal()
    _hold_next(scene)
    assert scene.claim() is None
    assert scene.store.blocking_batch("acme", behind) == batch
    other = scene.seal(kind=Kind.STOCK)
    assert [round.batch for round in scene.claimed().rounds] == [other]
    approved = scene.store.approve("acme", batch)
    assert approved is not None
    assert (approved.state, approved.is_trial, approved.counts, approved.total) == (State.QUEUED, False, Counts(), None)
    scene.reopen()
    claim = scene.claimed(works=10)
    first = claim.rounds[0]
    assert [round.batch for round in claim.rounds] == [batch, behind]
    assert (first.is_trial, first.is_tried, first.chunks, first.total) == (False, True, 0, 0)
    scene.store.commit(claim, [chunk_commit(first, *RECORDS, ends=State.FINISHED)])
    found = scene.batch(batch)
    assert (found.state, found.counts, found.is_trial) == (State.FINISHED, Counts(created=1, rejected=1), False)
    assert [*scene.held()] == ["A"]
    assert len(scene.store.findings("acme", batch)) == 1
    assert [change.key for change in scene.store.diff("acme", batch)] == ["A"]  # that of the trial stays
    assert scene.store.blocking_batch("acme", behind) is None


def test_a_trial_that_holds_nothing_begins_anew_at_once(scene: Scene) -> None:
    """In the transaction that ends it."""
    batch = scene.seal()
    _end_trial(scene, ends_trial=True, hold=Hold(figures={"created": Figure(1, 2)}))
    found = scene.batch(batch)
    assert (found.state, found.is_trial, found.counts) == (State.WORKING, False, Counts())
    round = scene.claimed().rounds[0]
    assert (round.batch, round.is_trial, round.is_tried, round.chunks, round.total) == (batch, False, True, 0, 0)


def test_a_held_batch_may_be_passed(scene: Scene) -> None:
    """Its lane goes on, and it is applied when it is approved."""
    batch, behind = scene.seal(), scene.seal()
    _hold_next(scene, "pass")
    claim = scene.claimed()
    assert [round.batch for round in claim.rounds] == [behind]
    scene.store.release_claim(claim)
    scene.store.approve("acme", batch)
    assert [round.batch for round in scene.claimed(works=10).rounds] == [batch, behind]


def test_a_held_batch_that_is_given_up_has_cancelled_results(scene: Scene) -> None:
    """Rejected ones stay; all count in the totals; the lane is free, and nothing can be approved any more."""
    batch, behind = scene.seal(), scene.seal()
    _hold_next(scene)
    scene.store.cancel("acme", batch)
    asked = scene.store.approve("acme", batch)
    assert asked is not None
    assert asked.state is State.HELD
    claim = scene.claimed()
    (round,) = claim.rounds
    assert (round.batch, round.is_trial, round.cancelling, round.total) == (batch, True, True, 2)
    scene.store.commit(claim, [_cancel(round)])
    scene.store.release_claim(claim)
    found = scene.batch(batch)
    assert (found.state, found.is_trial, found.total) == (State.CANCELLED, True, 2)
    assert found.counts == Counts(cancelled=1, rejected=1)
    assert [row.result for row in scene.store.results("acme", batch)] == [Result.CANCELLED, Result.REJECTED]
    assert [one.result for one in scene.store.findings("acme", batch)] == [Result.REJECTED]
    totals = scene.store.statistics()
    assert (totals["records.cancelled"], totals["records.rejected"], totals["rounds_ended.cancelled"]) == (1, 1, 1)
    assert [round.batch for round in scene.claimed().rounds] == [behind]


def test_a_hold_expires(scene: Scene) -> None:
    """It is listed until its cancellation was requested."""
    batch = scene.seal()
    _hold_next(scene)
    assert scene.store.expired_holds() == []
    scene.clock.forward(60)
    assert scene.store.expired_holds() == [("acme", batch)]
    scene.store.cancel("acme", batch)
    assert scene.store.expired_holds() == []


def test_webhooks_are_told_of_a_hold(scene: Scene) -> None:
    """Once, in the transaction that holds the batch."""
    _webhook(scene)
    batch = scene.seal()
    _hold_next(scene)
    (message,) = scene.store.messages("acme", topic=WEBHOOK)
    event = _event(message)
    assert (event.event, event.batch, event.state, event.total) == (WebhookEvent.BATCH_HELD, batch, "held", 2)


def test_listings_know_held_batches(scene: Scene) -> None:
    """By their state, of one merchant and of all."""
    batch = scene.seal()
    _hold_next(scene)
    scene.seal()
    filters = BatchFilter(state=State.HELD)
    assert [one.id for one in scene.store.batches("acme", filters).rows] == [batch]
    assert [one.id for one in scene.store.all_batches(filters).rows] == [batch]


def test_the_report_of_a_trial_is_swept_with_that_of_the_batch(scene: Scene) -> None:
    """Nothing of either remains."""
    batch = scene.seal()
    _hold_next(scene)
    scene.store.approve("acme", batch)
    scene.run(RECORDS)
    scene.clock.forward(101)
    while scene.store.sweep(RETENTION, steps_max=100) != SweepCounts():
        pass
    assert scene.store.diff("acme", batch) == []
    assert scene.store.findings("acme", batch) == []
    assert scene.store.results("acme", batch) == []
