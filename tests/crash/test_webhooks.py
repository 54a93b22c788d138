"""kill -9 of the worker that ends a batch, before anything is delivered: the events arrive from the next one."""

import json
import time
from pathlib import Path

import msgspec
import pytest

from goodsgate import app
from goodsgate.model.webhook import WebhookEvent
from tests import forked
from tests.crash import worker
from tests.crash.scene import CHUNK_RECORDS, add_webhook
from tests.factories import products
from tests.protocols.webhook_receiver import Receiver
from tests.shop import Shop

SECONDS_MAX = 60
LOCAL = {"webhook_hosts": "127.0.0.1", "webhook_private": "allow"}


@pytest.mark.parametrize("point", ["commit-synced", "commit-mirrored"])
def test_events_arrive_although_the_worker_died(tmp_path: Path, kind: str, point: str) -> None:
    """The end of the batch once, and its changes; between the two files of an embedded store, and after both."""
    receiver = Receiver()
    shop = Shop(tmp_path, "acme", kind=kind, **CHUNK_RECORDS)
    add_webhook(shop, receiver.url, WebhookEvent.BATCH_FINISHED, WebhookEvent.ITEMS_CHANGED)
    app.create_secrets(shop.store, shop.config).derived("any", "")  # as if it had been added by the API
    batch = shop.send(products(1, 2, 3))
    shop.store.close()
    assert forked.run(worker.work, tmp_path, crash_at=f"{point}:1") == -9
    assert forked.run(worker.work, tmp_path) == 0
    with Shop(tmp_path, "acme") as after:
        outbox = app.create_outbox(after.store, msgspec.structs.replace(after.config, **LOCAL))
        outbox.start()
        until = time.monotonic() + SECONDS_MAX
        while len(receiver.arrived) < 2:
            assert time.monotonic() < until
            time.sleep(0.01)
        outbox.stop()
    receiver.close()
    events = {event["type"]: event["data"] for event in (json.loads(body) for _, body in receiver.arrived)}
    assert len(receiver.arrived) == len(events) == 2
    assert events["batch.finished"]["batch"] == batch
    assert (events["batch.finished"]["counts"]["created"], events["items.changed"]["changes"]) == (3, 3)
