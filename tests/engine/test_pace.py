"""Records that are applied one by one with time between them: nobody is held up, and nothing newer is overwritten."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from goodsgate.model.batch import Kind, State
from goodsgate.model.catalogue import item_key
from goodsgate.model.versions import time_version
from tests import stores
from tests.shop import Shop

SCHEMA = "mircate/StockUnit"
A_WHILE = 0.05


@pytest.fixture(params=stores.KINDS)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """One over each kind of store."""
    with Shop(tmp_path, kind=request.param) as made:
        yield made
    stores.drop(tmp_path)


def _send(shop: Shop, *units: tuple[str, int], pace: float = 0.0, **policy: object) -> str:
    records = [{"sku": sku, "channel": "web", "stock": stock} for sku, stock in units]
    return shop.send(
        records, kind=Kind.STOCK, collection="c", schema=SCHEMA, pace_seconds=pace, duplicates="off", **policy
    )


def _stock(shop: Shop) -> dict[str, object]:
    return {str(key).split("\x1f")[0]: unit["stock"] for key, unit in shop.items("c",
        kind=Kind.STOCK).items()}  # type: ignore[index]


def _ended(shop: Shop, batch: str) -> State:
    until = time.monotonic() + 60
    while (found := shop.engine.batch("acme", batch)).finished_at is None:
        assert time.monotonic() < until
        shop.work()
        shop.store.wait_for_work(0.01)
    return found.state


def test_one_record_and_then_a_rest(shop: Shop) -> None:
    """The worker is free meanwhile, and reports what it has applied."""
    batch = _send(shop, ("A", 1), ("B", 2), ("C", 3), pace=600)
    shop.work()
    assert _stock(shop) == {"A": 1}
    found = shop.engine.batch("acme", batch)
    assert (found.state, found.counts.accounted) == (State.WORKING, 1)
    assert not shop.worker.step()


def test_every_record_has_its_turn(shop: Shop) -> None:
    """In order, each once, also those that are wrong, and whoever works them."""
    units = [(f"A-{at}", -1 if at == 2 else at) for at in range(6)]
    batch = _send(shop, *units, pace=A_WHILE)
    assert _ended(shop, batch) is State.FINISHED
    assert [row.number for row in shop.results(batch)] == [1, 2, 3, 4, 5, 6]
    assert _stock(shop) == {sku: stock for sku, stock in units if stock >= 0}
    assert list(shop.codes(batch)) == [3]


def test_another_worker_takes_over(shop: Shop) -> None:
    """It reads on where the round stands."""
    batch = _send(shop, *[(f"A-{at}", at) for at in range(4)], pace=A_WHILE)
    shop.work()
    shop.worker._open.clear()  # as a process that is new has nothing open
    assert _ended(shop, batch) is State.FINISHED
    assert len(_stock(shop)) == 4


def test_what_comes_later_overtakes_and_stays(shop: Shop) -> None:
    """A newer record is not overwritten by an older one whose turn comes later; that one is superseded, not wrong."""
    paced = _send(shop, ("A", 1), ("B", 2), ("C", 3), ("D", 4), pace=A_WHILE)
    shop.work()
    newer = _send(shop, ("B", 20), ("E", 50))
    shop.work()
    assert shop.engine.batch("acme", newer).state is State.FINISHED
    assert _ended(shop, paced) is State.FINISHED
    held = _stock(shop)
    assert held["B"] == 20
    assert held == {"A": 1, "B": 20, "C": 3, "D": 4, "E": 50}


def test_the_same_number_said_again_is_newer_all_the_same(shop: Shop) -> None:
    """It is not written, but what is older must not undo it."""
    shop.run([{"sku": "B", "channel": "web", "stock": 20}], kind=Kind.STOCK, collection="c", schema=SCHEMA)
    paced = _send(shop, ("A", 1), ("B", 2), pace=600)
    shop.work()
    newer = _send(shop, ("B", 20))
    shop.work()
    assert shop.engine.batch("acme", newer).counts.unchanged == 1
    held = shop.store.current_items("acme", Kind.STOCK, "c", [item_key("B", "web")])[item_key("B", "web")]
    received = shop.engine.batch("acme", newer).received_at
    assert held.version == time_version(received)
    assert shop.engine.batch("acme", paced).counts.accounted == 1


def test_what_was_deleted_later_does_not_come_back(shop: Shop) -> None:
    """A deletion that overtakes leaves its version."""
    paced = _send(shop, ("A", 1), ("B", 2), ("C", 3), pace=A_WHILE)
    shop.work()
    _send(shop, ("C", 30))
    removal = shop.send(
        [{"sku": "C", "channel": "web"}], kind=Kind.STOCK, collection="c", schema="mircate/UnitRemoval", verb="delete",
        duplicates="off",
    )
    shop.work()
    assert shop.engine.batch("acme", removal).counts.deleted == 1
    assert _ended(shop, paced) is State.FINISHED
    assert _stock(shop) == {"A": 1, "B": 2}


def test_a_rest_is_ended_by_a_cancel(shop: Shop) -> None:
    """What was applied stays."""
    paced = _send(shop, ("A", 1), ("B", 2), ("C", 3), pace=600)
    shop.work()
    shop.engine.cancel("acme", paced)
    shop.work()
    found = shop.engine.batch("acme", paced)
    assert (found.state, found.counts.created, found.counts.cancelled) == (State.CANCELLED, 1, 2)


def test_what_an_item_keeps_of_its_past(shop: Shop) -> None:
    """Newest first, no more than so often, and not what did not change."""
    for stock in (1, 1, 2, *range(60)):
        _send(shop, ("A", stock))
    shop.work()
    (unit,) = shop.items("c", kind=Kind.STOCK).values()
    trail = unit["_history"]  # type: ignore[index]
    assert [entry["stock"] for entry in trail] == [*range(59, 9, -1)]
    assert [entry["at"] for entry in trail] == sorted((entry["at"] for entry in trail), reverse=True)
    assert len({entry["batch"] for entry in trail}) == 50
