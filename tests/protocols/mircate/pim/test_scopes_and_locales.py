"""Products that have to wait for their turn; images in S3, and at a gate that has no place for them."""

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests import place
from tests.aws import Aws
from tests.protocols.mircate.client import message
from tests.protocols.mircate.pim.client import PNG, Manager
from tests.protocols.mircate.pim.shirts import product
from tests.served import Served
from tests.shop import Shop


@contextmanager
def _serving(shop: Shop) -> Iterator[Manager]:
    served = Served(shop)
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


def test_who_waits_too_long_is_told_the_batch(tmp_path: Path) -> None:
    """It is durable, and worked in its turn."""
    with Shop(tmp_path, kind="sqlite", wait_seconds_max=0.05) as shop, _serving(shop) as manager:
        waiting = manager.put(product("s1"))
        assert waiting.status_code == 202
        told = manager.pim("checkBatchStatus", waiting.json()).json()
        assert (told["batchStatus"], told["ratio"]) == ("WAITING", "0/1")
        gone = manager.pim("deleteProduct", {"id": "s1"})
        assert gone.status_code == 202
        shop.work()
        assert manager.pim("checkBatchStatus", waiting.json()).json()["successCount"] == 1
        assert manager.pim("checkBatchStatus", gone.json()).json()["successCount"] == 1
        assert manager.ids() == []


def test_a_batch_that_was_cancelled_was_not_worked(tmp_path: Path) -> None:
    """By the operator, while somebody waits for it."""
    with Shop(tmp_path, kind="sqlite", wait_seconds_max=0.05) as shop, _serving(shop) as manager:
        batch = manager.put(product("s1")).json()["batchId"]
        shop.engine.cancel(manager.merchant, batch)
        shop.work()
        assert manager.pim("checkBatchStatus", {"batchId": batch}).json()["batchStatus"] == "FAILED"


def test_an_image_of_a_product_that_waits_is_kept_until_it_is_worked(tmp_path: Path) -> None:
    """Then it is the product's, or it goes."""
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
    """Are handed out by the gate, and go like others."""
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    settings = {"images": f"s3://{aws.bucket()}/images", "poll_seconds": 0.005}
    with Shop(tmp_path, kind="sqlite", **settings) as shop, _worked(shop), _serving(shop) as manager:
        manager.put_all(product("s1"))
        filename = manager.attach("s1").json()["filename"]
        assert manager.image(filename).content == PNG
        assert manager.pim("deleteProduct", {"id": "s1"}).status_code == 204
        until = time.monotonic() + 20
        while manager.image(filename).status_code != 404:
            assert time.monotonic() < until
            manager.deliver_messages()


def test_a_server_needs_a_place_for_images(tmp_path: Path) -> None:
    """The setting is named; all else goes on."""
    with Shop(tmp_path, kind="postgres", poll_seconds=0.005) as shop, _worked(shop), _serving(shop) as manager:
        manager.put_all(product("s1"))
        assert "the setting images" in message(manager.attach("s1"), 503)
        words = {"image": base64.b64encode(PNG).decode(), "extension": "png", "categoryCode": "shirts"}
        assert "the setting images" in message(manager.pim("attachCategoryImage", words), 503)
        assert manager.ids() == ["s1"]
    place.drop(tmp_path)
