"""New orders by the admin API and the command line, described or generated."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from goodsgate.cli import main
from tests.protocols.konnect.client import Konnect
from tests.protocols.konnect.order_clients import ADMIN, LOCATION, OMS, Operator, Seller, create_with_stock, wait_for


def _run(operator: Operator, *words: str) -> Result:
    options = ["--url", operator.gate.url, "--key", operator.password]
    return CliRunner().invoke(main, ["orders", *words, *options])


def _rows(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.output
    return [line.split("\t") for line in result.stdout.splitlines()]


def test_the_command_line_places_an_order(operator: Operator, orders: Seller) -> None:
    """The SKU and the location describe it."""
    words = ("place", "--sku", "TR-001-42", "--location", LOCATION, "--quantity", "2")
    ((id, name, fate),) = _rows(_run(operator, *words))
    order = orders.get_order(id)
    assert (order["marketplaceOrderId"], order["orderItems"][0]["quantity"], fate) == (name, 2, "open")
    assert _rows(_run(operator, "simulate", id, "cancelled_customer", "--item", "0000001:1", "--remark", "Too many."))
    ((result, status, state),) = _rows(_run(operator, "simulate", id, "cancelled_customer"))
    assert (result, status, state) == (id, "CANCELLED", "cancelled_customer")


def test_the_command_line_places_the_orders_of_a_file(operator: Operator, orders: Seller, tmp_path: Path) -> None:
    """Orders that cannot be placed are reported, the others are placed; an invalid file is an error."""
    order = {"items": [{"sku": "TR-001-42"}], "locationCode": LOCATION}
    file = tmp_path / "orders.json"
    file.write_text(json.dumps([order, {**order, "items": [{"sku": "x"}]}, {**order, "isReassigned": True}]))
    done = _run(operator, "place", str(file))
    assert (done.exit_code, done.stderr) == (1, "not placed: there is no SKU x. (unplaceable)\n")
    assert [orders.state(line.split("\t")[0]) for line in done.stdout.splitlines()] == ["placed", "store_reassigned"]
    for text in ("{", "{}", "[1]"):
        file.write_text(text)
        assert _run(operator, "place", str(file)).exit_code == 2
    assert _run(operator, "place").exit_code == _run(operator, "place", "--sku", "x").exit_code == 2


def test_generated_orders_are_reproducible(operator: Operator, orders: Seller) -> None:
    """The same seed and numbers give the same orders, which are placed once; another seed gives others."""
    first = _rows(_run(operator, "place", "--count", "12", "--seed", "7"))
    again = _rows(_run(operator, "place", "--count", "6", "--seed", "7", "--first", "7", "--rate", "1000"))
    assert again == first[6:]
    assert len({id for id, _, _ in first}) == 12
    assert len(orders.list_ids("CREATED", pageSize=200)) == 12
    other = _rows(_run(operator, "place", "--count", "12", "--seed", "8"))
    assert not {name for _, name, _ in first} & {name for _, name, _ in other}


def test_generated_orders_have_every_fate(operator: Operator, seller: Konnect, orders: Seller) -> None:
    """Deliveries, cancellations, returns and returns to origin occur by themselves."""
    placed = operator.place_all(seed=3, count=100, stepSeconds=0)
    fates = [order["fate"] for order in placed]
    assert {fate: fates.count(fate) > 0 for fate in ("delivered", "cancelled", "returned", "origin")} == {
        "delivered": True, "cancelled": True, "returned": True, "origin": True
    }
    chosen = {fate: placed[fates.index(fate)]["orderId"] for fate in fates}
    assert orders.state(chosen["cancelled"]) == "cancelled_customer"
    for fate in ("delivered", "returned", "origin"):
        orders.succeed("confirm", chosen[fate])
        orders.invoice(chosen[fate])
        operator.simulate(chosen[fate], "dp_assigned")
        orders.succeed("pack", chosen[fate])
        orders.succeed("dispatch", chosen[fate])
    assert orders.state(chosen["delivered"]) == orders.state(chosen["returned"]) == "delivery_done"
    assert orders.state(chosen["origin"]) == "rto_bag_delivered"
    backs = wait_for(lambda: seller.get(OMS, params={
        "orderStatus": "RETURN_DELIVERED", "locationCode": orders.get_order(chosen["returned"])["locationCode"],
    }).json())
    assert chosen["returned"] in [back["forwardId"] for back in backs]


def test_a_courier_is_assigned_some_time_after_the_invoice(operator: Operator, orders: Seller) -> None:
    """Nothing can be packed before."""
    soon, late = operator.place(courierSeconds=0.2), operator.place(courierSeconds=3600)
    orders.succeed("confirm", soon, late)
    orders.invoice(soon, late)
    assert orders.errors("pack", late) == ["CR400"]
    assert orders.state(late) == "bag_invoiced"
    wait_for(lambda: orders.state(soon) == "dp_assigned")
    orders.succeed("pack", soon)


def test_due_events_are_applied_before_a_list_is_read(operator: Operator, orders: Seller) -> None:
    """The order itself need not be read."""
    id = operator.place(courierSeconds=0.2, fate="cancelled", stepSeconds=0.2)
    wait_for(lambda: orders.list_ids("CANCELLED") == [id])


@pytest.mark.parametrize("body", [
    {}, [], {"orders": []}, {"orders": [{}]}, {"orders": [{"items": [], "locationCode": "x"}]},
    {"random": {"seed": -1}}, {"random": {"seed": 1, "count": 101}}, {"orders": None, "random": None},
    {"orders": [{"items": [{"sku": "x"}], "locationCode": "x"}], "random": {"seed": 1}},
])
def test_an_invalid_order_is_refused(operator: Operator, body: object) -> None:
    """The refusal is a problem document."""
    response = operator.post(f"{ADMIN}/orders", json=body)
    assert (response.status_code, response.json()["code"]) == (400, "body_invalid")


def test_orders_that_cannot_be_placed_have_a_code(operator: Operator, stranger: Konnect) -> None:
    """Causes are an unknown SKU or fate, a duplicate name, and a catalogue without stock."""
    order = {"items": [{"sku": "TR-001-42"}], "locationCode": LOCATION, "marketplaceOrderId": "FY1"}
    result = operator.place_all(
        order, order, {**order, "items": [{"sku": "x"}]}, {**order, "fate": "lost", "marketplaceOrderId": "FY2"}
    )
    assert [one.get("code") for one in result] == [None, "placed_before", "unplaceable", "unplaceable"]
    assert result[0]["orderId"] == result[1]["orderId"]
    empty = Operator(stranger)
    assert [one["code"] for one in empty.place_all(seed=1, count=2)] == ["unplaceable"] * 2
    empty.close()
    assert operator.simulate("1" * 20, "delivery_done").status_code == 404
    assert operator.simulate(result[0]["orderId"], "vanish").json()["code"] == "body_invalid"
    assert operator.simulate(result[0]["orderId"], "dp_assigned", items=[{"orderItemId": "0000001"}]).status_code == 400


def test_placing_orders_needs_an_admin_key(seller: Konnect) -> None:
    """A seller's key and a request without a key are refused."""
    create_with_stock(seller)
    for path, body in (("orders", {"random": {"seed": 1}}), ("webhooks", {"url": "https://erp.example"})):
        response = seller.post(f"{ADMIN}/{path}", json=body)
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")
        assert seller.gate.anonymous().post(f"{ADMIN}/{path}", json=body).status_code == 401
