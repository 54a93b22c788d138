"""The examples of the dossier as transcripts."""

import httpx

from tests.protocols.mircate.client import ONE_STORE, Mircate

pytestmark = ONE_STORE


def _units(first: int, count: int) -> list[dict[str, object]]:
    return [{"sku": f"A{at}", "channel": "web", "price": at + 1} for at in range(first, first + count)]


def test_a_sample_command_without_a_key(seller: Mircate) -> None:
    """Section 2: ``--header 'x-api-key;'`` sends an empty header."""
    response = httpx.get(
        f"{seller.gate.url}/5p1hp1d2t/CALL/MerchantImportJob/checkBatchStatus/b1", headers={"x-api-key": ""},
        trust_env=False,
    )
    assert (response.status_code, response.json()) == (403, {"code": "ACCESS_DENIED", "message": "Access Denied"})


def test_a_status_as_in_the_example(seller: Mircate) -> None:
    """Section 6.3: one of 500 products fails."""
    units = _units(1, 500)
    units[0]["price"] = "free"
    batch = seller.call("MerchantAPI/receivePrice", {"products": units}).json()["batchId"]
    result = seller.final_status(batch)
    (failed,) = result.pop("failedProducts")
    assert result == {
        "batchStatus": "DONE", "failCount": 1, "successCount": 499, "ratio": "500/500", "pushPriceFrequency": 0,
        "bulkOperationType": "PRICE",
    }
    assert (failed["sku"], failed["channel"]) == ("A1", "web")
    assert "price" in failed["message"]


def test_five_thousand_products_are_ten_requests(seller: Mircate) -> None:
    """Section 6.1: they have one bulkOperationId and ten batch ids."""
    bulk = "night-7"
    requests = [
        seller.call("MerchantAPI/receivePrice", {"bulkOperationId": bulk, "products": _units(at, 500)}).json()
        for at in range(0, 5_000, 500)
    ]
    assert {result["bulkOperationId"] for result in requests} == {bulk}
    ids = {id for result in requests for id in result["batchIds"]}
    assert len(ids) == 10
    assert {seller.final_status(id)["ratio"] for id in ids} == {"500/500"}


def test_a_status_read_as_the_platforms_client_reads_it(seller: Mircate) -> None:
    """Section 1.1: it uses GET with an empty object in base64 and its usual extra parameters."""
    batch = seller.call("MerchantAPI/receivePrice", {"products": _units(0, 1)}).json()["batchId"]
    seller.final_status(batch)
    query = {"data": "e30=", "__isbase64": "true", "__culture": "en-us", "__platform": "WEB"}
    response = seller.get(seller.path("MerchantImportJob/checkBatchStatus", batch), params=query)
    assert (response.status_code, response.json()["batchStatus"]) == (200, "DONE")


def test_an_order_as_suggested(seller: Mircate) -> None:
    """Section 7: available is stock less reserved; a larger order gets 400 and changes nothing."""
    stock = [{"sku": "A1", "channel": "web", "stock": 3}]
    seller.final_status(seller.call("MerchantAPI/receiveStock", {"products": stock}).json()["batchId"])
    line = {"merchantId": seller.merchant, "sku": "A1"}
    for quantity, status, available in ((2, 200, 1), (2, 200, 1), (4, 400, 1)):
        arguments = {"orderId": "o1", "channel": "web", "products": [{**line, "quantity": quantity}]}
        assert seller.call("MerchantAPI/reserveStock", arguments).status_code == status
        (row,) = seller.call("MerchantAPI/getCurrentStock", {"channel": "web",
            "products": [line]}).json()["products"]
        assert (row["stock"], row["reserved"], row["available"]) == (3, 2, available)
