"""Stock that orders move: whole calls, each once, never more than there is, and right beside feeds."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from goodsgate.protocols.mircate.dispatcher import EXCLUSIVE
from tests.protocols.mircate.client import Mircate, message

CLIENTS = 50


def _feed(seller: Mircate, **stock: int) -> None:
    units = [{"sku": sku, "channel": "web", "stock": count} for sku, count in stock.items()]
    told = seller.ended(seller.call("MerchantAPI/receiveStock", {"products": units}).json()["batchId"])
    assert told["failCount"] == 0


def _words(order: str, **lines: int) -> dict[str, Any]:
    products = [{"sku": sku, "quantity": quantity} for sku, quantity in lines.items()]
    return {"orderId": order, "channel": "web", "products": products}


def _level(seller: Mircate, sku: str) -> tuple[int, int, int]:
    asked = seller.call("MerchantAPI/getCurrentStock", {"channel": "web", "products": [{"sku": sku}]})
    (row,) = asked.json()["products"]
    return row["stock"], row["reserved"], row["available"]


def _patient(seller: Mircate, method: str, words: dict[str, Any]) -> int:
    """The status, tried again while the instance is busy, as the platform's own client does."""
    until = time.monotonic() + 30
    while True:
        status = seller.call(f"MerchantAPI/{method}", words).status_code
        if status != 570:
            return status
        assert time.monotonic() < until
        time.sleep(0.05)


def test_an_order_goes_its_way(seller: Mircate) -> None:
    """Reserved, partly cancelled, committed, partly refunded; each call tells how the products stand."""
    _feed(seller, A=10, B=3)
    response = seller.call("MerchantAPI/reserveStock", _words("o1", A=4, B=3))
    assert response.json() == {"orderId": "o1", "products": [
        {"sku": "A", "channel": "web", "stock": 10, "reserved": 4, "available": 6},
        {"sku": "B", "channel": "web", "stock": 3, "reserved": 3, "available": 0},
    ]}
    assert seller.call("MerchantAPI/cancelStock", _words("o1", A=1)).status_code == 200
    assert _level(seller, "A") == (10, 3, 7)
    assert seller.ask("MerchantAPI/commitStock", _words("o1", A=3, B=3)).status_code == 200
    assert (_level(seller, "A"), _level(seller, "B")) == ((7, 0, 7), (0, 0, 0))
    assert seller.call("MerchantAPI/refundStock", _words("o1", A=2)).status_code == 200
    assert _level(seller, "A") == (9, 0, 9)


def test_a_call_is_whole_or_not_at_all(seller: Mircate) -> None:
    """What stands in the way is told, line by line; nothing of the others is done."""
    _feed(seller, A=10, B=1)
    refused = seller.call("MerchantAPI/reserveStock", _words("o1", A=4, B=2))
    assert message(refused, 400) == "Insufficient stock! (B)"
    assert refused.json()["products"] == [{"sku": "B", "channel": "web", "quantity": 2, "available": 1}]
    assert message(seller.call("MerchantAPI/reserveStock", _words("o1", A=1, X=1)), 400) == "Product not found! (X)"
    for method in ("cancelStock", "commitStock", "refundStock"):
        refused = seller.call(f"MerchantAPI/{method}", _words("o1", A=1))
        assert message(refused, 400) == "Quantity was not reserved! (A)"
    assert _level(seller, "A") == (10, 0, 10)


def test_a_call_that_is_made_again_has_its_effect_once(seller: Mircate) -> None:
    """And is answered as it was; another order is another call."""
    _feed(seller, A=10)
    first = seller.call("MerchantAPI/reserveStock", _words("o1", A=4))
    seller.call("MerchantAPI/reserveStock", _words("o2", A=1))
    assert seller.call("MerchantAPI/reserveStock", _words("o1", A=4)).json() == first.json()
    assert _level(seller, "A") == (10, 5, 5)
    for _ in range(2):
        assert seller.call("MerchantAPI/commitStock", _words("o1", A=4)).status_code == 200
    assert _level(seller, "A") == (6, 1, 5)


def test_a_feed_sets_the_stock_beside_what_is_reserved(seller: Mircate) -> None:
    """Whatever it sets, what is reserved stays reserved, and what is available is never less than nothing."""
    _feed(seller, A=10)
    seller.call("MerchantAPI/reserveStock", _words("o1", A=6))
    _feed(seller, A=8)
    assert _level(seller, "A") == (8, 6, 2)
    _feed(seller, A=4)
    assert _level(seller, "A") == (4, 6, 0)
    assert seller.call("MerchantAPI/reserveStock", _words("o2", A=1)).status_code == 400
    assert seller.call("MerchantAPI/commitStock", _words("o1", A=6)).status_code == 200
    assert _level(seller, "A") == (0, 0, 0)
    _feed(seller, A=5)
    assert _level(seller, "A") == (5, 0, 5)


def test_the_stock_of_all_channels(seller: Mircate) -> None:
    """Of products that are held; of another it is nothing in the channel that units without one have."""
    units = [{"sku": "A", "channel": channel, "stock": stock} for channel, stock in (("web", 1), ("app", 2))]
    units += [{"sku": "AB", "channel": "web", "stock": 3}, {"sku": "C", "stock": 4}]
    seller.ended(seller.call("MerchantAPI/receiveStock", {"products": units}).json()["batchId"])
    asked = {"products": [{"sku": "A"}, {"sku": "X"}, {"sku": "C"}, {"sku": "A"}]}
    rows = seller.call("MerchantAPI/getCurrentStock", asked).json()["products"]
    told = [(row["sku"], row["channel"], row["available"]) for row in rows]
    assert told == [("A", "app", 2), ("A", "web", 1), ("X", "default", 0), ("C", "default", 4)]
    reserved = seller.call("MerchantAPI/reserveStock", {"orderId": "o", "products": [{"sku": "C", "quantity": 4}]})
    assert reserved.json()["products"][0]["available"] == 0


def test_stock_of_somebody_else_is_not_moved(seller: Mircate, stranger: Mircate) -> None:
    """By naming its merchant, or by its project."""
    _feed(stranger, A=10)
    words = _words("o1", A=1)
    assert message(seller.call("MerchantAPI/reserveStock", words), 400) == "Product not found! (A)"
    words["products"][0]["merchantId"] = stranger.merchant
    assert seller.call("MerchantAPI/reserveStock", words).status_code == 403
    assert seller.call("MerchantAPI/reserveStock", words, instance=stranger.merchant).status_code == 403
    assert stranger.call("MerchantAPI/reserveStock", words).status_code == 200


@pytest.mark.parametrize("quantity", [0, -1, 1.5, "1", None, True, 10**7])
def test_a_quantity_that_is_none_is_refused(seller: Mircate, quantity: object) -> None:
    """Before anything is moved."""
    words = {"orderId": "o1", "products": [{"sku": "A", "quantity": quantity}]}
    assert seller.call("MerchantAPI/reserveStock", words).json()["code"] == "VALIDATION"


def test_what_is_cleaned_does_not_hold_up_orders(seller: Mircate) -> None:
    """Exclusive is what must be, and nothing else."""
    _feed(seller, A=1)
    store = seller.gate.shop.store
    store.reserve_idempotency_key(seller.merchant, f"{EXCLUSIVE}clean", lease_seconds=30)
    assert seller.call("MerchantAPI/reserveStock", _words("o1", A=1)).status_code == 200
    store.release_idempotency_key(seller.merchant, f"{EXCLUSIVE}clean")


def test_never_below_nothing_under_fifty_clients(seller: Mircate) -> None:
    """Each reserves, some cancel, some commit, some twice, while a feed comes in: the sums are right in the end."""
    _feed(seller, A=60, B=1_000)
    barrier, stop = threading.Barrier(CLIENTS), threading.Event()

    def order(number: int) -> tuple[int, int]:
        """Reserved and committed by one client, in pieces of A."""
        with closing(Mircate(seller.gate, seller.merchant)) as client:
            barrier.wait(30)
            wanted = 1 + number % 3
            words = _words(f"o{number}", A=wanted, B=1)
            answers = [_patient(client, "reserveStock", words) for _ in range(1 + number % 2)]
            assert answers in ([200], [400], [200, 200], [400, 400], [400, 200])  # somebody may have cancelled
            if answers[-1] != 200:
                return 0, 0
            then = ("commitStock", "cancelStock", None)[number % 3]
            if then is not None:
                for _ in range(1 + number % 2):
                    assert _patient(client, then, words) == 200
            return (wanted if then is None else 0), (wanted if then == "commitStock" else 0)

    def watch() -> None:
        while not stop.is_set():
            stock, reserved, available = _level(seller, "A")
            assert available == max(0, stock - reserved)
            assert 0 <= reserved <= 60
            assert stock >= 0
            _feed(seller, C=1)

    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        watching = pool.submit(watch)
        try:
            done = [*pool.map(order, range(CLIENTS))]
        finally:
            stop.set()
        watching.result()
    reserved, committed = (sum(numbers) for numbers in zip(*done, strict=True))
    assert _level(seller, "A") == (60 - committed, reserved, 60 - committed - reserved)
    assert committed + reserved <= 60


def test_orders_and_a_feed_of_the_same_product(seller: Mircate) -> None:
    """Whatever the feed sets while orders reserve and commit, no reservation is lost and none is there twice."""
    _feed(seller, A=40)

    def order(number: int) -> int:
        """Reserved by one client, in pieces of A."""
        with closing(Mircate(seller.gate, seller.merchant)) as client:
            words = _words(f"o{number}", A=1)
            if _patient(client, "reserveStock", words) != 200:
                return 0
            if number % 2:
                assert _patient(client, "commitStock", words) == 200
            return 1 - number % 2

    with ThreadPoolExecutor(11) as pool:
        feeding = pool.submit(lambda: [_feed(seller, A=stock) for stock in (30, 50, 10, 40)])
        reserved = sum(pool.map(order, range(40)))
        feeding.result()
    assert _level(seller, "A")[1] == reserved
    _feed(seller, A=100)
    assert _level(seller, "A") == (100, reserved, 100 - reserved)
