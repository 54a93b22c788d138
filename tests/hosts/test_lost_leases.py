"""A worker stops in the middle of its work, another one takes over, and the first one continues too late."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import stores
from tests.crash.scene import ROOT, stage, state_after

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


def _state(process: "subprocess.Popen[str]") -> str:
    """One letter; T is stopped."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize(("point", "times"), [
    ("claimed", 1), ("applied", 3), ("commit-written", 2), ("commit-synced", 2),
])
def test_a_worker_that_lost_its_lease_changes_nothing(folder: Path, undisturbed: list[object], point: str,
                                                      times: int) -> None:
    """Its commit is refused by the fence, and no record is applied twice."""
    shop, sent = stage(folder, "postgres")
    slow = subprocess.Popen(
        [sys.executable, "-m", "tests.hosts.stalled_worker", str(folder), point, str(times)], cwd=ROOT, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}, stdout=subprocess.PIPE,
    )
    try:
        until = time.monotonic() + SECONDS_MAX
        while _state(slow) != "T":
            assert time.monotonic() < until, "it never came there"
            assert slow.poll() is None
            time.sleep(0.01)
        while shop.worker.step() or shop.store.statistics()["lanes"]:
            assert time.monotonic() < until, "nobody took over"
            time.sleep(0.01)
        assert state_after(shop, sent) == undisturbed
        slow.send_signal(signal.SIGCONT)
        losses, _ = slow.communicate(timeout=SECONDS_MAX)
        assert slow.returncode == 0
        assert int(losses) == (0 if point == "commit-written" else 1)  # there the server has ended the transaction
        assert state_after(shop, sent) == undisturbed
    finally:
        slow.kill()
        slow.communicate()
        shop.store.close()
