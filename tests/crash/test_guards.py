"""kill -9 of a worker in the trial of a guarded batch, when it is held or given up, and when it is applied."""

import time
from pathlib import Path

import pytest

from goodsgate.app import create_worker
from goodsgate.model.batch import State
from goodsgate.store.contract import BatchFilter
from tests import forked
from tests.crash.scene import CHUNK_RECORDS, changes_by_key, settings_of
from tests.factories import product
from tests.shop import Shop, open_store

POINTS = (
    "claim-taken", "applied", "commit-written", "commit-synced", "commit-mirrored", "committed", "trial-judged",
    "hold-expired",
)

def _stage(folder: Path, kind: str) -> tuple[Shop, list[str]]:
    """A store with batches of a lane: two that are applied after their trial, two that are held, and a plain one."""
    shop = Shop(folder, "acme", kind=kind, **CHUNK_RECORDS)
    first = [product(n) if n % 9 else {"id": f"BAD-{n}"} for n in range(90)]
    sent = [
        shop.send(first, hold_if={"created": "1000"}),
        shop.send([product(n, title="Held") for n in range(60, 120)], hold_if={"created": "1"}, hold_hours=100.0),
        shop.send([product(n, title="Never") for n in range(110)], hold_if={"created": "1"}, hold_hours=1e-9),
        shop.send([product(n, title="Whole") for n in range(100)], mode="full", delete_share_max=1.0,
                  hold_if={"rejected": "1"}),
        shop.send([product(n, title="Last") for n in range(5)]),
    ]
    return shop, sent


def work(folder: Path) -> None:
    """Work until nothing is left; approve what is held for long."""
    config = settings_of(folder)
    store = open_store(config)
    worker = create_worker(store, config, "worker")
    while worker.step() or worker.watch_references() or store.statistics()["lanes"]:
        for batch in store.batches("acme", BatchFilter(state=State.HELD)).rows:
            if batch.policy.hold_hours == 100.0:
                store.approve("acme", batch.id)
        time.sleep(0.001)
    store.close()


def _state_after(shop: Shop, sent: list[str]) -> list[object]:
    """Return items, journal, and counts, results, issues, diffs and decisions of each batch."""
    return [shop.items(), changes_by_key(shop, sent), [
        (
            batch.state, batch.counts, batch.total, batch.warned, batch.is_trial,
            batch.hold and (batch.hold.decision, batch.hold.figures, batch.hold.changes_since),
            [(row.number, row.key, row.result) for row in shop.results(one)],
            [(found.number, found.result, found.issues) for found in shop.findings(one)],
            [(change.key, change.before, change.after) for change in shop.store.diff("acme", one)],
        )
        for one, batch in ((one, shop.engine.batch("acme", one)) for one in sent)
    ]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """The scene, worked in peace."""
    folder = tmp_path_factory.mktemp("peace")
    shop, sent = _stage(folder, "sqlite")
    shop.store.close()
    work(folder)
    with Shop(folder, "acme") as after:
        found = _state_after(after, sent)
        states = [after.engine.batch("acme", one).state for one in sent]
        assert states == [State.FINISHED, State.FINISHED, State.CANCELLED, State.FINISHED, State.FINISHED]
        return found


@pytest.mark.parametrize("occurrence", [1, 4])
@pytest.mark.parametrize("point", POINTS)
def test_kill_in_a_guarded_batch(tmp_path: Path, kind: str, undisturbed: list[object], point: str, occurrence: int,
                                 ) -> None:
    """Killed there, taken over by the next worker: everything is as if nothing had happened."""
    if kind == "postgres" and (occurrence != 4 or point not in ("commit-synced", "trial-judged")):
        pytest.skip("each waits a second for a dead worker's lease")
    shop, sent = _stage(tmp_path, kind)
    shop.store.close()
    status = forked.run(work, tmp_path, crash_at=f"{point}:{occurrence}")
    assert status == -9 or occurrence > 1, f"{point} was never reached"
    assert forked.run(work, tmp_path) == 0
    with Shop(tmp_path, "acme") as after:
        assert _state_after(after, sent) == undisturbed
