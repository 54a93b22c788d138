"""Promise 12: nothing grows for ever, and nothing goes that is still needed."""

import os
from pathlib import Path

import apsw
import pytest

from goodsgate.model.batch import Kind, Result, RoundKind, State, new_id
from goodsgate.model.catalogue import CurrentItem
from goodsgate.store.contract import BatchFilter, Idempotency, IdempotentAnswer, Retention, SweepCounts
from tests.store.scene import Record, Scene, chunk_commit, rejected_record, warned_record

KEPT = Retention(payload_seconds=10, report_seconds=20, batch_seconds=30, answer_seconds=40, tombstone_seconds=50)


def _sweep(scene: Scene, steps: int = 100) -> SweepCounts:
    return scene.store.sweep(KEPT, steps_max=steps)


def _all_swept(scene: Scene) -> None:
    while _sweep(scene) != SweepCounts():
        pass


def _files(scene: Scene) -> list[Path]:
    folder = scene.folder / "store" / "payloads"
    return sorted(folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("size", [10, 5_000])
def test_things_go_when_their_time_has_come(scene: Scene, size: int) -> None:
    """Payload, report, batch, answer, each at its own; items stay."""
    idempotency = Idempotency(merchant="acme", key="k", fingerprint=b"f", answer=lambda batch: b"answer")
    batch = scene.seal(body=b"x" * size, idempotency=idempotency)
    scene.run([Record("A"), rejected_record()])
    scene.clock.forward(9)
    assert _sweep(scene) == SweepCounts()
    scene.clock.forward(2)
    assert _sweep(scene) == SweepCounts(payloads=1)
    assert scene.store.payload("acme", batch, 0) is None
    assert not _files(scene)
    assert scene.store.results("acme", batch)
    scene.clock.forward(10)
    assert _sweep(scene) == SweepCounts(reports=1)
    ended = scene.batch(batch)
    assert (ended.state, ended.counts.created, ended.counts.rejected) == (State.FINISHED, 1, 1)
    assert scene.store.results("acme", batch) == scene.store.findings("acme", batch) == []
    assert scene.store.issue_groups("acme", batch) == scene.store.rejected_records("acme", batch) == []
    scene.clock.forward(10)
    assert _sweep(scene) == SweepCounts(batches=1)
    assert scene.store.batch("acme", batch) is None
    assert scene.store.reserve_idempotency_key("acme", "k", lease_seconds=1) == IdempotentAnswer(b"f", b"answer", batch)
    scene.clock.forward(10)
    assert _sweep(scene) == SweepCounts(answers=1)
    assert scene.store.reserve_idempotency_key("acme", "k", lease_seconds=1) is None
    item = scene.store.item("acme", Kind.PRODUCT, "products", "A")
    assert item is not None
    assert item.batch == batch


def test_an_open_round_keeps_what_it_needs(scene: Scene) -> None:
    """Queued or worked, first round or a fix, however old."""
    fixed = scene.seal()
    scene.run([rejected_record()])
    scene.again(fixed, RoundKind.FIX, body=b"y" * 5_000)
    queued, worked = scene.seal(body=b"x" * 5_000), scene.seal(kind=Kind.PRICE)
    claim = scene.claimed()
    assert claim.rounds[0].batch == worked
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], rejected_record())])
    scene.clock.forward(1_000)
    assert _sweep(scene) == SweepCounts()
    assert scene.store.payload("acme", fixed, 1) is not None
    assert scene.store.payload("acme", queued, 0) is not None
    assert scene.store.payload("acme", worked, 0) is not None
    assert scene.store.rejected_records("acme", fixed)
    assert scene.store.rejected_records("acme", worked)


def test_a_fix_starts_the_time_again(scene: Scene) -> None:
    """Counted from the end of the last round."""
    batch = scene.seal()
    scene.run([rejected_record()])
    scene.clock.forward(19)
    scene.again(batch, RoundKind.RETRY)
    claim = scene.claimed()
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], rejected_record(), amends=[1], ends=State.FINISHED)])
    scene.clock.forward(9)
    assert _sweep(scene) == SweepCounts()
    assert scene.store.rejected_records("acme", batch)
    scene.clock.forward(12)
    assert _sweep(scene).reports == 1


def test_a_sweep_takes_small_steps(scene: Scene) -> None:
    """No more than asked for at a time, and all of it in the end."""
    for number in range(7):
        scene.seal(body=b"x" * 5_000)
        scene.run([Record(f"K{number}"), *[rejected_record() for _ in range(30)]])
    scene.clock.forward(15)
    assert [_sweep(scene, 3).payloads for _ in range(4)] == [3, 3, 1, 0]
    scene.clock.forward(100)
    swept = _sweep(scene, 2)
    assert 0 < swept.reports <= 2
    assert swept.batches <= 2
    _all_swept(scene)
    assert scene.store.batches("acme", BatchFilter()).rows == []
    assert not _files(scene)
    assert len(scene.held()) == 7


def test_a_large_batch_goes_slice_by_slice(scene: Scene) -> None:
    """A call does little of it, the calls together all of it, though a batch is no longer seen from the first on."""
    batch = scene.seal()
    scene.run([rejected_record() for _ in range(4_500)], [Record("A"), warned_record("B")])
    scene.clock.forward(25)
    assert _sweep(scene, 1) == SweepCounts(payloads=1, reports=1)
    assert 0 < len(scene.store.findings("acme", batch, limit=5_000)) < 4_500
    scene.clock.forward(10)
    calls = 0
    while _sweep(scene, 1) != SweepCounts():
        assert scene.store.batch("acme", batch) is None
        calls += 1
    assert calls > 1
    if scene.kind == "sqlite":
        db = apsw.Connection(str(scene.folder / "store" / "catalogue.db"))
        for table in (
            "progress", "chunk", "chunk_keys", "finding", "raw", "finding_segment", "finding_place", "issue_group"
        ):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchall() == [(0,)]
        db.close()


def test_tombstones_go(scene: Scene) -> None:
    """Of every merchant; live items do not."""
    for merchant in ("acme", "bolt"):
        scene.seal(merchant)
        scene.run([Record("A", version=1), Record("B", version=1)])
        scene.seal(merchant)
        scene.run([Record("A", Result.DELETED, version=2)])
    scene.clock.forward(49)
    assert _sweep(scene).tombstones == 0
    assert scene.store.current_items("bolt", Kind.PRODUCT, "products", ["A"]) == {"A": CurrentItem(None, 2)}
    scene.clock.forward(2)
    assert _sweep(scene).tombstones == 2
    for merchant in ("acme", "bolt"):
        assert set(scene.store.current_items(merchant, Kind.PRODUCT, "products", ["A", "B"])) == {"B"}


def test_an_abandoned_reservation_expires(scene: Scene) -> None:
    """Its process died; what is still being received stays."""
    scene.store.reserve_idempotency_key("acme", "dead", lease_seconds=1)
    scene.store.reserve_idempotency_key("acme", "alive", lease_seconds=1_000)
    scene.clock.forward(41)
    assert _sweep(scene).answers == 1


def test_an_upload_of_a_dead_process_goes_and_of_a_living_one_stays(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two stores on one folder are two processes to each other. A clock that is set makes no upload idle."""
    scene.only("sqlite", "payloads of the server are no files; the test after this one is its own")
    other = scene.open()
    living, mine = new_id(), new_id()
    other.append_upload("acme", living, b"x" * 5_000)
    scene.store.append_upload("acme", mine, b"x" * 5_000)
    (scene.folder / "store" / "payloads" / new_id()).write_bytes(b"x" * 5_000)
    assert _sweep(scene) == SweepCounts(orphans=1)
    assert {file.name for file in _files(scene)} == {living, mine}
    hour_ago = os.stat(_files(scene)[0]).st_mtime - 3_700
    os.utime(scene.folder / "store" / "payloads" / living, (hour_ago, hour_ago))
    assert _sweep(scene) == SweepCounts()
    monkeypatch.setattr("goodsgate.store.sqlite.uploads.IDLE_SECONDS", 0.0)
    scene.store.append_upload("acme", mine, b"x")
    assert _sweep(scene) == SweepCounts(orphans=1)
    assert [file.name for file in _files(scene)] == [mine]


def test_who_does_not_work_does_not_sweep(scene: Scene) -> None:
    """One process at a time writes what is swept."""
    scene.only("sqlite", "on a server whoever works may sweep")
    scene.seal()
    scene.run([Record("A")])
    scene.clock.forward(1_000)
    assert scene.open().sweep(KEPT, steps_max=10) == SweepCounts()
    assert _sweep(scene) != SweepCounts()
