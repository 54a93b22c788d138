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
    assert '1 prices fall by more than half; the guard "prices" holds a batch from 1 on.' in text_of(page)
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
