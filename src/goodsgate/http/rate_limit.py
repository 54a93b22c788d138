"""How fast somebody may ask: a bucket of tokens for each, in this process alone."""

import threading
import time
from collections.abc import Callable

CALLERS_MAX = 10_000
"""Buckets kept; past this those go that are full again."""


class RateLimit:
    """So many requests a second, and as many at once; for any number of threads."""

    def __init__(self, per_second: float, *, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}
        """Tokens, and when they were counted."""
        self._lock = threading.Lock()

    def take(self, caller: str) -> float:
        """0.0 if the caller may ask now; else how many seconds are to pass before that."""
        now = self._clock()
        with self._lock:
            left, counted = self._left.get(caller, (float(self._burst), now))
            left = min(float(self._burst), left + (now - counted) * self._per_second)
            taken = left >= 1
            self._left[caller] = (left - 1 if taken else left, now)
            if len(self._left) > CALLERS_MAX:
                self._forget(now)
        return 0.0 if taken else (1 - left) / self._per_second

    def _forget(self, now: float) -> None:
        """Whose bucket is full has been silent long enough; those that are left are as many as can ask in that time."""
        full = self._burst / self._per_second
        self._left = {caller: (left, at) for caller, (left, at) in self._left.items() if now - at < full}
