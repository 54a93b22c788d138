"""kill -9 of a worker at every named step, several times each."""

from pathlib import Path

import pytest

from goodsgate.model.crash import POINTS
from tests import forked
from tests.crash import worker
from tests.crash.scene import stage, state_after
from tests.shop import Shop

ELSEWHERE = (
    "received", "piece-noted", "piece-stored", "seal-synced", "seal-written", "sealed", "sweep-halved",
    "references-marked", "references-queued", "trial-judged", "hold-expired", "push-begun", "push-answered",
    "push-accepted", "push-ended",
)
"""Steps of the API, of the sweep, which the store's own tests kill, of waiting records, guards, and of the client."""
JOBS = ("source-", "destination-", "isolation-")
"""Begins of the names of steps of sources, destinations and partitions, which have tests of their own."""
WORKER_POINTS = [point for point in POINTS if point not in ELSEWHERE and not point.startswith(JOBS)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """The scene, worked in peace; the same on every store."""
    shop, sent = stage(tmp_path_factory.mktemp("peace"), "sqlite")
    with shop:
        shop.work()
        found = state_after(shop, sent)
        assert found[1] == [at for at in range(len(sent)) if at != len(sent) - 3]  # one batch had no notification
        return found


@pytest.mark.parametrize("occurrence", [1, 2, 5])
@pytest.mark.parametrize("point", WORKER_POINTS)
def test_kill_at_a_step(tmp_path: Path, kind: str, undisturbed: list[object], point: str, occurrence: int) -> None:
    """Killed there, taken over by the next worker: everything is as if nothing had happened."""
    if kind == "postgres" and occurrence != 2:
        pytest.skip("each waits a second for a dead worker's lease; the store's own tests kill more often")
    shop, sent = stage(tmp_path, kind)
    shop.store.close()
    status = forked.run(worker.work, tmp_path, crash_at=f"{point}:{occurrence}")
    assert status in (-9, 0), status
    assert status == -9 or occurrence > 1, f"{point} was never reached"
    assert forked.run(worker.work, tmp_path) == 0
    with Shop(tmp_path, "acme") as after:
        assert state_after(after, sent) == undisturbed
