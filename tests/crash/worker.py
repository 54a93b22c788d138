"""A worker for crash tests: works a folder's store until nothing is left."""

import time
from pathlib import Path

from goodsgate.app import create_worker
from tests.crash.scene import settings_of
from tests.shop import open_store


def work(folder: Path) -> None:
    """Work until nothing is queued; a lane that a dead worker holds is waited for."""
    config = settings_of(folder)
    store = open_store(config)
    store.migrate()
    worker = create_worker(store, config, "worker")
    while worker.step() or store.statistics()["lanes"]:
        time.sleep(0.001)
    store.close()
