"""Promises 1 and 3 with real processes that are killed at named steps; and a disk that is full."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from goodsgate.model import crash
from goodsgate.model.batch import Counts, Kind, RoundKind, State
from goodsgate.model.catalogue import Merchant
from goodsgate.store.contract import BatchFilter, NewRound, Store, StoreFullError
from tests import forked, stores
from tests.factories import NOW
from tests.store import child

TOP = Path(__file__).resolve().parents[2]
KILLED = -9


def _run(what: str, folder: Path, *more: str, crash_at: str = "") -> int:
    """Return the exit status of a process."""
    return forked.run(child.main, what, folder, *more, crash_at=crash_at)


def _start(what: str, folder: Path, *more: str) -> "subprocess.Popen[str]":
    """Start a process whose output is read."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.store.child", what, str(folder), *more], cwd=TOP, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{TOP / 'src'}{os.pathsep}{TOP}"},
    )


def _made(folder: Path, kind: str) -> Path:
    """The folder, of a store with a merchant."""
    stores.create_address(folder, kind)
    store = child.open_store(folder)
    store.migrate()
    store.add_merchant(Merchant(id="acme", name="Acme", created_at=NOW))
    store.close()
    return folder


@pytest.fixture
def folder(tmp_path: Path, kind: str) -> Path:
    """Of a store with a merchant."""
    return _made(tmp_path, kind)


def _only(folder: Path, kind: str, why: str) -> None:
    if stores.kind_of(folder) != kind:
        print(why)
        pytest.skip(why)


def _payloads(folder: Path) -> int:
    """Those that are kept apart from the rows of their rounds."""
    if stores.kind_of(folder) == "sqlite":
        return len(list((folder / "store" / "payloads").iterdir()))
    with stores.raw(folder) as db:
        found = db.execute("SELECT count(DISTINCT upload) FROM payload").fetchone()
    return int(found[0]) if found is not None else 0


def _an_hour_later(folder: Path) -> None:
    """For uploads that nobody will seal; those of the embedded store are known by their process, which is dead."""
    if stores.kind_of(folder) == "postgres":
        with stores.raw(folder) as db:
            db.execute("UPDATE upload SET touched_at = touched_at - 3700 * 1000000::bigint")


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """The same store as an API process sees it."""
    opened = child.open_store(folder)
    yield opened
    opened.close()


def _everything(store: Store, batches: list[str]) -> list[object]:
    """What the catalogue and the reports hold, without times and ids."""
    found: list[object] = []
    for kind in (Kind.PRODUCT, Kind.STOCK):
        items = store.items("acme", kind, "products", limit=1_000).rows
        found.append([(item.key, item.document, batches.index(item.batch)) for item in items])
    found.append(store.collections("acme"))
    for batch in batches:
        ended = store.batch("acme", batch)
        assert ended is not None
        found.append((ended.state, ended.counts, ended.warned, ended.total, ended.bytes_done, ended.position))
        found.append(store.results("acme", batch))
        found.append(store.findings("acme", batch))
        found.append([finding.raw for finding in store.rejected_records("acme", batch)])
        found.append(store.issue_groups("acme", batch))
    return found


def _submitted(folder: Path) -> list[str]:
    """Two lanes; one batch is fixed once it has ended."""
    store = child.open_store(folder)
    batches = [child.submit(store, 10), child.submit(store, 4), child.submit(store, 7, kind=Kind.STOCK, padding=200)]
    store.close()
    return batches


def _fixed(store: Store, batch: str) -> None:
    store.append_upload("acme", batch, b"fix")
    round = NewRound(merchant="acme", batch=batch, kind=RoundKind.FIX)
    assert store.add_round(round, upload=batch, open_rounds_max=10) is not None


def _undisturbed(folder: Path) -> list[object]:
    batches = _submitted(folder)
    store = child.open_store(folder)
    child.work(store)
    _fixed(store, batches[0])
    child.work(store)
    everything = _everything(store, batches)
    store.close()
    return everything


@pytest.mark.parametrize("point", ["claim-taken", "commit-written", "commit-synced", "commit-mirrored"])
def test_kills_change_nothing_in_the_end(folder: Path, point: str) -> None:
    """Killed again and again at this step, then left alone: the same as never disturbed, and right all the way."""
    if point == "commit-mirrored":
        _only(folder, "sqlite", "nothing is left to do behind a commit but to remember it")
    batches = _submitted(folder)
    store = child.open_store(folder)
    for times in (1, 3, 2):
        assert _run("work", folder, crash_at=f"{point}:{times}") == KILLED
        _check_open(store, batches)
    assert _run("work", folder) == 0
    _fixed(store, batches[0])
    assert _run("work", folder, crash_at=f"{point}:1") == KILLED
    _check_open(store, batches)
    assert _run("work", folder) == 0
    calm = _made(folder / "undisturbed", stores.kind_of(folder))
    assert _everything(store, batches) == _undisturbed(calm)
    assert store.statistics()["lanes"] == 0
    store.close()


def _check_open(store: Store, batches: list[str]) -> None:
    """What is shown while the worker is dead: each record that has a result is in the counts, and the other way."""
    listed = {batch.id: batch for batch in store.batches("acme", BatchFilter()).rows}
    for batch in batches:
        found = store.batch("acme", batch)
        assert found is not None
        assert listed[batch] == found
        rows = store.results("acme", batch)
        counted = found.counts
        assert counted.accounted == len(rows)
        assert counted.created == sum(row.result == "created" for row in rows)
        assert len(store.rejected_records("acme", batch)) == counted.rejected
        if found.total is not None:
            assert found.total == len(rows)


def test_an_end_is_known_between_the_two_commits(folder: Path, store: Store) -> None:
    """The worker dies before it hears of the commit: all reads and filters show the end, and the batch can be fixed."""
    batch = child.submit(store, 3)
    assert _run("work", folder, crash_at="commit-synced") == KILLED
    found = store.batch("acme", batch)
    assert found is not None
    assert (found.state, found.counts, found.position) == (State.FINISHED, Counts(created=2, rejected=1), None)
    assert found.finished_at is not None
    assert [one.id for one in store.batches("acme", BatchFilter(outcome="partial",
        state=State.FINISHED)).rows] == [batch]
    assert store.batches("acme", BatchFilter(state=State.WORKING)).rows == []
    cancelled = store.cancel("acme", batch)
    assert cancelled is not None
    assert replace(cancelled, revision=()) == replace(found, revision=())
    _fixed(store, batch)
    assert _run("work", folder) == 0
    found = store.batch("acme", batch)
    assert found is not None
    assert (found.counts, found.rounds) == (Counts(created=3), 2)


@pytest.mark.parametrize("padding", [0, 200, 1_500_000], ids=["inline", "file", "pieces"])
@pytest.mark.parametrize("point", ["seal-synced", "seal-written"])
def test_an_interrupted_submission_leaves_nothing(folder: Path, store: Store, point: str, padding: int) -> None:
    """No batch, and in the end no file."""
    if (point, padding < 1_000_000) == ("seal-written", True):
        _only(folder, "sqlite", "one statement there, begun and committed with it: test_postgres_outages.py")
    assert _run("submit", folder, "3", str(padding), crash_at=point) == KILLED
    assert store.batches("acme", BatchFilter()).rows == []
    assert store.claim("w", lease_seconds=1, rounds_max=1, bytes_max=1) is None
    _an_hour_later(folder)
    child.sweep(store)
    assert _payloads(folder) == 0


@pytest.mark.parametrize("padding", [0, 200, 1_500_000], ids=["inline", "file", "pieces"])
def test_an_accepted_batch_survives_its_process(folder: Path, store: Store, padding: int) -> None:
    """The id was printed, so the batch is there."""
    batch = _start("submit", folder, "3", str(padding)).communicate(timeout=60)[0].strip()
    assert b"".join(store.payload("acme", batch, 0) or ()) == b"3" + b" " * padding
    child.work(store)
    found = store.batch("acme", batch)
    assert found is not None
    assert found.counts.accounted == 3


@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_a_sweep_that_was_cut_off_is_finished_by_the_next(folder: Path, store: Store, times: int) -> None:
    """No half of a batch stays for ever."""
    for number in (5, 2):
        child.submit(store, number, padding=200)
    assert _run("work", folder) == 0
    assert _run("sweep", folder, crash_at=f"sweep-halved:{times}") == KILLED
    stores.wait_for_sweep(folder)
    assert _run("sweep", folder) == 0
    assert store.batches("acme", BatchFilter()).rows == []
    assert _payloads(folder) == 0


def test_a_lane_is_taken_over_after_a_kill(folder: Path, store: Store) -> None:
    """While the worker lives nobody else works its lane. A folder is free with its death, a server with its lease."""
    batch = child.submit(store, 3)
    worker = _start("hold", folder)
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline().strip() == batch
        assert store.claim("w", lease_seconds=1, rounds_max=1, bytes_max=1) is None
        found = store.batch("acme", batch)
        assert found is not None
        assert found.state is State.WORKING
    finally:
        worker.kill()
        worker.communicate()
    child.work(store)
    found = store.batch("acme", batch)
    assert found is not None
    assert found.state is State.FINISHED


def test_a_reader_sees_the_progress_of_the_worker(folder: Path, store: Store) -> None:
    """Another process works; every document on the way is whole and none goes back (StrictStore looks)."""
    batch = child.submit(store, 300)
    worker = _start("work", folder)
    try:
        seen = set()
        tokens = set()
        while worker.poll() is None:
            found = store.batch("acme", batch)
            assert found is not None
            seen.add(found.counts.accounted)
            tokens.add(store.change_token())
            store.results("acme", batch, after=found.counts.accounted)
    finally:
        worker.kill()
        worker.communicate()
    found = store.batch("acme", batch)
    assert found is not None
    assert (found.state, found.counts.accounted) == (State.FINISHED, 300)
    assert len(seen) > 2
    assert len(tokens) > 2


def test_a_full_disk_refuses_and_loses_nothing(folder: Path) -> None:
    """A file-size limit stands for it: commit and seal are refused whole, and go on when there is room again."""
    _only(folder, "sqlite", "the disk is the server's: tests/store/test_postgres_outages.py")
    output, errors = _start("full", folder).communicate(timeout=60)
    assert output.split("\n")[:3] == ["refused 3", "accounted 0", "then 2000"], errors
    store = child.open_store(folder)
    batches = store.batches("acme", BatchFilter(), limit=10_000).rows
    assert all(batch.state is State.FINISHED for batch in batches)
    assert _payloads(folder) == 1
    store.close()


def test_an_intake_file_put_back_from_a_backup_is_set_right(folder: Path) -> None:
    """It is copied before the catalogue file, so it knows less: what has ended has ended, nothing is worked twice."""
    _only(folder, "sqlite", "one database is put back as it was at one moment")
    intake = folder / "store" / "intake.db"
    store = child.open_store(folder)
    batch = child.submit(store, 3)
    store.close()
    backup = intake.read_bytes()
    store = child.open_store(folder)
    child.work(store)
    _fixed(store, batch)
    claim = store.claim("w", lease_seconds=60, rounds_max=1, bytes_max=100)
    assert claim is not None
    child.fix(store, claim, claim.rounds[0])
    store.close()
    for log in intake.parent.glob("intake.db-*"):
        log.unlink()
    intake.write_bytes(backup)
    store = child.open_store(folder)
    for _ in range(2):
        found = store.batch("acme", batch)
        assert found is not None
        assert (found.state, found.counts) == (State.FINISHED, Counts(created=3))
        assert store.batches("acme", BatchFilter(state=State.FINISHED)).rows == [found]
        assert store.claim("w", lease_seconds=60, rounds_max=1, bytes_max=100) is None
    assert store.statistics()["lanes"] == 0
    store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Of 4 MB; root alone may make one."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mounted)]
    made = subprocess.run(command, capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no disk of our own: {made.stderr.decode().strip()}")
    yield mounted
    subprocess.run(["umount", "--lazy", str(mounted)], check=True)


def _fill(store: Store, batches: list[str], padding: int) -> None:
    while True:
        batches.append(child.submit(store, 3, padding=padding, open_rounds_max=100_000))


@pytest.mark.parametrize("padding", [90, 30_000], ids=["inline", "file"])
def test_a_small_disk_fills_up(small_disk: Path, padding: int) -> None:
    """Every batch that was acknowledged is there and is worked, once there is room; the one refused never was."""
    store = child.open_store(small_disk)
    store.migrate()
    store.add_merchant(Merchant(id="acme", name="Acme", created_at=NOW))
    room = small_disk / "room"
    room.write_bytes(b"x" * 1_500_000)
    batches: list[str] = []
    with pytest.raises(StoreFullError):
        _fill(store, batches, padding)
    assert [batch.id for batch in store.batches("acme", BatchFilter(), limit=100_000).rows] == batches[::-1]
    room.unlink()
    store.close()
    store = child.open_store(small_disk)
    for batch in batches:
        assert b"".join(store.payload("acme", batch, 0) or ()) == b"3" + b" " * padding
    for _ in range(5):
        claim = store.claim("w", lease_seconds=60, rounds_max=1, bytes_max=100)
        assert claim is not None
        child.submission(store, claim, claim.rounds[0])
        store.release_claim(claim)
    assert len(store.batches("acme", BatchFilter(state=State.FINISHED)).rows) == 5
    store.close()


def test_crash_points_are_the_ones_in_the_code() -> None:
    """Each name is used once, by `crash.point`, and no other is used."""
    used: list[str] = []
    for path in (TOP / "src" / "goodsgate").rglob("*.py"):
        used += [line.split('crash.point("')[1].split('"')[0] for line in path.read_text("utf-8").splitlines()
                 if 'crash.point("' in line]
    assert set(used) == set(crash.POINTS)
