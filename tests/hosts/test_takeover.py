"""kill -9 of a worker in the middle of a portion: how long until another goes on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from goodsgate.config import Config
from goodsgate.model.batch import State
from tests import place
from tests.crash.scene import ROOT
from tests.make import product, products
from tests.shop import Shop

LEASE_SECONDS = 1.0
POLL_SECONDS = 0.02
RECORDS = 8_000
KILLS = 3
SECONDS_MAX = 60


class Workers:
    """Processes of `goodsgate work` on one store."""

    def __init__(self, config: Config) -> None:
        self._environ = {
            **os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            "GOODSGATE_STORE": config.store, "GOODSGATE_LEASE_SECONDS": str(config.lease_seconds),
            "GOODSGATE_POLL_SECONDS": str(config.poll_seconds),
            "GOODSGATE_BLOCK_RECORDS_MAX": str(config.block_records_max),
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """One more, by this name in its leases."""
        self.running[name] = subprocess.Popen(
            [sys.executable, "-m", "goodsgate", "work", "--name", name], env=self._environ, cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def close(self) -> None:
        """All of them."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            process.wait(SECONDS_MAX)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """On a server."""
    with Shop(
        tmp_path, kind="postgres", lease_seconds=LEASE_SECONDS, poll_seconds=POLL_SECONDS, block_records_max=500
    ) as made:
        yield made
    place.drop(tmp_path)


def _lane(folder: Path) -> tuple[str | None, float, float]:
    """Who holds it, until when, and when it was last claimed, in seconds."""
    with place.raw(folder) as db:
        row = db.execute("SELECT holder, until, served FROM lane WHERE kind = 'product'").fetchone()
    return (None, 0.0, 0.0) if row is None else (row[0], row[1] / 1e6, row[2] / 1e6)


def _until(holds: Callable[[], bool], what: str) -> float:
    """Wait until it is so; how long that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < SECONDS_MAX, what
        time.sleep(0.002)
    return time.monotonic() - began


def _listening(folder: Path) -> int:
    with place.raw(folder) as db:
        row = db.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN goodsgate'"
        ).fetchone()
    return 0 if row is None else int(str(row[0]))


def _taken_over(shop: Shop, folder: Path, workers: Workers, batch: str) -> str:
    """Kill whoever works the batch, in the middle of it, and wait for another; what that took."""
    def done() -> int:
        return shop.engine.batch("acme", batch).counts.accounted

    before = done()
    _until(lambda: done() > before, "nobody works")
    holder, _, served = _lane(folder)
    assert holder is not None
    workers.kill(holder)
    _, ends, _ = _lane(folder)
    before = done()
    seconds = _until(lambda: _lane(folder)[2] > served, "nobody takes over")
    behind = _lane(folder)[2] - ends
    first = _until(lambda: done() > before, "nobody goes on")
    return (
        f"taken over {seconds:.3f} s after the kill (lease {LEASE_SECONDS} s, poll {POLL_SECONDS} s), "
        f"{behind * 1000:.0f} ms after the lease; next portion {first * 1000:.0f} ms later"
    )


def test_a_killed_workers_lane_goes_on_when_its_lease_ends(shop: Shop, tmp_path: Path) -> None:
    """Nothing is lost or done twice; how long it took is printed."""
    folder, workers = tmp_path, Workers(shop.config)
    try:
        for name in ("one", "two"):
            workers.start(name)
        shop.run(products(1))
        _until(lambda: _listening(folder) >= 3, "the workers do not start")
        batch = shop.send([product(n, title=f"Number {n}") for n in range(RECORDS)])
        for turn in range(KILLS):
            print(_taken_over(shop, folder, workers, batch))
            workers.start(f"next {turn}")
        _until(lambda: shop.engine.batch("acme", batch).state is State.FINISHED, "it does not end")
    finally:
        workers.close()
    counts = shop.engine.batch("acme", batch).counts
    assert (counts.created, counts.updated, counts.accounted) == (RECORDS - 1, 1, RECORDS)
    assert len(shop.items()) == RECORDS
