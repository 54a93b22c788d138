"""Uploads that wait for an import, with the settings of a gate that was just installed."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests import stores
from tests.http_gate import HttpGate
from tests.protocols.productsup.client import NDJSON, Productsup, Site, batch_status, upload
from tests.shop import Shop


@pytest.fixture(params=stores.KINDS)
def sender(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Productsup]:
    """The client of a gate with a short queue."""
    folder = tmp_path_factory.mktemp("waiting")
    with Shop(folder, kind=request.param, rate_limits="off", open_rounds_max=6) as shop:
        served = HttpGate(shop)
        with closing(Productsup(served, served.merchant())) as client:
            yield client
        served.close()
    stores.drop(folder)


def test_uploads_wait_for_a_site_and_a_process(sender: Productsup) -> None:
    """Neither time, nor a site that is added or deleted, nor a source that is removed imports anything."""
    stream = sender.create_stream()
    where = upload(sender, stream, b'{"id":"1"}')
    shop, first = sender.gate.shop, Site(sender)
    source = first.source(stream)
    assert sender.delete(f"{first.path}/streams/{source}").status_code == 200
    assert sender.delete(first.path).status_code == 200
    shop.work()
    assert batch_status(sender, where) == "uploaded"
    second = Site(sender, title="Second")
    second.source(stream)
    pid = second.start()
    shop.work()
    assert (second.status(pid), batch_status(sender, where)) == ("success", "processed")


def test_uploads_that_wait_leave_room_in_the_queue(sender: Productsup) -> None:
    """Half of it; the refusal is the published document, and its headers are true."""
    streams = [sender.create_stream(name) for name in ("One stream", "Other stream")]
    for _ in range(3):
        upload(sender, streams[0], b'{"id":"1"}')
    refused = sender.post(f"/streams/{streams[1]}/products", content=b'{"id":"1"}', headers=NDJSON)
    assert refused.status_code == 429
    assert refused.content == b'{"errors":[{"status":"429","title":"Too Many Requests"}]}'
    assert (refused.headers["ratelimit-remaining"], int(refused.headers["retry-after"]) > 0) == ("0", True)
    assert refused.headers["ratelimit-observed"] == refused.headers["ratelimit-limit"]
    native = sender.post("/v1/batches?kind=product", content=b'{"id":"1"}', headers=NDJSON)
    assert native.status_code in (200, 201, 202), native.text


def test_a_refused_deletion_of_a_stream_has_no_effect(sender: Productsup) -> None:
    """What waits still waits; once the queue has room, the stream goes with what waited."""
    stream, site = sender.create_stream(), Site(sender)
    site.source(stream)
    where = upload(sender, stream, b'{"id":"1"}')
    while sender.post("/v1/batches?kind=stock", content=b'{"id":"1"}', headers=NDJSON).status_code != 429:
        pass
    assert sender.delete(f"/streams/{stream}").status_code == 429
    shop = sender.gate.shop
    shop.work()
    assert batch_status(sender, where) == "uploaded"
    assert sender.delete(f"/streams/{stream}").status_code == 204
    shop.work()
    collections = {name: count for _, name, count in shop.store.collections(sender.merchant)}
    assert not collections.get(f"productsup-{stream}")
    assert sender.get(f"{site.path}/streams").json()["Sources"] == []


def test_the_first_import_reports_uploads_older_than_the_site(sender: Productsup) -> None:
    """An upload that waited since before the site was created belongs to the process that imports it."""
    stream = sender.create_stream()
    where = upload(sender, stream, b'{"id":"%s"}' % (b"x" * 300))
    site = Site(sender)
    site.source(stream)
    pid = site.start()
    sender.gate.shop.work()
    assert (site.status(pid), batch_status(sender, where)) == ("failed", "failed")
    (problem,) = sender.get(f"{site.path}/errors", params={"pid": pid}).json()["Errors"]
    assert problem["data"]["batch"] == where.rpartition("/")[2]
