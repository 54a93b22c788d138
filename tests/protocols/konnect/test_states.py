"""The state machine of shipments: what docs show is what the code obeys, and nothing leads where the table does not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.protocols.konnect.orders.states import (
    FINAL,
    HAPPENINGS,
    MILESTONES,
    NEW,
    STATE,
    STATES,
    STATUSES,
    STEPS,
    Step,
    Verdict,
    Way,
    step_from,
)
from tests.protocols.konnect.drawing import BEGIN, END, PAGE, drawn

EVENTS = sorted({step.event for step in STEPS})
WORDS = {
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
"""The dossier's table 8.1, and 9.1 for what was cancelled after its invoice."""


def test_the_page_shows_the_table() -> None:
    """`python -m tests.protocols.konnect.drawing` writes it anew."""
    text = PAGE.read_text("utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0] == drawn()


def test_every_status_means_the_states_of_the_dossier() -> None:
    """No word more, none less."""
    told = {
        word: {state.name for state in STATES if word in (state.status, *state.also)} for word in STATUSES
    }
    assert told == WORDS


def test_every_step_joins_states_that_there_are() -> None:
    """Every state but the first is reached; an event means one step for a state and a carrier."""
    assert {name for step in STEPS for name in (*step.sources, step.target)} == set(STATE)
    assert {step.target for step in STEPS} == set(STATE) - {NEW}
    for own in (True, False):
        taken = [
            (step.event, source) for step in STEPS if step.self_ship in (None, own) for source in step.sources
        ]
        assert len(taken) == len(set(taken))


def test_what_ends_ends() -> None:
    """Credit notes, deliveries, and cancellations before there was an invoice."""
    assert {
        "credit_note_generated", "delivery_done", "cancelled_customer", "cancelled_fynd", "cancelled_seller",
    } == FINAL


@pytest.mark.parametrize(("own", "chain"), [
    (False, "happens/placed confirm sale happens/dp_assigned pack dispatch happens/delivery_done"),
    (False, "happens/store_reassigned confirm sale happens/dp_assigned pack happens/bag_not_picked dispatch "
            "happens/handed_over_to_customer happens/delivery_done"),
    (False, "happens/placed confirm sale happens/dp_assigned pack dispatch happens/rto_initiated "
            "happens/rto_bag_delivered accept credit"),
    (False, "happens/placed confirm sale cancel accept credit"),
    (False, "happens/return_initiated happens/return_dp_assigned happens/return_bag_in_transit "
            "happens/return_bag_delivered accept credit"),
    (True, "happens/placed confirm sale happens/dp_assigned awb awb/dispatch status/delivery_done"),
    (True, "happens/placed confirm sale happens/dp_assigned awb status/bag_picked status/rto_bag_delivered accept"),
    (True, "happens/return_initiated happens/return_dp_assigned awb status/return_bag_in_transit "
           "status/return_bag_delivered accept credit"),
])
def test_the_chains_of_the_dossier_can_be_walked(own: bool, chain: str) -> None:
    """Sections 8.2, 8.11 and 9, from the first state on."""
    state = NEW
    for event in chain.split():
        step = step_from(state, event, self_ship=own)
        assert isinstance(step, Step), (state, event, step)
        state = step.target


@pytest.mark.parametrize(("state", "event", "own", "verdict"), [
    ("cancelled_customer", "confirm", False, Verdict.CANCELLED), ("bag_confirmed", "confirm", False, Verdict.LATE),
    ("placed", "sale", False, Verdict.EARLY), ("dp_assigned", "sale", False, Verdict.LATE),
    ("rto_initiated", "sale", False, Verdict.LATE), ("return_initiated", "sale", False, Verdict.OTHER),
    ("bag_invoiced", "pack", False, Verdict.EARLY), ("bag_packed", "pack", False, Verdict.LATE),
    ("cancelled_invoiced", "pack", False, Verdict.CANCELLED), ("cancelled_invoiced", "credit", False, Verdict.EARLY),
    ("return_bag_delivered", "credit", False, Verdict.EARLY), ("delivery_done", "credit", False, Verdict.OTHER),
    ("credit_note_generated", "credit", False, Verdict.LATE), ("bag_picked", "cancel", False, Verdict.LATE),
    ("dp_assigned", "awb", False, Verdict.CARRIER), ("dp_assigned", "status/bag_picked", False, Verdict.CARRIER),
    ("bag_picked", "happens/delivery_done", True, Verdict.CARRIER), ("placed", "awb", True, Verdict.EARLY),
])
def test_other_steps_are_refused_for_a_reason(state: str, event: str, own: bool, verdict: Verdict) -> None:
    """The reason chooses the code."""
    assert step_from(state, event, self_ship=own) is verdict


@settings(deadline=None)
@given(st.booleans(), st.lists(st.sampled_from(EVENTS), max_size=60))
def test_a_walk_never_leaves_the_table(own: bool, events: list[str]) -> None:
    """Whatever is tried, in whatever order; what has ended stays, and no way is walked back."""
    state = NEW
    for event in events:
        step = step_from(state, event, self_ship=own)
        if not isinstance(step, Step):
            continue
        assert state in step.sources
        assert state not in FINAL
        assert not (STATE[state].way is Way.RETURN and STATE[step.target].way in (Way.FORWARD, Way.ORIGIN))
        state = step.target


def test_words_for_operators_and_for_sellers_who_ship() -> None:
    """The five milestones are the published ones."""
    assert MILESTONES == (
        "bag_picked", "delivery_done", "rto_bag_delivered", "return_bag_in_transit", "return_bag_delivered"
    )
    assert {"dp_assigned", "delivery_done", "cancelled_customer", "rto_initiated"} <= set(HAPPENINGS)
