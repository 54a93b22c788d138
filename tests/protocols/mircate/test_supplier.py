"""Stock and prices as they come in, and what became of them."""

from typing import Any

import orjson
import pytest

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import ReferenceEntry, item_key
from tests.protocols.mircate.client import Mircate, message


def _units(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"sku": f"A-{at}", "channel": "web", "stock": at, "price": at + 0.5, **more} for at in range(count)]


def test_stock_and_prices_are_held(seller: Mircate) -> None:
    """Under SKU and channel, other members and all."""
    stock = {"sku": "A-1", "channel": "web", "stock": 5, "shelf": "B7"}
    price = {"sku": "A-1", "channel": "web", "price": 9.5, "discountedPrice": 9, "currency": "TRY"}
    for method, unit, kind in (("receiveStock", stock, Kind.STOCK), ("receivePrice", price, Kind.PRICE)):
        response = seller.call(f"MerchantAPI/{method}", {"products": [unit]})
        assert response.status_code == 200
        told = response.json()
        assert set(told) == {"batchId", "batchIds", "bulkOperationId"}
        assert told["batchIds"] == [told["batchId"]]
        assert seller.ended(told["batchId"]) == {
            "batchStatus": "DONE", "failCount": 0, "successCount": 1, "failedProducts": [], "ratio": "1/1",
            "pushPriceFrequency": 0, "bulkOperationType": kind.upper(),
        }
        item = seller.gate.shop.store.item(seller.merchant, kind, "mircate", item_key("A-1", "web"))
        assert item is not None
        (entry,) = orjson.loads(item.document).pop("_history")
        assert entry["batch"] == told["batchId"]
        assert {**unit, "_history": [entry]} == orjson.loads(item.document)


def test_more_than_500_units_are_several_batches(seller: Mircate) -> None:
    """Each with a status of its own; all of the request is accepted at once."""
    units = _units(1201)
    units[700]["stock"] = -1
    told = seller.call("MerchantAPI/receiveStock", {"products": units, "bulkOperationId": "night-1"}).json()
    assert told["bulkOperationId"] == "night-1"
    assert len(told["batchIds"]) == 3
    first, second, third = [seller.ended(id) for id in told["batchIds"]]
    assert [part["ratio"] for part in (first, second, third)] == ["500/500", "500/500", "201/201"]
    assert [part["failCount"] for part in (first, second, third)] == [0, 1, 0]
    assert second["failedProducts"] == [
        {"sku": "A-700", "channel": "web", "message": "stock is -1; it cannot be negative"}
    ]
    assert len(seller.gate.shop.items("mircate", kind=Kind.STOCK, merchant=seller.merchant)) == 1200


def test_a_unit_that_is_wrong_harms_no_other(seller: Mircate) -> None:
    """And gets all its issues."""
    units: list[Any] = [
        {"sku": "A", "price": 1}, {"sku": "B", "price": -1, "currency": "try"}, {"price": 1}, 7,
        {"sku": "C", "price": 1, "discountedPrice": 2}, {"sku": "D"}, {"productId": 12, "price": 1},
        {"productId": "E", "sku": "", "channel": None, "price": "1"},
    ]
    told = seller.ended(seller.call("MerchantAPI/receivePrice", {"products": units}).json()["batchId"])
    assert (told["batchStatus"], told["successCount"], told["failCount"]) == ("DONE", 2, 6)
    assert [(one["sku"], one["channel"]) for one in told["failedProducts"]] == [
        ("B", "default"), ("", "default"), ("", ""), ("C", "default"), ("D", "default"), ("E", "default")
    ]
    assert "price" in told["failedProducts"][0]["message"]
    assert "currency" in told["failedProducts"][0]["message"]
    assert "sku is missing" in told["failedProducts"][1]["message"]
    assert set(seller.gate.shop.items("mircate", kind=Kind.PRICE, merchant=seller.merchant)) == {
        item_key("A", "default"), item_key("12", "default")
    }


def test_a_channel_must_be_one_of_the_merchants(seller: Mircate) -> None:
    """Where locations are loaded; else any is."""
    seller.gate.shop.store.put_reference(seller.merchant, "location", [ReferenceEntry(code="web"),
        ReferenceEntry(code="app")])
    units = [{"sku": "A", "channel": "web", "stock": 1}, {"sku": "A", "channel": "fax", "stock": 1}]
    told = seller.ended(seller.call("MerchantAPI/receiveStock", {"products": units}).json()["batchId"])
    assert told["failedProducts"] == [{"sku": "A", "channel": "fax", "message": "Channel not found"}]


def test_the_last_of_two_units_counts(seller: Mircate) -> None:
    """Inside a request, and between two of them."""
    key = item_key("A", "web")
    twice = [{"sku": "A", "channel": "web", "stock": stock} for stock in (1, 2)]
    seller.ended(seller.call("MerchantAPI/receiveStock", {"products": twice}).json()["batchId"])
    held = seller.gate.shop.items("mircate", kind=Kind.STOCK, merchant=seller.merchant)
    assert held[key]["stock"] == 2


def test_a_batch_is_asked_for_by_either_verb(seller: Mircate) -> None:
    """GET is published; the platform takes both."""
    id = seller.call("MerchantAPI/receiveStock", {"products": _units(1)}).json()["batchId"]
    seller.ended(id)
    asked = [seller.get(seller.path("MerchantImportJob/checkBatchStatus", id))]
    asked.append(seller.ask("MerchantImportJob/checkBatchStatus", instance=id))
    asked.append(seller.call("MerchantImportJob/checkBatchStatus", instance=id))
    assert len({response.text for response in asked}) == 1


@pytest.mark.parametrize("id", ["0" * 32, "x", "../..", "0" * 32 + "-1", "%00"])
def test_a_batch_that_nobody_has_is_404(seller: Mircate, id: str) -> None:
    """Whatever its form."""
    assert message(seller.get(seller.path("MerchantImportJob/checkBatchStatus", id)), 404) == "Record Not Found"


def test_a_batch_of_somebody_else_is_404(seller: Mircate, stranger: Mircate) -> None:
    """As one that nobody has; so is one of another protocol, and a part behind the last."""
    id = seller.call("MerchantAPI/receiveStock", {"products": _units(1)}).json()["batchId"]
    other = seller.gate.shop.send([{"id": "x", "title": "x"}], merchant=seller.merchant)
    asked = [stranger.get(stranger.path("MerchantImportJob/checkBatchStatus", id))]
    asked += [seller.get(seller.path("MerchantImportJob/checkBatchStatus", it)) for it in (other, f"{id}-1")]
    assert [message(response, 404) for response in asked] == ["Record Not Found"] * 3


def test_a_batch_that_was_cancelled_has_failed(seller: Mircate) -> None:
    """By the operator, before it was worked; what came before it is done."""
    engine = seller.gate.shop.engine
    id = seller.call("MerchantAPI/receiveStock", {"products": _units(600)}).json()["batchIds"][1]
    engine.cancel(seller.merchant, id[:32])
    told = seller.ended(id)
    assert told["batchStatus"] in ("DONE", "FAILED")
    worked = told["successCount"] + told["failCount"]
    assert (told["batchStatus"] == "DONE") == (worked == 100)


def test_a_request_may_be_as_large_as_it_may_be(seller: Mircate) -> None:
    """50,000 units at once are 100 batches; one more is refused."""
    units = _units(50_001)
    assert seller.call("MerchantAPI/receiveStock", {"products": units}).json()["code"] == "VALIDATION"
    ids = seller.call("MerchantAPI/receiveStock", {"products": units[1:]}).json()["batchIds"]
    assert len(ids) == 100
    assert seller.ended(ids[-1])["ratio"] == "500/500"
