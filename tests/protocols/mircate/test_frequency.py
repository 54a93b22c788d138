"""The pause between two pushes: the batch takes its time, and nobody else is delayed."""

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
    units = seller.gate.shop.items("mircate", kind=Kind.STOCK, merchant=seller.merchant)
    return {unit["sku"]: unit["stock"] for unit in units.values()}


def test_pushes_are_a_second_apart(seller: Mircate) -> None:
    """The status reports progress; the other batch of the request waits for its turn."""
    first, second = _send(seller, _units(*range(501)), frequency=10)
    result = seller.status(first, until=lambda result: result["successCount"] == 1)
    assert result == {
        "batchStatus": "RUNNING", "failCount": 0, "successCount": 1, "failedProducts": [], "ratio": "1/500",
        "pushPriceFrequency": 10, "bulkOperationType": "STOCK",
    }
    assert seller.status(second)["batchStatus"] == "WAITING"


def test_a_batch_that_is_paced_ends(seller: Mircate) -> None:
    """It ends once all units are pushed and wrong ones are reported."""
    (id,) = _send(seller, _units(1, -1, 3), frequency=1)
    result = seller.final_status(id)
    assert (result["batchStatus"], result["successCount"], result["failCount"], result["ratio"]) == ("DONE", 2, 1,
        "3/3")
    assert result["pushPriceFrequency"] == 1
    assert _stock(seller) == {"A-0": 1, "A-2": 3}


def test_later_requests_are_not_delayed_or_overwritten(seller: Mircate) -> None:
    """A newer value is not overwritten by an older one that is pushed later."""
    (paced,) = _send(seller, _units(1, 2, 3), frequency=1)
    seller.status(paced, until=lambda result: result["successCount"] >= 1)
    (newer,) = _send(seller, [{"sku": "A-2", "channel": "web", "stock": 30}, *_units(9, first="B")])
    assert seller.final_status(newer)["ratio"] == "2/2"
    result = seller.final_status(paced)
    assert (result["batchStatus"], result["ratio"], result["failCount"]) == ("DONE", "3/3", 0)
    assert _stock(seller) == {"A-0": 1, "A-1": 2, "A-2": 30, "B-0": 9}


def test_cleaning_a_project_stops_its_pushes(seller: Mircate) -> None:
    """The batch fails after the units that were pushed before."""
    (paced,) = _send(seller, _units(1, 2, 3), frequency=10)
    seller.status(paced, until=lambda result: result["successCount"] == 1)
    assert seller.call("MerchantAPI/cleanMyProducts").status_code == 204
    result = seller.final_status(paced)
    assert (result["batchStatus"], result["ratio"]) == ("FAILED", "1/3")
    seller.idle()
    assert _stock(seller) == {}


def test_removed_products_are_not_pushed_later(seller: Mircate) -> None:
    """This holds for a named channel and units that were accepted before."""
    (paced,) = _send(seller, _units(1, 2, 3), frequency=1)
    seller.status(paced, until=lambda result: result["successCount"] >= 1)
    named = [{"sku": "A-2", "channel": "web"}]
    seller.call("MerchantAPI/removeMyProducts", {"products": named})
    result = seller.final_status(paced)
    assert (result["batchStatus"], result["ratio"]) == ("DONE", "3/3")
    seller.idle()
    assert _stock(seller) == {"A-0": 1, "A-1": 2}


def test_a_frequency_is_from_0_to_10(seller: Mircate) -> None:
    """It is a whole number of seconds."""
    for frequency in (-1, 11, 0.5, "1"):
        refused = seller.call("MerchantAPI/receivePrice", {"products": _units(1), "frequency": frequency})
        assert refused.json()["code"] == "VALIDATION"
    for frequency in (0, 10):
        result = seller.call("MerchantAPI/receivePrice", {"products": _units(1), "frequency": frequency})
        assert seller.status(result.json()["batchId"])["pushPriceFrequency"] == frequency
