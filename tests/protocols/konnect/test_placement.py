"""Orders on their way in: by the admin API and the command line, described or as a seeded stream."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from goodsgate.cli import main
from tests.protocols.konnect.client import Konnect
from tests.protocols.konnect.order_clients import ADMIN, LOCATION, OMS, Operator, Seller, stocked, within


def _run(operator: Operator, *words: str) -> Result:
    options = ["--url", operator.gate.url, "--key", operator.password]
    return CliRunner().invoke(main, ["orders", *words, *options])


def _rows(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.output
    return [line.split("\t") for line in result.stdout.splitlines()]


def test_an_order_is_placed_from_the_command_line(operator: Operator, orders: Seller) -> None:
    """One by its SKU."""
    words = ("place", "--sku", "TR-001-42", "--location", LOCATION, "--quantity", "2")
    ((id, name, fate),) = _rows(_run(operator, *words))
    order = orders.one(id)
    assert (order["marketplaceOrderId"], order["orderItems"][0]["quantity"], fate) == (name, 2, "open")
    assert _rows(_run(operator, "simulate", id, "cancelled_customer", "--item", "0000001:1", "--remark", "Too many."))
    ((told, status, state),) = _rows(_run(operator, "simulate", id, "cancelled_customer"))
    assert (told, status, state) == (id, "CANCELLED", "cancelled_customer")


def test_orders_of_a_file(operator: Operator, orders: Seller, tmp_path: Path) -> None:
    """Those that cannot be placed are told, the others are; a file that is none is told, too."""
    wanted = {"items": [{"sku": "TR-001-42"}], "locationCode": LOCATION}
    file = tmp_path / "orders.json"
    file.write_text(json.dumps([wanted, {**wanted, "items": [{"sku": "x"}]}, {**wanted, "isReassigned": True}]))
    done = _run(operator, "place", str(file))
    assert (done.exit_code, done.stderr) == (1, "not placed: there is no SKU x. (unplaceable)\n")
    assert [orders.state(line.split("\t")[0]) for line in done.stdout.splitlines()] == ["placed", "store_reassigned"]
    for text in ("{", "{}", "[1]"):
        file.write_text(text)
        assert _run(operator, "place", str(file)).exit_code == 2
    assert _run(operator, "place").exit_code == _run(operator, "place", "--sku", "x").exit_code == 2


def test_a_stream_is_the_same_again(operator: Operator, orders: Seller) -> None:
    """By its seed and numbers: what was placed before is told, not placed twice; another seed is other orders."""
    first = _rows(_run(operator, "place", "--count", "12", "--seed", "7"))
    again = _rows(_run(operator, "place", "--count", "6", "--seed", "7", "--first", "7", "--rate", "1000"))
    assert again == first[6:]
    assert len({id for id, _, _ in first}) == 12
    assert len(orders.listed("CREATED", pageSize=200)) == 12
    other = _rows(_run(operator, "place", "--count", "12", "--seed", "8"))
    assert not {name for _, name, _ in first} & {name for _, name, _ in other}


def test_a_stream_has_its_share_of_everything(operator: Operator, seller: Konnect, orders: Seller) -> None:
    """Deliveries, cancellations, returns and returns to origin come by themselves, to whoever works the orders."""
    placed = operator.try_to_place(seed=3, count=100, stepSeconds=0)
    fates = [order["fate"] for order in placed]
    assert {fate: fates.count(fate) > 0 for fate in ("delivered", "cancelled", "returned", "origin")} == {
        "delivered": True, "cancelled": True, "returned": True, "origin": True
    }
    chosen = {fate: placed[fates.index(fate)]["orderId"] for fate in fates}
    assert orders.state(chosen["cancelled"]) == "cancelled_customer"
    for fate in ("delivered", "returned", "origin"):
        orders.done("confirm", chosen[fate])
        orders.invoice(chosen[fate])
        operator.happen(chosen[fate], "dp_assigned")
        orders.done("pack", chosen[fate])
        orders.done("dispatch", chosen[fate])
    assert orders.state(chosen["delivered"]) == orders.state(chosen["returned"]) == "delivery_done"
    assert orders.state(chosen["origin"]) == "rto_bag_delivered"
    backs = within(lambda: seller.get(OMS, params={
        "orderStatus": "RETURN_DELIVERED", "locationCode": orders.one(chosen["returned"])["locationCode"],
    }).json())
    assert chosen["returned"] in [back["forwardId"] for back in backs]


def test_a_courier_comes_after_a_while(operator: Operator, orders: Seller) -> None:
    """By itself, a set time after the invoice; nothing can be packed before."""
    soon, late = operator.place(courierSeconds=0.2), operator.place(courierSeconds=3600)
    orders.done("confirm", soon, late)
    orders.invoice(soon, late)
    assert orders.errors("pack", late) == ["CR400"]
    assert orders.state(late) == "bag_invoiced"
    within(lambda: orders.state(soon) == "dp_assigned")
    orders.done("pack", soon)


def test_what_is_due_is_done_before_a_list_is_read(operator: Operator, orders: Seller) -> None:
    """Nobody has to read the order itself."""
    id = operator.place(courierSeconds=0.2, fate="cancelled", stepSeconds=0.2)
    within(lambda: orders.listed("CANCELLED") == [id])


@pytest.mark.parametrize("body", [
    {}, [], {"orders": []}, {"orders": [{}]}, {"orders": [{"items": [], "locationCode": "x"}]},
    {"random": {"seed": -1}}, {"random": {"seed": 1, "count": 101}}, {"orders": None, "random": None},
    {"orders": [{"items": [{"sku": "x"}], "locationCode": "x"}], "random": {"seed": 1}},
])
def test_what_is_not_an_order_is_refused(operator: Operator, body: object) -> None:
    """As a problem document."""
    answered = operator.post(f"{ADMIN}/orders", json=body)
    assert (answered.status_code, answered.json()["code"]) == (400, "body_invalid")


def test_orders_that_cannot_be_placed_say_why(operator: Operator, stranger: Konnect) -> None:
    """An unknown SKU or fate; a name that was placed before; a catalogue without stock."""
    wanted = {"items": [{"sku": "TR-001-42"}], "locationCode": LOCATION, "marketplaceOrderId": "FY1"}
    told = operator.try_to_place(
        wanted, wanted, {**wanted, "items": [{"sku": "x"}]}, {**wanted, "fate": "lost", "marketplaceOrderId": "FY2"}
    )
    assert [one.get("code") for one in told] == [None, "placed_before", "unplaceable", "unplaceable"]
    assert told[0]["orderId"] == told[1]["orderId"]
    empty = Operator(stranger)
    assert [one["code"] for one in empty.try_to_place(seed=1, count=2)] == ["unplaceable"] * 2
    empty.close()
    assert operator.happen("1" * 20, "delivery_done").status_code == 404
    assert operator.happen(told[0]["orderId"], "vanish").json()["code"] == "body_invalid"
    assert operator.happen(told[0]["orderId"], "dp_assigned", items=[{"orderItemId": "0000001"}]).status_code == 400


def test_only_operators_place_orders(seller: Konnect) -> None:
    """A seller's key may not; nobody's may even less."""
    stocked(seller)
    for path, body in (("orders", {"random": {"seed": 1}}), ("webhooks", {"url": "https://erp.example"})):
        answered = seller.post(f"{ADMIN}/{path}", json=body)
        assert (answered.status_code, answered.json()["code"]) == (403, "forbidden")
        assert seller.gate.anonymous().post(f"{ADMIN}/{path}", json=body).status_code == 401
