"""Imports of sites: at once, on trigger, by the clock; what they take in, how they went."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from goodsgate.app import create_outbox
from goodsgate.model.message import NewMessage
from goodsgate.protocols.productsup.guesses import IMPORT, SETTLE
from goodsgate.protocols.productsup.imports import Clock, Settler
from goodsgate.protocols.productsup.inbox import Streams
from goodsgate.protocols.productsup.sites import Sites
from tests.protocols.productsup.client import NDJSON, ONE_STORE, PLATFORM, Productsup, Site, batch_status, error, upload


def _held(sender: Productsup, stream: str) -> list[str]:
    sender.gate.shop.work()
    return sorted(sender.gate.shop.items(f"productsup-{stream}", merchant=sender.merchant))


def test_uploads_wait_for_the_import_of_a_site(sender: Productsup) -> None:
    """Those before it are processed; one behind it waits for the next. Others' streams are not concerned."""
    stream, other, site = sender.made(), sender.made("Other"), Site(sender)
    site.source(stream)
    first, beside = upload(sender, stream, b'{"id":"1"}'), upload(sender, other, b'{"id":"1"}')
    assert _held(sender, stream) == []
    assert (batch_status(sender, first), batch_status(sender, beside)) == ("uploaded", "processed")
    pid = site.start()
    assert site.status(pid) == "queued"
    assert sender.get(site.path).json()["Sites"][0]["processing_status"] == "Running"
    late = upload(sender, stream, b'{"id":"2"}')
    assert _held(sender, stream) == ["1"]
    assert (batch_status(sender, first), batch_status(sender, late), site.status(pid)) == (
        "processed", "uploaded", "success"
    )
    site.start("all")
    assert _held(sender, stream) == ["1", "2"]
    assert batch_status(sender, late) == "processed"


def test_uploads_and_deletions_keep_their_order(sender: Productsup) -> None:
    """Whatever of them waits."""
    stream, site = sender.made(), Site(sender)
    site.source(stream)
    upload(sender, stream, b'{"id":"1"}\n{"id":"2"}')
    assert sender.delete(f"/streams/{stream}/products/1").status_code == 202
    upload(sender, stream, b'{"id":"3"}')
    assert sender.delete(f"/streams/{stream}/products?all=true").status_code == 202
    upload(sender, stream, b'{"id":"4"}')
    site.start()
    assert _held(sender, stream) == ["4"]


def test_a_site_may_import_at_once(sender: Productsup) -> None:
    """From the moment that it is told to; and one that does is enough for its streams."""
    stream, site, always = sender.made(), Site(sender), Site(sender, title="Always", schedule="@always")
    site.source(stream)
    upload(sender, stream, b'{"id":"1"}')
    assert _held(sender, stream) == []
    source = always.source(stream)
    assert _held(sender, stream) == ["1"]
    upload(sender, stream, b'{"id":"2"}')
    assert _held(sender, stream) == ["1", "2"]
    sender.put(f"{always.path}/streams/{source}", json={"status": "paused"})
    upload(sender, stream, b'{"id":"3"}')
    assert _held(sender, stream) == ["1", "2"]
    sender.put(site.path, json={"import_schedule": "@always"})
    assert _held(sender, stream) == ["1", "2", "3"]


@pytest.mark.parametrize("what", ["site", "source"])
def test_a_stream_without_a_site_is_imported_at_once(sender: Productsup, what: str) -> None:
    """What waited, too."""
    stream, site = sender.made(), Site(sender)
    source = site.source(stream)
    upload(sender, stream, b'{"id":"1"}')
    assert _held(sender, stream) == []
    sender.delete(site.path if what == "site" else f"{site.path}/streams/{source}")
    assert _held(sender, stream) == ["1"]


def test_a_site_imports_by_the_clock(sender: Productsup) -> None:
    """The outbox brings it back when it is due; then it is due again. A message that comes twice imports once."""
    store, stream = sender.gate.shop.store, sender.made()
    site = Site(sender, schedule="*/5 * * * *")
    site.source(stream)
    upload(sender, stream, b'{"id":"1"}')
    (message,) = store.messages(sender.merchant, topic=IMPORT)
    assert message.due_at is not None
    assert timedelta(0) < message.due_at - datetime.now(UTC) <= timedelta(minutes=5)
    assert message.due_at.minute % 5 == 0
    clock = Clock(store)
    for _ in range(2):
        clock.carry(message)
    assert _held(sender, stream) == ["1"]
    first, second = store.messages(sender.merchant, topic=IMPORT)
    assert message.number in (first.number, second.number)
    sender.put(site.path, json={"import_schedule": "0 6 * * *"})
    for old in (first, second):
        clock.carry(old)
    newest = max(store.messages(sender.merchant, topic=IMPORT), key=lambda one: one.number)
    assert (newest.due_at.hour, newest.due_at.minute) == (6, 0)
    assert len(sender.get(f"{site.path}/importhistory").json()["Importhistory"]) == 1
    sender.delete(site.path)
    clock.carry(newest)
    assert len(store.messages(sender.merchant, topic=IMPORT)) == 3


def test_the_outbox_brings_a_site_back(sender: Productsup) -> None:
    """A message that is due is carried by a thread of the worker's process."""
    store, config, stream = sender.gate.shop.store, sender.gate.shop.config, sender.made()
    site = Site(sender, schedule="0 6 * * *")
    site.source(stream)
    upload(sender, stream, b'{"id":"1"}')
    placed = Sites(store).one(sender.merchant, site.id)
    body = b'{"epoch":%d}' % placed.site.epoch
    assert store.put_resource(placed.resource, messages=[NewMessage(topic=IMPORT, subject=str(site.id), body=body)])
    outbox = create_outbox(store, config)
    outbox.start()
    try:
        while not _held(sender, stream):
            time.sleep(0.02)
    finally:
        outbox.stop()
    assert len(sender.get(f"{site.path}/importhistory").json()["Importhistory"]) == 1


def test_what_a_change_of_a_site_means_is_settled_even_after_a_crash(sender: Productsup) -> None:
    """A message of the same transaction says which streams are concerned; carried again, it changes nothing."""
    store, stream = sender.gate.shop.store, sender.made()
    site = Site(sender)
    site.source(stream)
    (message,) = store.messages(sender.merchant, topic=SETTLE)
    kept = Streams(store)
    assert kept.one(sender.merchant, int(stream)).kept.start == "held"
    kept.set_start(sender.merchant, int(stream), "now")  # as if the process had ended in between
    for _ in range(2):
        Settler(store).carry(message)
    assert kept.one(sender.merchant, int(stream)).kept.start == "held"
    upload(sender, stream, b'{"id":"1"}')
    assert _held(sender, stream) == []


def test_how_an_import_went(sender: Productsup) -> None:
    """Errors by process, the history newest first; what was wrong with some records is a warning."""
    stream, site = sender.made(), Site(sender)
    site.source(stream)
    upload(sender, stream, b'{"id":"1"}\n{"id":"%s"}' % (b"x" * 300))
    first = site.start()
    assert _held(sender, stream) == ["1"]
    assert site.status(first) == "success"
    ((type, message),) = site.errors()
    assert (type, "300" in message or "255" in message) == ("Warning", True)
    where = upload(sender, stream, b'{"id":"%s"}' % (b"y" * 300))
    second = site.start()
    assert _held(sender, stream) == ["1"]
    assert (site.status(second), batch_status(sender, where)) == ("failed", "failed")
    answered = sender.get(f"{site.path}/status/{second}").json()
    errors = f"{sender.gate.url}{site.path}/errors?pid={second}"
    assert answered["links"] == [{"errors": errors}, {"self": f"{sender.gate.url}{site.path}/status/{second}"}]
    (told,) = sender.get(errors).json()["Errors"]
    assert (told["type"], told["pid"]) == ("Error", second)
    assert (told["data"]["stream"], told["data"]["line"]) == (int(stream), 1)
    assert [type for type, _ in site.errors(pid=first)] == ["Warning"]
    assert site.errors(offset=1) == []
    history = sender.get(f"{site.path}/importhistory").json()["Importhistory"]
    assert [(one["pid"], one["product_count"]) for one in history] == [(second, "1"), (first, "1")]
    assert len(sender.get(f"{site.path}/importhistory", params={"limit": 1, "offset": 1}).json()["Importhistory"]) == 1


def test_an_empty_source_is_refused(sender: Productsup) -> None:
    """So that a site is not emptied by mistake: after everything was deleted, until something comes again."""
    stream, site = sender.made(), Site(sender)
    assert (site.status(site.start()), site.errors()) == ("failed", [("Error", "The site has no active data source.")])
    source = site.source(stream)
    empty = [("Error", "The data source is empty.")]
    assert (site.status(site.start()), site.errors()) == ("failed", empty)
    upload(sender, stream, b'{"id":"1"}')
    site.start()
    assert _held(sender, stream) == ["1"]
    sender.delete(f"/streams/{stream}/products?all=true")
    assert (site.status(site.start()), site.errors()) == ("failed", empty)
    assert _held(sender, stream) == ["1"]
    upload(sender, stream, b'{"id":"2"}')
    site.start()
    assert _held(sender, stream) == ["2"]
    upload(sender, stream, b'{"id":"3"}')
    sender.put(f"{site.path}/streams/{source}", json={"status": "paused"})
    assert site.status(site.start()) == "failed"
    assert _held(sender, stream) == ["2"]


def test_one_process_runs_and_one_waits(sender: Productsup) -> None:
    """A third is refused: 409."""
    stream, site = sender.made(), Site(sender)
    site.source(stream)
    for number in range(2):
        upload(sender, stream, b'{"id":"%d"}' % number)
        site.start()
    third = sender.post(f"{PLATFORM}/process/{site.id}", json={"action": "import"})
    assert (third.status_code, third.json()["success"]) == (409, False)
    assert _held(sender, stream) == ["0", "1"]
    site.start()


def test_a_stream_of_several_sites_is_imported_once(sender: Productsup) -> None:
    """By whichever comes first; the other finds it there."""
    stream = sender.made()
    sites = [Site(sender, title=title) for title in ("One", "Two")]
    for site in sites:
        site.source(stream)
    where = upload(sender, stream, b'{"id":"1"}')
    for site in sites:
        pid = site.start()
        assert _held(sender, stream) == ["1"]
        assert (site.status(pid), batch_status(sender, where)) == ("success", "processed")
        assert site.products() == [{"id": "1"}]


@ONE_STORE
def test_c16_a_process_has_both_names(sender: Productsup) -> None:
    """`process_id`, and `pid` as of old; one that is not known is queued, one that is none is not found."""
    site = Site(sender)
    answered = sender.post(f"{PLATFORM}/process/{site.id}", json={"action": "import"}).json()
    assert answered["process_id"] == answered["pid"]
    assert site.status(answered["pid"].replace("-", "")) == "failed"
    assert site.status("00000000-0000-4000-8000-000000000000") == "queued"
    assert sender.get(f"{site.path}/status/x").status_code == 404
    for wrong in ({"action": "export"}, {"action": "x"}, {}):
        assert sender.post(f"{PLATFORM}/process/{site.id}", json=wrong).status_code == 400


class Sending:
    """A body that does something between its two halves."""

    def __init__(self, between: object, first: bytes, second: bytes) -> None:
        self._between, self._first, self._second = between, first, second

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        self._between()  # type: ignore[operator]
        yield self._second


LINE = b'{"id":"1","a":"%s"}\n' % (b"x" * 2_000_000)


def test_a_stream_that_is_deleted_while_an_upload_comes_keeps_nothing(sender: Productsup) -> None:
    """The upload finds no stream when it ends, and what it brought goes with the rest."""
    stream = sender.made()
    body = Sending(lambda: sender.delete(f"/streams/{stream}"), LINE, b'{"id":"2"}\n')
    answered = sender.post(f"/streams/{stream}/products", content=body, headers=NDJSON)
    assert error(answered)["title"] == "Stream ID not found"
    assert _held(sender, stream) == []


def test_an_upload_that_began_while_a_site_held_it_does_not_wait_for_ever(sender: Productsup) -> None:
    """When it ends, the site is gone."""
    stream, site = sender.made(), Site(sender)
    site.source(stream)
    body = Sending(lambda: sender.delete(site.path), LINE, b'{"id":"2"}\n')
    assert sender.post(f"/streams/{stream}/products", content=body, headers=NDJSON).status_code == 202
    assert _held(sender, stream) == ["1", "2"]


def test_a_deleted_stream_takes_along_what_waited(sender: Productsup) -> None:
    """Nothing of it stays in the queue; the site goes on with its other sources."""
    stream, other, site = sender.made(), sender.made("Other"), Site(sender)
    site.source(stream)
    site.source(other)
    upload(sender, stream, b'{"id":"1"}')
    upload(sender, other, b'{"id":"2"}')
    assert sender.delete(f"/streams/{stream}").status_code == 204
    assert _held(sender, stream) == []
    pid = site.start()
    assert _held(sender, other) == ["2"]
    assert site.status(pid) == "success"
