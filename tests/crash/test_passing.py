"""kill -9 of a worker while a small batch passes a large one: each is applied once, as one by one."""

import time
from pathlib import Path

import pytest

from goodsgate.app import create_worker
from goodsgate.config import Config
from tests import forked, stores
from tests.crash.scene import state_after
from tests.factories import product
from tests.shop import Shop, open_store
from tests.stores import KINDS

SETTINGS = {"chunk_records_max": 3, "lease_seconds": 0.3, "claim_rounds_max": 5, "claim_bytes_max": 5 * 1_000}
SECOND_COMMIT = ["applied:2", "commit-written:2", "commit-synced:2", "commit-mirrored:2", "committed:2"]
"""The first one is that of the first chunk of the large batch; in the second one, small batches pass it."""
BEFORE = SECOND_COMMIT[:2]
"""Nothing of the second one remains; after the death of a worker, nothing passes the batch any more."""


def stage(folder: Path, kind: str) -> tuple[Shop, list[str]]:
    """Queue a large batch, and behind it two that can pass it and one that cannot."""
    shop = Shop(folder, "acme", kind=kind, **SETTINGS)
    large = shop.send([product(number) for number in range(12)])
    assert shop.engine.batch("acme", large).bytes_total > 1_000
    small = [[product(20)], [product(20, title="Second")], [product(11, title="Third"), product(21, title=None)]]
    return shop, [large, *(shop.send(records) for records in small)]


def work(folder: Path) -> None:
    """Work until nothing is queued; a lane that a dead worker holds is waited for."""
    config = Config(store=stores.address(folder), **SETTINGS)  # type: ignore[arg-type]
    store = open_store(config)
    worker = create_worker(store, config, "worker")
    while worker.step() or store.statistics()["lanes"]:
        time.sleep(0.001)
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_kill_while_small_batches_pass(tmp_path: Path, kind: str) -> None:
    """What the next worker makes of it is what a worker makes that nobody kills."""
    found = []
    for crash_at in (None, *(SECOND_COMMIT if kind == "sqlite" else SECOND_COMMIT[1:3])):
        folder = tmp_path / str(crash_at).replace(":", "-")
        folder.mkdir()
        shop, sent = stage(folder, kind)
        shop.store.close()
        if crash_at is not None:
            assert forked.run(work, folder, crash_at=crash_at) == -9
        assert forked.run(work, folder) == 0
        with Shop(folder, "acme") as after:
            ended = [after.engine.batch("acme", batch).finished_at for batch in sent]
            assert None not in ended
            assert (ended[1] < ended[0]) is (crash_at not in BEFORE)  # type: ignore[operator]
            found.append(state_after(after, sent))
    assert all(state == found[0] for state in found)
