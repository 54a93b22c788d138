"""The numbers of merchants, cached for a moment."""

import time
from collections.abc import Callable

CACHED_SECONDS = 1.0
"""A database may be restored under a running gate; then a merchant may be gone, or have another number."""
CACHED_MAX = 10_000


class MerchantNumbers:
    """Cache of the numbers by which rows refer to merchants; for any number of threads."""

    def __init__(self, read: Callable[[str], int | None]) -> None:
        """`read` returns the number of a merchant from the database, None if there is no such merchant."""
        self._read = read
        self._cached: dict[str, tuple[int, float]] = {}

    def get(self, merchant: str) -> int | None:
        """Return the number of a merchant; None if there is no such merchant."""
        number, expires_at = self._cached.get(merchant, (0, 0.0))
        if time.monotonic() < expires_at:
            return number
        found = self._read(merchant)
        if found is None:
            self._cached.pop(merchant, None)
        else:
            self.put(merchant, found)
        return found

    def put(self, merchant: str, number: int) -> None:
        """Cache a number that was just read."""
        if len(self._cached) >= CACHED_MAX:
            self._cached.clear()
        self._cached[merchant] = (number, time.monotonic() + CACHED_SECONDS)
