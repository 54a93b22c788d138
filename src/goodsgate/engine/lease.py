"""Keep the lease of a claim alive while the worker works, however long one chunk takes to read."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from goodsgate.model.background import BackgroundThread
from goodsgate.store.contract import Claim, LeaseLostError, Store, StoreError

log = logging.getLogger(__name__)

BEATS = 3
"""Renewals during one lease."""


class Heartbeat:
    """A thread of a worker that renews its current claim."""

    def __init__(self, store: Store, *, lease_seconds: float) -> None:
        self._store = store
        self._lease_seconds = lease_seconds
        self._claim: Claim | None = None
        self._stop = threading.Event()
        self._thread: BackgroundThread | None = None

    @contextmanager
    def keeping(self, claim: Claim) -> Iterator[None]:
        """Renew the claim while the block runs; the next commit finds out if the lease is lost."""
        if self._thread is None:
            self._thread = BackgroundThread("heartbeat", self._beat, self._stop)
            self._thread.start()
        self._claim = claim
        try:
            yield
        finally:
            self._claim = None

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _beat(self) -> None:
        is_failing = False
        while not self._stop.wait(self._lease_seconds / BEATS):
            claim = self._claim
            if claim is None:
                continue
            try:
                self._store.renew_claim(claim, lease_seconds=self._lease_seconds)
            except LeaseLostError:
                continue
            except StoreError as fault:
                if not is_failing:  # one line for each outage: the worker's own have the details
                    log.warning("a lease could not be renewed, trying again: %s", fault)
                is_failing = True
                continue
            is_failing = False
