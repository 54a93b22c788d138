"""The history of stock and prices."""

from typing import Any

import pytest

from tests.protocols.mircate.client import Mircate, message

HISTORY = "MerchantAPI/getStockPriceHistory"


def _push(seller: Mircate, method: str, **unit: Any) -> str:
    id = str(seller.call(f"MerchantAPI/{method}", {"products": [{"channel": "web", **unit}]}).json()["batchId"])
    seller.final_status(id)
    return id


@pytest.fixture
def changes(seller: Mircate) -> list[str]:
    """Send batches that change stock and price of A, and one that changes nothing."""
    return [
        _push(seller, "receiveStock", sku="A", stock=5), _push(seller, "receiveStock", sku="A", stock=3),
        _push(seller, "receiveStock", sku="A", stock=3), _push(seller, "receiveStock", sku="AB", stock=9),
        _push(seller, "receiveStock", sku="A", stock=7, channel="app"),
        _push(seller, "receivePrice", sku="A", price=10, currency="TRY"),
        _push(seller, "receivePrice", sku="A", price=10, discountedPrice=8.5, currency="TRY"),
    ]


def test_the_history_of_a_product(seller: Mircate, changes: list[str]) -> None:
    """Changes come newest first, with value, channel, time and batch."""
    result = seller.call(HISTORY, {"sku": "A"}).json()
    rows = [(row["type"], row["value"], row["channel"], row["batchId"]) for row in result["history"]]
    assert rows == [
        ("PRICE", 10, "web", changes[6]), ("PRICE", 10, "web", changes[5]), ("STOCK", 7, "app", changes[4]),
        ("STOCK", 3, "web", changes[1]), ("STOCK", 5, "web", changes[0]),
    ]
    assert result["total"] == 5
    assert result["history"][0]["discountedPrice"] == 8.5
    times = [row["createdAt"] for row in result["history"]]
    assert times == sorted(times, reverse=True)


def test_filters_and_pages(seller: Mircate, changes: list[str]) -> None:
    """A call can name a channel, a type, times and a page, by either verb."""
    every = seller.call(HISTORY, {"sku": "A"}).json()["history"]
    assert seller.call(HISTORY, {"sku": "A", "channel": "web", "type": "STOCK"}).json()["history"] == every[3:]
    middle = every[2]["createdAt"]
    assert seller.call(HISTORY, {"sku": "A", "from": middle}).json()["history"] == every[:3]
    assert seller.call(HISTORY, {"sku": "A", "to": middle}).json()["history"] == every[2:]
    page = seller.call_by_get(HISTORY, {"sku": "A", "pageFrom": 1, "pageSize": 2}).json()
    assert (page["history"], page["total"]) == (every[1:3], 5)
    assert seller.get(seller.path(HISTORY), params={"sku": "A", "pageSize": "1"}).json()["history"] == every[:1]
    assert seller.call(HISTORY, {"sku": "A", "pageSize": 10**9}).json()["history"] == every


def test_unknown_products_have_no_history(seller: Mircate, stranger: Mircate, changes: list[str]) -> None:
    """Neither have those of another merchant."""
    for client, sku in ((seller, "B"), (stranger, "A")):
        assert client.call(HISTORY, {"sku": sku}).json() == {"history": [], "total": 0}


def test_invalid_arguments_are_refused(seller: Mircate) -> None:
    """The answer has the reason."""
    assert message(seller.call(HISTORY, {"sku": "A", "from": "yesterday"}), 400).startswith("from must be a time")
    for arguments in ({}, {"sku": "A", "type": "stock"}, {"sku": "A", "pageSize": -1}, {"sku": ""}):
        assert seller.call(HISTORY, arguments).json()["code"] == "VALIDATION"
