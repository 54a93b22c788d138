"""What stock and prices were."""

from typing import Any

import pytest

from tests.protocols.mircate.client import Mircate, message

HISTORY = "MerchantAPI/getStockPriceHistory"


def _push(seller: Mircate, method: str, **unit: Any) -> str:
    id = str(seller.call(f"MerchantAPI/{method}", {"products": [{"channel": "web", **unit}]}).json()["batchId"])
    seller.ended(id)
    return id


@pytest.fixture
def pushed(seller: Mircate) -> list[str]:
    """Batches that changed stock and price of A, and one that changed nothing."""
    return [
        _push(seller, "receiveStock", sku="A", stock=5), _push(seller, "receiveStock", sku="A", stock=3),
        _push(seller, "receiveStock", sku="A", stock=3), _push(seller, "receiveStock", sku="AB", stock=9),
        _push(seller, "receiveStock", sku="A", stock=7, channel="app"),
        _push(seller, "receivePrice", sku="A", price=10, currency="TRY"),
        _push(seller, "receivePrice", sku="A", price=10, discountedPrice=8.5, currency="TRY"),
    ]


def test_the_history_of_a_product(seller: Mircate, pushed: list[str]) -> None:
    """Newest first; each change with its value, its channel, its time and the batch that brought it."""
    told = seller.call(HISTORY, {"sku": "A"}).json()
    rows = [(row["type"], row["value"], row["channel"], row["batchId"]) for row in told["history"]]
    assert rows == [
        ("PRICE", 10, "web", pushed[6]), ("PRICE", 10, "web", pushed[5]), ("STOCK", 7, "app", pushed[4]),
        ("STOCK", 3, "web", pushed[1]), ("STOCK", 5, "web", pushed[0]),
    ]
    assert told["total"] == 5
    assert told["history"][0]["discountedPrice"] == 8.5
    times = [row["createdAt"] for row in told["history"]]
    assert times == sorted(times, reverse=True)


def test_what_is_asked_for(seller: Mircate, pushed: list[str]) -> None:
    """One channel, one type, a time, a page; by either verb."""
    every = seller.call(HISTORY, {"sku": "A"}).json()["history"]
    assert seller.call(HISTORY, {"sku": "A", "channel": "web", "type": "STOCK"}).json()["history"] == every[3:]
    middle = every[2]["createdAt"]
    assert seller.call(HISTORY, {"sku": "A", "from": middle}).json()["history"] == every[:3]
    assert seller.call(HISTORY, {"sku": "A", "to": middle}).json()["history"] == every[2:]
    page = seller.ask(HISTORY, {"sku": "A", "pageFrom": 1, "pageSize": 2}).json()
    assert (page["history"], page["total"]) == (every[1:3], 5)
    assert seller.get(seller.path(HISTORY), params={"sku": "A", "pageSize": "1"}).json()["history"] == every[:1]


def test_nothing_is_known_of_what_is_not_held(seller: Mircate, stranger: Mircate, pushed: list[str]) -> None:
    """Nor of what is somebody else's."""
    for client, sku in ((seller, "B"), (stranger, "A")):
        assert client.call(HISTORY, {"sku": sku}).json() == {"history": [], "total": 0}


def test_a_question_that_makes_no_sense_is_refused(seller: Mircate) -> None:
    """With what is wrong."""
    assert message(seller.call(HISTORY, {"sku": "A", "from": "yesterday"}), 400).startswith("from must be a time")
    for words in ({}, {"sku": "A", "type": "stock"}, {"sku": "A", "pageSize": -1}, {"sku": ""}):
        assert seller.call(HISTORY, words).json()["code"] == "VALIDATION"
