"""Time until another worker continues after one was killed in the middle of a chunk."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from goodsgate.model.batch import State
from tests import stores
from tests.factories import product, products
from tests.hosts.workers import Workers, wait_until
from tests.shop import Shop

LEASE_SECONDS = 1.0
POLL_SECONDS = 0.02
RECORDS = 5_000
KILLS = 3 if "GOODSGATE_TEST_KILLS" in os.environ else 2
"""`make crash` asks for the long form."""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Open the store on a server."""
    with Shop(
        tmp_path, kind="postgres", lease_seconds=LEASE_SECONDS, poll_seconds=POLL_SECONDS, chunk_records_max=500
    ) as made:
        yield made
    stores.drop(tmp_path)


def _lane(folder: Path) -> tuple[str | None, float, float]:
    """Return the owner of the lease, its end, and the time of the last claim, in seconds."""
    with stores.raw(folder) as db:
        row = db.execute("SELECT holder, expires_at, served FROM lane WHERE kind = 'product'").fetchone()
    return (None, 0.0, 0.0) if row is None else (row[0], row[1] / 1e6, row[2] / 1e6)


def _listening(folder: Path) -> int:
    with stores.raw(folder) as db:
        row = db.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN goodsgate'"
        ).fetchone()
    return 0 if row is None else int(str(row[0]))


def _taken_over(shop: Shop, folder: Path, workers: Workers, batch: str) -> str:
    """Kill the worker of a batch in the middle of it, wait for another one, and return the seconds that took."""
    def done() -> int:
        return shop.engine.batch("acme", batch).counts.accounted

    wait_until(lambda: done() > 0, "nobody works")
    holder, _, served = _lane(folder)
    if holder is None:
        return "it was done before it could be disturbed"
    workers.kill(holder)
    _, ends, _ = _lane(folder)
    before = done()
    seconds = wait_until(lambda: _lane(folder)[2] > served, "nobody takes over")
    behind = _lane(folder)[2] - ends
    first = wait_until(lambda: done() > before, "nobody goes on")
    return (
        f"taken over {seconds:.3f} s after the kill (lease {LEASE_SECONDS} s, poll {POLL_SECONDS} s), "
        f"{behind * 1000:.0f} ms after the lease; next chunk {first * 1000:.0f} ms later"
    )


def test_the_lane_of_a_killed_worker_continues_when_its_lease_ends(shop: Shop, tmp_path: Path) -> None:
    """Nothing is lost or done twice; the time is printed."""
    workers = Workers(shop.config)
    batches = []
    try:
        for name in ("one", "two"):
            workers.start(name)
        shop.run(products(1))
        for turn in range(KILLS):
            wait_until(lambda: _listening(tmp_path) >= 3, "the workers do not start")
            batches.append(shop.send([product(n, title=f"Number {n} of {turn}") for n in range(RECORDS)]))
            print(_taken_over(shop, tmp_path, workers, batches[-1]))
            workers.start(f"next {turn}")
        wait_until(lambda: shop.engine.batch("acme", batches[-1]).state is State.FINISHED, "it does not end")
    finally:
        workers.close()
    for turn, batch in enumerate(batches):
        counts = shop.engine.batch("acme", batch).counts
        created = 0 if turn else RECORDS - 1
        assert (counts.created, counts.updated, counts.accounted) == (created, RECORDS - created, RECORDS)
    assert len(shop.items()) == RECORDS
