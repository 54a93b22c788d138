"""The one table of a shipment's states and steps; ``docs/states.md`` is drawn from it.

States bear the platform's bag words (dossier 8.1, 8.2, 8.11, 9); what is inferred is marked in the README of the
protocol.
"""

from enum import StrEnum

import msgspec


class Way(StrEnum):
    """Where a shipment is going."""

    FORWARD = "forward"
    CANCELLED = "cancelled"
    ORIGIN = "return to origin"
    RETURN = "return"
    SETTLED = "settled"


class State(msgspec.Struct, frozen=True):
    """A bag state and the ``orderStatus`` that clients see."""

    name: str
    status: str
    way: Way
    also: tuple[str, ...] = ()
    """Other values of ``orderStatus`` under which it is found, and shown to whoever asked by them."""


class Step(msgspec.Struct, frozen=True):
    """What moves a shipment from one of some states into another."""

    event: str
    """An operation of the seller, ``status/…`` of a seller who ships himself, or ``happens/…``: nobody asked him."""
    sources: tuple[str, ...]
    target: str
    self_ship: bool | None = None
    """For shipments that the seller ships himself, for the others, or None: for both."""


class Verdict(StrEnum):
    """Why a step cannot be taken."""

    CANCELLED = "cancelled"
    EARLY = "early"
    LATE = "late"
    OTHER = "other"
    """It is for shipments going another way."""
    CARRIER = "carrier"
    """It is for those that the seller ships himself, or for the others."""


NEW = "new"
"""Not yet anybody's: its stock is being reserved."""

STATES: tuple[State, ...] = (
    State(NEW, "CREATED", Way.FORWARD),
    State("placed", "CREATED", Way.FORWARD),
    State("store_reassigned", "CREATED", Way.FORWARD),
    State("bag_confirmed", "CONFIRMED", Way.FORWARD),
    State("bag_invoiced", "PROCESSING", Way.FORWARD),
    State("dp_assigned", "PROCESSING", Way.FORWARD),
    State("bag_packed", "COMPLETED", Way.FORWARD),
    State("bag_not_picked", "COMPLETED", Way.FORWARD),
    State("bag_picked", "TRANSIT", Way.FORWARD),
    State("handed_over_to_customer", "HANDED_OVER_TO_CUSTOMER", Way.FORWARD),
    State("delivery_done", "DELIVERED", Way.FORWARD),
    State("cancelled_customer", "CANCELLED", Way.CANCELLED),
    State("cancelled_fynd", "CANCELLED", Way.CANCELLED),
    State("cancelled_seller", "CANCELLED", Way.CANCELLED),
    State("cancelled_invoiced", "CANCELLED", Way.CANCELLED, ("RETURN_DELIVERED",)),
    State("rto_initiated", "RETURN_PROCESSING", Way.ORIGIN),
    State("rto_bag_delivered", "RETURN_DELIVERED", Way.ORIGIN),
    State("rto_bag_accepted", "RETURN_ACCEPTED", Way.ORIGIN, ("RETURN_COMPLETED",)),
    State("return_initiated", "RETURN_PROCESSING", Way.RETURN),
    State("return_dp_assigned", "RETURN_PROCESSING", Way.RETURN),
    State("return_bag_in_transit", "RETURN_PROCESSING", Way.RETURN),
    State("return_bag_delivered", "RETURN_DELIVERED", Way.RETURN),
    State("return_bag_accepted", "RETURN_ACCEPTED", Way.RETURN, ("RETURN_COMPLETED",)),
    State("credit_note_generated", "CREDIT_NOTE_GENERATED", Way.SETTLED),
)
"""In the order in which a shipment can meet them."""

_OPEN = ("placed", "store_reassigned", "bag_confirmed")
_INVOICED = ("bag_invoiced", "dp_assigned", "bag_packed", "bag_not_picked")

STEPS: tuple[Step, ...] = (
    Step("happens/placed", (NEW,), "placed"),
    Step("happens/store_reassigned", (NEW,), "store_reassigned"),
    Step("confirm", ("placed", "store_reassigned"), "bag_confirmed"),
    Step("sale", ("bag_confirmed",), "bag_invoiced"),
    Step("happens/dp_assigned", ("bag_invoiced",), "dp_assigned"),
    Step("pack", ("dp_assigned",), "bag_packed"),
    Step("happens/bag_not_picked", ("bag_packed",), "bag_not_picked", self_ship=False),
    Step("dispatch", ("bag_packed", "bag_not_picked"), "bag_picked"),
    Step("happens/handed_over_to_customer", ("bag_picked",), "handed_over_to_customer", self_ship=False),
    Step("happens/delivery_done", ("bag_picked", "handed_over_to_customer"), "delivery_done", self_ship=False),
    # cancelled before there is an invoice, or after: then goods and invoice have to be taken back
    Step("cancel", _OPEN, "cancelled_seller"),
    Step("cancel", _INVOICED, "cancelled_invoiced"),
    Step("happens/cancelled_customer", _OPEN, "cancelled_customer"),
    Step("happens/cancelled_customer", _INVOICED, "cancelled_invoiced"),
    Step("happens/cancelled_fynd", _OPEN, "cancelled_fynd"),
    Step("happens/cancelled_fynd", _INVOICED, "cancelled_invoiced"),
    # return to origin, on the same shipment
    Step("happens/rto_initiated", ("bag_picked",), "rto_initiated", self_ship=False),
    Step("happens/rto_bag_delivered", ("rto_initiated",), "rto_bag_delivered", self_ship=False),
    # a customer's return, a shipment of its own
    Step("happens/return_initiated", (NEW,), "return_initiated"),
    Step("happens/return_dp_assigned", ("return_initiated",), "return_dp_assigned"),
    Step("happens/return_bag_in_transit", ("return_dp_assigned",), "return_bag_in_transit", self_ship=False),
    Step("happens/return_bag_delivered", ("return_bag_in_transit",), "return_bag_delivered", self_ship=False),
    # what came back is looked at, and credited
    Step("accept", ("return_bag_delivered",), "return_bag_accepted"),
    Step("accept", ("rto_bag_delivered", "cancelled_invoiced"), "rto_bag_accepted"),
    Step("credit", ("return_bag_accepted", "rto_bag_accepted"), "credit_note_generated"),
    # the seller ships himself
    Step("awb", ("dp_assigned",), "dp_assigned", self_ship=True),
    Step("awb", ("return_dp_assigned",), "return_dp_assigned", self_ship=True),
    Step("awb/dispatch", ("dp_assigned",), "bag_picked", self_ship=True),
    Step("status/bag_picked", ("dp_assigned",), "bag_picked", self_ship=True),
    Step("status/delivery_done", ("bag_picked",), "delivery_done", self_ship=True),
    Step("status/rto_bag_delivered", ("bag_picked",), "rto_bag_delivered", self_ship=True),
    Step("status/return_bag_in_transit", ("return_dp_assigned",), "return_bag_in_transit", self_ship=True),
    Step("status/return_bag_delivered", ("return_bag_in_transit",), "return_bag_delivered", self_ship=True),
)

STATE: dict[str, State] = {state.name: state for state in STATES}
STATUSES: tuple[str, ...] = tuple(dict.fromkeys(word for state in STATES for word in (state.status, *state.also)))
"""Every value that ``orderStatus`` can have."""
HAPPENINGS: tuple[str, ...] = tuple(dict.fromkeys(
    step.event.removeprefix("happens/") for step in STEPS
    if step.event.startswith("happens/") and NEW not in step.sources
))
"""What the operator can let happen to a shipment."""
MILESTONES: tuple[str, ...] = tuple(
    step.event.removeprefix("status/") for step in STEPS if step.event.startswith("status/")
)
FINAL: frozenset[str] = frozenset(STATE) - {source for step in STEPS for source in step.sources}
"""States that nothing leads out of."""
_STEPS: dict[str, list[Step]] = {}
for _step in STEPS:
    _STEPS.setdefault(_step.event, []).append(_step)


def _ahead(state: str) -> frozenset[str]:
    """Every state that can still come after one."""
    found: set[str] = set()
    front = {state}
    while front:
        front = {step.target for step in STEPS if front & {*step.sources}} - found
        found |= front
    return frozenset(found)


_AHEAD = {state.name: _ahead(state.name) for state in STATES}


def step_from(state: str, event: str, *, self_ship: bool) -> Step | Verdict:
    """The step that an event is for a shipment in this state, or why it is none; raises KeyError for no event."""
    mine = [step for step in _STEPS[event] if step.self_ship in (None, self_ship)]
    for step in mine:
        if state in step.sources:
            return step
    if not mine:
        return Verdict.CARRIER
    sources = {source for step in mine for source in step.sources}
    if sources & _AHEAD[state]:
        return Verdict.EARLY
    if STATE[state].way is Way.CANCELLED:
        return Verdict.CANCELLED
    return Verdict.LATE if any(state in _AHEAD[source] for source in sources) else Verdict.OTHER
