"""What a merchant may use up: the gate's settings, and where it has them the merchant's own."""

import threading
import time
from collections.abc import Mapping

import msgspec

from goodsgate.engine.merchant_documents import merchant_settings
from goodsgate.engine.refusal import Refusal
from goodsgate.model.counting import counted
from goodsgate.store.contract import Store

REQUESTS, BYTES, OPEN_ROUNDS = "requests_per_minute_max", "bytes_per_day_max", "open_rounds_max"
"""Names of the limits, in the settings of the gate, of merchants and of keys."""
CACHE_SECONDS = 10.0
"""A changed setting of a merchant takes effect after this time at the latest."""
CACHED_MAX = 10_000


class UsageLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What may be used up; 0 is no limit."""

    requests_per_minute_max: int = 0
    bytes_per_day_max: int = 0
    open_rounds_max: int = 0

    def replaced_by(self, settings: Mapping[str, str]) -> "UsageLimits":
        """Return the limits with those that some settings name."""
        named = {name: int(settings[name]) for name in self.__struct_fields__ if name in settings}
        return msgspec.structs.replace(self, **named) if named else self


NO_LIMITS = UsageLimits()


class MerchantLimits:
    """The limits of merchants, read from the store at most every ten seconds for each; safe for threads."""

    def __init__(self, store: Store, limits: UsageLimits) -> None:
        """Take the limits of the gate, which hold for each merchant that has none of its own."""
        self._store = store
        self._limits = limits
        self._cache: dict[str, tuple[float, UsageLimits]] = {}
        self._of_keys: dict[tuple[str, str], tuple[float, int]] = {}
        self._lock = threading.Lock()

    def cached(self, merchant: str) -> UsageLimits | None:
        """Return the limits of a merchant if they were read lately; does not read the store."""
        entry = self._cache.get(merchant)
        return entry[1] if entry is not None and entry[0] > time.monotonic() else None

    def of(self, merchant: str) -> UsageLimits:
        """Return the limits of a merchant. Raises StoreError."""
        cached = self.cached(merchant)
        if cached is not None:
            return cached
        limits = self._limits.replaced_by(merchant_settings(self._store, merchant))
        with self._lock:
            if len(self._cache) >= CACHED_MAX:
                self._cache.clear()
            self._cache[merchant] = (time.monotonic() + CACHE_SECONDS, limits)
        return limits

    def check_key(self, merchant: str, key: str) -> None:
        """Raise Refusal (queue_full) if a key has a limit of open batches and has reached it; StoreError.

        Requests that end at the same moment are counted when they are stored, so that they may exceed it together.
        """
        limit = self._rounds_max_of_key(merchant, key) if key else 0
        if limit and self._store.count_rounds_of_key(merchant, key) >= limit:
            raise Refusal(
                "queue_full", f"The key has {counted(limit, 'open batch', 'open batches')}, as many as it may have; "
                "try again when one has ended.", limit=limit, retry_after_seconds=30,
            )

    def _rounds_max_of_key(self, merchant: str, key: str) -> int:
        cached = self._of_keys.get((merchant, key))
        if cached is not None and cached[0] > time.monotonic():
            return cached[1]
        settings = next((each.settings for each in self._store.keys(merchant) if each.id == key), {})
        limit = int(settings.get(OPEN_ROUNDS, 0))
        with self._lock:
            if len(self._of_keys) >= CACHED_MAX:
                self._of_keys.clear()
            self._of_keys[merchant, key] = (time.monotonic() + CACHE_SECONDS, limit)
        return limit

    def open_rounds_max(self, merchant: str) -> int:
        """Return how many rounds of a merchant may be queued or working at once. Raises StoreError."""
        return self.of(merchant).open_rounds_max or self._limits.open_rounds_max
