"""The list of batches: its search, and what stands on top."""

from goodsgate.model.batch import State
from tests.console.conftest import Person
from tests.console.test_batches import DIRTY


def test_batches_are_found_by_the_key_that_sent_them_and_by_their_id(clerk: Person) -> None:
    """The filters of a link are shown, and each can be removed."""
    path = clerk.submit(DIRTY, filename="spring.csv")
    key = clerk.key.split("_")[1]
    page = clerk.get("/console/batches", params={"q": key, "kind": "product"}).text
    assert path in page
    assert f'href="/console/batches?q={key}" aria-label="Remove the filter kind"' in page
    assert path in clerk.get("/console/batches", params={"q": path[-32:-20].upper()}).text
    assert path not in clerk.get("/console/batches", params={"q": "0" * 12}).text


def test_held_batches_stand_on_top(clerk: Person) -> None:
    """And in a tab of their own."""
    shop = clerk.gate.shop
    held = shop.run(DIRTY, merchant=clerk.merchant, format="csv", hold_if={"rejected": "1"})
    assert held.state is State.HELD
    assert f'id="h-{held.id}"' in clerk.get("/console/batches").text
    tab = clerk.get("/console/batches", params={"view": "held"}).text
    assert [f'id="b-{held.id}"' in tab, 'id="h-' in tab] == [True, False]
    assert f'id="b-{held.id}"' not in clerk.get("/console/batches", params={"view": "open"}).text
