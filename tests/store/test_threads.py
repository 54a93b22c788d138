"""One store, many threads: an API process and a worker in one."""

import threading
from collections.abc import Callable

import pytest

from goodsgate.model.batch import Counts, Kind, State
from goodsgate.store.contract import BatchFilter, KeyInUseError, QueueFullError
from tests.store.scene import Record, Scene, chunk_commit, rejected_record

BATCHES = 15


def _together(*jobs: Callable[[], None]) -> None:
    """Run all at once; what one raises is raised here."""
    faults: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as fault:  # whatever it is, the test is to fail with it
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def test_submitters_workers_and_readers_do_not_disturb_each_other(scene: Scene) -> None:
    """Every batch ends with its counts, no lane is worked twice at once, every page on the way is whole."""
    stop = threading.Event()
    live: set[tuple[str, Kind]] = set()
    sealed: list[str] = []

    def submit(kind: Kind) -> Callable[[], None]:
        def job() -> None:
            sealed.extend(scene.seal(kind=kind, body=b"x" * size) for size in [10, 5_000] * BATCHES)
        return job

    def work(worker: str) -> Callable[[], None]:
        def job() -> None:
            while not (stop.is_set() and scene.store.statistics()["lanes"] == 0):
                claim = scene.claim(worker, works=3, bytes_max=300)
                if claim is None:
                    continue
                lane = (claim.merchant, claim.kind)
                assert lane not in live
                live.add(lane)
                scene.store.current_items("acme", claim.kind, "products", ["A", "B"])
                committed = [chunk_commit(one, Record(one.batch), rejected_record(),
                    ends=State.FINISHED) for one in claim.rounds]
                scene.store.commit(claim, committed)
                live.remove(lane)
                scene.store.release_claim(claim)
        return job

    def read() -> None:
        while not stop.is_set():
            scene.store.change_token()
            for batch in scene.store.batches("acme", BatchFilter(), limit=5).rows:
                scene.batch(batch.id)
                scene.store.findings("acme", batch.id)

    def lead() -> None:
        try:
            _together(submit(Kind.PRODUCT), submit(Kind.STOCK))
        finally:
            stop.set()

    _together(lead, work("w1"), work("w2"), read)
    assert len(sealed) == 4 * BATCHES
    for batch in sealed:
        assert scene.batch(batch).counts == Counts(created=1, rejected=1)
    assert len(scene.held()) == len(scene.held(kind=Kind.STOCK)) == 2 * BATCHES


def test_a_key_is_reserved_once(scene: Scene) -> None:
    """Of many that ask at the same time one gets it."""
    got: list[bool] = []

    def ask() -> None:
        try:
            scene.store.reserve_idempotency_key("acme", "k", lease_seconds=10)
            got.append(True)
        except KeyInUseError:
            got.append(False)

    _together(*[ask] * 8)
    assert sorted(got) == [False] * 7 + [True]


def test_a_queue_is_never_longer_than_its_limit(scene: Scene) -> None:
    """However many submit at the same time."""
    refused: list[bool] = []

    def submit() -> None:
        try:
            scene.seal(open_rounds_max=5)
        except QueueFullError:
            refused.append(True)

    _together(*[submit] * 12)
    assert len(refused) == 7
    assert scene.store.statistics()["rounds.queued"] == 5


def test_what_runs_when_the_store_closes_ends_with_an_error(scene: Scene) -> None:
    """Not with a crash of the interpreter, and nothing is left open."""
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                scene.store.batches("acme", BatchFilter())
                scene.store.change_token()
            except Exception:
                return

    def close() -> None:
        for _ in range(20):
            scene.seal()
        scene.stores.remove(scene.store)
        scene.store.close()
        stop.set()

    _together(read, read, close)
    with pytest.raises(Exception, match="closed"):
        scene.store.batch("acme", "0" * 32)
