"""A payload that ends every worker that reads it: its batch ends broken, and nobody else waits for that."""

from pathlib import Path

from goodsgate.model.batch import State
from tests import forked
from tests.crash import poisoned
from tests.crash.scene import CHUNK_RECORDS
from tests.factories import product, products
from tests.shop import Shop

DEATHS = 3


def run_worker(folder: Path) -> int:
    """Run a worker until it dies or nothing is left; return its exit status."""
    return forked.run(poisoned.work, folder)


def test_a_payload_that_kills_workers_is_given_up_and_others_are_served(tmp_path: Path, kind: str) -> None:
    """Three workers die; the batches of others are done before the second one has, those behind it after the third."""
    with Shop(tmp_path, "acme", "bolt", kind=kind, **CHUNK_RECORDS) as shop:
        poison = shop.send([product(1, title="poison")])
        behind = shop.send(products(2))
        others = [shop.send(products(n), merchant="bolt") for n in range(5)]
        assert run_worker(tmp_path) == run_worker(tmp_path) == -9
        assert {shop.engine.batch("bolt", batch).state for batch in others} == {State.FINISHED}
        warning = next(check for check in shop.store.quick_checks() if check.name == "worker deaths")
        assert poison in warning.detail
        assert run_worker(tmp_path) == -9
        assert run_worker(tmp_path) == 0
        ended = shop.engine.batch("acme", poison)
        assert (ended.state, ended.counts.accounted) == (State.BROKEN, 0)
        assert shop.codes(poison) == {0: ["worker_died"]}
        assert shop.findings(poison)[0].issues[0].value == str(DEATHS)
        assert shop.engine.batch("acme", behind).state is State.FINISHED
        assert list(shop.items()) == ["SKU-0002"]
