"""Several workers process one batch in turns, and each continues with the current state of the store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from goodsgate.model.batch import Result, RoundKind, State
from goodsgate.store.contract import Store, StoreBusyError
from tests import stores
from tests.store.scene import Record, Scene, chunk_commit, rejected_record


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """On a server; the embedded store is worked by one process."""
    with Scene(tmp_path, "postgres") as made:
        yield made


def _one(scene: Scene, store: Store, *records: Record, ends: State | None = None) -> None:
    """Process one chunk, from claim to release."""
    claim = scene.claimed(store=store)
    store.commit(claim, [chunk_commit(claim.rounds[0], *records, ends=ends)])
    store.release_claim(claim)


def test_keys_committed_by_other_workers_are_known(scene: Scene) -> None:
    """The worker that began the batch knows them after others have continued it."""
    first, second = scene.store, scene.open()
    scene.seal()
    _one(scene, first, Record("A", Result.UNCHANGED))
    _one(scene, second, rejected_record("B"), Record("C"))
    _one(scene, second, Record("D", Result.UNCHANGED))
    claim = scene.claimed(store=first)
    assert first.seen_keys(claim.rounds[0], ["A", "B", "C", "D", "E"]) == {"A", "B", "C", "D"}
    first.commit(claim, [chunk_commit(claim.rounds[0], rejected_record("E"))])
    first.release_claim(claim)
    claim = scene.claimed(store=second)
    assert second.seen_keys(claim.rounds[0], ["A", "B", "C", "D", "E"]) == {"A", "B", "C", "D", "E"}


def test_keys_that_other_workers_read_from_a_full_feed_are_not_absent(scene: Scene) -> None:
    """Neither are keys that another worker's fix has corrected."""
    first, second = scene.store, scene.open()
    scene.seal()
    scene.run([Record("A"), Record("B"), Record("C"), Record("GONE")])
    feed = scene.seal(mode="full")
    _one(scene, first, Record("A", Result.UNCHANGED))
    _one(scene, second, Record("B", Result.UNCHANGED), rejected_record("c"))
    claim = scene.claimed(store=first)
    assert first.absent_items(claim.rounds[0], after=None, limit=10) == (4, 2, ["C", "GONE"])
    first.commit(claim, [chunk_commit(claim.rounds[0], ends=State.FINISHED)])
    first.release_claim(claim)
    scene.again(feed, RoundKind.FIX)
    claim = scene.claimed(store=second)
    fixed = chunk_commit(claim.rounds[0], Record("C", Result.UNCHANGED), amends=[3], ends=State.FINISHED)
    second.commit(claim, [fixed])
    second.release_claim(claim)
    scene.again(feed, RoundKind.REMOVAL)
    claim = scene.claimed(store=first)
    assert first.absent_items(claim.rounds[0], after=None, limit=10) == (4, 1, ["GONE"])


def test_a_lane_of_a_dead_host_does_not_block_other_lanes(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its transaction is open, cut off in a commit: other lanes are served, and later this one as well."""
    monkeypatch.setattr("goodsgate.store.postgres.intake.LOCK_TIMEOUT", "SET LOCAL lock_timeout = '0.2s'")
    monkeypatch.setattr("goodsgate.store.postgres.queue.LOCK_TIMEOUT", "SET LOCAL lock_timeout = '0.1s'")
    stuck = scene.seal()
    with stores.raw(scene.folder) as held:
        held.execute("BEGIN")
        held.execute("SELECT FROM lane FOR UPDATE")
        assert scene.claim() is None
        other = scene.seal("bolt")
        claim = scene.claimed()
        assert [work.batch for work in claim.rounds] == [other]
        scene.store.release_claim(claim)
        with pytest.raises(StoreBusyError):
            scene.seal()
        held.execute("ROLLBACK")
    claims = [scene.claimed(), scene.claimed()]
    assert {claim.rounds[0].batch for claim in claims} == {stuck, other}
