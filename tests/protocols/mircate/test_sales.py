"""Stock that orders change: each call as a whole and once, never more than is available, and beside feeds."""

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
    result = seller.final_status(seller.call("MerchantAPI/receiveStock", {"products": units}).json()["batchId"])
    assert result["failCount"] == 0


def _arguments(order: str, **lines: int) -> dict[str, Any]:
    products = [{"sku": sku, "quantity": quantity} for sku, quantity in lines.items()]
    return {"orderId": order, "channel": "web", "products": products}


def _level(seller: Mircate, sku: str) -> tuple[int, int, int]:
    response = seller.call("MerchantAPI/getCurrentStock", {"channel": "web", "products": [{"sku": sku}]})
    (row,) = response.json()["products"]
    return row["stock"], row["reserved"], row["available"]


def _status_when_free(seller: Mircate, method: str, arguments: dict[str, Any]) -> int:
    """Return the status after retries while the instance is busy, as the platform's client does."""
    until = time.monotonic() + 60
    while True:
        status = seller.call(f"MerchantAPI/{method}", arguments).status_code
        if status != 570:
            return status
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_course_of_an_order(seller: Mircate) -> None:
    """Each call of reserve, cancel, commit and refund returns the resulting levels."""
    _feed(seller, A=10, B=3)
    response = seller.call("MerchantAPI/reserveStock", _arguments("o1", A=4, B=3))
    assert response.json() == {"orderId": "o1", "products": [
        {"sku": "A", "channel": "web", "stock": 10, "reserved": 4, "available": 6},
        {"sku": "B", "channel": "web", "stock": 3, "reserved": 3, "available": 0},
    ]}
    assert seller.call("MerchantAPI/cancelStock", _arguments("o1", A=1)).status_code == 200
    assert _level(seller, "A") == (10, 3, 7)
    assert seller.call_by_get("MerchantAPI/commitStock", _arguments("o1", A=3, B=3)).status_code == 200
    assert (_level(seller, "A"), _level(seller, "B")) == ((7, 0, 7), (0, 0, 0))
    assert seller.call("MerchantAPI/refundStock", _arguments("o1", A=2)).status_code == 200
    assert _level(seller, "A") == (9, 0, 9)


def test_a_call_applies_all_lines_or_none(seller: Mircate) -> None:
    """The answer lists each line that cannot be applied."""
    _feed(seller, A=10, B=1)
    refused = seller.call("MerchantAPI/reserveStock", _arguments("o1", A=4, B=2))
    assert message(refused, 400) == "Insufficient stock! (B)"
    assert refused.json()["products"] == [{"sku": "B", "channel": "web", "quantity": 2, "available": 1}]
    assert message(seller.call("MerchantAPI/reserveStock", _arguments("o1", A=1, X=1)), 400) == "Product not found! (X)"
    for method in ("cancelStock", "commitStock", "refundStock"):
        refused = seller.call(f"MerchantAPI/{method}", _arguments("o1", A=1))
        assert message(refused, 400) == "Quantity was not reserved! (A)"
    assert _level(seller, "A") == (10, 0, 10)


def test_a_repeated_call_has_its_effect_once(seller: Mircate) -> None:
    """It gets the same answer; a call of another order is another call."""
    _feed(seller, A=10)
    first = seller.call("MerchantAPI/reserveStock", _arguments("o1", A=4))
    seller.call("MerchantAPI/reserveStock", _arguments("o2", A=1))
    assert seller.call("MerchantAPI/reserveStock", _arguments("o1", A=4)).json() == first.json()
    assert _level(seller, "A") == (10, 5, 5)
    for _ in range(2):
        assert seller.call("MerchantAPI/commitStock", _arguments("o1", A=4)).status_code == 200
    assert _level(seller, "A") == (6, 1, 5)


def test_a_feed_does_not_change_reservations(seller: Mircate) -> None:
    """The available stock is never negative."""
    _feed(seller, A=10)
    seller.call("MerchantAPI/reserveStock", _arguments("o1", A=6))
    _feed(seller, A=8)
    assert _level(seller, "A") == (8, 6, 2)
    _feed(seller, A=4)
    assert _level(seller, "A") == (4, 6, 0)
    assert seller.call("MerchantAPI/reserveStock", _arguments("o2", A=1)).status_code == 400
    assert seller.call("MerchantAPI/commitStock", _arguments("o1", A=6)).status_code == 200
    assert _level(seller, "A") == (0, 0, 0)
    _feed(seller, A=5)
    assert _level(seller, "A") == (5, 0, 5)


def test_the_stock_of_all_channels(seller: Mircate) -> None:
    """An unknown product has no stock in the default channel."""
    units = [{"sku": "A", "channel": channel, "stock": stock} for channel, stock in (("web", 1), ("app", 2))]
    units += [{"sku": "AB", "channel": "web", "stock": 3}, {"sku": "C", "stock": 4}]
    seller.final_status(seller.call("MerchantAPI/receiveStock", {"products": units}).json()["batchId"])
    arguments = {"products": [{"sku": "A"}, {"sku": "X"}, {"sku": "C"}, {"sku": "A"}]}
    rows = seller.call("MerchantAPI/getCurrentStock", arguments).json()["products"]
    result = [(row["sku"], row["channel"], row["available"]) for row in rows]
    assert result == [("A", "app", 2), ("A", "web", 1), ("X", "default", 0), ("C", "default", 4)]
    reserved = seller.call("MerchantAPI/reserveStock", {"orderId": "o", "products": [{"sku": "C", "quantity": 4}]})
    assert reserved.json()["products"][0]["available"] == 0


def test_the_stock_of_another_merchant_cannot_be_changed(seller: Mircate, stranger: Mircate) -> None:
    """Neither its id nor its project gives access."""
    _feed(stranger, A=10)
    arguments = _arguments("o1", A=1)
    assert message(seller.call("MerchantAPI/reserveStock", arguments), 400) == "Product not found! (A)"
    arguments["products"][0]["merchantId"] = stranger.merchant
    assert seller.call("MerchantAPI/reserveStock", arguments).status_code == 403
    assert seller.call("MerchantAPI/reserveStock", arguments, instance=stranger.merchant).status_code == 403
    assert stranger.call("MerchantAPI/reserveStock", arguments).status_code == 200


@pytest.mark.parametrize("quantity", [0, -1, 1.5, "1", None, True, 10**7])
def test_invalid_quantities_are_refused(seller: Mircate, quantity: object) -> None:
    """No line of the call is applied."""
    arguments = {"orderId": "o1", "products": [{"sku": "A", "quantity": quantity}]}
    assert seller.call("MerchantAPI/reserveStock", arguments).json()["code"] == "VALIDATION"


def test_cleaning_does_not_delay_orders(seller: Mircate) -> None:
    """Only cleaning itself is exclusive."""
    _feed(seller, A=1)
    store = seller.gate.shop.store
    store.reserve_idempotency_key(seller.merchant, f"{EXCLUSIVE}clean", lease_seconds=30)
    assert seller.call("MerchantAPI/reserveStock", _arguments("o1", A=1)).status_code == 200
    store.release_idempotency_key(seller.merchant, f"{EXCLUSIVE}clean")


def test_stock_is_never_negative_with_fifty_clients(seller: Mircate) -> None:
    """Clients reserve, cancel and commit, some twice, beside a feed; the sums are right."""
    _feed(seller, A=60, B=1_000)
    barrier, stop = threading.Barrier(CLIENTS), threading.Event()

    def order(number: int) -> tuple[int, int]:
        """Run the order of one client."""
        with closing(Mircate(seller.gate, seller.merchant)) as client:
            barrier.wait(30)
            wanted = 1 + number % 3
            arguments = _arguments(f"o{number}", A=wanted, B=1)
            answers = [_status_when_free(client, "reserveStock", arguments) for _ in range(1 + number % 2)]
            assert answers in ([200], [400], [200, 200], [400, 400], [400, 200])  # somebody may have cancelled
            if answers[-1] != 200:
                return 0, 0
            then = ("commitStock", "cancelStock", None)[number % 3]
            if then is not None:
                for _ in range(1 + number % 2):
                    assert _status_when_free(client, then, arguments) == 200
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
    """No reservation is lost or counted twice, whatever the feed sets."""
    _feed(seller, A=40)

    def order(number: int) -> int:
        """Reserved by one client, in pieces of A."""
        with closing(Mircate(seller.gate, seller.merchant)) as client:
            arguments = _arguments(f"o{number}", A=1)
            if _status_when_free(client, "reserveStock", arguments) != 200:
                return 0
            if number % 2:
                assert _status_when_free(client, "commitStock", arguments) == 200
            return 1 - number % 2

    with ThreadPoolExecutor(11) as pool:
        feeding = pool.submit(lambda: [_feed(seller, A=stock) for stock in (30, 50, 10, 40)])
        reserved = sum(pool.map(order, range(40)))
        feeding.result()
    assert _level(seller, "A")[1] == reserved
    _feed(seller, A=100)
    assert _level(seller, "A") == (100, reserved, 100 - reserved)
