"""Products that wait for their turn; images in S3, and at a gate without a storage."""

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests import stores
from tests.aws import Aws
from tests.http_gate import HttpGate
from tests.protocols.mircate.client import message
from tests.protocols.mircate.pim.client import PNG, Manager
from tests.protocols.mircate.pim.shirts import product
from tests.shop import Shop


@contextmanager
def _serving(shop: Shop) -> Iterator[Manager]:
    served = HttpGate(shop)
    with closing(Manager(served, served.merchant())) as manager:
        yield manager
    served.close()


@contextmanager
def _worked(shop: Shop) -> Iterator[None]:
    working = threading.Thread(target=shop.worker.run)
    working.start()
    yield
    shop.worker.stop()
    working.join()


def test_a_long_wait_ends_with_the_batch_id(tmp_path: Path) -> None:
    """The product is stored durably and processed in its turn."""
    with Shop(tmp_path, kind="sqlite", wait_seconds_max=0.05) as shop, _serving(shop) as manager:
        waiting = manager.put(product("s1"))
        assert waiting.status_code == 202
        result = manager.pim("checkBatchStatus", waiting.json()).json()
        assert (result["batchStatus"], result["ratio"]) == ("WAITING", "0/1")
        gone = manager.pim("deleteProduct", {"id": "s1"})
        assert gone.status_code == 202
        shop.work()
        assert manager.pim("checkBatchStatus", waiting.json()).json()["successCount"] == 1
        assert manager.pim("checkBatchStatus", gone.json()).json()["successCount"] == 1
        assert manager.ids() == []


def test_a_cancelled_batch_was_not_processed(tmp_path: Path) -> None:
    """An operator cancels it while a client waits."""
    with Shop(tmp_path, kind="sqlite", wait_seconds_max=0.05) as shop, _serving(shop) as manager:
        batch = manager.put(product("s1")).json()["batchId"]
        shop.engine.cancel(manager.merchant, batch)
        shop.work()
        assert manager.pim("checkBatchStatus", {"batchId": batch}).json()["batchStatus"] == "FAILED"


def test_an_image_is_kept_until_its_product_is_processed(tmp_path: Path) -> None:
    """Then it belongs to the product or is deleted."""
    settings = {"wait_seconds_max": 0.05, "images": str(tmp_path / "images")}
    with Shop(tmp_path / "store", kind="sqlite", **settings) as shop, _serving(shop) as manager:
        manager.put(product("s1"))
        shop.work()
        good, wrong = manager.attach("s1"), manager.attach("s1", scope="web")
        assert [one.status_code for one in (good, wrong)] == [202, 202]
        assert manager.image(wrong.json()["filename"]).content == PNG
        shop.work()
        manager.deliver_messages()
        assert manager.image(good.json()["filename"]).content == PNG
        assert manager.image(wrong.json()["filename"]).status_code == 404


def test_images_in_s3(tmp_path: Path, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate returns and deletes them like others."""
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    settings = {"images": f"s3://{aws.bucket()}/images", "poll_seconds": 0.005}
    with Shop(tmp_path, kind="sqlite", **settings) as shop, _worked(shop), _serving(shop) as manager:
        manager.put_all(product("s1"))
        filename = manager.attach("s1").json()["filename"]
        assert manager.image(filename).content == PNG
        assert manager.pim("deleteProduct", {"id": "s1"}).status_code == 204
        until = time.monotonic() + 60
        while manager.image(filename).status_code != 404:
            assert time.monotonic() < until
            manager.deliver_messages()


def test_images_need_a_storage(tmp_path: Path) -> None:
    """The error names the setting; other calls work."""
    with Shop(tmp_path, kind="postgres", poll_seconds=0.005) as shop, _worked(shop), _serving(shop) as manager:
        manager.put_all(product("s1"))
        assert "the setting images" in message(manager.attach("s1"), 503)
        arguments = {"image": base64.b64encode(PNG).decode(), "extension": "png", "categoryCode": "shirts"}
        assert "the setting images" in message(manager.pim("attachCategoryImage", arguments), 503)
        assert manager.ids() == ["s1"]
    stores.drop(tmp_path)
