"""Tell the store that a worker process is alive, for metrics; whether it works, the queue shows."""

import threading
from contextlib import suppress

from goodsgate.model.background import BackgroundThread
from goodsgate.store.contract import Store, StoreError

PRESENCE_SECONDS = 15.0



class WorkerPresence:
    """A thread of a worker process that tells every few seconds that it is alive."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._stop = threading.Event()
        self._thread = BackgroundThread("presence", self._run, self._stop)

    def start(self) -> None:
        """Start to tell."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and tell that the worker has ended."""
        self._stop.set()
        self._thread.join()
        with suppress(StoreError):
            self._store.forget_worker(self._name)

    def _run(self) -> None:
        while True:
            with suppress(StoreError):  # the worker itself reports an outage
                self._store.note_worker(self._name)
            if self._stop.wait(PRESENCE_SECONDS):
                return
