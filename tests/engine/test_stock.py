"""Stock that orders move: whole movements, answered once, never more than there is, and right beside any feed."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from goodsgate.engine import Refusal
from goodsgate.engine.stock import LINES_MAX, QUANTITY_MAX, Stock, StockLevel, StockMovement, StockOperation
from goodsgate.model.batch import Kind, Verb
from goodsgate.model.catalogue import item_key
from tests import forked
from tests.engine import buyer
from tests.engine.conftest import Opens
from tests.shop import Shop, open_store

RESERVE, CANCEL, COMMIT, REFUND = StockOperation


def _feed(shop: Shop, **quantities: object) -> None:
    _records(shop, *({"id": key, "quantity": quantity} for key, quantity in quantities.items()))


def _records(shop: Shop, *records: object, **policy: object) -> None:
    batch = shop.run(records, kind=Kind.STOCK, collection="stock", **policy)
    assert batch.counts.rejected == 0, shop.findings(batch.id)


def _move(shop: Shop, verb: StockOperation, order: str = "o1", id: str | None = None, **lines: int) -> dict[str,
          StockLevel]:
    return shop.engine.stock.move("acme", "stock", StockMovement(order=order, verb=verb, lines=lines, id=id))


def _refused(shop: Shop, verb: StockOperation, order: str = "o1", id: str | None = None,
             **lines: int) -> tuple[str, object]:
    with pytest.raises(Refusal) as refused:
        _move(shop, verb, order, id, **lines)
    return refused.value.code, refused.value.details.get("lines")


def _level(shop: Shop, key: str) -> tuple[int | None, int, int]:
    level = shop.engine.stock.levels("acme", "stock", [key])[key]
    return level.stock, level.reserved, level.available


def test_an_order_goes_its_way(shop: Shop) -> None:
    """Reserved, partly given back, committed, partly refunded; each step is answered with how the items stand."""
    _feed(shop, A=10, B=3)
    assert _move(shop, RESERVE, A=4, B=3) == {"A": StockLevel(10, 4), "B": StockLevel(3, 3)}
    assert _level(shop, "A") == (10, 4, 6)
    assert _move(shop, CANCEL, A=1) == {"A": StockLevel(10, 3)}
    assert _move(shop, COMMIT, A=3, B=2) == {"A": StockLevel(7, 0), "B": StockLevel(1, 1)}
    assert shop.items("stock", kind=Kind.STOCK)["A"] == {"id": "A", "quantity": 7}
    assert _move(shop, REFUND, A=2) == {"A": StockLevel(9, 0)}
    assert (_level(shop, "A"), _level(shop, "B")) == ((9, 0, 9), (1, 1, 0))


def test_a_movement_is_whole_or_not_at_all(shop: Shop) -> None:
    """Every line that prevents it is reported, and no other line is applied."""
    _feed(shop, A=10, B=1, C=2)
    _move(shop, RESERVE, "o0", C=1)
    code, lines = _refused(shop, RESERVE, A=4, B=2, C=2)
    assert (code, lines) == ("stock_short", [
        {"key": "B", "quantity": 2, "available": 1}, {"key": "C", "quantity": 2, "available": 1}
    ])
    assert _refused(shop, RESERVE, A=4, X=1) == ("stock_unknown", [{"key": "X", "quantity": 1}])
    assert _level(shop, "A") == (10, 0, 10)
    _move(shop, RESERVE, A=4)
    assert _refused(shop, COMMIT, A=5) == ("stock_conflict", [{"key": "A", "quantity": 5, "reserved": 4}])
    assert _refused(shop, CANCEL, "o2", A=1) == ("stock_conflict", [{"key": "A", "quantity": 1, "reserved": 0}])
    _move(shop, COMMIT, A=3)
    assert _refused(shop, REFUND, A=4) == ("stock_conflict", [{"key": "A", "quantity": 4, "committed": 3}])
    assert _level(shop, "A") == (7, 1, 6)
    with pytest.raises(Refusal, match="no stock"):
        shop.engine.stock.move("acme", "nowhere", StockMovement(order="o", verb=RESERVE, lines={"A": 1}))
    with pytest.raises(Refusal, match="no stock"):
        shop.engine.stock.move("other", "stock", StockMovement(order="o", verb=RESERVE, lines={"A": 1}))


MANY = dict.fromkeys(map(str, range(LINES_MAX + 1)), 1)


@pytest.mark.parametrize("lines", [{}, {"A": 0}, {"A": -1}, {"A": QUANTITY_MAX + 1}, MANY])
def test_a_movement_has_bounds(shop: Shop, lines: dict[str, int]) -> None:
    """On its lines and quantities."""
    assert _refused(shop, RESERVE, **lines) == ("parameter_invalid", None)


def test_an_order_has_so_many_movements(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that it had are still answered."""
    monkeypatch.setattr("goodsgate.engine.stock.MOVEMENTS_MAX", 2)
    _feed(shop, A=10)
    for id in ("1", "2"):
        _move(shop, RESERVE, id=id, A=1)
    assert _refused(shop, RESERVE, id="3", A=1) == ("parameter_invalid", None)
    assert _move(shop, RESERVE, id="1", A=1) == {"A": StockLevel(10, 1)}


def test_what_was_given_back_is_not_promised_again(shop: Shop) -> None:
    """Reserving the same once more is refused, not answered as it was: nothing would stand behind it."""
    _feed(shop, A=10)
    for back in ((CANCEL,), (COMMIT, REFUND)):
        order = f"o-{back[0]}"
        for verb in (RESERVE, *back):
            _move(shop, verb, order, A=2)
        assert _refused(shop, RESERVE, order, A=2) == ("stock_conflict", [{"key": "A", "reserved": 0}])
        assert _level(shop, "A") == (10, 0, 10)
        assert _move(shop, RESERVE, order, "once more", A=2) == {"A": StockLevel(10, 2)}
        _move(shop, CANCEL, order, "that, too", A=2)


def test_a_movement_that_is_repeated_changes_nothing(shop: Shop) -> None:
    """It is answered as it was, whatever has happened since; under its id it can be no other."""
    _feed(shop, A=10)
    first = _move(shop, RESERVE, A=2)
    assert _move(shop, RESERVE, id="r2", A=2) == {"A": StockLevel(10, 4)}
    _move(shop, COMMIT, A=4)
    assert _move(shop, RESERVE, A=2) == first
    assert _move(shop, RESERVE, id="r2", A=2) == {"A": StockLevel(10, 4)}
    assert _refused(shop, RESERVE, id="r2", A=3)[0] == _refused(shop, CANCEL, id="r2", A=2)[0] == "stock_conflict"
    assert _level(shop, "A") == (6, 0, 6)
    assert _move(shop, RESERVE, "o2", "r2", A=2) == {"A": StockLevel(6, 2)}  # ids are the order's own


def test_a_feed_sets_the_number_and_touches_no_reservation(shop: Shop) -> None:
    """Also to the number that it had before an order took some; below what is reserved nothing is to be had."""
    _feed(shop, A=10)
    _move(shop, RESERVE, A=4)
    _move(shop, COMMIT, A=1)
    assert _level(shop, "A") == (9, 3, 6)
    batch = shop.run([{"id": "A", "quantity": 10}], kind=Kind.STOCK, collection="stock")
    assert batch.counts.updated == 1
    assert _level(shop, "A") == (10, 3, 7)
    _feed(shop, A=2)
    assert _level(shop, "A") == (2, 3, 0)
    assert _refused(shop, RESERVE, "o2", A=1)[0] == "stock_short"
    assert _move(shop, COMMIT, A=3) == {"A": StockLevel(0, 0)}


def test_an_item_goes_and_its_reservations_stay(shop: Shop) -> None:
    """They can be given back, committed and refunded, which changes no number; and count when the item comes back."""
    _feed(shop, A=10)
    _move(shop, RESERVE, A=6)
    _records(shop, {"id": "A"}, verb=Verb.DELETE)
    assert _level(shop, "A") == (None, 6, 0)
    assert _refused(shop, RESERVE, "o2", A=1)[0] == "stock_unknown"
    assert _move(shop, CANCEL, A=1) == {"A": StockLevel(None, 5)}
    assert _move(shop, COMMIT, A=2) == {"A": StockLevel(None, 3)}
    assert _move(shop, REFUND, A=1) == {"A": StockLevel(None, 3)}
    _feed(shop, A=10)
    assert _level(shop, "A") == (10, 3, 7)
    assert _move(shop, COMMIT, A=3) == {"A": StockLevel(7, 0)}


def test_the_number_is_where_the_document_has_it(shop: Shop) -> None:
    """At a location, as text, or further inside; what else the document holds stays."""
    key = item_key("A", "BLR-01")
    _records(shop, {"id": "A", "location": "BLR-01", "quantity": "10", "extra": {"left": 5, "note": "x"}})
    moved = shop.engine.stock.move("acme", "stock", StockMovement(order="o", verb=RESERVE, lines={key: 4}))
    assert moved == {key: StockLevel(10, 4)}
    shop.engine.stock.move("acme", "stock", StockMovement(order="o", verb=COMMIT, lines={key: 4}))
    inner = StockMovement(order="p", verb=RESERVE, lines={key: 4}, field="extra/left")
    assert shop.engine.stock.move("acme", "stock", inner) == {key: StockLevel(5, 4)}
    commit = StockMovement(order="p", verb=COMMIT, lines={key: 4}, field="extra/left")
    shop.engine.stock.move("acme", "stock", commit)
    assert shop.items("stock", kind=Kind.STOCK)[key] == {
        "id": "A", "location": "BLR-01", "quantity": 6, "extra": {"left": 1, "note": "x"}
    }
    no_number = StockMovement(order="q", verb=RESERVE, lines={key: 1}, field="extra/note")
    with pytest.raises(Refusal, match="no stock"):
        shop.engine.stock.move("acme", "stock", no_number)


def test_a_moved_item_is_still_the_feeds(shop: Shop) -> None:
    """Who wrote it and when stays; a full feed that lacks it deletes it, one that names it does not."""
    _feed(shop, A=10, B=10)
    before = shop.engine.item("acme", Kind.STOCK, "stock", "A")
    _move(shop, RESERVE, A=1, B=1)
    _move(shop, COMMIT, A=1, B=1)
    after = shop.engine.item("acme", Kind.STOCK, "stock", "A")
    assert (after.batch, after.written_at, after.version) == (before.batch, before.written_at, before.version)
    _records(shop, {"id": "B", "quantity": 9}, mode="full", delete_share_max=1.0)
    assert shop.items("stock", kind=Kind.STOCK) == {"B": {"id": "B", "quantity": 9}}


def test_what_is_kept_of_an_order_survives(shop: Shop, opens: Opens) -> None:
    """Another process knows it."""
    _feed(shop, A=10)
    _move(shop, RESERVE, A=4)
    again = open_store(shop.config)
    try:
        stock = Stock(again)
        movement = StockMovement(order="o1", verb=RESERVE, lines={"A": 4})
        assert stock.move("acme", "stock", movement) == {"A": StockLevel(10, 4)}
        movement = StockMovement(order="o1", verb=COMMIT, lines={"A": 4})
        assert stock.move("acme", "stock", movement) == {"A": StockLevel(6, 0)}
    finally:
        again.close()


def test_fifty_clients_never_sell_more_than_there_is(shop: Shop, tmp_path: Path) -> None:
    """From two processes with 25 threads each: of 100 orders of an A and a B, 40 get both and 60 nothing."""
    _feed(shop, A=60, B=40)
    outputs = [tmp_path / f"orders-{process}" for process in range(2)]
    buyers = [forked.start(buyer.buy_all, tmp_path, at, 25, 2, output=output) for at, output in enumerate(outputs)]
    for process in buyers:
        process.join(forked.SECONDS_MAX)
    assert [process.exitcode for process in buyers] == [0, 0]
    assert sum(int(output.read_text()) for output in outputs) == 40
    assert (_level(shop, "A"), _level(shop, "B")) == ((20, 0, 20), (0, 0, 0))


@pytest.mark.parametrize("taken_before", [1, 20])
def test_a_client_that_was_killed_says_it_again(shop: Shop, tmp_path: Path, taken_before: int) -> None:
    """All of it, not knowing how far it came: every order takes its pieces once."""
    _feed(shop, A=60, B=60)
    killed = forked.start(buyer.buy_all, tmp_path, 0, 10, 4, output=tmp_path / "nothing")
    while (_level(shop, "A")[0] or 0) > 60 - taken_before:
        assert killed.exitcode is None
    killed.kill()
    killed.join()
    again = forked.start(buyer.buy_all, tmp_path, 0, 10, 4, output=tmp_path / "orders")
    again.join(forked.SECONDS_MAX)
    assert again.exitcode == 0
    assert int((tmp_path / "orders").read_text()) == 40
    assert (_level(shop, "A"), _level(shop, "B")) == ((20, 0, 20), (20, 0, 20))


def test_movements_in_both_directions_never_wait_for_ever(shop: Shop) -> None:
    """Lines in whatever order, of the same items, at the same time."""
    _feed(shop, A=1000, B=1000, C=1000)
    faults: list[BaseException] = []

    def walk(at: int) -> None:
        keys = ["A", "B", "C"] if at % 2 else ["C", "B", "A"]
        try:
            for turn in range(10):
                _move(shop, RESERVE, f"o{at}", str(turn), **dict.fromkeys(keys, 1))
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=walk, args=(at,)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert {_level(shop, key) for key in "ABC"} == {(1000, 60, 940)}


@pytest.fixture
def beside(shop: Shop) -> Iterator[Stock]:
    """The stock as another process sees it."""
    store = open_store(shop.config)
    yield Stock(store)
    store.close()


def test_a_partial_record_writes_no_old_number_back(opens: Opens) -> None:
    """Feeds that change another member, of all items, while orders take from them: nothing taken comes back."""
    shop = opens("acme", chunk_records_max=7)
    keys = [f"K{n}" for n in range(20)]
    _feed(shop, **dict.fromkeys(keys, 1_000))
    store = open_store(shop.config)
    stop, taken, faults = threading.Event(), dict.fromkeys(keys, 0), []

    def take(at: int) -> None:
        turn = 0
        mine = keys[at::2]  # so that each count is one thread's
        try:
            while not stop.is_set():
                lines = {mine[turn % len(mine)]: 1, mine[(turn + 3) % len(mine)]: 2}
                for verb in (RESERVE, COMMIT):
                    Stock(store).move("acme", "stock", StockMovement(order=f"o{at}-{turn}", verb=verb, lines=lines))
                for key, quantity in lines.items():
                    taken[key] += quantity
                turn += 1
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=take, args=(at,)) for at in range(2)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(8):
            _records(shop, *({"id": key, "note": turn} for key in keys), verb=Verb.UPDATE)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        store.close()
    assert faults == []
    assert sum(taken.values()) > 0
    assert shop.items("stock", kind=Kind.STOCK) == {
        key: {"id": key, "quantity": 1_000 - taken[key], "note": 7} for key in keys
    }
