"""One large batch of a merchant and small ones of many others at once: the small ones do not wait for the large one."""

import os
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from goodsgate.model.batch import Batch, Duplicates, State
from tests import stores
from tests.factories import product, products
from tests.hosts.workers import Workers, wait_until
from tests.shop import Shop

LONG = "GOODSGATE_TEST_KILLS" in os.environ
"""`make crash` asks for the long form."""
RECORDS = 1_000_000 if LONG else 30_000
SETTINGS = {} if LONG else {"chunk_records_max": 2_000}
REPEATED = RECORDS // 10
"""Keys that the large batch has twice, the second time at its end."""
SMALL = 50
SECONDS_MAX = 1_800 if LONG else 100
MERCHANTS = [f"small{number}" for number in range(SMALL)]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """On a server."""
    with Shop(tmp_path, "large", *MERCHANTS, kind="postgres", **SETTINGS) as made:
        yield made
    stores.drop(tmp_path)


def _large() -> bytes:
    lines = [orjson.dumps(product(n, title=f"Number {n}")) for n in range(RECORDS - REPEATED)]
    lines += [orjson.dumps(product(n, title=f"Number {n} again")) for n in range(REPEATED)]
    return b"\n".join(lines)


@pytest.mark.timeout(SECONDS_MAX + 60)
def test_small_batches_do_not_wait_for_a_large_one(shop: Shop) -> None:
    """All of them finish before the large one, whose records keep their order. The times are printed."""
    workers = Workers(shop.config)
    try:
        for name in ("one", "two"):
            workers.start(name)
        large = shop.send(_large(), merchant="large", duplicates=Duplicates.OFF)
        wait_until(lambda: shop.engine.batch("large", large).counts.accounted > 0, "nobody works")
        small = {
            merchant: shop.send(products(*range(20)), merchant=merchant) for merchant in MERCHANTS
        }

        def ended() -> list[Batch]:
            found = [shop.engine.batch(merchant, batch) for merchant, batch in small.items()]
            return [batch for batch in found if batch.state is State.FINISHED]

        wait_until(lambda: len(ended()) == SMALL, "the small ones do not end")
        wait_until(
            lambda: shop.engine.batch("large", large).state is State.FINISHED, "the large one does not end",
            seconds_max=SECONDS_MAX,
        )
    finally:
        workers.close()
    _check(shop, large, ended())


def _check(shop: Shop, large: str, small: list[Batch]) -> None:
    whole = shop.engine.batch("large", large)
    seconds = sorted((batch.finished_at - batch.received_at).total_seconds() for batch in small if batch.finished_at)
    assert whole.finished_at is not None
    assert whole.started_at is not None
    took = (whole.finished_at - whole.started_at).total_seconds()
    print(
        f"{SMALL} batches of 20 records beside one of {RECORDS} ({took:.1f} s), two workers: accepted to finished "
        f"p50 {seconds[len(seconds) // 2]:.2f} s, p99 {seconds[-1 - len(seconds) // 100]:.2f} s"
    )
    assert {batch.counts.created for batch in small} == {20}
    assert max(batch.finished_at for batch in small if batch.finished_at) < whole.finished_at
    assert (whole.counts.created, whole.counts.updated) == (RECORDS - REPEATED, REPEATED)
    for at in (0, 1, REPEATED - 1):
        item = shop.store.item("large", whole.kind, "products", f"SKU-{at:04d}")
        assert item is not None
        assert orjson.loads(item.document)["title"] == f"Number {at} again"
    first = shop.store.results("large", large, limit=3)
    assert [(row.number, row.key) for row in first] == [(n + 1, f"SKU-{n:04d}") for n in range(3)]
    last = shop.store.results("large", large, after=RECORDS - 1)
    assert [(row.number, row.key) for row in last] == [(RECORDS, f"SKU-{REPEATED - 1:04d}")]
