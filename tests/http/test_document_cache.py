"""The cache of batch documents takes no more memory than it says, counting all that it keeps of each."""

import asyncio
import gc
import os
import tracemalloc
from pathlib import Path
from random import Random

import pytest

from goodsgate.http import long_poll
from goodsgate.http.change_watch import ChangeWatch
from goodsgate.http.long_poll import ChangeSignal, DocumentCache, RenderedBatch
from goodsgate.model.batch import new_id
from tests.shop import Shop

BYTES_MAX = 1024**2


class _Rendering:
    """Renders batches with bodies of these sizes, at random."""

    def __init__(self, *sizes: int) -> None:
        self._sizes = sizes
        self._random = Random(1)
        self.count = 0

    async def __call__(self, merchant: str, batch: str) -> RenderedBatch:
        self.count += 1
        size = self._random.choice(self._sizes)
        return RenderedBatch(os.urandom(size), ended=True, revision=(self.count + 1000, 7000), is_queued=False)


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("sizes", [(2,), (1_500,), (100_000,), (2, 1_500, 100_000, 2 * BYTES_MAX)])
def test_documents_take_no_more_memory_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...], waits: bool,
) -> None:
    """All that is reachable through the cache counts: bodies, names, headers, tags and watched subjects."""
    monkeypatch.setattr(long_poll, "DOCUMENTS_BYTES_MAX", BYTES_MAX)
    number = 2 * BYTES_MAX // (sizes[0] + 500) if len(sizes) == 1 else 200

    async def fill(shop: Shop) -> tuple[int, bool]:
        store = shop.store
        watch = ChangeWatch(store, asyncio.to_thread)
        signal = ChangeSignal(store.change_token)
        rendering = _Rendering(*sizes)
        tracemalloc.start()
        try:
            cache = DocumentCache(signal, watch, rendering)
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(number):
                merchant, batch = f"merchant {rendering.count % 50}", new_id()
                if waits:
                    await cache.wait_for_change(merchant, batch, since=None, seconds=0)
                else:
                    await cache.get(merchant, batch)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
            await cache.get(merchant, "last")
            count = rendering.count
            await cache.get(merchant, "last")
        finally:
            tracemalloc.stop()
            watch.close()
        return after - before, rendering.count == count

    with Shop(tmp_path) as shop:
        taken, is_kept = asyncio.run(fill(shop))
    assert taken <= BYTES_MAX
    if len(sizes) == 1:
        assert taken > BYTES_MAX / 4, "the limit allows many more"
        assert is_kept
