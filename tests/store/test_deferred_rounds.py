"""Rounds that rest: not claimed before their time, and in nobody's way meanwhile."""

from goodsgate.model.batch import Kind, State
from goodsgate.store.contract import Claim, ClaimedRound
from tests.store.scene import Record, Scene, chunk_commit


def _rest(scene: Scene, claim: Claim, seconds: float) -> ClaimedRound:
    """The first round of a claim rests after a chunk."""
    work = claim.rounds[0]
    scene.store.commit(claim, [chunk_commit(work, Record("A"))])
    scene.store.defer(claim, work, seconds=seconds)
    scene.store.release_claim(claim)
    return work


def test_a_round_that_rests_is_claimed_when_its_time_has_come(scene: Scene) -> None:
    """And not before; it goes on where it stood."""
    batch = scene.seal()
    _rest(scene, scene.claimed(), 5)
    scene.clock.forward(4.9)
    assert scene.claim() is None
    assert scene.batch(batch).state is State.WORKING
    scene.reopen()
    scene.clock.forward(0.1)
    claim = scene.claimed()
    assert (claim.rounds[0].batch, claim.rounds[0].chunks, claim.rounds[0].overtakes) == (batch, 1, False)


def test_those_behind_it_go_on_and_know_that_they_overtake(scene: Scene) -> None:
    """Rounds of the same collection overtake it; other collections are not affected."""
    resting = scene.seal()
    _rest(scene, scene.claimed(), 600)
    behind, other = scene.seal(), scene.seal(collection="other")
    overtaking = set()
    for _ in range(2):
        claim = scene.claimed(works=2)
        overtaking |= {(work.batch, work.overtakes) for work in claim.rounds}
        scene.store.commit(claim, [chunk_commit(work, Record("B"), ends=State.FINISHED) for work in claim.rounds])
        scene.store.release_claim(claim)
    assert overtaking == {(behind, True), (other, False)}
    assert scene.claim() is None
    assert scene.batch(resting).state is State.WORKING


def test_a_deferred_lane_delays_no_other(scene: Scene) -> None:
    """Workers of other lanes do not give way to it; the figures still count it."""
    scene.seal()
    _rest(scene, scene.claimed(), 600)
    scene.seal("bolt", Kind.STOCK)
    claim = scene.claimed()
    assert not scene.store.renew_claim(claim, lease_seconds=10).others_waiting


def test_a_round_that_rests_can_be_cancelled(scene: Scene) -> None:
    """At once."""
    batch = scene.seal()
    _rest(scene, scene.claimed(), 600)
    scene.store.cancel("acme", batch)
    claim = scene.claimed()
    assert [(work.batch, work.cancelling) for work in claim.rounds] == [(batch, True)]


def test_a_worker_whose_lane_was_taken_over_rests_nothing(scene: Scene) -> None:
    """The one that has it goes on."""
    batch = scene.seal()
    stale = scene.claimed(seconds=5)
    scene.clock.forward(6)
    claim = scene.claimed(worker="w2")
    scene.store.defer(stale, stale.rounds[0], seconds=600)
    scene.store.release_claim(claim)
    assert scene.claimed().rounds[0].batch == batch
