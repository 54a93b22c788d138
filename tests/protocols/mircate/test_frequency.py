"""Seconds between two pushes: the batch takes its time, and nobody else is held up by it."""

from typing import Any

from goodsgate.model.batch import Kind
from tests.protocols.mircate.client import Mircate


def _units(*numbers: int, first: str = "A") -> list[dict[str, Any]]:
    return [{"sku": f"{first}-{at}", "channel": "web", "stock": stock} for at, stock in enumerate(numbers)]


def _send(seller: Mircate, units: list[dict[str, Any]], **more: Any) -> list[str]:
    response = seller.call("MerchantAPI/receiveStock", {"products": units, **more})
    assert response.status_code == 200, response.text
    return list(response.json()["batchIds"])


def _stock(seller: Mircate) -> dict[str, int]:
    held = seller.gate.shop.items("mircate", kind=Kind.STOCK, merchant=seller.merchant)
    return {unit["sku"]: unit["stock"] for unit in held.values()}


def test_pushes_are_a_second_apart(seller: Mircate) -> None:
    """What is pushed is told on the way; the other batch of the request waits for its turn."""
    first, second = _send(seller, _units(*range(501)), frequency=10)
    told = seller.status(first, until=lambda told: told["successCount"] == 1)
    assert told == {
        "batchStatus": "RUNNING", "failCount": 0, "successCount": 1, "failedProducts": [], "ratio": "1/500",
        "pushPriceFrequency": 10, "bulkOperationType": "STOCK",
    }
    assert seller.status(second)["batchStatus"] == "WAITING"


def test_a_batch_that_is_paced_ends(seller: Mircate) -> None:
    """With every unit pushed, the wrong ones told."""
    (id,) = _send(seller, _units(1, -1, 3), frequency=1)
    told = seller.ended(id)
    assert (told["batchStatus"], told["successCount"], told["failCount"], told["ratio"]) == ("DONE", 2, 1, "3/3")
    assert told["pushPriceFrequency"] == 1
    assert _stock(seller) == {"A-0": 1, "A-2": 3}


def test_what_comes_later_is_not_held_up_and_stays(seller: Mircate) -> None:
    """A number that was sent later is not undone by one that was sent earlier and is pushed later."""
    (paced,) = _send(seller, _units(1, 2, 3), frequency=1)
    seller.status(paced, until=lambda told: told["successCount"] >= 1)
    (newer,) = _send(seller, [{"sku": "A-2", "channel": "web", "stock": 30}, *_units(9, first="B")])
    assert seller.ended(newer)["ratio"] == "2/2"
    told = seller.ended(paced)
    assert (told["batchStatus"], told["ratio"], told["failCount"]) == ("DONE", "3/3", 0)
    assert _stock(seller) == {"A-0": 1, "A-1": 2, "A-2": 30, "B-0": 9}


def test_a_project_that_is_cleaned_is_pushed_no_more(seller: Mircate) -> None:
    """The batch has failed, with what was pushed of it."""
    (paced,) = _send(seller, _units(1, 2, 3), frequency=10)
    seller.status(paced, until=lambda told: told["successCount"] == 1)
    assert seller.call("MerchantAPI/cleanMyProducts").status_code == 204
    told = seller.ended(paced)
    assert (told["batchStatus"], told["ratio"]) == ("FAILED", "1/3")
    seller.idle()
    assert _stock(seller) == {}


def test_what_is_removed_is_not_pushed_later(seller: Mircate) -> None:
    """In a channel that is named; it was accepted before."""
    (paced,) = _send(seller, _units(1, 2, 3), frequency=1)
    seller.status(paced, until=lambda told: told["successCount"] >= 1)
    named = [{"sku": "A-2", "channel": "web"}]
    seller.call("MerchantAPI/removeMyProducts", {"products": named})
    told = seller.ended(paced)
    assert (told["batchStatus"], told["ratio"]) == ("DONE", "3/3")
    seller.idle()
    assert _stock(seller) == {"A-0": 1, "A-1": 2}


def test_a_frequency_is_from_0_to_10(seller: Mircate) -> None:
    """Whole seconds."""
    for frequency in (-1, 11, 0.5, "1"):
        refused = seller.call("MerchantAPI/receivePrice", {"products": _units(1), "frequency": frequency})
        assert refused.json()["code"] == "VALIDATION"
    for frequency in (0, 10):
        told = seller.call("MerchantAPI/receivePrice", {"products": _units(1), "frequency": frequency})
        assert seller.status(told.json()["batchId"])["pushPriceFrequency"] == frequency
