"""Quotas that several API processes spend together."""

import asyncio

import pytest

from goodsgate.engine.merchant_limits import MerchantLimits, UsageLimits
from goodsgate.http.quotas import LEASES, QuotaExceededError, Quotas
from goodsgate.observe import Metrics, StatisticsCache
from goodsgate.store.contract import Store
from tests.store.scene import Scene


class CountedStore:
    """A store that counts leases."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.leases = 0

    def lease_quota(self, *args: object, **kwargs: object) -> object:
        """Lease, and count it."""
        self.leases += 1
        return self._store.lease_quota(*args, **kwargs)  # type: ignore[arg-type]


def _process(store: object, limits: MerchantLimits) -> Quotas:
    """The quotas of one API process."""

    async def run(work, *args, **kwargs):
        await asyncio.sleep(0)
        return work(*args, **kwargs)

    return Quotas(store, limits, Metrics(StatisticsCache(dict)), run=run)


async def _admit(quotas: Quotas, times: int, size: int = 0) -> int:
    """Return how many of so many concurrent requests are admitted."""
    async def one() -> bool:
        try:
            await quotas.admit("acme", "k1", {}, size=size)
        except QuotaExceededError:
            return False
        return True

    return sum(await asyncio.gather(*(one() for _ in range(times))))


@pytest.mark.parametrize("limit", [1, 7, 200, 1_000])
def test_processes_together_never_exceed_a_quota(scene: Scene, limit: int) -> None:
    """Each gets what it asks for, at the cost of few leases; at most a part stays with a process that is idle."""
    counted = CountedStore(scene.store)
    limits = MerchantLimits(scene.store, UsageLimits(requests_per_minute_max=limit))
    one, two = _process(counted, limits), _process(counted, limits)

    async def main() -> tuple[int, int, int]:
        first = await _admit(one, max(1, limit // 3))
        second = await _admit(two, 2 * limit)
        return first, second, await _admit(one, 2 * limit)

    first, second, rest = asyncio.run(main())
    part = max(1, limit // LEASES)
    assert first == max(1, limit // 3)
    assert first + second + rest == limit
    assert second >= limit - first - part
    assert counted.leases <= min(limit, LEASES) + 6


def test_a_quota_of_bytes_is_spent_by_what_is_sent(scene: Scene) -> None:
    """A body that is too large takes nothing away, and one of unknown length is missing afterwards."""
    process = _process(scene.store, MerchantLimits(scene.store, UsageLimits(bytes_per_day_max=1_000)))

    async def main() -> None:
        assert await _admit(process, 3, size=300) == 3
        assert await _admit(process, 1, size=101) == 0
        applied = await process.admit("acme", "k1", {}, size=0)
        process.charge(applied, 90)
        assert await _admit(process, 1, size=11) == 0
        assert await _admit(process, 1, size=10) == 1
        process.charge(applied, 50)
        assert await _admit(process, 1, size=1) == 0

    asyncio.run(main())
