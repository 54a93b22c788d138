"""What comes back: customers' returns, returns to origin, what was cancelled after its invoice; and self-shipping."""

from typing import Any

import pytest

from tests.protocols.konnect.order_clients import Operator, Seller, invoice


def _back(operator: Operator, orders: Seller, quantity: int = 1, **more: Any) -> tuple[str, str]:
    """A delivered order, and the return of it that has arrived."""
    id = operator.place(quantity, **more)
    orders.dispatched(id)
    operator.happened(id, "delivery_done")
    back = operator.happened(id, "return")["id"]
    operator.happened(back, "return_bag_in_transit", "return_bag_delivered")
    return id, back


def test_a_customer_sends_something_back(operator: Operator, orders: Seller) -> None:
    """As a shipment of its own that names the first; looked at, credited."""
    id, back = _back(operator, orders, 3)
    shipment = orders.one(back)
    assert (shipment["forwardId"], shipment["marketplaceReturnId"], shipment["orderStatus"]) == (
        id, f"R{back}", "RETURN_DELIVERED"
    )
    assert orders.listed("RETURN_DELIVERED") == [back]
    assert orders.errors("invoiceUpdate", invoice(back, type="return")) == ["IN403"]
    orders.done("return", {"orderId": back, "orderItems": [
        {"orderItemId": "0000001", "quantity": 1, "reasonCode": "package_damaged"}
    ]})
    assert (orders.state(back), orders.one(back)["orderItems"][0]["reasonCode"]) == (
        "return_bag_accepted", "package_damaged"
    )
    orders.invoice(back, type="return")
    assert (orders.one(back)["orderStatus"], orders.one(id)["orderStatus"]) == ("CREDIT_NOTE_GENERATED", "DELIVERED")
    assert orders.errors("invoiceUpdate", invoice(back, type="return")) == ["IN453"]


def test_no_more_comes_back_than_went_out(operator: Operator, orders: Seller) -> None:
    """In pieces, of which each is a return; before it was delivered, nothing."""
    id = operator.place(3)
    assert operator.happen(id, "return").status_code == 409
    orders.dispatched(id)
    operator.happened(id, "delivery_done")
    piece = [{"orderItemId": "0000001", "quantity": 2}]
    assert operator.happen(id, "return", items=piece).json()["orderItems"][0]["quantity"] == 2
    assert operator.happen(id, "return", items=piece).status_code == 400
    assert operator.happen(id, "return").json()["orderItems"][0]["quantity"] == 1
    assert operator.happen(id, "return").status_code == 400
    assert operator.happen(id, "delivery_done").json()["code"] == "state_conflict"


def test_an_order_returns_to_its_origin(operator: Operator, orders: Seller) -> None:
    """On the same shipment."""
    id = operator.place()
    orders.dispatched(id)
    operator.happened(id, "rto_initiated")
    assert orders.one(id)["orderStatus"] == "RETURN_PROCESSING"
    assert orders.errors("return", id) == ["R403"]
    operator.happened(id, "rto_bag_delivered")
    assert orders.listed("RETURN_DELIVERED") == [id]
    assert orders.errors("invoiceUpdate", invoice(id, type="return")) == ["IN403"]
    orders.done("return", id)
    assert orders.one(id)["bagStatus"] == "rto_bag_accepted"
    orders.invoice(id, type="return")
    assert orders.one(id)["orderStatus"] == "CREDIT_NOTE_GENERATED"


def test_what_is_cancelled_after_its_invoice_is_taken_back(operator: Operator, orders: Seller) -> None:
    """It is CANCELLED, and among the returns that are to be looked at (dossier 9.1)."""
    id, early = operator.place(), operator.place()
    orders.packed(id)
    orders.done("cancel", id, early)
    assert orders.one(id)["orderStatus"] == "CANCELLED"
    assert orders.listed("CANCELLED") == [id, early]
    assert orders.listed("RETURN_DELIVERED") == [id]
    found = orders.client.get("/oms/v3/shipment", params={"orderStatus": "RETURN_DELIVERED", "locationCode": "BLR-01"})
    assert found.json()[0]["orderStatus"] == "RETURN_DELIVERED"
    assert orders.errors("return", early) == ["R403"]
    orders.done("return", id)
    orders.invoice(id, type="return")


def test_codes_of_returns(operator: Operator, orders: Seller) -> None:
    """R403 in any other state, R400 for items that it has not; both types of invoices know their way."""
    id, back = _back(operator, orders, 2)
    assert orders.errors("return", id) == ["R403"]
    for item in ({"orderItemId": "x"}, {"orderItemId": "0000001", "quantity": 3}):
        assert orders.errors("return", {"orderId": back, "orderItems": [item]}) == ["R400"]
    assert orders.errors("invoiceUpdate", invoice(back), invoice(id, type="return")) == ["IN422", "IN422"]
    orders.done("return", back)
    assert orders.errors("return", back) == ["R403"]


# -- self-ship --------------------------------------------------------------------------------------------------------


def _airway(order: str, **more: Any) -> dict[str, Any]:
    return {"orderId": order, "awbNumber": f"MY{order[-6:]}", "courierName": "My Vans", "autoDispatch": False, **more}


def _milestone(order: str, word: str, **meta: Any) -> dict[str, Any]:
    return {"orderId": order, "orderStatus": word, **({"meta": meta} if meta else {})}


def test_a_seller_ships_himself(operator: Operator, orders: Seller) -> None:
    """The airway bill moves it on if it is to; milestones do the rest."""
    id = operator.place(isSelfShip=True)
    orders.done("confirm", id)
    assert orders.errors("awb", _airway(id)) == ["AW403"]
    orders.invoice(id)
    orders.done("awb", _airway(id))
    shipment = orders.one(id)
    assert (shipment["bagStatus"], shipment["courierName"], shipment["awbNumber"], shipment["is_self_ship"]) == (
        "dp_assigned", "My Vans", [f"MY{id[-6:]}"], True
    )
    orders.done("awb", _airway(id, awbNumber="MY2", autoDispatch=True))
    assert orders.one(id)["orderStatus"] == "TRANSIT"
    assert orders.errors("awb", _airway(id)) == ["AW403"]
    orders.done("status", _milestone(id, "delivery_done", remark="At the door.", reasonCode=1.0, dpLocation="Pune"))
    assert orders.one(id)["orderStatus"] == "DELIVERED"


@pytest.mark.parametrize(("chain", "state"), [
    (("bag_picked", "delivery_done"), "delivery_done"), (("bag_picked", "rto_bag_delivered"), "rto_bag_delivered"),
])
def test_the_chains_of_milestones(operator: Operator, orders: Seller, chain: tuple[str, ...], state: str) -> None:
    """Step by step; any other one is told by its record."""
    id = operator.place(isSelfShip=True)
    orders.done("confirm", id)
    orders.invoice(id)
    assert orders.errors("status", *(_milestone(id, word) for word in ("delivery_done", "return_bag_delivered"))) == [
        "ST403", "ST403"
    ]
    for word in chain:
        orders.done("status", _milestone(id, word))
        assert orders.errors("status", _milestone(id, word)) == ["ST403"]
    assert orders.state(id) == state


def test_a_seller_fetches_a_return_himself(operator: Operator, orders: Seller) -> None:
    """With an airway bill, whose dispatch means nothing here."""
    id = operator.place(isSelfShip=True, courierSeconds=3600)
    orders.done("confirm", id)
    orders.invoice(id)
    operator.happened(id, "dp_assigned")
    orders.done("awb", _airway(id, autoDispatch="true"))
    orders.done("status", _milestone(id, "delivery_done"))
    back = operator.happened(id, "return")["id"]
    assert orders.errors("awb", _airway(back)) == ["AW403"]
    operator.happened(back, "return_dp_assigned")
    orders.done("awb", _airway(back, autoDispatch=True))
    assert orders.state(back) == "return_dp_assigned"
    orders.done("status", _milestone(back, "return_bag_in_transit"), _milestone(back, "return_bag_delivered"))
    orders.done("return", back)
    orders.invoice(back, type="return")


def test_self_ship_is_not_for_others(operator: Operator, orders: Seller) -> None:
    """Nor are the courier's doings for it; bad entries are told one by one."""
    id, own = operator.place(), operator.place(isSelfShip=True)
    for order in (id, own):
        orders.done("confirm", order)
        orders.invoice(order)
    assert orders.errors("awb", _airway(id)) == ["AW403"]
    assert orders.errors("status", _milestone(id, "bag_picked"), _milestone(own, "lost")) == ["ST403", "ST400"]
    assert orders.errors("awb", _airway(own, autoDispatch="perhaps"), {"orderId": own}, _airway("1" * 20)) == [
        "AW400", "AW400", "AW422"
    ]
    assert operator.happen(own, "delivery_done").status_code == 409
