"""The pages of webhooks."""

import re
import time
from collections.abc import Iterator

import msgspec
import pytest

from goodsgate import app
from tests.console.conftest import Person, text_of
from tests.protocols.webhook_receiver import Receiver

SECONDS_MAX = 60
LOCAL = {"webhook_hosts": "127.0.0.1", "webhook_private": "allow", "delivery_retry_seconds": "0"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on this machine."""
    receiver = Receiver()
    yield receiver
    receiver.close()


def _deliver(person: Person, page: str) -> str:
    """Deliver messages as a worker does until none waits, and return the page."""
    shop = person.gate.shop
    outbox = app.create_outbox(shop.store, msgspec.structs.replace(shop.config, **LOCAL))
    outbox.start()
    until = time.monotonic() + SECONDS_MAX
    while "Waiting: 0" not in (text := text_of(person.get(page).text)):
        assert time.monotonic() < until
        time.sleep(0.02)
    outbox.stop()
    return text


def test_a_webhook_is_added_tested_and_followed(clerk: Person, receiver: Receiver) -> None:
    """Its secret is shown once; attempts are listed with their errors; what was given up is sent again."""
    pages = f"{clerk.base}/webhooks"
    added = clerk.fill(pages, pages, url=receiver.url, event="batch.finished", description="import")
    (secret,) = re.findall(r"whsec_[\w+/=]+", added.text)
    page = f"{pages}/1"
    assert secret not in clerk.get(page).text
    assert "The test event arrived" in text_of(clerk.fill(page, page, action="test").text)
    receiver.statuses = [503, 503]
    clerk.submit(b"sku,title\nA,Tent\n")
    text = _deliver(clerk, page)
    assert "answered 503" in text
    assert "failing" in text_of(clerk.get(pages).text)
    assert "waiting" in text_of(clerk.fill(page, page, action="replay").text)
    assert "arrived" in _deliver(clerk, page)
    rotated = clerk.fill(page, page, action="rotate").text
    assert re.findall(r"whsec_[\w+/=]+", rotated) != [secret]
    assert "paused" in text_of(clerk.fill(page, page, action="pause").text)
    assert "active" in text_of(clerk.fill(page, page, action="resume").text)
    assert "No webhooks yet" in text_of(clerk.fill(page, page, action="delete").text)


def test_a_reader_sees_webhooks_and_changes_none(clerk: Person) -> None:
    """Forms are for the scope submit; what a form holds is checked."""
    pages = f"{clerk.base}/webhooks"
    for wrong in ({"url": "https://elsewhere.example", "event": "batch.finished"}, {"url": "http://127.0.0.1:1/"},
                  {"url": "http://127.0.0.1:1/", "event": "x"}):
        assert clerk.fill(pages, pages, **wrong).status_code in (400, 422)
    assert clerk.get(f"{pages}/1").status_code == 404
    with Person(clerk.gate, clerk.merchant, "read") as reader:
        reader.sign_in()
        assert "New webhook" not in reader.get(pages).text
        assert reader.fill(pages, "/console/batches", url="http://127.0.0.1:1/").status_code == 403
