"""Changes of a shipment as pure functions from one shipment to the next."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from goodsgate.protocols.konnect.orders.shipment import (
    CourierDetails,
    DueEvent,
    PendingStockChange,
    Shipment,
    ShipmentEvent,
)
from goodsgate.protocols.konnect.orders.states import Transition, TransitionRefusal, find_transition

RETURN = "return"
"""The event of a customer who sends a delivered shipment back; it begins a shipment of its own."""
TEST_COURIER = "Fynd-Test"
MISSING_REASONS = frozenset({
    "lost", "short_received", "empty_box_received", "free_gift_missing", "component_missing",
})
"""Reasons of a return's quality check for goods that did not arrive; they are not added to the stock (dossier 9.2)."""

HISTORY_MAX = 500
"""Entries of a shipment's history after which its pieces can no longer be cancelled one by one."""

replace = msgspec.structs.replace


class TransitionError(Exception):
    """The event is not possible in the shipment's state."""

    def __init__(self, shipment: Shipment, event: str, reason: TransitionRefusal) -> None:
        super().__init__(f"{event} is not possible for a shipment in the state {shipment.state}")
        self.shipment = shipment
        self.reason = reason


def require_transition(shipment: Shipment, event: str) -> Transition:
    """Return the transition of an event; raise TransitionError if there is none from the current state."""
    transition = find_transition(shipment.state, event, self_ship=shipment.self_ship)
    if isinstance(transition, TransitionRefusal):
        raise TransitionError(shipment, event, transition)
    return transition


def apply_event(shipment: Shipment, event: str, *, at: datetime, entry: ShipmentEvent | None = None) -> Shipment:
    """Return the shipment after an event: state, history, the next due event, and the stock changes that follow.

    `entry` is the history entry, by default one without details. Raises TransitionError.
    """
    target = require_transition(shipment, event).target
    entry = ShipmentEvent(state=target, at=at) if entry is None else replace(entry, state=target)
    planned = shipment.plan.get(target)
    due = None if planned is None else DueEvent(at + timedelta(seconds=planned[1]), planned[0])
    changed = replace(shipment, state=target, history=(*shipment.history, entry), due=due)
    if target in ("dp_assigned", "return_dp_assigned") and changed.courier is None and not changed.self_ship:
        changed = replace(changed, courier=CourierDetails(
            name=TEST_COURIER, code=TEST_COURIER.lower(), awb=(f"FYT{changed.id[-12:]}",), info="Assigned by the gate.",
        ))
    return _with_stock_change(changed, before=shipment)


def _with_stock_change(changed: Shipment, *, before: Shipment) -> Shipment:
    match changed.state:
        case "bag_invoiced":
            return add_stock_change(changed, "commit", {line.id: line.open for line in changed.lines})
        case "cancelled_seller" | "cancelled_customer" | "cancelled_fynd":
            released = {line.id: line.open for line in before.lines}
            lines = tuple(replace(line, cancelled=line.quantity) for line in changed.lines)
            return add_stock_change(replace(changed, lines=lines), "cancel", released)
        case "return_bag_accepted" | "rto_bag_accepted":
            accepted = {line.id: line.open for line in changed.lines if line.reason not in MISSING_REASONS}
            return add_stock_change(changed, "refund", accepted)
        case _:
            return changed


def cancel_pieces(shipment: Shipment, pieces: Mapping[str, int], event: str, *, entry: ShipmentEvent) -> Shipment:
    """Cancel pieces of lines (``orderItemId`` → number) before the invoice, or the shipment if none are left.

    The pieces must be open. Raises TransitionError.
    """
    left = {line.id: line.open - pieces.get(line.id, 0) for line in shipment.lines}
    if not any(left.values()):
        return apply_event(shipment, event, at=entry.at, entry=entry)
    if shipment.invoice is not None or len(shipment.history) >= HISTORY_MAX:
        raise TransitionError(shipment, event, TransitionRefusal.LATE)
    require_transition(shipment, event)
    lines = tuple(replace(line, cancelled=line.quantity - left[line.id]) for line in shipment.lines)
    changed = replace(shipment, lines=lines, history=(*shipment.history, replace(entry, state=shipment.state)))
    return add_stock_change(changed, "cancel", pieces)


def add_stock_change(shipment: Shipment, verb: str, pieces: Mapping[str, int]) -> Shipment:
    """Return the shipment with a stock change that is to be made once the shipment is saved."""
    amounts: dict[str, int] = {}
    for line in shipment.lines:
        if pieces.get(line.id):
            key = shipment.stock_key(line)
            amounts[key] = amounts.get(key, 0) + pieces[line.id]
    if not amounts:
        return shipment
    change = PendingStockChange(f"{shipment.id}/{len(shipment.history)}/{verb}", verb, amounts)
    return replace(shipment, stock_changes=(*shipment.stock_changes, change))


def create_return(shipment: Shipment, pieces: Mapping[str, int], *, at: datetime) -> Shipment:
    """Return a new shipment in which pieces of a delivered one come back; it is not placed yet."""
    lines = tuple(
        replace(line, quantity=pieces[line.id], cancelled=0) for line in shipment.lines if pieces.get(line.id)
    )
    return Shipment(
        order=shipment.order, forward=shipment.id, placed_at=at, location=shipment.location, channel=shipment.channel,
        self_ship=shipment.self_ship, state="new", first_state="return_initiated", lines=lines,
        shipping=shipment.shipping, billing=shipment.billing,
        payment=shipment.payment, invoice=shipment.invoice, plan=shipment.plan, parcels=shipment.parcels,
    )
