"""What happens to a shipment, as pure functions from one shipment to the next."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from goodsgate.protocols.konnect.orders.shipment import (
    CourierDetails,
    DueEvent,
    PendingMovement,
    Shipment,
    ShipmentEvent,
)
from goodsgate.protocols.konnect.orders.states import Transition, TransitionRefusal, find_transition

RETURN = "return"
"""What may be due of a delivered shipment: its customer sends it back, as a shipment of its own."""
TEST_COURIER = "Fynd-Test"
MISSING = frozenset({
    "lost", "short_received", "empty_box_received", "free_gift_missing", "component_missing",
})
"""Reasons of a return's check that say: it is not there. It does not go back into the stock (dossier 9.2)."""

HISTORY_MAX = 500
"""Lines of a shipment's history, after which no more pieces of it are cancelled one by one."""

replace = msgspec.structs.replace


class TransitionError(Exception):
    """A step that the state machine does not allow."""

    def __init__(self, shipment: Shipment, event: str, verdict: TransitionRefusal) -> None:
        super().__init__(f"{event} is not for a shipment that is {shipment.state}")
        self.shipment = shipment
        self.verdict = verdict


def find_step(shipment: Shipment, event: str) -> Transition:
    """The step that an event is for it; raises NotNow."""
    found = find_transition(shipment.state, event, self_ship=shipment.self_ship)
    if isinstance(found, TransitionRefusal):
        raise TransitionError(shipment, event, found)
    return found


def apply_event(shipment: Shipment, event: str, *, at: datetime, told: ShipmentEvent | None = None) -> Shipment:
    """Move on: state, history, what is due next, stock that moves with it. Raises NotNow."""
    target = find_step(shipment, event).target
    line = msgspec.structs.replace(told, state=target) if told is not None else ShipmentEvent(state=target, at=at)
    planned = shipment.plan.get(target)
    due = None if planned is None else DueEvent(at + timedelta(seconds=planned[1]), planned[0])
    moved = replace(shipment, state=target, history=(*shipment.history, line), due=due)
    if target in ("dp_assigned", "return_dp_assigned") and moved.courier is None and not moved.self_ship:
        moved = replace(moved, courier=CourierDetails(
            name=TEST_COURIER, code=TEST_COURIER.lower(), awb=(f"FYT{moved.id[-12:]}",), info="Assigned by the gate.",
        ))
    return _with_stock(moved, before=shipment)


def _with_stock(moved: Shipment, *, before: Shipment) -> Shipment:
    match moved.state:
        case "bag_invoiced":
            return move_stock(moved, "commit", {line.id: line.open for line in moved.lines})
        case "cancelled_seller" | "cancelled_customer" | "cancelled_fynd":
            freed = {line.id: line.open for line in before.lines}
            lines = tuple(replace(line, cancelled=line.quantity) for line in moved.lines)
            return move_stock(replace(moved, lines=lines), "cancel", freed)
        case "return_bag_accepted" | "rto_bag_accepted":
            back = {line.id: line.open for line in moved.lines if line.reason not in MISSING}
            return move_stock(moved, "refund", back)
        case _:
            return moved


def cancel_pieces(shipment: Shipment, pieces: Mapping[str, int], event: str, *, told: ShipmentEvent) -> Shipment:
    """Cancel pieces of lines (``orderItemId`` → how many) before there is an invoice; all that is left: the whole.

    Raises NotNow. The pieces must be there.
    """
    left = {line.id: line.open - pieces.get(line.id, 0) for line in shipment.lines}
    if not any(left.values()):
        return apply_event(shipment, event, at=told.at, told=told)
    if shipment.invoice is not None or len(shipment.history) >= HISTORY_MAX:
        raise TransitionError(shipment, event, TransitionRefusal.LATE)
    find_step(shipment, event)
    lines = tuple(replace(line, cancelled=line.quantity - left[line.id]) for line in shipment.lines)
    changed = replace(shipment, lines=lines, history=(*shipment.history, replace(told, state=shipment.state)))
    return move_stock(changed, "cancel", pieces)


def move_stock(shipment: Shipment, verb: str, pieces: Mapping[str, int]) -> Shipment:
    """Have stock moved as soon as the shipment is kept so."""
    amounts: dict[str, int] = {}
    for line in shipment.lines:
        if pieces.get(line.id):
            key = shipment.stock_key(line)
            amounts[key] = amounts.get(key, 0) + pieces[line.id]
    if not amounts:
        return shipment
    movement = PendingMovement(f"{shipment.id}/{len(shipment.history)}/{verb}", verb, amounts)
    return replace(shipment, moves=(*shipment.moves, movement))


def create_return(shipment: Shipment, pieces: Mapping[str, int], *, at: datetime) -> Shipment:
    """The shipment in which pieces of a delivered one come back; it is not yet under way."""
    lines = tuple(
        replace(line, quantity=pieces[line.id], cancelled=0) for line in shipment.lines if pieces.get(line.id)
    )
    return Shipment(
        order=shipment.order, forward=shipment.id, placed_at=at, location=shipment.location, channel=shipment.channel,
        self_ship=shipment.self_ship, state="new", first_state="return_initiated", lines=lines,
        shipping=shipment.shipping, billing=shipment.billing,
        payment=shipment.payment, invoice=shipment.invoice, plan=shipment.plan, parcels=shipment.parcels,
    )
