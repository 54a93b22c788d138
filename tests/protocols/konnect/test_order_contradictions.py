"""The contradictions of the dossier about orders: X12 to X14 and X21 to X24."""

from datetime import datetime
from typing import Any

import pytest

from goodsgate.protocols.konnect.orders.timestamps import INDIA
from tests.protocols.konnect.client import Konnect
from tests.protocols.konnect.order_clients import LOCATION, OMS, Operator, Seller, invoice


def _return_to_origin(operator: Operator, orders: Seller) -> str:
    """Return the id of an order that has come back to its origin."""
    id = operator.place()
    orders.dispatch(id)
    operator.simulate_all(id, "rto_initiated", "rto_bag_delivered")
    return id


def test_x12_credit_notes_may_be_sent_as_inventory(operator: Operator, orders: Seller, seller: Konnect) -> None:
    """They may be mixed with stock records; the answer has the envelope of stock and the positions of the request."""
    accepted, early = _return_to_origin(operator, orders), _return_to_origin(operator, orders)
    orders.succeed("return", accepted)
    level = {"location_id": LOCATION, "sku": "TR-001-42", "quantity": 70}
    notes = [invoice(early, type="return"), invoice(accepted, type="return")]
    response = seller.put("/ims/v3/inventory", json=[notes[0], level, notes[1], {**level, "quantity": -1}])
    body = response.json()
    assert (body["data"]["payload_count"], body["data"]["success_count"], body["meta"]["status"]) == (4, 2, "PARTIAL")
    assert [(error["index"], error["code"]) for error in body["data"]["errors"]] == [(0, "IN403"), (3, "FORMAT_ERROR")]
    assert orders.state(accepted) == "credit_note_generated"
    (row,) = seller.get("/ims/v3/listings").json()["data"]
    assert row["quantity"] == 70
    alone = seller.put("/ims/v3/inventory", json=[notes[1]]).json()
    assert (alone["meta"]["status"], alone["data"]["errors"][0]["code"]) == ("FAILED", "IN453")


def test_x13_dates_have_three_formats(operator: Operator, orders: Seller) -> None:
    """All are in Indian time; a day is the whole day, and the end is included."""
    id = operator.place()
    placed = datetime.fromisoformat(orders.get_order(id)["orderDate"]).astimezone(INDIA)
    for form in ("%d-%m-%Y", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"):
        text = placed.strftime(form)
        assert orders.list_ids("CREATED", orderDateFrom=text, orderDateTo=text) == [id]


def test_x14_an_accepted_return_has_two_statuses(operator: Operator, orders: Seller) -> None:
    """Queries accept both; answers use the first, unless the second was queried."""
    id = _return_to_origin(operator, orders)
    orders.succeed("return", id)
    result: dict[str, Any] = {}
    for word in ("RETURN_ACCEPTED", "RETURN_COMPLETED"):
        (shipment,) = orders.client.get(OMS, params={"orderStatus": word, "locationCode": LOCATION}).json()
        result[word] = shipment["orderStatus"]
    assert result == {"RETURN_ACCEPTED": "RETURN_ACCEPTED", "RETURN_COMPLETED": "RETURN_COMPLETED"}
    assert orders.get_order(id)["orderStatus"] == "RETURN_ACCEPTED"


def test_x21_courier_details_are_an_array_without_envelope(operator: Operator, orders: Seller) -> None:
    """This follows the published sample, not the published schema."""
    id = operator.place()
    orders.pack(id)
    (result,) = orders.post("courierDetails", id).json()
    assert set(result) == {"courierName", "courierCode", "awbNumber", "additionalInfo", "orderId"}


@pytest.mark.parametrize(("given", "state"), [
    (True, "bag_picked"), ("true", "bag_picked"), ("True", "bag_picked"), (False, "dp_assigned"),
    ("false", "dp_assigned"),
])
def test_x22_auto_dispatch_is_a_boolean_or_a_text(operator: Operator, orders: Seller, given: object, state: str,
                                                     ) -> None:
    """Both forms are accepted."""
    id = operator.place(isSelfShip=True)
    orders.succeed("confirm", id)
    orders.invoice(id)
    orders.succeed("awb", {"orderId": id, "awbNumber": "A1", "courierName": "Vans", "autoDispatch": given})
    assert orders.state(id) == state


def test_x23_an_invoice_requires_only_a_confirmation(operator: Operator, orders: Seller) -> None:
    """A confirmed order is CONFIRMED, not PROCESSING; before, an invoice has the code IN403."""
    id = operator.place()
    assert orders.errors("invoiceUpdate", invoice(id)) == ["IN403"]
    orders.succeed("confirm", id)
    assert (orders.list_ids("CONFIRMED"), orders.list_ids("PROCESSING")) == ([id], [])
    orders.invoice(id)
    assert (orders.list_ids("CONFIRMED"), orders.list_ids("PROCESSING")) == ([], [id])


def test_x24_other_order_paths_do_not_exist(seller: Konnect) -> None:
    """They are answered with 404."""
    for path in ("/oms/v3/order/confirm", "/oms/v3/return/list"):
        response = seller.post(path, json=[])
        assert (response.status_code, response.json()["status"]) == (404, "FAILED")
