"""A worker that dies, by kill -9, whenever it has read a payload with the word poison; works until nothing is left."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from goodsgate.app import create_worker
from goodsgate.store.shared import rounds
from tests.crash.scene import settings_of
from tests.shop import open_store

POISON = b"poison"


class PoisonedStore:
    """A store whose payloads may kill."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def payload(self, merchant: str, batch: str, round: int) -> Iterator[bytes]:
        """Yield the payload, or die."""
        for piece in self._store.payload(merchant, batch, round):
            if POISON in piece:
                os.kill(os.getpid(), signal.SIGKILL)
            yield piece


def work(folder: Path) -> None:
    """Work until nothing is queued."""
    rounds.REST_SECONDS = 0.5
    config = settings_of(folder)
    store = open_store(config)
    store.migrate()
    worker = create_worker(PoisonedStore(store), config, schemas={})  # type: ignore[arg-type]
    while worker.step() or store.statistics()["lanes"]:
        time.sleep(0.005)
    store.close()
