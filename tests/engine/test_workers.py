"""Several workers at once: a lane ends as its batches worked one by one would, however many there are."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodsgate.app import create_worker
from goodsgate.engine import Worker
from goodsgate.engine.worker import GATHER_ROUNDS
from goodsgate.store.contract import ChunkCommit, Claim, EndedRound, Store, StoreError
from goodsgate.store.shared import rounds
from goodsgate.store.strict import StrictStore
from tests import effort
from tests.engine.model import BATCH, Expected, opened
from tests.shop import Shop, open_store
from tests.stores import KINDS


@contextmanager
def _at_work(shop: Shop, workers: int) -> Iterator[None]:
    """So many workers, until everything that was sent is done."""
    # Of a folder only one store may work; on a server each worker has a store of its own, as processes have.
    alone = not shop.config.store.startswith("postgresql:")
    stores: list[Store] = [shop.store if alone else StrictStore(open_store(shop.config)) for _ in range(workers)]
    stop = threading.Event()

    def run(worker: Worker) -> None:
        while True:
            try:
                if worker.step():
                    continue
                if stop.is_set() and not shop.store.statistics()["lanes"]:
                    return
            except StoreError:
                pass
            time.sleep(0.002)

    threads = [
        threading.Thread(target=run, args=(create_worker(store, shop.config, f"worker-{number}"),))
        for number, store in enumerate(stores)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for store in stores:
            if store is not shop.store:
                store.close()


@pytest.fixture
def short_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a lane rest for a moment, however many leases run out in a row."""
    monkeypatch.setattr(rounds, "REST_SECONDS_MAX", 0.01)


@pytest.mark.usefixtures("short_rests")
@pytest.mark.parametrize("store", KINDS)
@settings(deadline=None, max_examples=effort.examples(15), suppress_health_check=list(HealthCheck))
@given(
    batches=st.lists(BATCH, min_size=4, max_size=12), workers=st.integers(2, 4), chunk_records=st.integers(1, 3),
    together=st.sampled_from([1, 4, 64]), lease_seconds=st.sampled_from([0.1, 15.0]),
)
def test_a_lane_ends_as_one_by_one(store: str, batches: list[object], workers: int, chunk_records: int, together: int,
                                   lease_seconds: float) -> None:
    """Two lanes, worked while they are filled, by leases that some of the time run out in the middle."""
    how = {
        "chunk_records_max": chunk_records, "claim_rounds_max": together, "lease_seconds": lease_seconds,
        "worker_deaths_max": 1_000,  # a lease that runs out counts as a death
    }
    with opened(store, "acme", "other", **how) as shop:
        expected = Expected({"acme": {}, "other": {}})
        with _at_work(shop, workers):
            for batch in batches:
                expected.send(shop, batch)  # type: ignore[arg-type]
        expected.check(shop)


def test_a_worker_gathers_small_batches_of_a_lane_that_is_alone(tmp_path: Path) -> None:
    """Not after one batch, whose client may wait for it, nor after many or large ones, nor while others wait."""
    with Shop(tmp_path, "acme", "bolt") as shop:
        small, large = (b'{"id": "A", "title": "%s"}' % (b"x" * length) for length in (10, 40_000))

        def gathers(*payloads: bytes, merchant: str = "acme") -> bool:
            for payload in payloads:
                shop.send(payload, merchant=merchant)
            assert shop.worker.step()
            return shop.worker.gathers

        assert not gathers(small, small)  # the lane is served for the first time
        assert gathers(small, small)
        assert gathers(small, small, small)
        assert not gathers(small)
        assert not gathers(large, large)
        assert not gathers(*[small] * GATHER_ROUNDS)
        assert gathers(small, small)
        assert not gathers(small, small, merchant="bolt")
        assert not gathers(small, small)


@pytest.mark.parametrize("kind", KINDS)
def test_requests_of_hundreds_of_records_are_committed_together(tmp_path: Path, kind: str) -> None:
    """As many as have the bytes of a group and the records of a chunk; one with more than a tenth of that is alone."""
    size = 100_000
    with Shop(tmp_path, "acme", kind=kind, claim_bytes_max=10 * size, chunk_records_max=1_000) as shop:
        commits: list[int] = []
        commit = shop.store.commit

        def counted(claim: Claim, chunks: Sequence[ChunkCommit], **how: Any) -> list[EndedRound]:
            commits.append(len(chunks))
            return commit(claim, chunks, **how)

        shop.store.commit = counted  # type: ignore[method-assign]

        def sizes(*bodies: bytes) -> list[int]:
            for body in bodies:
                shop.send(body)
            commits.clear()
            shop.work()
            return commits

        def body(records: int, length: int) -> bytes:
            filler = b"x" * ((length - records) // records - 33)
            return b"\n".join(b'{"id": "A%07d", "title": "%s"}' % (number, filler) for number in range(records))

        fits, too_large = body(50, size), body(50, size + 2_000)
        assert len(fits) <= size < len(too_large)
        assert sizes(*[fits] * 9) == [9]
        assert sizes(*[fits] * 15) == [10, 5]
        assert sizes(fits, fits, too_large, fits, fits) == [2, 1, 2]
        assert sizes(*[body(400, 40_000)] * 5) == [3, 2]
