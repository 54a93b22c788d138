"""Orders as they are listed, read by id, tracked and printed; who may see which."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from goodsgate.engine.refusal import Refusal
from goodsgate.protocols.konnect.orders.timestamps import INDIA, parse_timestamp
from tests.protocols.konnect.client import Konnect
from tests.protocols.konnect.order_clients import LOCATION, OMS, Operator, Seller, stock


@pytest.fixture
def mumbai(seller: Konnect) -> Iterator[Konnect]:
    """The same seller with a token of one location."""
    with closing(Konnect(seller.gate, seller.merchant, location="BOM-01")) as client:
        yield client


def test_a_company_token_needs_a_location(operator: Operator, orders: Seller, seller: Konnect) -> None:
    """To list; not by id, nor for the light view. Without status and id nothing is asked."""
    id = operator.place()
    listed = seller.get(OMS, params={"orderStatus": "CREATED"})
    assert (listed.status_code, listed.json()["status"]) == (400, "FAILED")
    assert orders.listed("CREATED") == [id]
    assert orders.listed("CREATED", locationCode="DEL-01") == []
    assert orders.one(id)["locationCode"] == LOCATION
    assert seller.get(f"{OMS}/info", params={"orderStatus": "CREATED"}).json()["orders"][0]["id"] == id
    for path in (OMS, f"{OMS}/info"):
        assert seller.get(path).status_code == 400
        assert seller.get(path, params={"orderStatus": "SHIPPED"}).status_code == 400


def test_a_location_token_sees_its_own(operator: Operator, orders: Seller, seller: Konnect, mumbai: Konnect) -> None:
    """And works its own: what is elsewhere is as if it were not; another location's list is forbidden."""
    stock(seller, ("TR-001-42", 5), location="BOM-01")
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


def test_a_stranger_sees_nothing(operator: Operator, orders: Seller, stranger: Konnect) -> None:
    """Of another merchant's orders."""
    id = operator.place()
    other = Seller(stranger)
    assert stranger.get(OMS, params={"orderId": id}).json() == []
    assert other.listed("CREATED") == []
    assert other.errors("confirm", id) == ["O422"]


def test_lists_have_pages_and_channels(operator: Operator, orders: Seller) -> None:
    """Oldest first; page 0 is page 1; behind the last there is nothing, and an unknown channel has nothing."""
    placed = [operator.place(orderingChannel=channel) for channel in ("ECOMM", "NYKAA", "ECOMM")]
    assert orders.listed("CREATED") == placed
    pages = [orders.listed("CREATED", pageNumber=page, pageSize=2) for page in (0, 1, 2, 3)]
    assert pages == [placed[:2], placed[:2], placed[2:], []]
    assert orders.listed("CREATED", orderingChannel="ECOMM") == [placed[0], placed[2]]
    assert orders.listed("CREATED", orderingChannel="MEESHO") == []
    for size in (0, 201):
        query = {"orderStatus": "CREATED", "locationCode": LOCATION, "pageSize": size}
        assert orders.client.get(OMS, params=query).status_code == 400


@pytest.mark.parametrize(("text", "first", "last"), [
    ("31-01-2026", "2026-01-30T18:30:00", "2026-01-31T18:29:59.999999"),
    ("2026-01-31", "2026-01-30T18:30:00", "2026-01-31T18:29:59.999999"),
    ("2026-01-31T08:15:00", "2026-01-31T02:45:00", "2026-01-31T02:45:00.999999"),
])
def test_dates_are_india_s(text: str, first: str, last: str) -> None:
    """In three formats; a day is the whole day."""
    assert parse_timestamp(text, parameter="orderDateFrom") == datetime.fromisoformat(first).replace(tzinfo=UTC)
    assert parse_timestamp(text, parameter="orderDateTo", last=True) == datetime.fromisoformat(last).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-02-30", "31/01/2026", "2026-01-31T08:15", "", "01-31-2026", "0001-01-01", "x"])
def test_other_dates_are_refused(text: str) -> None:
    """With the formats that there are."""
    with pytest.raises(Refusal) as refused:
        parse_timestamp(text, parameter="orderDateFrom")
    assert refused.value.code == "parameter_invalid"


def test_lists_are_of_days_in_india(operator: Operator, orders: Seller) -> None:
    """Today's are there, yesterday's are not; a wrong date is refused."""
    id = operator.place()
    today = datetime.now(INDIA)
    for form in ("%d-%m-%Y", "%Y-%m-%d"):
        around = {"orderDateFrom": (today - timedelta(days=1)).strftime(form), "orderDateTo": today.strftime(form)}
        assert orders.listed("CREATED", **around) == [id]
    before = {"orderDateTo": f"{today - timedelta(minutes=5):%Y-%m-%dT%H:%M:%S}"}
    assert orders.listed("CREATED", **before) == []
    wrong = {"orderStatus": "CREATED", "locationCode": LOCATION, "orderDateFrom": "yesterday"}
    assert orders.client.get(OMS, params=wrong).status_code == 400


def test_the_light_view(operator: Operator, orders: Seller, seller: Konnect) -> None:
    """An object with a list."""
    id = operator.place()
    (told,) = seller.get(f"{OMS}/info", params={"orderId": id}).json()["orders"]
    assert (told["id"], told["orderStatus"], told["orderType"], told["lockStatus"]) == (id, "CREATED", "forward", False)
    due = datetime.fromisoformat(orders.one(id)["orderDate"]) + timedelta(hours=24)
    assert datetime.fromisoformat(told["sla"]) == due


def test_a_courier_is_told_once_there_is_one(operator: Operator, orders: Seller) -> None:
    """A bare array; who is not there yet, and what is foreign, in their places."""
    ready, early = operator.place(), operator.place()
    orders.packed(ready)
    told = orders.post("courierDetails", early, ready, "x").json()
    assert [one.get("code") for one in told] == ["C403", None, "C400"]
    assert told[1] == {
        "courierName": "Fynd-Test", "courierCode": "fynd-test", "awbNumber": orders.one(ready)["awbNumber"],
        "additionalInfo": "Assigned by the gate.", "orderId": ready,
    }


def test_a_shipment_is_tracked(operator: Operator, orders: Seller, seller: Konnect) -> None:
    """By its id, which wins, or by the airway bill; the newest event first."""
    id = operator.place()
    orders.dispatched(id)
    assert operator.happen(id, "delivery_done", remark="Left with a neighbour.").status_code == 200
    told = seller.post(f"{OMS}/track", json={"shipment_id": id, "awb_number": "x"}).json()
    assert told["status"] == "success"
    data = told["data"]
    assert (data["courier"], data["current_status"], data["journey"]) == ("Fynd-Test", "DELIVERED", "forward")
    assert [event["dp_status"] for event in data["events"]] == [
        "delivery_done", "bag_picked", "bag_packed", "dp_assigned", "bag_invoiced", "bag_confirmed", "placed"
    ]
    assert data["events"][0]["remark"] == "Left with a neighbour."
    (awb,) = orders.one(id)["awbNumber"]
    assert seller.post(f"{OMS}/track", json={"awb_number": awb}).json()["data"] == data
    unknown = seller.post(f"{OMS}/track", json={"awb_number": "FY12345"})
    assert (unknown.status_code, unknown.json()["status"]) == (404, "error")
    assert [seller.post(f"{OMS}/track", json=body).status_code for body in ({}, [], {"shipment_id": 5})] == [400] * 3


# -- documents --------------------------------------------------------------------------------------------------------

POINTS = {"A4": (595.28, 841.89), "A6": (297.64, 419.53)}


@pytest.mark.parametrize("operation", ["labels", "invoice"])
def test_documents_are_pdf_of_both_sizes(operator: Operator, orders: Seller, operation: str) -> None:
    """One for all shipments, a page each."""
    ids = [operator.place(shippingAddress={"name": "आशा राव", "city": "Köln"}) for _ in range(2)]
    orders.packed(*ids)
    for size, (width, height) in POINTS.items():
        answered = orders.post(operation, *ids, size=size)
        assert (answered.status_code, answered.headers["content-type"]) == (200, "application/pdf")
        assert answered.content.startswith(b"%PDF-")
        assert answered.content.rstrip().endswith(b"%%EOF")
        assert answered.content.count(b"/Type /Page\n") == 2
        assert f"/MediaBox [0 0 {width} {height}]".encode() in answered.content
    assert orders.post(operation, ids[0], size="A5").status_code == 400


@pytest.mark.parametrize(("operation", "codes"), [("labels", ["L403", "L400"]), ("invoice", ["IN403", "IN400"])])
def test_documents_of_what_is_not_packed(operator: Operator, orders: Seller, operation: str, codes: list[str]) -> None:
    """There is none; JSON says why, of each."""
    packed, early = operator.place(), operator.place()
    orders.packed(packed)
    told = orders.post(operation, packed, early, "x").json()
    assert [error["code"] for error in told["errors"]] == codes
    assert (told["status"], told["successCount"]) == ("PARTIAL", 1)


def test_a_return_has_a_credit_note(operator: Operator, orders: Seller) -> None:
    """The reverse invoice; and a label for the way back."""
    id = operator.place()
    orders.dispatched(id)
    operator.happened(id, "delivery_done")
    back = operator.happened(id, "return")["id"]
    operator.happened(back, "return_bag_in_transit", "return_bag_delivered")
    orders.done("return", back)
    orders.invoice(back, type="return")
    for operation in ("labels", "invoice"):
        assert orders.post(operation, back, id).headers["content-type"] == "application/pdf"
