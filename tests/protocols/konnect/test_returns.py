"""Customer returns, returns to origin, cancellations after the invoice, and self-shipping."""

from typing import Any

import pytest

from tests.protocols.konnect.order_clients import Operator, Seller, invoice


def _arrived_return(operator: Operator, orders: Seller, quantity: int = 1, **more: Any) -> tuple[str, str]:
    """Return the ids of a delivered order and of its return, which has arrived."""
    id = operator.place(quantity, **more)
    orders.dispatch(id)
    operator.simulate_all(id, "delivery_done")
    back = operator.simulate_all(id, "return")["id"]
    operator.simulate_all(back, "return_bag_in_transit", "return_bag_delivered")
    return id, back


def test_a_customer_return_is_a_shipment_of_its_own(operator: Operator, orders: Seller) -> None:
    """It names the first shipment, and is accepted and credited."""
    id, back = _arrived_return(operator, orders, 3)
    shipment = orders.get_order(back)
    assert (shipment["forwardId"], shipment["marketplaceReturnId"], shipment["orderStatus"]) == (
        id, f"R{back}", "RETURN_DELIVERED"
    )
    assert orders.list_ids("RETURN_DELIVERED") == [back]
    assert orders.errors("invoiceUpdate", invoice(back, type="return")) == ["IN403"]
    orders.succeed("return", {"orderId": back, "orderItems": [
        {"orderItemId": "0000001", "quantity": 1, "reasonCode": "package_damaged"}
    ]})
    assert (orders.state(back), orders.get_order(back)["orderItems"][0]["reasonCode"]) == (
        "return_bag_accepted", "package_damaged"
    )
    orders.invoice(back, type="return")
    assert orders.get_order(back)["orderStatus"] == "CREDIT_NOTE_GENERATED"
    assert orders.get_order(id)["orderStatus"] == "DELIVERED"
    assert orders.errors("invoiceUpdate", invoice(back, type="return")) == ["IN453"]


def test_no_more_pieces_are_returned_than_delivered(operator: Operator, orders: Seller) -> None:
    """Each partial return is a shipment; nothing can be returned before the delivery."""
    id = operator.place(3)
    assert operator.simulate(id, "return").status_code == 409
    orders.dispatch(id)
    operator.simulate_all(id, "delivery_done")
    piece = [{"orderItemId": "0000001", "quantity": 2}]
    assert operator.simulate(id, "return", items=piece).json()["orderItems"][0]["quantity"] == 2
    assert operator.simulate(id, "return", items=piece).status_code == 400
    assert operator.simulate(id, "return").json()["orderItems"][0]["quantity"] == 1
    assert operator.simulate(id, "return").status_code == 400
    assert operator.simulate(id, "delivery_done").json()["code"] == "state_conflict"


def test_a_return_to_origin_stays_the_same_shipment(operator: Operator, orders: Seller) -> None:
    """It is accepted and credited like a customer's return."""
    id = operator.place()
    orders.dispatch(id)
    operator.simulate_all(id, "rto_initiated")
    assert orders.get_order(id)["orderStatus"] == "RETURN_PROCESSING"
    assert orders.errors("return", id) == ["R403"]
    operator.simulate_all(id, "rto_bag_delivered")
    assert orders.list_ids("RETURN_DELIVERED") == [id]
    assert orders.errors("invoiceUpdate", invoice(id, type="return")) == ["IN403"]
    orders.succeed("return", id)
    assert orders.get_order(id)["bagStatus"] == "rto_bag_accepted"
    orders.invoice(id, type="return")
    assert orders.get_order(id)["orderStatus"] == "CREDIT_NOTE_GENERATED"


def test_an_order_cancelled_after_its_invoice_is_accepted_back(operator: Operator, orders: Seller) -> None:
    """It is CANCELLED and also listed among the arrived returns (dossier 9.1)."""
    id, early = operator.place(), operator.place()
    orders.pack(id)
    orders.succeed("cancel", id, early)
    assert orders.get_order(id)["orderStatus"] == "CANCELLED"
    assert orders.list_ids("CANCELLED") == [id, early]
    assert orders.list_ids("RETURN_DELIVERED") == [id]
    query = {"orderStatus": "RETURN_DELIVERED", "locationCode": "BLR-01"}
    response = orders.client.get("/oms/v3/shipment", params=query)
    assert response.json()[0]["orderStatus"] == "RETURN_DELIVERED"
    assert orders.errors("return", early) == ["R403"]
    orders.succeed("return", id)
    orders.invoice(id, type="return")


def test_codes_of_returns(operator: Operator, orders: Seller) -> None:
    """R403 means another state, R400 unknown items; an invoice of the wrong type is refused."""
    id, back = _arrived_return(operator, orders, 2)
    assert orders.errors("return", id) == ["R403"]
    for item in ({"orderItemId": "x"}, {"orderItemId": "0000001", "quantity": 3}):
        assert orders.errors("return", {"orderId": back, "orderItems": [item]}) == ["R400"]
    assert orders.errors("invoiceUpdate", invoice(back), invoice(id, type="return")) == ["IN422", "IN422"]
    orders.succeed("return", back)
    assert orders.errors("return", back) == ["R403"]


# -- self-ship --------------------------------------------------------------------------------------------------------


def _airway(order: str, **more: Any) -> dict[str, Any]:
    return {"orderId": order, "awbNumber": f"MY{order[-6:]}", "courierName": "My Vans", "autoDispatch": False, **more}


def _milestone(order: str, word: str, **meta: Any) -> dict[str, Any]:
    return {"orderId": order, "orderStatus": word, **({"meta": meta} if meta else {})}


def test_a_self_shipping_seller_sets_airway_bill_and_milestones(operator: Operator, orders: Seller) -> None:
    """The airway bill may dispatch the order at once."""
    id = operator.place(isSelfShip=True)
    orders.succeed("confirm", id)
    assert orders.errors("awb", _airway(id)) == ["AW403"]
    orders.invoice(id)
    orders.succeed("awb", _airway(id))
    shipment = orders.get_order(id)
    assert (shipment["bagStatus"], shipment["courierName"], shipment["awbNumber"], shipment["is_self_ship"]) == (
        "dp_assigned", "My Vans", [f"MY{id[-6:]}"], True
    )
    orders.succeed("awb", _airway(id, awbNumber="MY2", autoDispatch=True))
    assert orders.get_order(id)["orderStatus"] == "TRANSIT"
    assert orders.errors("awb", _airway(id)) == ["AW403"]
    orders.succeed("status", _milestone(id, "delivery_done", remark="At the door.", reasonCode=1.0, dpLocation="Pune"))
    assert orders.get_order(id)["orderStatus"] == "DELIVERED"


@pytest.mark.parametrize(("chain", "state"), [
    (("bag_picked", "delivery_done"), "delivery_done"), (("bag_picked", "rto_bag_delivered"), "rto_bag_delivered"),
])
def test_milestones_follow_their_order(operator: Operator, orders: Seller, chain: tuple[str, ...], state: str) -> None:
    """Any other milestone is an error."""
    id = operator.place(isSelfShip=True)
    orders.succeed("confirm", id)
    orders.invoice(id)
    assert orders.errors("status", *(_milestone(id, word) for word in ("delivery_done", "return_bag_delivered"))) == [
        "ST403", "ST403"
    ]
    for word in chain:
        orders.succeed("status", _milestone(id, word))
        assert orders.errors("status", _milestone(id, word)) == ["ST403"]
    assert orders.state(id) == state


def test_a_self_shipping_seller_fetches_a_return(operator: Operator, orders: Seller) -> None:
    """The airway bill of a return dispatches nothing."""
    id = operator.place(isSelfShip=True, courierSeconds=3600)
    orders.succeed("confirm", id)
    orders.invoice(id)
    operator.simulate_all(id, "dp_assigned")
    orders.succeed("awb", _airway(id, autoDispatch="true"))
    orders.succeed("status", _milestone(id, "delivery_done"))
    back = operator.simulate_all(id, "return")["id"]
    assert orders.errors("awb", _airway(back)) == ["AW403"]
    operator.simulate_all(back, "return_dp_assigned")
    orders.succeed("awb", _airway(back, autoDispatch=True))
    assert orders.state(back) == "return_dp_assigned"
    orders.succeed("status", _milestone(back, "return_bag_in_transit"), _milestone(back, "return_bag_delivered"))
    orders.succeed("return", back)
    orders.invoice(back, type="return")


def test_self_ship_operations_need_a_self_shipped_order(operator: Operator, orders: Seller) -> None:
    """Courier events need another order, too; bad entries have their own errors."""
    id, own = operator.place(), operator.place(isSelfShip=True)
    for order in (id, own):
        orders.succeed("confirm", order)
        orders.invoice(order)
    assert orders.errors("awb", _airway(id)) == ["AW403"]
    assert orders.errors("status", _milestone(id, "bag_picked"), _milestone(own, "lost")) == ["ST403", "ST400"]
    assert orders.errors("awb", _airway(own, autoDispatch="perhaps"), {"orderId": own}, _airway("1" * 20)) == [
        "AW400", "AW400", "AW422"
    ]
    assert operator.simulate(own, "delivery_done").status_code == 409
