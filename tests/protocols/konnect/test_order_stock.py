"""Stock and orders with any number of concurrent clients."""

import itertools
import threading
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from goodsgate.engine.stock import Stock, StockLevel
from goodsgate.model.catalogue import item_key
from goodsgate.protocols.konnect.orders.states import STATE_BY_NAME, Transition, find_transition
from tests import effort
from tests.protocols.konnect.client import Konnect
from tests.protocols.konnect.order_clients import LOCATION, Operator, Seller, invoice, set_stock

SKU = "TR-001-42"


def _level(operator: Operator) -> StockLevel:
    key = item_key(SKU, LOCATION)
    return Stock(operator.gate.shop.store).levels(operator.merchant, "konnect", [key])[key]


def test_stock_follows_an_order(operator: Operator, orders: Seller) -> None:
    """It is reserved, taken by the invoice, and put back by an accepted return unless the goods are lost."""
    assert _level(operator) == StockLevel(100, 0)
    id = operator.place(5)
    assert _level(operator) == StockLevel(100, 5)
    orders.dispatch(id)
    assert _level(operator) == StockLevel(95, 0)
    operator.simulate_all(id, "delivery_done")
    back = operator.simulate(id, "return", items=[{"orderItemId": "0000001", "quantity": 3}]).json()["id"]
    operator.simulate_all(back, "return_bag_in_transit", "return_bag_delivered")
    assert _level(operator) == StockLevel(95, 0)
    orders.succeed("return", back)
    assert _level(operator) == StockLevel(98, 0)
    other = operator.simulate_all(id, "return")["id"]
    operator.simulate_all(other, "return_bag_in_transit", "return_bag_delivered")
    lost = {"orderId": other, "orderItems": [{"orderItemId": "0000001", "quantity": 2, "reasonCode": "lost"}]}
    orders.succeed("return", lost)
    assert _level(operator) == StockLevel(98, 0)


def test_a_cancellation_releases_the_stock(operator: Operator, orders: Seller) -> None:
    """After the invoice, stock comes back only with the accepted return."""
    piece = {"orderItemId": "0000001", "quantity": 1, "reasonCode": "6"}
    id, other, late = operator.place(5), operator.place(5), operator.place(5)
    orders.succeed("cancel", {"orderId": id, "orderItems": [piece]})
    assert _level(operator) == StockLevel(100, 14)
    operator.simulate(id, "cancelled_customer", items=[{"orderItemId": "0000001", "quantity": 1}])
    orders.succeed("cancel", id)
    operator.simulate_all(other, "cancelled_fynd")
    assert _level(operator) == StockLevel(100, 5)
    orders.pack(late)
    orders.succeed("cancel", late)
    assert _level(operator) == StockLevel(95, 0)
    orders.succeed("return", late)
    assert _level(operator) == StockLevel(100, 0)


def test_stock_feeds_keep_reservations(operator: Operator, orders: Seller, seller: Konnect) -> None:
    """A feed sets the level; reserved pieces stay reserved, and missing ones cannot be ordered."""
    id = operator.place(10)
    set_stock(seller, (SKU, 12))
    assert _level(operator) == StockLevel(12, 10)
    order = {"items": [{"sku": SKU, "quantity": 3}], "locationCode": LOCATION}
    assert [one["code"] for one in operator.place_all(order)] == ["stock_short"]
    assert [one["code"] for one in operator.place_all({**order, "locationCode": "DEL-01"})] == ["stock_unknown"]
    assert len(orders.list_ids("CREATED")) == 1
    operator.place(2)
    orders.succeed("confirm", id)
    orders.invoice(id)
    assert _level(operator) == StockLevel(2, 2)


def test_no_piece_is_sold_twice(operator: Operator, orders: Seller, seller: Konnect) -> None:
    """However many clients place orders, each placed order has its stock."""
    set_stock(seller, (SKU, 7))
    placed: list[dict[str, Any]] = []

    def place() -> None:
        with closing(Operator(seller)) as own:
            order = {"items": [{"sku": SKU}], "locationCode": LOCATION}
            for _ in range(4):
                placed.extend(own.place_all(order))

    _at_once([place] * 4)
    assert len([one for one in placed if "orderId" in one]) == 7
    assert {one["code"] for one in placed if "orderId" not in one} == {"stock_short"}
    assert _level(operator) == StockLevel(7, 7)
    assert len(orders.list_ids("CREATED", pageSize=20)) == 7


def test_concurrent_clients_confirm_an_order_once(operator: Operator, orders: Seller, seller: Konnect) -> None:
    """One client succeeds, the others get an error, and the history has one entry."""
    ids = [operator.place() for _ in range(4)]
    result: list[dict[str, Any]] = []

    def confirm() -> None:
        with closing(Konnect(seller.gate, seller.merchant)) as own:
            result.append(Seller(own).post("confirm", *ids).json())

    _at_once([confirm] * 5)
    assert sum(answer["successCount"] for answer in result) == len(ids)
    assert {error["code"] for answer in result for error in answer["errors"]} == {"O400"}
    assert all(len(_history(seller, id)) == 2 for id in ids)


def test_concurrent_clients_use_an_invoice_number_once(operator: Operator, orders: Seller, seller: Konnect) -> None:
    """The others get an error and may use another number."""
    ids = [operator.place() for _ in range(4)]
    orders.succeed("confirm", *ids)
    result: list[dict[str, Any]] = []

    def bill(id: str) -> None:
        with closing(Konnect(seller.gate, seller.merchant)) as own:
            result.append(Seller(own).post("invoiceUpdate", invoice(id, number="INV-1")).json())

    _at_once([lambda id=id: bill(id) for id in ids])  # type: ignore[misc]
    assert sum(answer["successCount"] for answer in result) == 1
    assert [error["code"] for answer in result for error in answer["errors"]] == ["IN422"] * 3
    left = [id for id in ids if orders.state(id) == "bag_confirmed"]
    orders.invoice(*left)


def _at_once(works: list[Any]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _history(seller: Konnect, id: str) -> list[str]:
    result = seller.post("/oms/v3/shipment/track", json={"shipment_id": id}).json()
    return [event["dp_status"] for event in reversed(result["data"]["events"])]


EVENTS = {
    "confirm": "confirm", "sale": "invoiceUpdate", "pack": "pack", "dispatch": "dispatch", "cancel": "cancel",
    "accept": "return", "credit": "invoiceUpdate",
}
EXTERNAL_EVENTS = (
    "delivery_done", "cancelled_customer", "rto_initiated", "rto_bag_delivered", "bag_not_picked", "dp_assigned",
)


def _attempt(operator: Operator, orders: Seller, id: str, event: str) -> bool:
    """Return whether an event succeeded."""
    if event in EXTERNAL_EVENTS:
        return operator.simulate(id, event).status_code == 200
    types = {"sale": "sale", "credit": "return"}
    entry = invoice(id, type=types[event]) if event in types else id
    return orders.errors(EVENTS[event], entry) == []


@settings(max_examples=effort.examples(8), deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
          suppress_health_check=[*HealthCheck], derandomize=True)
@given(st.lists(st.lists(st.sampled_from([*EVENTS, *EXTERNAL_EVENTS]), min_size=6, max_size=14), min_size=2,
    max_size=3))
def test_concurrent_events_follow_the_state_table(operator: Operator, orders: Seller, walks: list[list[str]]) -> None:
    """The history of the order is a path through the table with every granted event, and its stock matches it."""
    before = _level(operator)
    id = operator.place(3)
    granted: list[str] = []

    def walk(events: list[str]) -> None:
        with closing(Konnect(operator.gate, operator.merchant, scopes=("submit", "read", "admin"))) as own:
            admin = Operator(own)
            granted.extend(event for event in events if _attempt(admin, Seller(own), id, event))
            admin.close()

    _at_once([lambda events=events: walk(events) for events in walks])  # type: ignore[misc]
    history = _history(orders.client, id)
    for state, following in itertools.pairwise(history):
        leads = [find_transition(state, event, self_ship=False) for event in _all_events()]
        assert following in [step.target for step in leads if isinstance(step, Transition)], history
    assert len(granted) == len([state for state in history[1:] if state != "dp_assigned"]), (granted, history)
    invoiced = "bag_invoiced" in history
    cancelled = STATE_BY_NAME[history[-1]].status == "CANCELLED" and not invoiced
    accepted = "rto_bag_accepted" in history
    assert before.stock is not None
    taken = 3 if invoiced and not accepted else 0
    reserved = 0 if invoiced or cancelled else 3
    assert _level(operator) == StockLevel(before.stock - taken, before.reserved + reserved)


def _all_events() -> list[str]:
    return [*EVENTS, *(f"external/{word}" for word in EXTERNAL_EVENTS)]


@pytest.mark.parametrize("event", ["placed", "new", "bag_picked", ""])
def test_only_external_events_can_be_simulated(operator: Operator, event: str) -> None:
    """Events of sellers and the first states are refused."""
    assert operator.simulate(operator.place(), event).status_code == 400
