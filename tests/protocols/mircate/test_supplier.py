"""Stock and prices that merchants send, and the status of their batches."""

import time
from typing import Any

import orjson
import pytest

from goodsgate.engine.saved_guards import save_guard
from goodsgate.model.batch import Kind, State
from goodsgate.model.catalogue import ReferenceEntry, item_key
from goodsgate.model.guard import Guard
from tests.protocols.mircate.client import Mircate, message


def _units(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"sku": f"A-{at}", "channel": "web", "stock": at, "price": at + 0.5, **more} for at in range(count)]


def test_stock_and_prices_are_stored(seller: Mircate) -> None:
    """They are stored under SKU and channel, with other members."""
    stock = {"sku": "A-1", "channel": "web", "stock": 5, "shelf": "B7"}
    price = {"sku": "A-1", "channel": "web", "price": 9.5, "discountedPrice": 9, "currency": "TRY"}
    for method, unit, kind in (("receiveStock", stock, Kind.STOCK), ("receivePrice", price, Kind.PRICE)):
        response = seller.call(f"MerchantAPI/{method}", {"products": [unit]})
        assert response.status_code == 200
        result = response.json()
        assert set(result) == {"batchId", "batchIds", "bulkOperationId"}
        assert result["batchIds"] == [result["batchId"]]
        assert seller.final_status(result["batchId"]) == {
            "batchStatus": "DONE", "failCount": 0, "successCount": 1, "failedProducts": [], "ratio": "1/1",
            "pushPriceFrequency": 0, "bulkOperationType": kind.upper(),
        }
        item = seller.gate.shop.store.item(seller.merchant, kind, "mircate", item_key("A-1", "web"))
        assert item is not None
        (entry,) = orjson.loads(item.document).pop("_history")
        assert entry["batch"] == result["batchId"]
        assert {**unit, "_history": [entry]} == orjson.loads(item.document)


def test_more_than_500_units_are_several_batches(seller: Mircate) -> None:
    """Each has a status of its own; the request is accepted as a whole."""
    units = _units(1201)
    units[700]["stock"] = -1
    result = seller.call("MerchantAPI/receiveStock", {"products": units, "bulkOperationId": "night-1"}).json()
    assert result["bulkOperationId"] == "night-1"
    assert len(result["batchIds"]) == 3
    first, second, third = [seller.final_status(id) for id in result["batchIds"]]
    assert [part["ratio"] for part in (first, second, third)] == ["500/500", "500/500", "201/201"]
    assert [part["failCount"] for part in (first, second, third)] == [0, 1, 0]
    assert second["failedProducts"] == [
        {"sku": "A-700", "channel": "web", "message": "stock is -1; it cannot be negative"}
    ]
    assert len(seller.gate.shop.items("mircate", kind=Kind.STOCK, merchant=seller.merchant)) == 1200


def test_a_wrong_unit_does_not_affect_others(seller: Mircate) -> None:
    """It gets all its issues."""
    units: list[Any] = [
        {"sku": "A", "price": 1}, {"sku": "B", "price": -1, "currency": "try"}, {"price": 1}, 7,
        {"sku": "C", "price": 1, "discountedPrice": 2}, {"sku": "D"}, {"productId": 12, "price": 1},
        {"productId": "E", "sku": "", "channel": None, "price": "1"},
    ]
    result = seller.final_status(seller.call("MerchantAPI/receivePrice", {"products": units}).json()["batchId"])
    assert (result["batchStatus"], result["successCount"], result["failCount"]) == ("DONE", 2, 6)
    assert [(one["sku"], one["channel"]) for one in result["failedProducts"]] == [
        ("B", "default"), ("", "default"), ("", ""), ("C", "default"), ("D", "default"), ("E", "default")
    ]
    assert "price" in result["failedProducts"][0]["message"]
    assert "currency" in result["failedProducts"][0]["message"]
    assert "sku is missing" in result["failedProducts"][1]["message"]
    assert set(seller.gate.shop.items("mircate", kind=Kind.PRICE, merchant=seller.merchant)) == {
        item_key("A", "default"), item_key("12", "default")
    }


def test_a_channel_must_be_one_of_the_merchants(seller: Mircate) -> None:
    """This holds if the merchant has loaded locations; else any channel is valid."""
    seller.gate.shop.store.put_reference(seller.merchant, "location", [ReferenceEntry(code="web"),
        ReferenceEntry(code="app")])
    units = [{"sku": "A", "channel": "web", "stock": 1}, {"sku": "A", "channel": "fax", "stock": 1}]
    result = seller.final_status(seller.call("MerchantAPI/receiveStock", {"products": units}).json()["batchId"])
    assert result["failedProducts"] == [{"sku": "A", "channel": "fax", "message": "Channel not found"}]


def test_the_last_of_two_units_counts(seller: Mircate) -> None:
    """This holds within a request and between requests."""
    key = item_key("A", "web")
    twice = [{"sku": "A", "channel": "web", "stock": stock} for stock in (1, 2)]
    seller.final_status(seller.call("MerchantAPI/receiveStock", {"products": twice}).json()["batchId"])
    units = seller.gate.shop.items("mircate", kind=Kind.STOCK, merchant=seller.merchant)
    assert units[key]["stock"] == 2


def test_the_status_has_both_verbs(seller: Mircate) -> None:
    """GET is published; the platform accepts both."""
    id = seller.call("MerchantAPI/receiveStock", {"products": _units(1)}).json()["batchId"]
    seller.final_status(id)
    responses = [seller.get(seller.path("MerchantImportJob/checkBatchStatus", id))]
    responses.append(seller.call_by_get("MerchantImportJob/checkBatchStatus", instance=id))
    responses.append(seller.call("MerchantImportJob/checkBatchStatus", instance=id))
    assert len({response.text for response in responses}) == 1


@pytest.mark.parametrize("id", ["0" * 32, "x", "../..", "0" * 32 + "-1", "%00"])
def test_an_unknown_batch_gets_404(seller: Mircate, id: str) -> None:
    """The form of its id does not matter."""
    assert message(seller.get(seller.path("MerchantImportJob/checkBatchStatus", id)), 404) == "Record Not Found"


def test_failed_units_have_a_sku_or_a_place(seller: Mircate) -> None:
    """Of the second batch, places count from its own first unit; a name of a submission may have 255 characters."""
    units = [{"sku": f"A-{number}", "channel": "web", "stock": 1} for number in range(500)]
    units += [{"sku": "B", "channel": "web", "stock": "x"}, {"channel": "web", "stock": 1}]
    response = seller.call("MerchantAPI/receiveStock", {"products": units, "bulkOperationId": "b" * 255})
    assert response.status_code == 200, response.text
    failed = seller.final_status(response.json()["batchIds"][1])["failedProducts"]
    assert [(entry["sku"], entry.get("index")) for entry in failed] == [("B", None), ("", 1)]


def test_the_batch_of_another_merchant_gets_404(seller: Mircate, stranger: Mircate) -> None:
    """So does a batch of another protocol, and a part after the last."""
    id = seller.call("MerchantAPI/receiveStock", {"products": _units(1)}).json()["batchId"]
    other = seller.gate.shop.send([{"id": "x", "title": "x"}], merchant=seller.merchant)
    responses = [stranger.get(stranger.path("MerchantImportJob/checkBatchStatus", id))]
    responses += [seller.get(seller.path("MerchantImportJob/checkBatchStatus", it)) for it in (other, f"{id}-1")]
    assert [message(response, 404) for response in responses] == ["Record Not Found"] * 3


def test_a_cancelled_batch_has_failed(seller: Mircate) -> None:
    """An operator cancels it before it is processed; the batch before it is done."""
    engine = seller.gate.shop.engine
    id = seller.call("MerchantAPI/receiveStock", {"products": _units(600)}).json()["batchIds"][1]
    engine.cancel(seller.merchant, id[:32])
    result = seller.final_status(id)
    assert result["batchStatus"] in ("DONE", "FAILED")
    worked = result["successCount"] + result["failCount"]
    assert (result["batchStatus"] == "DONE") == (worked == 100)


def test_a_request_has_a_maximum_size(seller: Mircate) -> None:
    """50,000 units are 100 batches; one more unit is refused."""
    units = _units(50_001)
    assert seller.call("MerchantAPI/receiveStock", {"products": units}).json()["code"] == "VALIDATION"
    ids = seller.call("MerchantAPI/receiveStock", {"products": units[1:]}).json()["batchIds"]
    assert len(ids) == 100
    assert seller.final_status(ids[-1])["ratio"] == "500/500"


def test_a_held_batch_is_running(seller: Mircate) -> None:
    """Its units are processed once somebody approves it."""
    shop = seller.gate.shop
    save_guard(shop.store, seller.merchant, "new", Guard(hold_if={"created": "1"}))
    id = seller.call("MerchantAPI/receiveStock", {"products": _units(2)}).json()["batchId"]
    end = time.monotonic() + 60
    while shop.engine.batch(seller.merchant, id).state is not State.HELD:
        assert time.monotonic() < end
        time.sleep(0.01)
    result = seller.status(id)
    assert (result["batchStatus"], result["ratio"], result["successCount"]) == ("RUNNING", "0/2", 0)
    shop.engine.approve(seller.merchant, id)
    assert seller.final_status(id)["ratio"] == "2/2"
