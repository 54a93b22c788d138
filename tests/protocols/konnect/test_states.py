"""The state machine of shipments: the documentation shows it as it is, and no shipment leaves the table."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.protocols.konnect.orders.states import (
    EXTERNAL_EVENTS,
    FINAL_STATES,
    MILESTONES,
    NEW,
    ORDER_STATUSES,
    STATE_BY_NAME,
    STATES,
    TRANSITIONS,
    Direction,
    Transition,
    TransitionRefusal,
    find_transition,
)
from tests.protocols.konnect.states_page import BEGIN, END, PAGE, generated_text

EVENTS = sorted({transition.event for transition in TRANSITIONS})
STATES_BY_STATUS = {
    "CREATED": {"placed", "store_reassigned", "new"}, "CONFIRMED": {"bag_confirmed"},
    "PROCESSING": {"bag_invoiced", "dp_assigned"}, "COMPLETED": {"bag_packed", "bag_not_picked"},
    "TRANSIT": {"bag_picked"}, "HANDED_OVER_TO_CUSTOMER": {"handed_over_to_customer"}, "DELIVERED": {"delivery_done"},
    "CANCELLED": {"cancelled_customer", "cancelled_fynd", "cancelled_seller", "cancelled_invoiced"},
    "RETURN_PROCESSING": {"return_initiated", "return_dp_assigned", "return_bag_in_transit", "rto_initiated"},
    "RETURN_DELIVERED": {"return_bag_delivered", "rto_bag_delivered", "cancelled_invoiced"},
    "RETURN_ACCEPTED": {"return_bag_accepted", "rto_bag_accepted"},
    "RETURN_COMPLETED": {"return_bag_accepted", "rto_bag_accepted"},
    "CREDIT_NOTE_GENERATED": {"credit_note_generated"},
}
"""The dossier's table 8.1, and 9.1 for cancellations after the invoice."""


def test_the_page_shows_the_table() -> None:
    """`python -m tests.protocols.konnect.states_page` regenerates the page."""
    text = PAGE.read_text("utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0] == generated_text()


def test_every_status_covers_the_states_of_the_dossier() -> None:
    """No status is missing and none is added."""
    assert {
        status: {state.name for state in STATES if status in (state.status, *state.aliases)}
        for status in ORDER_STATUSES
    } == STATES_BY_STATUS


def test_every_transition_connects_known_states() -> None:
    """Every state but the first is a target; an event has one transition for each state and carrier."""
    assert {name for each in TRANSITIONS for name in (*each.sources, each.target)} == set(STATE_BY_NAME)
    assert {each.target for each in TRANSITIONS} == set(STATE_BY_NAME) - {NEW}
    for self_ship in (True, False):
        pairs = [
            (each.event, source) for each in TRANSITIONS if each.self_ship in (None, self_ship)
            for source in each.sources
        ]
        assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize(("self_ship", "chain"), [
    (False, "external/placed confirm sale external/dp_assigned pack dispatch external/delivery_done"),
    (False, "external/store_reassigned confirm sale external/dp_assigned pack external/bag_not_picked dispatch "
            "external/handed_over_to_customer external/delivery_done"),
    (False, "external/placed confirm sale external/dp_assigned pack dispatch external/rto_initiated "
            "external/rto_bag_delivered accept credit"),
    (False, "external/placed confirm sale cancel accept credit"),
    (False, "external/return_initiated external/return_dp_assigned external/return_bag_in_transit "
            "external/return_bag_delivered accept credit"),
    (True, "external/placed confirm sale external/dp_assigned awb awb/dispatch status/delivery_done"),
    (True, "external/placed confirm sale external/dp_assigned awb status/bag_picked status/rto_bag_delivered accept"),
    (True, "external/return_initiated external/return_dp_assigned awb status/return_bag_in_transit "
           "status/return_bag_delivered accept credit"),
])
def test_the_published_chains_of_events_are_possible(self_ship: bool, chain: str) -> None:
    """Sections 8.2, 8.11 and 9 of the dossier, from the first state on."""
    state = NEW
    for event in chain.split():
        transition = find_transition(state, event, self_ship=self_ship)
        assert isinstance(transition, Transition), (state, event, transition)
        state = transition.target


@pytest.mark.parametrize(("state", "event", "self_ship", "reason"), [
    ("cancelled_customer", "confirm", False, TransitionRefusal.CANCELLED),
    ("bag_confirmed", "confirm", False, TransitionRefusal.LATE),
    ("placed", "sale", False, TransitionRefusal.EARLY),
    ("dp_assigned", "sale", False, TransitionRefusal.LATE),
    ("rto_initiated", "sale", False, TransitionRefusal.LATE),
    ("return_initiated", "sale", False, TransitionRefusal.OTHER),
    ("bag_invoiced", "pack", False, TransitionRefusal.EARLY),
    ("bag_packed", "pack", False, TransitionRefusal.LATE),
    ("cancelled_invoiced", "pack", False, TransitionRefusal.CANCELLED),
    ("cancelled_invoiced", "credit", False, TransitionRefusal.EARLY),
    ("return_bag_delivered", "credit", False, TransitionRefusal.EARLY),
    ("delivery_done", "credit", False, TransitionRefusal.OTHER),
    ("credit_note_generated", "credit", False, TransitionRefusal.LATE),
    ("bag_picked", "cancel", False, TransitionRefusal.LATE),
    ("dp_assigned", "awb", False, TransitionRefusal.CARRIER),
    ("dp_assigned", "status/bag_picked", False, TransitionRefusal.CARRIER),
    ("bag_picked", "external/delivery_done", True, TransitionRefusal.CARRIER),
    ("placed", "awb", True, TransitionRefusal.EARLY),
])
def test_an_impossible_event_has_a_reason(state: str, event: str, self_ship: bool, reason: TransitionRefusal) -> None:
    """The reason selects the error code."""
    assert find_transition(state, event, self_ship=self_ship) is reason


@settings(deadline=None)
@given(st.booleans(), st.lists(st.sampled_from(EVENTS), max_size=60))
def test_no_sequence_of_events_leaves_the_table(self_ship: bool, events: list[str]) -> None:
    """Final states stay final, and a return never becomes a forward shipment again."""
    state = NEW
    for event in events:
        transition = find_transition(state, event, self_ship=self_ship)
        if not isinstance(transition, Transition):
            continue
        assert state in transition.sources
        assert state not in FINAL_STATES
        target = STATE_BY_NAME[transition.target].direction
        assert STATE_BY_NAME[state].direction is not Direction.RETURN or target not in (
            Direction.FORWARD, Direction.ORIGIN
        )
        state = transition.target


def test_milestones_and_external_events_are_the_published_ones() -> None:
    """Five milestones for self-shipping sellers; the admin API can simulate couriers and customers."""
    assert MILESTONES == (
        "bag_picked", "delivery_done", "rto_bag_delivered", "return_bag_in_transit", "return_bag_delivered"
    )
    assert {"dp_assigned", "delivery_done", "cancelled_customer", "rto_initiated"} <= set(EXTERNAL_EVENTS)
