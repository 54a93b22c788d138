"""Held batches in the console."""

import pytest

from goodsgate.engine.saved_guards import save_guard
from goodsgate.model.guard import Guard
from tests.console.conftest import Person, text_of

BEFORE = b"sku,title,price\nA1,Shoe,12.50 EUR\nA2,Tent,9.99 EUR\n"
AFTER = b"sku,title,price\nA1,Shoe,1.25 EUR\nA2,Tent,9.99 EUR\nA3,Cup,cheap\n"


@pytest.mark.parametrize("decision", ["approve", "discard"])
def test_a_held_batch_is_read_and_decided(clerk: Person, decision: str) -> None:
    """The page says why it is held and what it would change; those behind it say what they wait for."""
    shop = clerk.gate.shop
    clerk.submit(BEFORE)
    shop.work()
    save_guard(shop.store, clerk.merchant, "prices", Guard(hold_if={"prices_halved": "1"}))
    path, behind = clerk.submit(AFTER), clerk.submit(BEFORE)
    shop.work()
    page = clerk.get(path).text
    assert "Guards hold this batch. Nothing of it has been applied." in page
    assert '1 price falls by more than half; the guard "prices" holds a batch from 1 on.' in text_of(page)
    assert "price falls in 1 item" in text_of(page)
    assert not any(f"{path}/{action}" in page for action in ("retry", "confirm"))
    assert "A1 2 updated price 12.50 EUR 1.25 EUR" in text_of(clerk.get(f"{path}/diff").text)
    assert "a batch that guards hold" in text_of(clerk.get(behind).text)
    assert "held" in text_of(clerk.get("/console/batches").text)
    clerk.fill(f"{path}/{decision}", path)
    shop.work()
    page = clerk.get(path).text
    assert ("it was approved" in page, "it was discarded" in page) == (decision == "approve", decision == "discard")
    assert (f"{path}/retry" in page) == (decision == "approve")
    assert clerk.fill(f"{path}/{decision}", path).status_code == 409


def test_a_guard_is_tried_on_past_batches_before_it_is_saved(clerk: Person) -> None:
    """By what their own trials measured; without figures, the page says so."""
    path, shop = f"{clerk.base}/guards", clerk.gate.shop
    assert "No guards yet" in clerk.get(path).text
    clerk.submit(BEFORE)
    tried = text_of(clerk.fill(path, path, **{"name": "half", "limit:prices_halved": "1", "action": "try"}).text)
    assert "No past batch has figures to compare with. No guard was about the last 1," in tried
    high = {"name": "half", "limit:prices_halved": "90 %", "kind": "product"}
    saved = clerk.fill(path, path, **high, action="save")
    assert (saved.status_code, saved.url.path) == (200, f"{path}/half")
    clerk.submit(BEFORE)
    cheap = clerk.submit(AFTER, filename="cheap.csv")
    clerk.submit(b"sku,title\nA9,Dry\n", dry_run="true")
    shop.work()
    fields = {"name": "half", "kind": "product", "hold": "pass", "hold_hours": "2.5", "records_min": "3"}
    limits = {"limit:prices_halved": "1", "limit:rejected": "30%"}
    page = clerk.fill(path, f"{path}/half", **fields, **limits, action="try")
    tried = text_of(page.text)
    assert "The guard would have held 1 of the last 2 batches with figures." in tried
    assert "1 price falls by more than half; 1 record is rejected, 33.33 % of 3 records The most" in tried
    assert "1 other batch has no figures" in tried
    assert (f'href="{cheap}">cheap.csv<' in page.text, 'value="2.5"' in page.text) == (True, True)
    assert "prices fall by more than half: 90 % or more of the records" in text_of(clerk.get(path).text)
    smaller = clerk.fill(path, f"{path}/half", **{**fields, **limits, "records_min": "4"}, action="try")
    assert "would have held 0 of the last 2 batches" in text_of(smaller.text)
    assert "No guards yet" in clerk.fill(path, f"{path}/half", name="half", action="delete").text
    assert clerk.get(f"{path}/half").status_code == 404


@pytest.mark.parametrize(("fields", "reason"), [
    ({}, "at least one condition"), ({"limit:rejected": "often"}, "is no limit of rejected"),
    ({"limit:rejectd": "1"}, "did you mean rejected"), ({"limit:rejected": "1", "hold": "maybe"}, "maybe"),
    ({"limit:rejected": "1", "records_min": "few"}, "records_min"), ({"limit:file_errors": "5%"}, "has no share"),
    ({"limit:rejected": "1", "name": "../it"}, "Give the guard a name"),
])
def test_a_guard_that_cannot_be_used_is_shown_again(clerk: Person, fields: dict[str, str], reason: str) -> None:
    """With what was entered, and what is wrong with it, when it is tried and when it is saved."""
    path = f"{clerk.base}/guards"
    answer = clerk.fill(path, path, **{"name": "it", "action": "save", **fields})
    assert (answer.status_code, reason in text_of(answer.text)) == (422, True), text_of(answer.text)
    assert all(value in answer.text for name, value in fields.items() if name in ("limit:rejected", "name"))
    assert "No guards yet" in clerk.get(path).text


def test_a_reader_sees_guards_without_a_form(clerk: Person, reader: Person) -> None:
    """And what they would have held."""
    save_guard(clerk.gate.shop.store, clerk.merchant, "zero", Guard(hold_if={"zero_prices": "1"}))
    page = text_of(reader.get(f"{reader.base}/guards/zero").text)
    assert ("prices become zero: 1 or more" in page, "Save the guard with" in page) == (True, True)
    assert "Delete the guard" not in page
    assert reader.fill(f"{reader.base}/guards", "/console/batches", name="zero", action="delete").status_code == 403


def test_a_submission_has_conditions_of_its_own(clerk: Person) -> None:
    """The preview and the page of the batch tell them in words; wrong ones are refused."""
    form = {"filename": "a.csv", "hold_if": "rejected:30%, zero_prices:1", "hold": "pass", "hold_hours": "3"}
    preview = text_of(clerk.drop(f"{clerk.base}/submit/preview", AFTER, **form).text)
    assert "it is held if records are rejected: 30 % or more of the records , or prices become zero: 1 or" in preview
    path = clerk.submit(AFTER, **form)
    page = text_of(clerk.get(path).text)
    assert "1 record is rejected, 33.33 % of 3 records; the submission holds a batch from 30% on." in page
    assert "Held if records are rejected: 30 % or more of the records or prices become zero: 1 or more" in page
    policy = clerk.gate.shop.engine.batch(clerk.merchant, path.rpartition("/")[2]).policy
    assert (policy.hold_if, policy.hold, policy.hold_hours) == ({"rejected": "30%", "zero_prices": "1"}, "pass", 3.0)
    answer = clerk.drop(f"{clerk.base}/submit/preview", AFTER, filename="a.csv", hold_if="rejectd:1")
    assert (answer.status_code, "did you mean rejected" in answer.text) == (400, True)
