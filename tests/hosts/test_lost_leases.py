"""A worker stops in the middle of its work, another one takes over, and the first one continues too late."""

import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from tests import forked, stores
from tests.crash.scene import stage, state_after
from tests.hosts import stalled_worker

SECONDS_MAX = 60


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """The scene, worked in peace."""
    shop, sent = stage(tmp_path_factory.mktemp("peace"), "sqlite")
    with shop:
        shop.work()
        return state_after(shop, sent)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Of a store on a server; the embedded store has one worker."""
    yield tmp_path
    stores.drop(tmp_path)


def _state(process: ForkServerProcess) -> str:
    """One letter; T is stopped."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize(("point", "times"), [
    ("claimed", 1), ("applied", 3), ("commit-written", 2), ("commit-synced", 2),
])
def test_a_worker_that_lost_its_lease_changes_nothing(folder: Path, undisturbed: list[object], point: str,
                                                      times: int) -> None:
    """Its commit is refused by the fence, and no record is applied twice."""
    shop, sent = stage(folder, "postgres")
    output = folder / "losses"
    slow = forked.start(stalled_worker.work, folder, point, times, output=output)
    try:
        until = time.monotonic() + SECONDS_MAX
        while _state(slow) != "T":
            assert time.monotonic() < until, "it never came there"
            assert slow.exitcode is None
            time.sleep(0.01)
        while shop.worker.step() or shop.store.statistics()["lanes"]:
            assert time.monotonic() < until, "nobody took over"
            time.sleep(0.01)
        assert state_after(shop, sent) == undisturbed
        os.kill(slow.pid, signal.SIGCONT)
        slow.join(SECONDS_MAX)
        assert slow.exitcode == 0
        # There the server has ended the transaction.
        assert int(output.read_text()) == (0 if point == "commit-written" else 1)
        assert state_after(shop, sent) == undisturbed
    finally:
        slow.kill()
        slow.join()
        shop.store.close()
