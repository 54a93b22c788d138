"""kill -9 of the API at every step of receiving: what was acknowledged is there, what was not leaves nothing twice."""

from pathlib import Path

import pytest

from goodsgate.store.contract import BatchFilter
from tests.crash.gate_process import GateProcess, submit
from tests.factories import products
from tests.shop import Shop, ndjson

STEPS = ("received", "seal-synced", "seal-written", "sealed")


@pytest.mark.parametrize(
    ("step", "big"), [*((step, True) for step in STEPS), ("seal-written", False), ("sealed", False)],
)
def test_kill_at_a_step(tmp_path: Path, kind: str, step: str, big: bool) -> None:
    """A client that sends again with its idempotency key ends with one batch and one effect."""
    if kind == "postgres" and (step, big) not in (("seal-written", True), ("sealed", True)):
        pytest.skip("seconds each for the key's lease, and what comes before the seal is the engine's")
    body = ndjson(products(*range(1500 if big else 20)))
    gate = GateProcess(tmp_path, kind, crash_at=step, workers=0)
    try:
        restarts = gate.watch()
        try:
            batch = submit(gate.url, gate.key, number=1, body=body)
            assert submit(gate.url, gate.key, number=1, body=body) == batch
        finally:
            times = restarts()
        assert times == 1, f"{step} was never reached"
        with Shop(tmp_path, "acme") as shop:
            assert [row.id for row in shop.store.batches("acme", BatchFilter()).rows] == [batch]
            shop.work()
            assert shop.engine.batch("acme", batch).counts.created == len(body.splitlines())
    finally:
        gate.close()
