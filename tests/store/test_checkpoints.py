"""The write-ahead logs of the embedded store do not grow for ever."""

import time
from pathlib import Path

import pytest

from goodsgate.model.batch import State
from goodsgate.store.sqlite import SqliteStore, checkpoints
from tests.store.scene import Record, Scene, advanced, chunk_commit


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """With limits that a test can reach."""
    monkeypatch.setattr(checkpoints, "CATALOGUE_PAGES", 100)
    monkeypatch.setattr(checkpoints, "CATALOGUE_PAGES_MAX", 200)
    monkeypatch.setattr(checkpoints, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(checkpoints, "INTAKE_SECONDS", 0.02)
    monkeypatch.setattr(checkpoints, "IDLE_SECONDS", 0.1)
    return Scene(tmp_path, "sqlite")


def test_a_load_that_never_pauses_reuses_its_log(scene: Scene) -> None:
    """The log is copied beside the worker, to its end, and begun anew; a reader that comes and goes does no harm."""
    batch = scene.seal(body=b"x" * 100_000)
    claim = scene.claimed()
    work = claim.rounds[0]
    sizes = []
    written = 0
    for at in range(80):
        records = [Record(f"K{at}-{number}", text="x" * 1_000) for number in range(40)]
        committed = chunk_commit(work, *records, ends=State.FINISHED if at == 79 else None)
        scene.store.commit(claim, [committed])
        work = advanced(work, committed)
        written += sum(len(write.document) for write in committed.writes)
        scene.store.results("acme", batch, after=work.total - 5)
        sizes.append((scene.folder / "store" / "catalogue.db-wal").stat().st_size)
    assert written > 2 * max(sizes)
    assert len(scene.held()) == 3_200
    scene.close()


def test_logs_are_cut_when_nothing_happens(scene: Scene) -> None:
    """Of both files; the store goes on as before."""
    scene.seal()
    scene.run([Record("A")])
    logs = [scene.folder / "store" / f"{name}.db-wal" for name in ("intake", "catalogue")]
    until = time.monotonic() + 60
    while any(log.stat().st_size for log in logs) and time.monotonic() < until:
        time.sleep(0.02)
    assert [log.stat().st_size for log in logs] == [0, 0]
    scene.seal()
    scene.run([Record("B")])
    assert set(scene.held()) == {"A", "B"}
    scene.close()


def test_the_last_reader_closes_without_delay(tmp_path: Path) -> None:
    """It leaves the catalogue's log to the next worker."""
    scene = Scene(tmp_path, "sqlite")
    scene.seal()
    scene.run([Record("A")])
    reader = SqliteStore(tmp_path / "store", cache_bytes=1024**2, small_payload_bytes=10)
    assert reader.collections("acme")
    scene.close()
    reader.close()
    assert (tmp_path / "store" / "catalogue.db-wal").exists()
    scene.store = scene.open()
    assert set(scene.held()) == {"A"}
    scene.close()
