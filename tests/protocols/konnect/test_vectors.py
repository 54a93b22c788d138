"""The test vectors of the dossier (section 11), one transcript each."""

import re

import pytest

from goodsgate.store.contract import BatchFilter as Filters
from tests.protocols.konnect.client import ONE_STORE, Konnect, product, size
from tests.protocols.konnect.order_clients import LOCATION, OMS, Operator, Seller, invoice

LISTS = ("departments", "category", "company-brand", "product/template", "taxes/hscodes", "taxes/rules", "product")


def test_1_a_token_is_issued_and_works(seller: Konnect) -> None:
    """It is a non-empty string under both names, with SUCCESS."""
    query = {"username": seller.merchant, "password": seller.password}
    response = seller.get("/aggregator/v1/token", params=query)
    body = response.json()
    assert (response.status_code, body["status"]) == (200, "SUCCESS")
    assert body["access_token"] == body["token"] != ""
    assert seller.get("/v3/catalog/departments", headers={"x-access-token": body["token"]}).status_code == 200


@ONE_STORE
@pytest.mark.parametrize(("method", "path"), [
    *(("GET", f"/v3/catalog/{name}") for name in (*LISTS, "product-attributes", "status")),
    ("POST", "/v3/catalog/product"), ("PUT", "/v3/catalog/product"), ("DELETE", "/v3/catalog/product"),
    ("GET", "/ims/v3/listings"), ("GET", "/ims/v3/listings/count"), ("PUT", "/ims/v3/price"),
    ("PUT", "/ims/v3/inventory"),
])
def test_2_other_requests_need_a_token(seller: Konnect, method: str, path: str) -> None:
    """The answer is 401 with the same three members everywhere."""
    for headers in ({"x-access-token": ""}, {"x-access-token": "gt_nobody"}):
        response = seller.request(method, path, headers=headers)
        assert response.status_code == 401
        assert (response.json()["status"], response.json()["errors"]) == ("FAILED", [])


@pytest.mark.parametrize("name", LISTS)
def test_3_lists_have_their_envelope(seller: Konnect, name: str) -> None:
    """By default it is page 1 with 10 items."""
    body = seller.get(f"/v3/catalog/{name}").json()
    assert list(body) == ["items", "page_number", "page_size", "total"]
    assert (body["page_number"], body["page_size"]) == (1, 10)
    assert len(body["items"]) == min(body["total"], 10)


@ONE_STORE
@pytest.mark.parametrize("name", LISTS)
def test_4_pages_have_bounds(seller: Konnect, name: str) -> None:
    """A page has 1 to 200 items; beyond the last page only the total is left."""
    def status(**query: int) -> int:
        return seller.get(f"/v3/catalog/{name}", params=query).status_code

    assert (status(page_size=200), status(page_size=1)) == (200, 200)
    assert (status(page_size=201), status(page_size=0), status(page_number=0)) == (400, 400, 400)
    far = seller.get(f"/v3/catalog/{name}", params={"page_number": 99}).json()
    assert (far["items"], far["total"]) == ([], seller.get(f"/v3/catalog/{name}").json()["total"])


def test_5_attributes_need_a_category(seller: Konnect) -> None:
    """Without one the answer is 400, with one it has only `items`."""
    assert seller.get("/v3/catalog/product-attributes").status_code == 400
    body = seller.get("/v3/catalog/product-attributes", params={"category": "Hiking Boots"}).json()
    assert list(body) == ["items"]
    assert {item["slug"]: item["schema"]["mandatory"] for item in body["items"]} == {
        "sole-material": False, "closure": True,
    }


def test_6_categories_are_filtered(seller: Konnect) -> None:
    """There is no fourth level, and third-level ids are a list."""
    assert seller.get("/v3/catalog/category", params={"level": 4}).status_code == 400
    assert [item["uid"] for item in seller.list_items("/v3/catalog/category", cat3_id="111,112,110")] == [111, 112]


def test_7_codes_have_two_types(seller: Konnect) -> None:
    """The types are HS and SAC."""
    assert seller.get("/v3/catalog/taxes/hscodes", params={"type": "HSN"}).status_code == 400
    assert [item["hs_code"] for item in seller.list_items("/v3/catalog/taxes/hscodes", type="SAC")] == ["998713"]


def test_8_a_hundred_products_are_acknowledged(seller: Konnect) -> None:
    """The answer has the eight published members; 101 products store nothing."""
    acknowledged = seller.create(*(product(number) for number in range(1, 101)))
    assert acknowledged.json() == {
        "trace_id": acknowledged.json()["trace_id"], "total": 100, "success": 100, "failed": 0, "status": "SUCCESS",
        "errors": {}, "stage": "RUNNING", "company_id": acknowledged.json()["company_id"],
    }
    refused = seller.create(*(product(number) for number in range(1, 102)))
    assert (refused.status_code, refused.json()["trace_id"], refused.json()["stage"]) == (400, "", "FAILED")
    assert seller.final_status(acknowledged)["meta"]["succeed"] == 100
    assert len(seller.gate.shop.store.batches(seller.merchant, Filters()).rows) == 1


def test_9_a_batch_is_polled_to_its_end(seller: Konnect) -> None:
    """It goes from RUNNING to COMPLETED, with a time in nanoseconds."""
    result = seller.final_status(seller.create(product(1), product(2)))
    assert (result["stage"], result["meta"]["stage"]) == ("COMPLETED", "completed")
    assert result["meta"]["succeed"] == result["total"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", result["last_updated_on"])


def test_10_an_invalid_product_affects_no_other(seller: Konnect) -> None:
    """The stage is PARTIAL, and the failed product is named."""
    result = seller.final_status(seller.create(product(1), product(2, category="Sport Shoe")))
    assert (result["stage"], result["meta"]["stage"], result["meta"]["failed"]) == ("PARTIAL", "partial", 1)
    (record,) = result["meta"]["failed_records"]
    assert (record["index"], record["item_code"], record["slug"]) == (1, "TR-002", "trail-runner-2")
    assert record["identifiers"] == "TR-002-42"
    assert [(error["field"], error["code"]) for error in record["errors"]] == [("category", "REFERENCE_ERROR")]
    assert "Sport Shoe" in record["message"]


def test_11_a_repeated_create_fails(seller: Konnect) -> None:
    """Item code, SKU and slug are in use."""
    seller.create_all(product(1))
    again = seller.create(product(1))
    assert seller.final_status(again)["stage"] == "FAILED"
    assert seller.record_errors(again) == [
        ("item_code", "DUPLICATE_IDENTIFIER"), ("sizes[0].primary_identifier", "DUPLICATE_IDENTIFIER"),
        ("slug", "DUPLICATE_IDENTIFIER"),
    ]


def test_12_the_slug_of_a_product_cannot_be_changed(seller: Konnect) -> None:
    """Another slug for a known item code is an error of that field."""
    seller.create_all(product(1))
    changed = seller.update({"item_code": "TR-001", "slug": "other"})
    assert seller.record_errors(changed) == [("slug", "IMMUTABLE_FIELD")]


def test_13_sizes_and_products_are_deleted(seller: Konnect) -> None:
    """First one of two sizes is deleted, then the product with its SKUs."""
    seller.create_all(product(1, sizes=[size(1, "42"), size(1, "43")]), product(2))
    one = {"item_code": "TR-001", "slug": "trail-runner-1", "brand": "Acme"}
    removed = seller.remove({**one, "sizes": [{"primary_identifier": "TR-001-42"}]})
    assert seller.final_status(removed)["stage"] == "COMPLETED"
    (left,) = seller.list_items(item_code="TR-001")
    assert [entry["primary_identifier"] for entry in left["sizes"]] == ["TR-001-43"]
    assert seller.final_status(seller.remove(one))["stage"] == "COMPLETED"
    assert seller.list_items(item_code="TR-001") == []
    rows = seller.get("/ims/v3/listings").json()["data"]
    assert [row["sku"] for row in rows] == ["TR-002-42"]
    assert seller.get("/ims/v3/listings/count").json()["data"]["listing_count"] == 1


def test_14_prices_are_arrays_of_at_most_five_hundred(seller: Konnect) -> None:
    """501 records are refused, and so is an object."""
    seller.create_all(*(product(number) for number in range(1, 101)))
    record = {"location_id": "BLR-01", "esp": 9.5, "mrp": 10, "currency": "INR"}
    prices = [{**record, "sku": f"TR-{number:03d}-42", "esp": at} for at in range(5) for number in range(1, 101)]
    response = seller.put("/ims/v3/price", json=prices)
    body = response.json()
    assert (response.status_code, body["meta"]["status"]) == (200, "SUCCESS")
    assert body["data"] == {"payload_count": 500, "success_count": 500, "failed_count": 0, "errors": []}
    assert re.fullmatch("[0-9a-f]{24}", body["meta"]["ack_id"])
    assert re.fullmatch(r"[0-9-]{10}T[0-9:]{8}\.\d{3}\+00:00", body["meta"]["time"])
    for wrong in ([*prices, prices[0]], prices[0], []):
        refused = seller.put("/ims/v3/price", json=wrong)
        assert (refused.status_code, refused.json()["meta"]["status"]) == (400, "FAILED")
        assert refused.json()["data"]["errors"][0]["code"] == "400"


def test_15_a_negative_quantity_fails_alone(seller: Konnect) -> None:
    """The other records are applied."""
    seller.create_all(product(1), product(2))
    record = {"location_id": "BLR-01", "sku": "TR-001-42", "quantity": 7}
    body = seller.put("/ims/v3/inventory", json=[record, {**record, "sku": "TR-002-42", "quantity": -1}]).json()
    assert (body["data"]["success_count"], body["data"]["failed_count"], body["meta"]["status"]) == (1, 1, "PARTIAL")
    (error,) = body["data"]["errors"]
    assert (error["location_id"], error["sku"], error["index"]) == ("BLR-01", "TR-002-42", 1)
    (row,) = seller.get("/ims/v3/listings", params={"skus": "TR-001-42"}).json()["data"]
    assert row["quantity"] == 7


def test_16_the_listing_count_is_the_number_of_skus(seller: Konnect) -> None:
    """It counts sizes, not products."""
    seller.create_all(product(1, sizes=[size(1, label) for label in ("41", "42", "43")]), product(2))
    for headers in ({}, {"x-batch-product": "TRUE"}, {"x-batch-product": "FALSE"}):
        body = seller.get("/ims/v3/listings/count", headers=headers).json()
        assert body["data"] == {"listing_count": 4}
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", body["meta"]["ack_id"])


def test_17_a_company_level_token_lists_by_location(seller: Konnect, operator: Operator) -> None:
    """Without `locationCode` the answer is 400, with it an array without envelope."""
    id = operator.place()
    assert seller.get(OMS, params={"orderStatus": "CREATED"}).status_code == 400
    listed = seller.get(OMS, params={"orderStatus": "CREATED", "locationCode": LOCATION}).json()
    assert [shipment["id"] for shipment in listed] == [id]


def test_18_an_order_is_processed(operator: Operator, orders: Seller) -> None:
    """No acknowledgement has a failure; repeated or early operations have their codes."""
    id = operator.place()
    assert orders.errors("invoiceUpdate", invoice(id)) == ["IN403"]
    for operation, entry in (("confirm", id), ("invoiceUpdate", invoice(id)), ("pack", id)):
        assert orders.post(operation, entry).json()["failedCount"] == 0
    assert orders.errors("invoiceUpdate", invoice(id)) == ["IN453"]
    assert orders.errors("pack", id) == ["CR400"]
    assert orders.post("labels", id).content.startswith(b"%PDF-")
    assert orders.post("dispatch", id).json()["failedCount"] == 0


@ONE_STORE
@pytest.mark.parametrize("operation", [
    "confirm", "cancel", "invoiceUpdate", "pack", "dispatch", "return", "awb", "status",
])
def test_19_twenty_one_entries_are_too_many(orders: Seller, operation: str) -> None:
    """The limit is the same for every operation."""
    assert orders.post(operation, *["1" * 20] * 20).status_code == 200
    assert orders.post(operation, *["1" * 20] * 21).status_code == 400


def test_20_a_self_shipping_seller_delivers(operator: Operator, orders: Seller) -> None:
    """The airway bill leads to TRANSIT, the status to DELIVERED; other orders refuse both."""
    own, other = operator.place(isSelfShip=True), operator.place()
    orders.succeed("confirm", own, other)
    orders.invoice(own, other)
    assert orders.get_order(own)["orderStatus"] == "PROCESSING"
    orders.succeed("awb", {"orderId": own, "awbNumber": "A1", "courierName": "Vans", "autoDispatch": True})
    assert orders.get_order(own)["orderStatus"] == "TRANSIT"
    result = [{"orderId": id, "orderStatus": "delivery_done"} for id in (own, other)]
    body = orders.post("status", *result).json()
    assert (body["data"]["success_count"], body["data"]["failed_count"]) == (1, 1)
    assert (body["data"]["errors"][0]["index"], orders.get_order(own)["orderStatus"]) == (1, "DELIVERED")


def test_21_a_return_is_accepted_and_credited(operator: Operator, orders: Seller) -> None:
    """Only this order is possible, and both statuses list an accepted return."""
    id = operator.place()
    orders.dispatch(id)
    operator.simulate_all(id, "delivery_done")
    back = operator.simulate_all(id, "return")["id"]
    operator.simulate_all(back, "return_bag_in_transit", "return_bag_delivered")
    assert orders.errors("invoiceUpdate", invoice(back, type="return")) == ["IN403"]
    orders.succeed("return", back)
    assert orders.list_ids("RETURN_ACCEPTED") == orders.list_ids("RETURN_COMPLETED") == [back]
    orders.invoice(back, type="return")
    assert orders.get_order(back)["orderStatus"] == "CREDIT_NOTE_GENERATED"
