"""Rate limits: a token bucket for each caller, counted in this process alone."""

import threading
import time
from collections.abc import Callable

CALLERS_MAX = 10_000
"""Number of buckets beyond which full ones are removed."""


class RateLimit:
    """A limit of requests a second with a burst; safe for threads."""

    def __init__(self, per_second: float, *, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}
        """Caller → tokens left, and the time at which they were counted."""
        self._lock = threading.Lock()

    def take(self, caller: str) -> float:
        """Take a token of the caller; return 0.0, or the seconds to wait if none is left."""
        now = self._clock()
        with self._lock:
            left, counted_at = self._buckets.get(caller, (float(self._burst), now))
            left = min(float(self._burst), left + (now - counted_at) * self._per_second)
            taken = left >= 1
            self._buckets[caller] = (left - 1 if taken else left, now)
            if len(self._buckets) > CALLERS_MAX:
                self._remove_full(now)
        return 0.0 if taken else (1 - left) / self._per_second

    def _remove_full(self, now: float) -> None:
        """Remove buckets that are full again; a new one would be the same."""
        full = self._burst / self._per_second
        self._buckets = {caller: (left, at) for caller, (left, at) in self._buckets.items() if now - at < full}
