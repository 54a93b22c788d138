"""What a loop does while its store fails: it tries again less and less often, with one log line for each attempt."""

import logging
import threading
import time

from goodsgate.store.contract import StoreError

PAUSE_SECONDS_MIN = 1.0
PAUSE_SECONDS_MAX = 15.0
"""Pause after a failed attempt; it doubles from the one to the other."""

log = logging.getLogger(__name__)


class StoreOutage:
    """Pauses and log lines of one loop that needs the store."""

    def __init__(self, loop: str) -> None:
        """Take the name of the loop for log lines."""
        self._loop = loop
        self._pause_seconds = PAUSE_SECONDS_MIN
        self._began_at: float | None = None

    def wait(self, fault: StoreError, stop: threading.Event) -> None:
        """Log the fault and wait before the next attempt, or until `stop` is set."""
        if self._began_at is None:
            self._began_at = time.monotonic()
        log.warning(
            "%s cannot use the store, trying again in %.0f s: %s", self._loop, self._pause_seconds, fault,
            extra={"fault": type(fault).__name__},
        )
        stop.wait(self._pause_seconds)
        self._pause_seconds = min(2 * self._pause_seconds, PAUSE_SECONDS_MAX)

    def end(self) -> None:
        """Note that an attempt has succeeded."""
        if self._began_at is None:
            return
        log.info("%s can use the store again, after %.0f s", self._loop, time.monotonic() - self._began_at)
        self._began_at, self._pause_seconds = None, PAUSE_SECONDS_MIN
