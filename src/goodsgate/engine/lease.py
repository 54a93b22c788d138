"""Keep the lease of a claim alive while the worker works, however long one chunk takes to read."""

import logging
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from goodsgate.model.background import BackgroundThread
from goodsgate.store.contract import Claim, LeaseLostError, Store, StoreError

log = logging.getLogger(__name__)

BEATS = 3
"""Renewals during one lease."""


class Heartbeat:
    """A thread of a worker that renews its current claim; it ends with this object at the latest."""

    def __init__(self, store: Store, *, lease_seconds: float) -> None:
        self._store = store
        self._lease_seconds = lease_seconds
        self._claim: Claim | None = None
        self._is_failing = False
        self._stop = threading.Event()
        self._thread: BackgroundThread | None = None
        weakref.finalize(self, self._stop.set)

    @contextmanager
    def keeping(self, claim: Claim) -> Iterator[None]:
        """Renew the claim while the block runs; the next commit finds out if the lease is lost."""
        if self._thread is None:
            run = partial(_beat, weakref.ref(self), self._stop, self._lease_seconds / BEATS)
            self._thread = BackgroundThread("heartbeat", run, self._stop)
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

    def renew(self) -> None:
        """Renew the claim that the worker has now, if it has one."""
        claim = self._claim
        if claim is None:
            return
        try:
            self._store.renew_claim(claim, lease_seconds=self._lease_seconds)
        except LeaseLostError:
            return
        except StoreError as fault:
            if not self._is_failing:  # one line for each outage: the worker's own have the details
                log.warning("a lease could not be renewed, trying again: %s", fault)
            self._is_failing = True
            return
        self._is_failing = False


def _beat(reference: "weakref.ref[Heartbeat]", stop: threading.Event, seconds: float) -> None:
    """Renew the claim of a heartbeat until it stops; only a reference to it is held, so that a worker can be freed."""
    while not stop.wait(seconds):
        heartbeat = reference()
        if heartbeat is None:
            return
        heartbeat.renew()
        del heartbeat
