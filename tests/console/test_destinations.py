"""Destinations in the console: saved, run and decided, and what falls short, there and on the page of the item."""

import orjson
import pytest

from tests import factories
from tests.console.conftest import Person, text_of
from tests.protocols.native.destination_jobs import work_destinations

PICTURE = {"image_link": "https://x.example/1.jpg"}


def submit(person: Person, *records: dict[str, object]) -> None:
    """Submit products and work them."""
    person.submit(b"\n".join(map(orjson.dumps, records)), filename="products.ndjson", format="ndjson")
    person.gate.shop.work()


def test_a_destination_is_saved_run_and_watched(clerk: Person) -> None:
    """Its page has the address, the runs, and the items that fall short, each with its own page."""
    path = f"{clerk.base}/destinations"
    assert "No destinations yet" in clerk.get(path).text
    submit(clerk, factories.product(1, **PICTURE), factories.product(2))
    form = {"name": "google", "to": "served", "profile": "google", "format": "csv", "collection": "products",
            "cron": "0 4 * * *", "hold_if_shrinks": "10%"}
    saved = clerk.fill(path, path, **form)
    assert (saved.status_code, saved.url.path) == (200, f"{path}/google")
    clerk.fill(f"{path}/google", f"{path}/google", action="run")
    work_destinations(clerk.gate)
    page = clerk.get(f"{path}/google")
    assert "/v1/feeds/" in page.text
    assert "SKU-0002 ✕ error image_link is missing." in text_of(page.text)
    assert "1 × image_link: field missing" in text_of(page.text)
    item = f"{clerk.base}/catalogue/product/products/item?key="
    assert "In feeds" in text_of(clerk.get(f"{item}SKU-0002").text)
    assert "image_link is missing." in text_of(clerk.get(f"{item}SKU-0002").text)
    assert "In feeds" not in clerk.get(f"{item}SKU-0001").text
    assert "google" in text_of(clerk.get(path).text)
    for action, word in (("pause", "paused"), ("resume", "waiting"), ("test", "Connected.")):
        assert word in text_of(clerk.fill(f"{path}/google", f"{path}/google", action=action).text)
    assert "No destinations yet" in clerk.fill(f"{path}/google", f"{path}/google", action="delete").text


@pytest.mark.parametrize(("action", "items"), [("approve", 1), ("discard", 12)])
def test_a_held_feed_is_decided(clerk: Person, action: str, items: int) -> None:
    """The page says why it is held; who approves it gets the feed as the catalogue is."""
    path = f"{clerk.base}/destinations"
    submit(clerk, *factories.products(*range(1, 13)))
    clerk.fill(path, path, name="all", to="served", collection="products")
    for _ in range(2):
        clerk.fill(f"{path}/all", f"{path}/all", action="run")
        work_destinations(clerk.gate)
        submit(clerk, *({"id": f"SKU-{number:04d}", "_verb": "delete"} for number in range(2, 13)))
    assert "The feed is held." in clerk.get(f"{path}/all").text
    assert "from 12 to 1 item, by 92%" in clerk.get(f"{path}/all").text
    clerk.fill(f"{path}/all", f"{path}/all", action=action)
    work_destinations(clerk.gate)
    page = clerk.get(f"{path}/all").text
    assert ("The feed is held." in page, f"Items: {items}" in text_of(page)) == (False, True)


@pytest.mark.parametrize(("form", "reason"), [
    ({"name": "", "to": "served"}, "A name has"), ({"name": "a", "to": "ftp://x"}, "address"),
    ({"name": "a", "to": "served", "hold_if_shrinks": "much"}, "percentage"),
    ({"name": "a", "to": "served", "profile": "openai", "values": "colour=x"}, "no column"),
])
def test_a_destination_that_cannot_be_used_is_shown_again(clerk: Person, form: dict[str, str], reason: str) -> None:
    """With the reason, and what was typed."""
    path = f"{clerk.base}/destinations"
    answer = clerk.fill(path, path, **{"collection": "products", **form})
    assert (answer.status_code, reason in answer.text) == (422, True)
