"""The table of shipment states and transitions; the diagrams in ``docs/states.md`` are generated from it.

State names are the platform's bag states (dossier 8.1, 8.2, 8.11, 9). The README of the protocol lists the inferred
ones.
"""

from enum import StrEnum

import msgspec


class Direction(StrEnum):
    """Where a shipment is going."""

    FORWARD = "forward"
    CANCELLED = "cancelled"
    ORIGIN = "return to origin"
    RETURN = "return"
    CREDITED = "credited"


class ShipmentState(msgspec.Struct, frozen=True):
    """A bag state and the ``orderStatus`` that clients see."""

    name: str
    status: str
    direction: Direction
    aliases: tuple[str, ...] = ()
    """Further values of ``orderStatus`` that list the shipment; a client that filters by one gets it back."""


class Transition(msgspec.Struct, frozen=True):
    """An event that moves a shipment from one of several states to another."""

    event: str
    """A seller's operation, ``status/…`` for a milestone of a self-shipping seller, or ``external/…`` for an event
    outside the seller's control."""
    sources: tuple[str, ...]
    target: str
    self_ship: bool | None = None
    """True: self-shipped shipments only; False: all others only; None: both."""


class TransitionRefusal(StrEnum):
    """Reasons why an event is not possible in the current state."""

    CANCELLED = "cancelled"
    EARLY = "early"
    LATE = "late"
    OTHER = "other"
    """The event belongs to shipments with another direction."""
    CARRIER = "carrier"
    """The event belongs to self-shipped shipments, or only to the others."""


NEW = "new"
"""Not visible to anybody yet: the stock is still being reserved."""

STATES: tuple[ShipmentState, ...] = (
    ShipmentState(NEW, "CREATED", Direction.FORWARD),
    ShipmentState("placed", "CREATED", Direction.FORWARD),
    ShipmentState("store_reassigned", "CREATED", Direction.FORWARD),
    ShipmentState("bag_confirmed", "CONFIRMED", Direction.FORWARD),
    ShipmentState("bag_invoiced", "PROCESSING", Direction.FORWARD),
    ShipmentState("dp_assigned", "PROCESSING", Direction.FORWARD),
    ShipmentState("bag_packed", "COMPLETED", Direction.FORWARD),
    ShipmentState("bag_not_picked", "COMPLETED", Direction.FORWARD),
    ShipmentState("bag_picked", "TRANSIT", Direction.FORWARD),
    ShipmentState("handed_over_to_customer", "HANDED_OVER_TO_CUSTOMER", Direction.FORWARD),
    ShipmentState("delivery_done", "DELIVERED", Direction.FORWARD),
    ShipmentState("cancelled_customer", "CANCELLED", Direction.CANCELLED),
    ShipmentState("cancelled_fynd", "CANCELLED", Direction.CANCELLED),
    ShipmentState("cancelled_seller", "CANCELLED", Direction.CANCELLED),
    ShipmentState("cancelled_invoiced", "CANCELLED", Direction.CANCELLED, ("RETURN_DELIVERED",)),
    ShipmentState("rto_initiated", "RETURN_PROCESSING", Direction.ORIGIN),
    ShipmentState("rto_bag_delivered", "RETURN_DELIVERED", Direction.ORIGIN),
    ShipmentState("rto_bag_accepted", "RETURN_ACCEPTED", Direction.ORIGIN, ("RETURN_COMPLETED",)),
    ShipmentState("return_initiated", "RETURN_PROCESSING", Direction.RETURN),
    ShipmentState("return_dp_assigned", "RETURN_PROCESSING", Direction.RETURN),
    ShipmentState("return_bag_in_transit", "RETURN_PROCESSING", Direction.RETURN),
    ShipmentState("return_bag_delivered", "RETURN_DELIVERED", Direction.RETURN),
    ShipmentState("return_bag_accepted", "RETURN_ACCEPTED", Direction.RETURN, ("RETURN_COMPLETED",)),
    ShipmentState("credit_note_generated", "CREDIT_NOTE_GENERATED", Direction.CREDITED),
)
"""In the order in which a shipment can reach them."""

_OPEN = ("placed", "store_reassigned", "bag_confirmed")
_INVOICED = ("bag_invoiced", "dp_assigned", "bag_packed", "bag_not_picked")

TRANSITIONS: tuple[Transition, ...] = (
    Transition("external/placed", (NEW,), "placed"),
    Transition("external/store_reassigned", (NEW,), "store_reassigned"),
    Transition("confirm", ("placed", "store_reassigned"), "bag_confirmed"),
    Transition("sale", ("bag_confirmed",), "bag_invoiced"),
    Transition("external/dp_assigned", ("bag_invoiced",), "dp_assigned"),
    Transition("pack", ("dp_assigned",), "bag_packed"),
    Transition("external/bag_not_picked", ("bag_packed",), "bag_not_picked", self_ship=False),
    Transition("dispatch", ("bag_packed", "bag_not_picked"), "bag_picked"),
    Transition("external/handed_over_to_customer", ("bag_picked",), "handed_over_to_customer", self_ship=False),
    Transition("external/delivery_done", ("bag_picked", "handed_over_to_customer"), "delivery_done", self_ship=False),
    # A cancellation after the invoice takes goods and invoice back, so it leads to a state of its own.
    Transition("cancel", _OPEN, "cancelled_seller"),
    Transition("cancel", _INVOICED, "cancelled_invoiced"),
    Transition("external/cancelled_customer", _OPEN, "cancelled_customer"),
    Transition("external/cancelled_customer", _INVOICED, "cancelled_invoiced"),
    Transition("external/cancelled_fynd", _OPEN, "cancelled_fynd"),
    Transition("external/cancelled_fynd", _INVOICED, "cancelled_invoiced"),
    # Return to origin, on the same shipment.
    Transition("external/rto_initiated", ("bag_picked",), "rto_initiated", self_ship=False),
    Transition("external/rto_bag_delivered", ("rto_initiated",), "rto_bag_delivered", self_ship=False),
    # A customer's return, a shipment of its own.
    Transition("external/return_initiated", (NEW,), "return_initiated"),
    Transition("external/return_dp_assigned", ("return_initiated",), "return_dp_assigned"),
    Transition("external/return_bag_in_transit", ("return_dp_assigned",), "return_bag_in_transit", self_ship=False),
    Transition("external/return_bag_delivered", ("return_bag_in_transit",), "return_bag_delivered", self_ship=False),
    # Quality check and credit note of what came back.
    Transition("accept", ("return_bag_delivered",), "return_bag_accepted"),
    Transition("accept", ("rto_bag_delivered", "cancelled_invoiced"), "rto_bag_accepted"),
    Transition("credit", ("return_bag_accepted", "rto_bag_accepted"), "credit_note_generated"),
    # Self-shipping sellers.
    Transition("awb", ("dp_assigned",), "dp_assigned", self_ship=True),
    Transition("awb", ("return_dp_assigned",), "return_dp_assigned", self_ship=True),
    Transition("awb/dispatch", ("dp_assigned",), "bag_picked", self_ship=True),
    Transition("status/bag_picked", ("dp_assigned",), "bag_picked", self_ship=True),
    Transition("status/delivery_done", ("bag_picked",), "delivery_done", self_ship=True),
    Transition("status/rto_bag_delivered", ("bag_picked",), "rto_bag_delivered", self_ship=True),
    Transition("status/return_bag_in_transit", ("return_dp_assigned",), "return_bag_in_transit", self_ship=True),
    Transition("status/return_bag_delivered", ("return_bag_in_transit",), "return_bag_delivered", self_ship=True),
)

STATE_BY_NAME: dict[str, ShipmentState] = {state.name: state for state in STATES}
ORDER_STATUSES: tuple[str, ...] = tuple(
    dict.fromkeys(status for state in STATES for status in (state.status, *state.aliases))
)
"""Every value of ``orderStatus``."""
EXTERNAL_EVENTS: tuple[str, ...] = tuple(dict.fromkeys(
    transition.event.removeprefix("external/") for transition in TRANSITIONS
    if transition.event.startswith("external/") and NEW not in transition.sources
))
"""Events that the admin API can simulate."""
MILESTONES: tuple[str, ...] = tuple(
    transition.event.removeprefix("status/") for transition in TRANSITIONS if transition.event.startswith("status/")
)
FINAL_STATES: frozenset[str] = frozenset(STATE_BY_NAME) - {
    source for transition in TRANSITIONS for source in transition.sources
}
_BY_EVENT: dict[str, list[Transition]] = {}
for _transition in TRANSITIONS:
    _BY_EVENT.setdefault(_transition.event, []).append(_transition)


def _reachable_from(state: str) -> frozenset[str]:
    reached: set[str] = set()
    front = {state}
    while front:
        front = {transition.target for transition in TRANSITIONS if front & {*transition.sources}} - reached
        reached |= front
    return frozenset(reached)


_REACHABLE = {state.name: _reachable_from(state.name) for state in STATES}


def find_transition(state: str, event: str, *, self_ship: bool) -> Transition | TransitionRefusal:
    """Return the transition of an event from this state, or why there is none; raise KeyError for an unknown event."""
    candidates = [each for each in _BY_EVENT[event] if each.self_ship in (None, self_ship)]
    for transition in candidates:
        if state in transition.sources:
            return transition
    if not candidates:
        return TransitionRefusal.CARRIER
    sources = {source for transition in candidates for source in transition.sources}
    if sources & _REACHABLE[state]:
        return TransitionRefusal.EARLY
    if STATE_BY_NAME[state].direction is Direction.CANCELLED:
        return TransitionRefusal.CANCELLED
    if any(state in _REACHABLE[source] for source in sources):
        return TransitionRefusal.LATE
    return TransitionRefusal.OTHER
