"""Imports of sites, at once, on request and by schedule: which uploads they take, and what they report."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from goodsgate.app import create_outbox
from goodsgate.engine.saved_guards import save_guard
from goodsgate.model.batch import State
from goodsgate.model.guard import Guard
from goodsgate.model.message import NewMessage
from goodsgate.protocols.productsup.imports import ScheduledImporter, SiteImports, UploadStartUpdater
from goodsgate.protocols.productsup.site_store import SiteStore
from goodsgate.protocols.productsup.stream_store import StreamStore
from goodsgate.protocols.productsup.unpublished import IMPORT, UPDATE_STARTS
from goodsgate.store.contract import BatchFilter, Store
from tests.protocols.productsup.client import NDJSON, ONE_STORE, PLATFORM, Productsup, Site, batch_status, error, upload


def _product_ids(sender: Productsup, stream: str) -> list[str]:
    sender.gate.shop.work()
    return sorted(sender.gate.shop.items(f"productsup-{stream}", merchant=sender.merchant))


def test_uploads_wait_for_the_import_of_a_site(sender: Productsup) -> None:
    """An import takes the uploads before it; a later upload waits for the next import."""
    stream, other, site = sender.create_stream(), sender.create_stream("Other"), Site(sender)
    site.source(stream)
    first, beside = upload(sender, stream, b'{"id":"1"}'), upload(sender, other, b'{"id":"1"}')
    assert _product_ids(sender, stream) == []
    assert (batch_status(sender, first), batch_status(sender, beside)) == ("uploaded", "processed")
    pid = site.start()
    assert site.status(pid) == "queued"
    assert sender.get(site.path).json()["Sites"][0]["processing_status"] == "Running"
    late = upload(sender, stream, b'{"id":"2"}')
    assert _product_ids(sender, stream) == ["1"]
    assert (batch_status(sender, first), batch_status(sender, late), site.status(pid)) == (
        "processed", "uploaded", "success"
    )
    site.start("all")
    assert _product_ids(sender, stream) == ["1", "2"]
    assert batch_status(sender, late) == "processed"


def test_uploads_and_deletions_keep_their_order(sender: Productsup) -> None:
    """Uploads and deletions that wait are processed in the order of their arrival."""
    stream, site = sender.create_stream(), Site(sender)
    site.source(stream)
    upload(sender, stream, b'{"id":"1"}\n{"id":"2"}')
    assert sender.delete(f"/streams/{stream}/products/1").status_code == 202
    upload(sender, stream, b'{"id":"3"}')
    assert sender.delete(f"/streams/{stream}/products?all=true").status_code == 202
    upload(sender, stream, b'{"id":"4"}')
    site.start()
    assert _product_ids(sender, stream) == ["4"]


def test_a_site_may_import_at_once(sender: Productsup) -> None:
    """A site with that schedule releases what waits in its streams, even if other sites have them."""
    stream, site, always = sender.create_stream(), Site(sender), Site(sender, title="Always", schedule="@always")
    site.source(stream)
    upload(sender, stream, b'{"id":"1"}')
    assert _product_ids(sender, stream) == []
    source = always.source(stream)
    assert _product_ids(sender, stream) == ["1"]
    upload(sender, stream, b'{"id":"2"}')
    assert _product_ids(sender, stream) == ["1", "2"]
    sender.put(f"{always.path}/streams/{source}", json={"status": "paused"})
    upload(sender, stream, b'{"id":"3"}')
    assert _product_ids(sender, stream) == ["1", "2"]
    sender.put(site.path, json={"import_schedule": "@always"})
    assert _product_ids(sender, stream) == ["1", "2", "3"]


@pytest.mark.parametrize("what", ["site", "source"])
def test_a_stream_without_a_site_is_imported_at_once(sender: Productsup, what: str) -> None:
    """The deletion of its last site imports nothing; the next upload takes what waits with it, in order."""
    stream, site = sender.create_stream(), Site(sender)
    source = site.source(stream)
    upload(sender, stream, b'{"id":"1","a":"old"}')
    upload(sender, stream, b'{"id":"2"}')
    assert _product_ids(sender, stream) == []
    sender.delete(site.path if what == "site" else f"{site.path}/streams/{source}")
    for message in sender.gate.shop.store.messages(sender.merchant, topic=UPDATE_STARTS):
        UploadStartUpdater(sender.gate.shop.store, at_once=True).send(message)
    assert _product_ids(sender, stream) == []
    upload(sender, stream, b'{"id":"1","a":"new"}')
    assert _product_ids(sender, stream) == ["1", "2"]
    assert sender.gate.shop.items(f"productsup-{stream}", merchant=sender.merchant)["1"] == {"id": "1", "a": "new"}
    upload(sender, stream, b'{"id":"3"}')
    assert _product_ids(sender, stream) == ["1", "2", "3"]


def test_a_site_imports_by_schedule(sender: Productsup) -> None:
    """The outbox delivers a message for each import; a repeated message imports only once."""
    store, stream = sender.gate.shop.store, sender.create_stream()
    site = Site(sender, schedule="*/5 * * * *")
    site.source(stream)
    upload(sender, stream, b'{"id":"1"}')
    (message,) = store.messages(sender.merchant, topic=IMPORT)
    assert message.due_at is not None
    assert timedelta(0) < message.due_at - datetime.now(UTC) <= timedelta(minutes=5)
    assert message.due_at.minute % 5 == 0
    importer = ScheduledImporter(store)
    for _ in range(2):
        importer.send(message)
    assert _product_ids(sender, stream) == ["1"]
    first, second = store.messages(sender.merchant, topic=IMPORT)
    assert message.number in (first.number, second.number)
    sender.put(site.path, json={"import_schedule": "0 6 * * *"})
    for old in (first, second):
        importer.send(old)
    newest = max(store.messages(sender.merchant, topic=IMPORT), key=lambda one: one.number)
    assert (newest.due_at.hour, newest.due_at.minute) == (6, 0)
    assert len(sender.get(f"{site.path}/importhistory").json()["Importhistory"]) == 1
    sender.delete(site.path)
    importer.send(newest)
    assert len(store.messages(sender.merchant, topic=IMPORT)) == 3


def test_the_outbox_starts_a_scheduled_import(sender: Productsup) -> None:
    """The worker process handles a message that is due."""
    store, config, stream = sender.gate.shop.store, sender.gate.shop.config, sender.create_stream()
    site = Site(sender, schedule="0 6 * * *")
    site.source(stream)
    upload(sender, stream, b'{"id":"1"}')
    stored = SiteStore(store).get(sender.merchant, site.id)
    body = b'{"schedule_version":%d}' % stored.state.schedule_version
    assert store.put_resource(stored.resource, messages=[NewMessage(topic=IMPORT, subject=str(site.id), body=body)])
    outbox = create_outbox(store, config)
    outbox.start()
    try:
        while not _product_ids(sender, stream):
            time.sleep(0.02)
    finally:
        outbox.stop()
    assert len(sender.get(f"{site.path}/importhistory").json()["Importhistory"]) == 1


def test_a_change_of_a_site_takes_effect_after_a_crash(sender: Productsup) -> None:
    """A message of the same transaction names the streams; handling it twice changes nothing."""
    store, stream = sender.gate.shop.store, sender.create_stream()
    site = Site(sender)
    site.source(stream)
    (message,) = store.messages(sender.merchant, topic=UPDATE_STARTS)
    streams = StreamStore(store)
    assert streams.get(sender.merchant, int(stream)).state.start == "held"
    streams.set_start(sender.merchant, int(stream), "now")  # as if the process had ended in between
    for _ in range(2):
        UploadStartUpdater(store, at_once=True).send(message)
    assert streams.get(sender.merchant, int(stream)).state.start == "held"
    upload(sender, stream, b'{"id":"1"}')
    assert _product_ids(sender, stream) == []


def test_the_result_of_an_import(sender: Productsup) -> None:
    """Errors are listed by process, the history newest first; some bad records are a warning."""
    stream, site = sender.create_stream(), Site(sender)
    site.source(stream)
    upload(sender, stream, b'{"id":"1"}\n{"id":"%s"}' % (b"x" * 300))
    first = site.start()
    assert _product_ids(sender, stream) == ["1"]
    assert site.status(first) == "success"
    ((type, message),) = site.errors()
    assert (type, "300" in message or "255" in message) == ("Warning", True)
    where = upload(sender, stream, b'{"id":"%s"}' % (b"y" * 300))
    second = site.start()
    assert _product_ids(sender, stream) == ["1"]
    assert (site.status(second), batch_status(sender, where)) == ("failed", "failed")
    response = sender.get(f"{site.path}/status/{second}").json()
    errors = f"{sender.gate.url}{site.path}/errors?pid={second}"
    assert response["links"] == [{"errors": errors}, {"self": f"{sender.gate.url}{site.path}/status/{second}"}]
    (problem,) = sender.get(errors).json()["Errors"]
    assert (problem["type"], problem["pid"]) == ("Error", second)
    assert (problem["data"]["stream"], problem["data"]["line"]) == (int(stream), 1)
    assert [type for type, _ in site.errors(pid=first)] == ["Warning"]
    assert site.errors(offset=1) == []
    history = sender.get(f"{site.path}/importhistory").json()["Importhistory"]
    assert [(one["pid"], one["product_count"]) for one in history] == [(second, "1"), (first, "1")]
    assert len(sender.get(f"{site.path}/importhistory", params={"limit": 1, "offset": 1}).json()["Importhistory"]) == 1


def test_an_empty_source_is_refused(sender: Productsup) -> None:
    """A site does not lose all its products by mistake."""
    stream, site = sender.create_stream(), Site(sender)
    assert (site.status(site.start()), site.errors()) == ("failed", [("Error", "The site has no active data source.")])
    source = site.source(stream)
    empty = [("Error", "The data source is empty.")]
    assert (site.status(site.start()), site.errors()) == ("failed", empty)
    upload(sender, stream, b'{"id":"1"}')
    site.start()
    assert _product_ids(sender, stream) == ["1"]
    sender.delete(f"/streams/{stream}/products?all=true")
    assert (site.status(site.start()), site.errors()) == ("failed", empty)
    assert _product_ids(sender, stream) == ["1"]
    upload(sender, stream, b'{"id":"2"}')
    site.start()
    assert _product_ids(sender, stream) == ["2"]
    upload(sender, stream, b'{"id":"3"}')
    sender.put(f"{site.path}/streams/{source}", json={"status": "paused"})
    assert site.status(site.start()) == "failed"
    assert _product_ids(sender, stream) == ["2"]


def test_one_process_runs_and_one_waits(sender: Productsup) -> None:
    """A third process gets 409."""
    stream, site = sender.create_stream(), Site(sender)
    site.source(stream)
    for number in range(2):
        upload(sender, stream, b'{"id":"%d"}' % number)
        site.start()
    third = sender.post(f"{PLATFORM}/process/{site.id}", json={"action": "import"})
    assert (third.status_code, third.json()["success"]) == (409, False)
    assert _product_ids(sender, stream) == ["0", "1"]
    site.start()


def test_a_stream_of_several_sites_is_imported_once(sender: Productsup) -> None:
    """The first import takes the uploads; the other site then has their products too."""
    stream = sender.create_stream()
    sites = [Site(sender, title=title) for title in ("One", "Two")]
    for site in sites:
        site.source(stream)
    where = upload(sender, stream, b'{"id":"1"}')
    for site in sites:
        pid = site.start()
        assert _product_ids(sender, stream) == ["1"]
        assert (site.status(pid), batch_status(sender, where)) == ("success", "processed")
        assert site.products() == [{"id": "1"}]


@ONE_STORE
def test_c16_a_process_has_both_names(sender: Productsup) -> None:
    """Both `process_id` and `pid` are sent; an unknown UUID is queued, any other text is 404."""
    site = Site(sender)
    response = sender.post(f"{PLATFORM}/process/{site.id}", json={"action": "import"}).json()
    assert response["process_id"] == response["pid"]
    assert site.status(response["pid"].replace("-", "")) == "failed"
    assert site.status("00000000-0000-4000-8000-000000000000") == "queued"
    assert sender.get(f"{site.path}/status/x").status_code == 404
    for wrong in ({"action": "export"}, {"action": "x"}, {}):
        assert sender.post(f"{PLATFORM}/process/{site.id}", json=wrong).status_code == 400


class InterruptedBody:
    """A request body that runs a function between its two halves."""

    def __init__(self, between: object, first: bytes, second: bytes) -> None:
        self._between, self._first, self._second = between, first, second

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        self._between()  # type: ignore[operator]
        yield self._second


LINE = b'{"id":"1","a":"%s"}\n' % (b"x" * 2_000_000)


def test_a_stream_that_is_deleted_during_an_upload_keeps_nothing(sender: Productsup) -> None:
    """The upload gets 404, and its products are deleted with the others."""
    stream = sender.create_stream()
    body = InterruptedBody(lambda: sender.delete(f"/streams/{stream}"), LINE, b'{"id":"2"}\n')
    response = sender.post(f"/streams/{stream}/products", content=body, headers=NDJSON)
    assert error(response)["title"] == "Stream ID not found"
    assert _product_ids(sender, stream) == []


def test_an_upload_does_not_wait_for_a_site_deleted_during_it(sender: Productsup) -> None:
    """The upload began to wait for a site that is gone when it ends."""
    stream, site = sender.create_stream(), Site(sender)
    site.source(stream)
    body = InterruptedBody(lambda: sender.delete(site.path), LINE, b'{"id":"2"}\n')
    assert sender.post(f"/streams/{stream}/products", content=body, headers=NDJSON).status_code == 202
    assert _product_ids(sender, stream) == ["1", "2"]


def test_one_empty_source_does_not_block_a_site(sender: Productsup) -> None:
    """The others are imported, and the warning names the stream; if all sources are empty, the process fails."""
    stream, other, site = sender.create_stream(), sender.create_stream("Other"), Site(sender)
    site.source(stream)
    site.source(other)
    pid = site.start()
    assert site.status(pid) == "failed"
    upload(sender, other, b'{"id":"2"}')
    pid = site.start()
    assert _product_ids(sender, other) == ["2"]
    assert site.status(pid) == "success"
    (problem,) = sender.get(f"{site.path}/errors").json()["Errors"]
    assert (problem["type"], problem["data"]) == ("Warning", {"stream": int(stream)})
    assert problem["message"] == "The data source is empty."


@pytest.mark.parametrize(("method", "status"), [("POST", "failed"), ("DELETE", "failed")])
def test_uploads_without_products_to_an_empty_stream_end(sender: Productsup, method: str, status: str) -> None:
    """An undecodable first upload and a delete of nothing are processed by the next import, which fails."""
    stream, site = sender.create_stream(type="referenced" if method == "POST" else "chunked"), Site(sender)
    site.source(stream)
    body, type = (b'[{"id":1', "application/json") if method == "POST" else (b'{"id":"1"}', "application/x-ndjson")
    sent = sender.request(method, f"/streams/{stream}/products", content=body, headers={"content-type": type})
    assert sent.status_code == 202, sent.text
    pid = site.start()
    sender.gate.shop.work()
    assert site.status(pid) == "failed"
    assert batch_status(sender, sent.headers["content-location"]) == status


def test_a_process_is_never_done_while_a_batch_moves_on(sender: Productsup) -> None:
    """A batch that is queued at one look and working at the next is not overlooked between them."""
    stream, site = sender.create_stream(), Site(sender)
    site.source(stream)
    upload(sender, stream, b'{"id":"1"}')
    store, shop = sender.gate.shop.store, sender.gate.shop
    imports = SiteImports(_MovingStore(store, shop.work))  # type: ignore[arg-type]
    process = imports.start(SiteStore(store).get(sender.merchant, site.id))
    assert imports.status(process) in ("queued", "running", "success")
    assert imports.count_products(imports.get(sender.merchant, site.id, process.pid) or process) == 1


class _MovingStore:
    """A store whose worker works between two looks at it."""

    def __init__(self, store: Store, work: Callable[[], None]) -> None:
        self._store = store
        self._work = work

    def __getattr__(self, name: str) -> Any:
        if name != "batches":
            return getattr(self._store, name)

        def look(*args: Any, **named: Any) -> Any:
            page = self._store.batches(*args, **named)
            filters = args[1]
            if filters.state is not None and filters.until is not None:
                self._work()
            return page

        return look


def test_a_deleted_stream_leaves_nothing_in_the_queue(sender: Productsup) -> None:
    """The site continues with its other sources."""
    stream, other, site = sender.create_stream(), sender.create_stream("Other"), Site(sender)
    site.source(stream)
    site.source(other)
    upload(sender, stream, b'{"id":"1"}')
    upload(sender, other, b'{"id":"2"}')
    assert sender.delete(f"/streams/{stream}").status_code == 204
    assert _product_ids(sender, stream) == []
    pid = site.start()
    assert _product_ids(sender, other) == ["2"]
    assert site.status(pid) == "success"


def test_an_import_that_is_held_runs(sender: Productsup) -> None:
    """Until somebody approves its upload."""
    shop, stream, site = sender.gate.shop, sender.create_stream(), Site(sender)
    save_guard(shop.store, sender.merchant, "new", Guard(hold_if={"created": "1"}))
    site.source(stream)
    where = upload(sender, stream, b'{"id":"1"}')
    pid = site.start()
    shop.work()
    assert (site.status(pid), batch_status(sender, where)) == ("running", "uploaded")
    (held,) = shop.store.batches(sender.merchant, BatchFilter(state=State.HELD)).rows
    shop.engine.approve(sender.merchant, held.id)
    assert _product_ids(sender, stream) == ["1"]
    assert (site.status(pid), batch_status(sender, where)) == ("success", "processed")
