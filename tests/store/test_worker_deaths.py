"""Deaths of workers are counted at the rounds that they had claimed, and their lanes rest."""

from goodsgate.model.batch import Kind, State
from goodsgate.store.contract import Claim, StoreFullError
from goodsgate.store.shared.rounds import ReleaseFailures
from tests.store.scene import Record, Scene, advanced, chunk_commit

LEASE_SECONDS = 10
REST_SECONDS = 400
"""Longer than any rest."""


def lose(scene: Scene, **how: object) -> Claim:
    """Claim the next lane and let the lease end."""
    claim = scene.claimed(**how)
    scene.clock.forward(LEASE_SECONDS + 1)
    return claim


def test_a_death_is_counted_at_the_rounds_of_the_claim_alone(scene: Scene) -> None:
    """Each is then claimed alone, so that the culprit is found; a round that was not claimed is not suspected."""
    first, second, third = scene.seal(), scene.seal(), scene.seal()
    lost = lose(scene, works=2)
    assert [round.batch for round in lost.rounds] == [first, second]
    for batch, deaths in ((first, 1), (second, 1), (third, 0)):
        claim = scene.claimed(works=3)
        assert [(round.batch, round.worker_deaths) for round in claim.rounds] == [(batch, deaths)]
        scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record("A"), ends=State.FINISHED)])
        scene.store.release_claim(claim)


def test_a_claim_that_is_released_is_no_death(scene: Scene) -> None:
    """Nor is its lane ever rested."""
    scene.seal()
    for _ in range(5):
        claim = scene.claimed()
        assert claim.rounds[0].worker_deaths == 0
        scene.store.release_claim(claim)


def test_progress_between_deaths_makes_the_next_one_the_first(scene: Scene) -> None:
    """A large batch survives any number of workers, as long as each commits a chunk."""
    scene.seal()
    for number in range(5):
        claim = scene.claimed()
        assert (claim.rounds[0].worker_deaths, claim.rounds[0].chunks) == (min(number, 1), number)
        scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record(f"K{number}"))])
        scene.clock.forward(LEASE_SECONDS + 1)
    claim = scene.claimed()
    committed = chunk_commit(claim.rounds[0], Record("L"))
    scene.store.commit(claim, [committed])
    scene.store.release_claim(claim)
    again = scene.claimed()
    assert again.rounds[0].worker_deaths == 0
    assert advanced(claim.rounds[0], committed).chunks == again.rounds[0].chunks


def test_deaths_survive_a_restart(scene: Scene) -> None:
    """They are counted in the store, not in a process."""
    scene.seal()
    lose(scene)
    scene.claimed()
    scene.reopen()
    scene.clock.forward(LEASE_SECONDS + 1)
    assert scene.claim() is None
    scene.clock.forward(REST_SECONDS)
    assert scene.claimed().rounds[0].worker_deaths == 2


def test_a_lane_that_ends_workers_rests_and_others_are_served(scene: Scene) -> None:
    """After the second death in a row, longer after the third; nobody waits for it."""
    scene.seal("acme")
    lose(scene)
    lose(scene)
    assert scene.claim() is None, "the lane rests"
    rests = []
    for _ in range(3):
        bolt = scene.seal("bolt")
        claim = scene.claimed()
        assert [round.batch for round in claim.rounds] == [bolt]
        assert not scene.store.renew_claim(claim, lease_seconds=LEASE_SECONDS).others_waiting
        scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record("A"), ends=State.FINISHED)])
        scene.store.release_claim(claim)
        seconds = 0
        while (claim_after := scene.claim(seconds=LEASE_SECONDS)) is None:
            scene.clock.forward(1)
            seconds += 1
        rests.append(seconds)
        assert claim_after.merchant == "acme"
        assert claim_after.rounds[0].worker_deaths == len(rests) + 1
        scene.clock.forward(LEASE_SECONDS + 1)
        assert scene.claim() is None
    assert rests[0] < rests[1] < rests[2]


def test_a_resting_lane_can_be_cancelled(scene: Scene) -> None:
    """At once: what is cancelled is not read."""
    batch = scene.seal()
    lose(scene)
    lose(scene)
    assert scene.claim() is None
    scene.store.cancel("acme", batch)
    claim = scene.claimed()
    assert (claim.rounds[0].cancelling, claim.rounds[0].worker_deaths) == (True, 2)
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], ends=State.CANCELLED)])
    scene.store.release_claim(claim)
    assert scene.batch(batch).state is State.CANCELLED


def test_a_release_that_the_store_refuses_is_no_death(scene: Scene) -> None:
    """A full disk is no fault of the batch; the process knows that it lives."""
    scene.seal()
    claim = scene.claimed()
    failures = ReleaseFailures()
    with failures.releasing(claim):
        raise StoreFullError("no space")
    lane = ("acme", Kind.PRODUCT, "products")
    assert not failures.has_died(lane, claim.attempt)
    assert failures.has_died(lane, claim.attempt), "only once"


def test_doctor_names_the_batch(scene: Scene) -> None:
    """And what to do; one death is not a problem of the gate."""
    batch = scene.seal()
    lose(scene)
    claim = scene.claimed()
    (check,) = [check for check in scene.store.quick_checks() if check.name == "worker deaths"]
    assert (check.level, check.is_ok) == ("warn", True)
    assert f"acme {batch}" in check.detail
    assert f"goodsgate cancel {batch}" in check.remedy
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record("A"), ends=State.FINISHED)])
    scene.store.release_claim(claim)
    (check,) = [check for check in scene.store.quick_checks() if check.name == "worker deaths"]
    assert check.level == "ok"
