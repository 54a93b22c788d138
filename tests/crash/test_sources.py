"""A worker that fetches from a source is killed at each step: each file makes one batch, whole or not at all."""

import os
import signal
import time
from pathlib import Path

import pytest

from goodsgate.engine import idempotency
from goodsgate.engine.source_definitions import SOURCE
from tests import forked, stores
from tests.feeds import HEADER, Rig
from tests.shop import Shop

POINTS = (
    "source-begun", "source-pending", "received", "seal-written", "sealed", "source-saved", "source-moved",
    "source-pending:2", "source-saved:2",
)


def _work(folder: str, feeds: str) -> None:
    idempotency.RESERVE_SECONDS = 0.05
    with Shop(Path(folder), small_payload_bytes=10) as shop:
        Rig(Path(feeds), shop).work(lease_seconds=0.05)


@pytest.mark.parametrize("kind", stores.KINDS)
def test_each_file_makes_one_batch_wherever_the_worker_dies(tmp_path: Path, kind: str) -> None:
    """The next worker goes on from what was saved."""
    feeds = tmp_path / "feeds"
    feeds.mkdir()
    with Shop(tmp_path, kind=kind, small_payload_bytes=10) as shop:
        rig = Rig(feeds, shop)
        points = POINTS if kind == "sqlite" else POINTS[1:7:2]  # the steps are those of shared code
        for at, point in enumerate(points):
            for name, age in (("b.csv", 60), ("a.csv", 600)):
                rig.put(name, HEADER + f"{name}-{at},a,1,EUR\n".encode(), age=age)
            rig.add(files="all", move_to=f"done-{at}/")
            rig.sources.request_run("acme", "a")
            status = forked.run(_work, str(tmp_path), str(feeds), crash_at=point)
            assert status == -signal.SIGKILL, point
            for _ in range(600):
                if rig.work():
                    break
                time.sleep(0.02)  # until the lease of the dead worker has ended
            job = shop.store.job("acme", SOURCE, 1)
            assert job is not None
            assert (job.due_at, job.lease_until) == (None, None), point
            assert rig.report().state == "finished", point
            assert sorted(os.listdir(feeds / f"done-{at}")) == ["a.csv", "b.csv"], point
            assert [batch.label for batch in rig.batches()] == ["a.csv", "b.csv"] * (at + 1), point
        shop.work()
        assert len(shop.items()) == 2 * len(points)
