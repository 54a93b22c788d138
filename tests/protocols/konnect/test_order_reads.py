"""Reads of orders: lists, single orders, tracking and documents, and who may read which."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from goodsgate.engine.refusal import Refusal
from goodsgate.protocols.konnect.orders.timestamps import INDIA, parse_timestamp
from tests.protocols.konnect.client import Konnect
from tests.protocols.konnect.order_clients import LOCATION, OMS, Operator, Seller, set_stock


@pytest.fixture
def mumbai(seller: Konnect) -> Iterator[Konnect]:
    """A client of the same seller with a token of one location."""
    with closing(Konnect(seller.gate, seller.merchant, location="BOM-01")) as client:
        yield client


def test_a_company_level_token_needs_a_location_to_list(operator: Operator, orders: Seller, seller: Konnect) -> None:
    """It needs none to read by id or for the light view; a query needs a status or an id."""
    id = operator.place()
    listed = seller.get(OMS, params={"orderStatus": "CREATED"})
    assert (listed.status_code, listed.json()["status"]) == (400, "FAILED")
    assert orders.list_ids("CREATED") == [id]
    assert orders.list_ids("CREATED", locationCode="DEL-01") == []
    assert orders.get_order(id)["locationCode"] == LOCATION
    assert seller.get(f"{OMS}/info", params={"orderStatus": "CREATED"}).json()["orders"][0]["id"] == id
    for path in (OMS, f"{OMS}/info"):
        assert seller.get(path).status_code == 400
        assert seller.get(path, params={"orderStatus": "SHIPPED"}).status_code == 400


def test_a_location_level_token_reaches_only_its_own_orders(
    operator: Operator, orders: Seller, seller: Konnect, mumbai: Konnect,
) -> None:
    """Other orders do not exist for it, and the list of another location is forbidden."""
    set_stock(seller, ("TR-001-42", 5), location="BOM-01")
    here, there = operator.place(location="BOM-01"), operator.place()
    mine = Seller(mumbai)
    assert [one["id"] for one in mumbai.get(OMS, params={"orderStatus": "CREATED"}).json()] == [here]
    assert mumbai.get(OMS, params={"orderStatus": "CREATED", "locationCode": LOCATION}).status_code == 403
    assert [mumbai.get(OMS, params={"orderId": id}).json() for id in (there, "x", "0" * 20)] == [[], [], []]
    assert mumbai.get(f"{OMS}/info", params={"orderId": there}).json() == {"orders": []}
    light = mumbai.get(f"{OMS}/info", params={"orderStatus": "CREATED"}).json()["orders"]
    assert [one["id"] for one in light] == [here]
    assert mine.errors("confirm", there, here) == ["O422"]
    assert mumbai.post(f"{OMS}/track", json={"shipment_id": there}).status_code == 404
    assert orders.state(there) == "placed"


def test_a_merchant_cannot_read_orders_of_another(operator: Operator, orders: Seller, stranger: Konnect) -> None:
    """Nor can they be changed."""
    id = operator.place()
    other = Seller(stranger)
    assert stranger.get(OMS, params={"orderId": id}).json() == []
    assert other.list_ids("CREATED") == []
    assert other.errors("confirm", id) == ["O422"]


def test_lists_have_pages_and_filter_by_channel(operator: Operator, orders: Seller) -> None:
    """The oldest order is first, page 0 is page 1, and nothing is beyond the last page or in an unknown channel."""
    placed = [operator.place(orderingChannel=channel) for channel in ("ECOMM", "NYKAA", "ECOMM")]
    assert orders.list_ids("CREATED") == placed
    pages = [orders.list_ids("CREATED", pageNumber=page, pageSize=2) for page in (0, 1, 2, 3)]
    assert pages == [placed[:2], placed[:2], placed[2:], []]
    assert orders.list_ids("CREATED", orderingChannel="ECOMM") == [placed[0], placed[2]]
    assert orders.list_ids("CREATED", orderingChannel="MEESHO") == []
    for size in (0, 201):
        query = {"orderStatus": "CREATED", "locationCode": LOCATION, "pageSize": size}
        assert orders.client.get(OMS, params=query).status_code == 400


@pytest.mark.parametrize(("text", "first", "last"), [
    ("31-01-2026", "2026-01-30T18:30:00", "2026-01-31T18:29:59.999999"),
    ("2026-01-31", "2026-01-30T18:30:00", "2026-01-31T18:29:59.999999"),
    ("2026-01-31T08:15:00", "2026-01-31T02:45:00", "2026-01-31T02:45:00.999999"),
])
def test_query_dates_are_in_indian_time(text: str, first: str, last: str) -> None:
    """There are three formats, and a day is the whole day."""
    assert parse_timestamp(text, parameter="orderDateFrom") == datetime.fromisoformat(first).replace(tzinfo=UTC)
    assert parse_timestamp(text, parameter="orderDateTo", last=True) == datetime.fromisoformat(last).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-02-30", "31/01/2026", "2026-01-31T08:15", "", "01-31-2026", "0001-01-01", "x"])
def test_other_date_formats_are_refused(text: str) -> None:
    """The refusal names the parameter."""
    with pytest.raises(Refusal) as refused:
        parse_timestamp(text, parameter="orderDateFrom")
    assert refused.value.code == "parameter_invalid"


def test_lists_filter_by_days_in_india(operator: Operator, orders: Seller) -> None:
    """An invalid date is refused."""
    id = operator.place()
    today = datetime.now(INDIA)
    for form in ("%d-%m-%Y", "%Y-%m-%d"):
        around = {"orderDateFrom": (today - timedelta(days=1)).strftime(form), "orderDateTo": today.strftime(form)}
        assert orders.list_ids("CREATED", **around) == [id]
    before = {"orderDateTo": f"{today - timedelta(minutes=5):%Y-%m-%dT%H:%M:%S}"}
    assert orders.list_ids("CREATED", **before) == []
    wrong = {"orderStatus": "CREATED", "locationCode": LOCATION, "orderDateFrom": "yesterday"}
    assert orders.client.get(OMS, params=wrong).status_code == 400


def test_the_light_view_is_an_object_with_a_list(operator: Operator, orders: Seller, seller: Konnect) -> None:
    """Its `sla` is 24 hours after the order."""
    id = operator.place()
    (result,) = seller.get(f"{OMS}/info", params={"orderId": id}).json()["orders"]
    assert (result["id"], result["orderStatus"]) == (id, "CREATED")
    assert (result["orderType"], result["lockStatus"]) == ("forward", False)
    due = datetime.fromisoformat(orders.get_order(id)["orderDate"]) + timedelta(hours=24)
    assert datetime.fromisoformat(result["sla"]) == due


def test_courier_details_exist_once_a_courier_is_assigned(operator: Operator, orders: Seller) -> None:
    """Orders without a courier and unknown orders have errors at their positions."""
    ready, early = operator.place(), operator.place()
    orders.pack(ready)
    result = orders.post("courierDetails", early, ready, "x").json()
    assert [one.get("code") for one in result] == ["C403", None, "C400"]
    assert result[1] == {
        "courierName": "Fynd-Test", "courierCode": "fynd-test", "awbNumber": orders.get_order(ready)["awbNumber"],
        "additionalInfo": "Assigned by the gate.", "orderId": ready,
    }


def test_a_shipment_is_tracked_by_id_or_airway_bill(operator: Operator, orders: Seller, seller: Konnect) -> None:
    """The id takes precedence, and the newest event is first."""
    id = operator.place()
    orders.dispatch(id)
    assert operator.simulate(id, "delivery_done", remark="Left with a neighbour.").status_code == 200
    result = seller.post(f"{OMS}/track", json={"shipment_id": id, "awb_number": "x"}).json()
    assert result["status"] == "success"
    data = result["data"]
    assert (data["courier"], data["current_status"], data["journey"]) == ("Fynd-Test", "DELIVERED", "forward")
    assert [event["dp_status"] for event in data["events"]] == [
        "delivery_done", "bag_picked", "bag_packed", "dp_assigned", "bag_invoiced", "bag_confirmed", "placed"
    ]
    assert data["events"][0]["remark"] == "Left with a neighbour."
    (awb,) = orders.get_order(id)["awbNumber"]
    assert seller.post(f"{OMS}/track", json={"awb_number": awb}).json()["data"] == data
    unknown = seller.post(f"{OMS}/track", json={"awb_number": "FY12345"})
    assert (unknown.status_code, unknown.json()["status"]) == (404, "error")
    assert [seller.post(f"{OMS}/track", json=body).status_code for body in ({}, [], {"shipment_id": 5})] == [400] * 3


# -- documents --------------------------------------------------------------------------------------------------------

POINTS = {"A4": (595.28, 841.89), "A6": (297.64, 419.53)}


@pytest.mark.parametrize("operation", ["labels", "invoice"])
def test_documents_are_pdfs_of_two_sizes(operator: Operator, orders: Seller, operation: str) -> None:
    """One document has a page for each shipment."""
    ids = [operator.place(shippingAddress={"name": "आशा राव", "city": "Köln"}) for _ in range(2)]
    orders.pack(*ids)
    for size, (width, height) in POINTS.items():
        response = orders.post(operation, *ids, size=size)
        assert (response.status_code, response.headers["content-type"]) == (200, "application/pdf")
        assert response.content.startswith(b"%PDF-")
        assert response.content.rstrip().endswith(b"%%EOF")
        assert response.content.count(b"/Type /Page\n") == 2
        assert f"/MediaBox [0 0 {width} {height}]".encode() in response.content
    assert orders.post(operation, ids[0], size="A5").status_code == 400


@pytest.mark.parametrize(("operation", "codes"), [("labels", ["L403", "L400"]), ("invoice", ["IN403", "IN400"])])
def test_unpacked_orders_have_no_documents(
    operator: Operator, orders: Seller, operation: str, codes: list[str],
) -> None:
    """The answer is JSON with an error for each."""
    packed, early = operator.place(), operator.place()
    orders.pack(packed)
    result = orders.post(operation, packed, early, "x").json()
    assert [error["code"] for error in result["errors"]] == codes
    assert (result["status"], result["successCount"]) == ("PARTIAL", 1)


def test_a_return_has_a_credit_note_and_a_label(operator: Operator, orders: Seller) -> None:
    """Both are PDF documents."""
    id = operator.place()
    orders.dispatch(id)
    operator.simulate_all(id, "delivery_done")
    back = operator.simulate_all(id, "return")["id"]
    operator.simulate_all(back, "return_bag_in_transit", "return_bag_delivered")
    orders.succeed("return", back)
    orders.invoice(back, type="return")
    for operation in ("labels", "invoice"):
        assert orders.post(operation, back, id).headers["content-type"] == "application/pdf"
