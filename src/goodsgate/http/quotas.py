"""Quotas of merchants and of keys, shared by all API processes.

A process leases a part of a quota from the store and spends it without asking again: a twentieth of the quota at a
time, so that a quota costs about twenty small transactions in each window, however many requests there are. All
processes together never spend more than the quota. What a process has leased and not spent when the window ends is
lost: with several processes, a quota may be refused up to a twentieth early for each further process.

A window is a whole minute or a whole day in UTC, so that up to twice the quota may be spent in a time that has the end
of a window in its middle.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from goodsgate.engine.merchant_limits import BYTES, OPEN_ROUNDS, REQUESTS, MerchantLimits
from goodsgate.engine.refusal import Refusal
from goodsgate.http.known_settings import DeclaredSettings, Setting
from goodsgate.http.problems import refuse
from goodsgate.model.counting import counted
from goodsgate.observe import Metrics
from goodsgate.store.contract import QuotaLease, Store

LEASES = 20
"""A process leases one part in so many of a quota."""
BALANCES_MAX = 20_000
"""Balances that a process remembers; beyond that those of past windows are forgotten."""
MINUTE, DAY = 60, 86_400
APPLIED = "goodsgate.quotas"
"""Key of an ASGI scope with the quotas that were applied to a request."""



def _limit(description: str) -> Setting:
    return Setting(description=description, pattern="[0-9]{1,12}", expected="a number of up to 12 digits; 0: no limit")


SETTINGS = DeclaredSettings(
    keys={
        REQUESTS: _limit("Requests in a minute with this key."),
        BYTES: _limit("Bytes of request bodies in a day with this key."),
        OPEN_ROUNDS: _limit("Batches that requests with this key have caused and that are queued or working at once."),
    },
    merchants={
        REQUESTS: _limit("Requests in a minute, of all keys together."),
        BYTES: _limit("Bytes of request bodies in a day, of all keys together."),
        OPEN_ROUNDS: _limit("Batches that are queued or working at once."),
    },
)


class Quota(msgspec.Struct, frozen=True):
    """A limit of what may be used up in each window."""

    name: str
    """``merchant-requests``, ``key-requests``, ``merchant-bytes`` or ``key-bytes``."""
    row: str
    """Name in the store."""
    limit: int
    window_seconds: int
    is_bytes: bool = False

    @property
    def policy(self) -> str:
        """The quota as an item of the header `RateLimit-Policy`."""
        unit = ';qu="content-bytes"' if self.is_bytes else ""
        return f'"{self.name}";q={self.limit}{unit};w={self.window_seconds}'


class QuotaExceededError(Exception):
    """A request that exceeds a quota: what is answered, and the quotas up to that one."""

    def __init__(self, refusal: Refusal, applied: "Sequence[tuple[Quota, Balance]]") -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal
        self.applied = applied


class Balance:
    """What is left of a quota, as far as this process knows."""

    def __init__(self) -> None:
        self.leased = 0
        """Leased and not spent; negative after a body of unknown length that was larger than that."""
        self.unleased = 0
        """What no process had leased when this one leased last."""
        self.ends_at = 0.0
        """Monotonic time of the end of the window."""
        self.lock = asyncio.Lock()

    def note(self, lease: QuotaLease, limit: int) -> None:
        """Add a lease."""
        self.leased += lease.granted
        self.unleased = max(0, limit - lease.used)
        self.ends_at = time.monotonic() + lease.seconds_left

    @property
    def seconds_left(self) -> int:
        """Seconds until the quota is whole again."""
        return max(1, math.ceil(self.ends_at - time.monotonic()))


class Quotas:
    """The quotas of one API process; for one event loop."""

    def __init__(self, store: Store, limits: MerchantLimits, metrics: Metrics, *,
                 run: Callable[..., Awaitable[Any]]) -> None:
        """Create it without balances; `run` runs what reads or writes the store in a thread."""
        self._store = store
        self._limits = limits
        self._metrics = metrics
        self._run = run
        self._balances: dict[tuple[str, str], Balance] = {}

    def may_apply(self, merchant: str, settings: Mapping[str, str]) -> bool:
        """Return whether requests of a merchant with a key of these settings may have to be counted."""
        limits = self._limits.cached(merchant)
        if limits is None or limits.requests_per_minute_max or limits.bytes_per_day_max:
            return True
        return bool(settings) and (REQUESTS in settings or BYTES in settings)

    async def admit(self, merchant: str, key: str, settings: Mapping[str, str], *, size: int,
                    ) -> "Sequence[tuple[Quota, Balance]]":
        """Count a request with a body of `size` bytes, and return the quotas that it was counted against.

        `settings` are those of the key. Raises QuotaExceededError with a refusal that names the quota.
        """
        limits = self._limits.cached(merchant) or await self._run(self._limits.of, merchant)
        quotas = [
            *_quotas("merchant", "", limits.requests_per_minute_max, limits.bytes_per_day_max),
            *_quotas("key", f" {key}", int(settings.get(REQUESTS, 0)), int(settings.get(BYTES, 0))),
        ]
        applied = []
        for quota in quotas:
            balance = self._balance(merchant, quota)
            applied.append((quota, balance))
            if not await self._spend(merchant, quota, balance, size if quota.is_bytes else 1):
                self._metrics.quota_refusals.labels(quota.name).inc()
                refusal = refuse(
                    "too_many_requests", _detail(quota), quota=quota.name, limit=quota.limit,
                    window_seconds=quota.window_seconds, retry_after_seconds=balance.seconds_left,
                    **{"violated-policies": [quota.name]},
                )
                raise QuotaExceededError(refusal, applied)
        return applied

    def charge(self, applied: "Sequence[tuple[Quota, Balance]]", size: int) -> None:
        """Count the bytes of a body whose length was not known before; what is exceeded is missing afterwards."""
        for quota, balance in applied:
            if quota.is_bytes:
                balance.leased -= size

    def _balance(self, merchant: str, quota: Quota) -> Balance:
        balance = self._balances.get((merchant, quota.row))
        if balance is None:
            if len(self._balances) >= BALANCES_MAX:
                now = time.monotonic()
                self._balances = {name: each for name, each in self._balances.items() if each.ends_at > now}
            balance = self._balances[merchant, quota.row] = Balance()
        return balance

    async def _spend(self, merchant: str, quota: Quota, balance: Balance, amount: int) -> bool:
        if time.monotonic() < balance.ends_at and balance.leased >= amount:
            balance.leased -= amount
            return True
        async with balance.lock:  # one lease at a time, so that no more than a part is leased
            if time.monotonic() >= balance.ends_at:
                balance.leased, balance.unleased = min(0, balance.leased), quota.limit
            missing = amount - balance.leased
            if 0 < missing <= balance.unleased:
                balance.note(await self._run(
                    self._store.lease_quota, merchant, quota.row, window_seconds=quota.window_seconds,
                    least=missing, amount=max(missing, quota.limit // LEASES), limit=quota.limit,
                ), quota.limit)
            if balance.leased < amount:
                return False
            balance.leased -= amount
            return True


def rate_limit_headers(applied: Sequence[tuple[Quota, Balance]]) -> list[tuple[bytes, bytes]]:
    """Return the headers `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-12)."""
    policies = ", ".join(quota.policy for quota, _ in applied)
    left = ", ".join(
        f'"{quota.name}";r={max(0, balance.leased + balance.unleased)};t={balance.seconds_left}'
        for quota, balance in applied
    )
    return [(b"ratelimit-policy", policies.encode()), (b"ratelimit", left.encode())]


def _quotas(owner: str, suffix: str, requests: int, size: int) -> list[Quota]:
    quotas = []
    if requests:
        quotas.append(Quota(f"{owner}-requests", f"requests{suffix}", requests, MINUTE))
    if size:
        quotas.append(Quota(f"{owner}-bytes", f"bytes{suffix}", size, DAY, is_bytes=True))
    return quotas


def _detail(quota: Quota) -> str:
    owner = "merchant" if quota.name.startswith("merchant") else "key"
    unit, window = ("byte", "day") if quota.is_bytes else ("request", "minute")
    return f"The {owner} has used up its {counted(quota.limit, unit)} of this {window}; try again when it is over."
