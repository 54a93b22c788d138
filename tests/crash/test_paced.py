"""kill -9 of a worker between two records of a round that rests: each is applied once, and the newest number stays."""

import time
from pathlib import Path

import pytest

from goodsgate.model.batch import Kind, State
from tests import forked
from tests.crash import worker
from tests.crash.scene import CHUNK_RECORDS
from tests.shop import Shop

A_MOMENT = 0.0001
STOCK = {"kind": Kind.STOCK, "collection": "c", "schema": "mircate/StockUnit", "duplicates": "off"}


def _units(*numbers: int) -> list[dict[str, object]]:
    return [{"sku": f"A{at}", "channel": "web", "stock": stock} for at, stock in enumerate(numbers)]


@pytest.mark.parametrize("point", ["claim-taken", "applied", "committed"])
def test_a_paced_round_survives_its_worker(tmp_path: Path, kind: str, point: str) -> None:
    """Killed in the middle, taken over by the next."""
    if kind == "postgres" and point != "applied":
        pytest.skip("each waits a second for a dead worker's lease; once is enough")
    with Shop(tmp_path, "acme", kind=kind, **CHUNK_RECORDS) as shop:
        paced = shop.send(_units(1, 2, 3, 4, 5, 6), pace_seconds=A_MOMENT, **STOCK)
        shop.worker.step()
        newer = shop.send(_units(10, 20)[1:], **STOCK)
    assert forked.run(worker.work, tmp_path, crash_at=f"{point}:3") == -9
    with Shop(tmp_path, "acme", **CHUNK_RECORDS) as after:
        until = time.monotonic() + 60
        while any(after.engine.batch("acme", id).finished_at is None for id in (paced, newer)):
            assert time.monotonic() < until
            after.work()
            after.store.wait_for_work(0.01)
        found = after.engine.batch("acme", paced)
        assert (found.state, found.counts.accounted, found.counts.rejected) == (State.FINISHED, 6, 0)
        assert [row.number for row in after.results(paced)] == [1, 2, 3, 4, 5, 6]
        held = {unit["sku"]: unit["stock"] for unit in after.items("c",
            kind=Kind.STOCK).values()}  # type: ignore[index]
        assert held == {"A0": 1, "A1": 20, "A2": 3, "A3": 4, "A4": 5, "A5": 6}
