"""The contradictions of the dossier that are about orders: X12 to X14 and X21 to X24."""

from datetime import datetime
from typing import Any

import pytest

from goodsgate.protocols.konnect.orders.timestamps import INDIA
from tests.protocols.konnect.client import Konnect
from tests.protocols.konnect.order_clients import LOCATION, OMS, Operator, Seller, invoice


def _back(operator: Operator, orders: Seller) -> str:
    """A shipment that has come back to its origin."""
    id = operator.place()
    orders.dispatched(id)
    operator.happened(id, "rto_initiated", "rto_bag_delivered")
    return id


def test_x12_a_credit_note_may_come_as_inventory(operator: Operator, orders: Seller, seller: Konnect) -> None:
    """Among levels of stock, which are taken as ever; answered in the envelope of stock, each in its place."""
    accepted, early = _back(operator, orders), _back(operator, orders)
    orders.done("return", accepted)
    level = {"location_id": LOCATION, "sku": "TR-001-42", "quantity": 70}
    notes = [invoice(early, type="return"), invoice(accepted, type="return")]
    answered = seller.put("/ims/v3/inventory", json=[notes[0], level, notes[1], {**level, "quantity": -1}])
    body = answered.json()
    assert (body["data"]["payload_count"], body["data"]["success_count"], body["meta"]["status"]) == (4, 2, "PARTIAL")
    assert [(error["index"], error["code"]) for error in body["data"]["errors"]] == [(0, "IN403"), (3, "FORMAT_ERROR")]
    assert orders.state(accepted) == "credit_note_generated"
    (row,) = seller.get("/ims/v3/listings").json()["data"]
    assert row["quantity"] == 70
    alone = seller.put("/ims/v3/inventory", json=[notes[1]]).json()
    assert (alone["meta"]["status"], alone["data"]["errors"][0]["code"]) == ("FAILED", "IN453")


def test_x13_dates_have_three_formats(operator: Operator, orders: Seller) -> None:
    """dd-mm-yyyy, yyyy-mm-dd, and a time, all in India; a day is all of it, the end is included."""
    id = operator.place()
    placed = datetime.fromisoformat(orders.one(id)["orderDate"]).astimezone(INDIA)
    for form in ("%d-%m-%Y", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"):
        text = placed.strftime(form)
        assert orders.listed("CREATED", orderDateFrom=text, orderDateTo=text) == [id]


def test_x14_an_accepted_return_has_two_words(operator: Operator, orders: Seller) -> None:
    """Both are understood; whoever asks by the second is answered by it, all others by the first."""
    id = _back(operator, orders)
    orders.done("return", id)
    told: dict[str, Any] = {}
    for word in ("RETURN_ACCEPTED", "RETURN_COMPLETED"):
        (shipment,) = orders.client.get(OMS, params={"orderStatus": word, "locationCode": LOCATION}).json()
        told[word] = shipment["orderStatus"]
    assert told == {"RETURN_ACCEPTED": "RETURN_ACCEPTED", "RETURN_COMPLETED": "RETURN_COMPLETED"}
    assert orders.one(id)["orderStatus"] == "RETURN_ACCEPTED"


def test_x21_courier_details_are_a_bare_array(operator: Operator, orders: Seller) -> None:
    """As in the sample, not as in the schema."""
    id = operator.place()
    orders.packed(id)
    (told,) = orders.post("courierDetails", id).json()
    assert set(told) == {"courierName", "courierCode", "awbNumber", "additionalInfo", "orderId"}


@pytest.mark.parametrize(("given", "state"), [
    (True, "bag_picked"), ("true", "bag_picked"), ("True", "bag_picked"), (False, "dp_assigned"),
    ("false", "dp_assigned"),
])
def test_x22_dispatch_at_once_is_a_boolean_or_a_word(operator: Operator, orders: Seller, given: object, state: str,
                                                     ) -> None:
    """Both are taken."""
    id = operator.place(isSelfShip=True)
    orders.done("confirm", id)
    orders.invoice(id)
    orders.done("awb", {"orderId": id, "awbNumber": "A1", "courierName": "Vans", "autoDispatch": given})
    assert orders.state(id) == state


def test_x23_an_invoice_needs_confirmation_alone(operator: Operator, orders: Seller) -> None:
    """What is confirmed is CONFIRMED, not PROCESSING; IN403 is for what is not."""
    id = operator.place()
    assert orders.errors("invoiceUpdate", invoice(id)) == ["IN403"]
    orders.done("confirm", id)
    assert (orders.listed("CONFIRMED"), orders.listed("PROCESSING")) == ([id], [])
    orders.invoice(id)
    assert (orders.listed("CONFIRMED"), orders.listed("PROCESSING")) == ([], [id])


def test_x24_other_paths_of_orders_are_not_there(seller: Konnect) -> None:
    """Nor will they be."""
    for path in ("/oms/v3/order/confirm", "/oms/v3/return/list"):
        answered = seller.post(path, json=[])
        assert (answered.status_code, answered.json()["status"]) == (404, "FAILED")
