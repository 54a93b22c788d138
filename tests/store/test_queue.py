"""Promises 4, 5 and 11 at the store: order, fairness, leases, cancels."""

import msgspec
import pytest

from goodsgate.model.batch import Kind, ReadingDecision, Result, RoundKind, State
from goodsgate.store.contract import BatchFilter, LeaseLostError
from tests.store.scene import Record, Scene, advanced, chunk_commit, rejected_record


def test_a_lane_is_worked_in_order_of_acceptance(scene: Scene) -> None:
    """And by one claim at a time."""
    first, second = scene.seal(), scene.seal()
    assert (scene.batch(first).position, scene.batch(second).position) == (0, 1)
    claim = scene.claimed()
    assert [work.batch for work in claim.rounds] == [first]
    assert (scene.batch(first).state, scene.batch(second).position) == (State.WORKING, 1)
    assert scene.claim("w2") is None
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record("A"), ends=State.FINISHED)])
    assert (scene.batch(first).position, scene.batch(second).position) == (None, 0)
    scene.store.release_claim(claim)
    assert scene.claimed().rounds[0].batch == second


def test_lanes_are_served_in_turn(scene: Scene) -> None:
    """The one served longest ago first, though its neighbour has more and older work."""
    for _ in range(3):
        scene.seal("acme")
    scene.seal("bolt")
    scene.seal("acme", Kind.STOCK)
    lanes = []
    while (claim := scene.claim()) is not None:
        lanes.append((claim.merchant, claim.kind))
        scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record("A"), ends=State.FINISHED)])
        scene.store.release_claim(claim)
    acme, bolt, stock = ("acme", Kind.PRODUCT), ("bolt", Kind.PRODUCT), ("acme", Kind.STOCK)
    assert sorted(lanes[:3]) == sorted([acme, bolt, stock])
    assert lanes[3:] == [acme, acme]


def test_a_worker_learns_that_somebody_waits(scene: Scene) -> None:
    """Another lane, but not the rest of its own."""
    scene.seal()
    scene.seal()
    claim = scene.claimed()
    assert not scene.store.renew_claim(claim, lease_seconds=10).others_waiting
    scene.seal("bolt")
    assert scene.store.renew_claim(claim, lease_seconds=10).others_waiting
    other = scene.claimed(worker="w2")
    assert other.merchant == "bolt"
    assert not scene.store.renew_claim(claim, lease_seconds=10).others_waiting


@pytest.mark.parametrize("is_retry", [False, True])
def test_a_round_starts_once(scene: Scene, is_retry: bool) -> None:
    """However often it is claimed: what depends on the time has the same result for every worker."""
    batch = scene.seal()
    if is_retry:
        rejected = chunk_commit((claim := scene.claimed()).rounds[0], rejected_record(), ends=State.FINISHED)
        scene.store.commit(claim, [rejected])
        scene.store.release_claim(claim)
        scene.clock.forward(1000)
        assert scene.again(batch, RoundKind.RETRY) is not None
    scene.clock.forward(3)
    claim = scene.claimed()
    (first,) = claim.rounds
    assert first.number == int(is_retry)
    assert (first.started_at - first.received_at).total_seconds() == pytest.approx(1003 if is_retry else 3, abs=1)
    scene.store.release_claim(claim)
    scene.clock.forward(500)
    (again,) = scene.claimed(worker="w2").rounds
    assert (again.received_at, again.started_at) == (first.received_at, first.started_at)


def test_a_round_continues_at_its_progress(scene: Scene) -> None:
    """Given back after a chunk, claimed again."""
    scene.seal()
    claim = scene.claimed()
    work = claim.rounds[0]
    reading = [ReadingDecision(what="delimiter", value="tab", how="detected", confidence=0.75)]
    committed = chunk_commit(
        work, Record("A"), rejected_record(), columns=["a", "b"], mapping={"a": ["id"]}, reading=reading
    )
    scene.store.commit(claim, [committed])
    scene.store.release_claim(claim)
    scene.reopen()
    again = scene.claimed().rounds[0]
    assert (again.chunks, again.records, again.total) == (1, 2, 2)
    assert (again.columns, again.mapping, again.reading) == (["a", "b"], {"a": ["id"]}, reading)
    assert again.number == 0


def test_reading_decisions_stand_with_the_batch(scene: Scene) -> None:
    """Those of a later chunk replace the earlier ones; a chunk without any leaves them, as does the end."""
    assert scene.batch(batch := scene.seal()).reading == []
    claim = scene.claimed()
    work = claim.rounds[0]
    first = [ReadingDecision(what="delimiter", value="é|", how="given")]
    second = [*first, ReadingDecision(what="encoding", value="Windows-1252", how="detected", confidence=0.5)]
    for reading, expected in ((first, first), (None, first), (second, second)):
        committed = chunk_commit(work, Record("A"), reading=reading)
        scene.store.commit(claim, [committed])
        work = advanced(work, committed)
        assert scene.batch(batch).reading == expected
    scene.store.commit(claim, [chunk_commit(work, ends=State.FINISHED)])
    assert scene.batch(batch).reading == second
    assert [row.reading for row in scene.store.batches("acme", BatchFilter()).rows] == [second]


def test_small_rounds_are_claimed_together(scene: Scene) -> None:
    """As many as asked, in order, up to the first that is large; and committed in one transaction."""
    batches = [scene.seal() for _ in range(4)]
    large = scene.seal(body=b"x" * 200)
    behind = scene.seal()
    claim = scene.claimed(works=3, bytes_max=300)
    assert [work.batch for work in claim.rounds] == batches[:3]
    scene.store.commit(claim, [chunk_commit(work, Record("A"), ends=State.FINISHED) for work in claim.rounds[:2]])
    scene.store.release_claim(claim)
    assert [scene.batch(batch).state for batch in batches[:3]] == [State.FINISHED, State.FINISHED, State.WORKING]
    claim = scene.claimed(works=5, bytes_max=500)
    assert [work.batch for work in claim.rounds] == batches[2:4]
    scene.store.commit(claim, [chunk_commit(work, Record("A"), ends=State.FINISHED) for work in claim.rounds])
    scene.store.release_claim(claim)
    for batch in (large, behind):
        claim = scene.claimed(works=5, bytes_max=500)
        assert [work.batch for work in claim.rounds] == [batch]
        scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record("A"), ends=State.FINISHED)])
        scene.store.release_claim(claim)


def test_a_round_that_has_begun_is_claimed_alone(scene: Scene) -> None:
    """Its chunks cannot be committed together with others'."""
    first, second = scene.seal(), scene.seal()
    claim = scene.claimed(works=1)
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record("A"))])
    scene.store.release_claim(claim)
    claim = scene.claimed(works=5)
    assert [work.batch for work in claim.rounds] == [first]
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record("B"), ends=State.FINISHED)])
    scene.store.release_claim(claim)
    assert [work.batch for work in scene.claimed(works=5).rounds] == [second]


# -- leases -----------------------------------------------------------------------------------------------------------


def test_a_lease_that_ran_out_is_taken_over(scene: Scene) -> None:
    """What the first worker does later changes nothing, and its lane stays the second's."""
    batch = scene.seal()
    stale = scene.claimed()
    scene.clock.forward(9)
    assert scene.claim("w2") is None
    scene.clock.forward(2)
    claim = scene.claimed(worker="w2")
    assert claim.attempt > stale.attempt
    late = chunk_commit(stale.rounds[0], Record("LATE"), ends=State.FINISHED)
    with pytest.raises(LeaseLostError):
        scene.store.commit(stale, [late])
    with pytest.raises(LeaseLostError):
        scene.store.renew_claim(stale, lease_seconds=10)
    scene.store.release_claim(stale)
    assert scene.claim("w3") is None
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record("A"), ends=State.FINISHED)])
    scene.store.release_claim(claim)
    assert scene.held() == {"A": Record("A").document}
    assert scene.batch(batch).counts.created == 1


def test_a_stale_worker_stays_out_when_the_lane_was_given_back(scene: Scene) -> None:
    """Also if the one that took over is done and gone."""
    scene.seal()
    stale = scene.claimed()
    scene.clock.forward(11)
    claim = scene.claimed(worker="w2")
    committed = chunk_commit(claim.rounds[0], Record("A"))
    scene.store.commit(claim, [committed])
    scene.store.release_claim(claim)
    for work in (stale.rounds[0], advanced(claim.rounds[0], committed)):
        with pytest.raises(LeaseLostError):
            scene.store.commit(stale, [chunk_commit(work, Record("LATE"))])
    with pytest.raises(LeaseLostError):
        scene.store.commit(claim, [chunk_commit(advanced(claim.rounds[0], committed), Record("LATE"))])


def test_renewing_keeps_the_lane(scene: Scene) -> None:
    """As long as the worker shows life."""
    scene.seal()
    claim = scene.claimed()
    for _ in range(3):
        scene.clock.forward(9)
        scene.store.renew_claim(claim, lease_seconds=10)
        assert scene.claim("w2") is None
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record("A"), ends=State.FINISHED)])


# -- cancels ----------------------------------------------------------------------------------------------------------


def test_a_round_to_be_cancelled_comes_first(scene: Scene) -> None:
    """Before older rounds of its lane and before other lanes; and its claim says so."""
    scene.seal("bolt")
    scene.seal()
    batch = scene.seal()
    asked = scene.store.cancel("acme", batch)
    assert asked is not None
    assert (asked.cancelling, asked.state) == (True, State.QUEUED)
    claim = scene.claimed(works=5)
    assert [(work.batch, work.cancelling) for work in claim.rounds] == [(batch, True)]
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record("A", Result.CANCELLED), ends=State.CANCELLED)])
    ended = scene.batch(batch)
    assert (ended.state, ended.cancelling, ended.counts.cancelled, ended.total) == (State.CANCELLED, False, 1, 1)


def test_the_worker_of_a_batch_learns_of_its_cancel(scene: Scene) -> None:
    """By renewing; and of one behind it that it is to make way for."""
    first, second = scene.seal(), scene.seal()
    claim = scene.claimed()
    scene.store.cancel("acme", first)
    renewal = scene.store.renew_claim(claim, lease_seconds=10)
    assert (renewal.cancelling, renewal.others_waiting) == (frozenset({first}), False)
    scene.store.cancel("acme", second)
    assert scene.store.renew_claim(claim, lease_seconds=10).others_waiting


def test_a_cancel_of_what_has_ended_changes_nothing(scene: Scene) -> None:
    """Nor of what is unknown, or another merchant's."""
    batch = scene.seal()
    assert scene.store.cancel("bolt", batch) is None
    assert not scene.batch(batch).cancelling
    scene.run([Record("A")])
    before = scene.batch(batch)
    assert scene.store.cancel("acme", batch) == before
    scene.again(batch, RoundKind.RETRY)
    assert not scene.batch(batch).cancelling


# -- several that work ------------------------------------------------------------------------------------------------


def test_two_workers_hold_two_lanes(scene: Scene) -> None:
    """Each through a store of its own; a lane that is held is nobody else's."""
    scene.only("postgres", "of a folder's workers all but one stand by, as the test below has it")
    sent = {scene.seal(), scene.seal("bolt")}
    for merchant in ("acme", "bolt"):
        scene.seal(merchant)
    second = scene.open()
    one, other = scene.claimed(), scene.claimed(worker="w2", store=second)
    assert {one.rounds[0].batch, other.rounds[0].batch} == sent
    assert scene.claim("w3") is scene.claim("w3", store=second) is None
    with pytest.raises(LeaseLostError):
        second.commit(msgspec.structs.replace(one, attempt=one.attempt - 1), [chunk_commit(one.rounds[0],
            Record("LATE"))])
    second.commit(other, [chunk_commit(other.rounds[0], Record(other.merchant), ends=State.FINISHED)])
    scene.store.commit(one, [chunk_commit(one.rounds[0], Record(one.merchant), ends=State.FINISHED)])
    scene.store.release_claim(one)
    again = scene.claimed(worker="w3", store=second)
    assert (again.merchant, scene.claim("w4")) == (one.merchant, None)
    for merchant in ("acme", "bolt"):
        assert set(scene.held(merchant=merchant)) == {merchant}


def test_a_second_worker_of_a_folder_stands_by(scene: Scene) -> None:
    """It reads and submits, but gets work only when the first has left; then at once, whatever was leased."""
    scene.only("sqlite", "any number of stores may work on one server")
    batch = scene.seal()
    second = scene.open()
    stale = scene.claimed(seconds=1_000)
    assert scene.claim("w2", store=second) is None
    assert second.batch("acme", batch) == scene.batch(batch)
    scene.stores.remove(scene.store)
    scene.store.close()
    claim = scene.claim("w2", store=second)
    assert claim is not None
    assert claim.rounds[0].batch == batch
    with pytest.raises(LeaseLostError):
        second.commit(stale, [chunk_commit(stale.rounds[0], Record("LATE"))])
    second.commit(claim, [chunk_commit(claim.rounds[0], Record("A"), ends=State.FINISHED)])
    assert second.batch("acme", batch) is not None


def test_two_that_both_believe_to_be_the_worker_do_no_harm(scene: Scene) -> None:
    """Somebody removed the lock file: the one that came first has lost its leases, whatever it settles."""
    scene.only("sqlite", "there is no lock file to remove: leases alone decide")
    batch = scene.seal()
    stale = scene.claimed()
    (scene.folder / "store" / "worker.lock").unlink()
    second = scene.open()
    claim = scene.claim("w2", store=second)
    assert claim is not None
    with pytest.raises(LeaseLostError):
        scene.store.commit(stale, [chunk_commit(stale.rounds[0], Record("LATE"))])
    with pytest.raises(LeaseLostError):
        scene.store.renew_claim(stale, lease_seconds=10)
    second.commit(claim, [chunk_commit(claim.rounds[0], Record("A"), ends=State.FINISHED)])
    second.release_claim(claim)
    assert scene.batch(batch).counts.created == 1
    assert set(scene.held()) == {"A"}
