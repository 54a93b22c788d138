"""Limits, tested at and above their values, and gates without a storage."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from goodsgate.app import create_outbox
from goodsgate.protocols.mircate.unpublished import ARGUMENTS_BYTES_MAX, EXPORTS_MAX, UNITS_BYTES_MAX
from tests import stores
from tests.aws import Aws
from tests.http_gate import HttpGate
from tests.protocols.mircate.client import Mircate, message
from tests.shop import Shop

STOCK, EXPORT = "MerchantAPI/receiveStock", "MerchantAPI/exportStockPrice"
UNIT = {"sku": "A-1", "channel": "web", "stock": 5}


@pytest.fixture
def unworked(tmp_path: Path) -> Iterator[Mircate]:
    """Return the client of a merchant with two open batches at most, and no worker."""
    with Shop(tmp_path, kind="sqlite", open_rounds_max=2) as shop:
        served = HttpGate(shop)
        with closing(Mircate(served, served.merchant())) as client:
            yield client
        served.close()


def test_a_full_queue_gets_429(unworked: Mircate) -> None:
    """The answer says when to retry, and nothing of the request is stored."""
    for _ in range(2):
        assert unworked.call(STOCK, {"products": [UNIT]}).status_code == 200
    refused = unworked.call(STOCK, {"products": [UNIT] * 1_200})
    assert message(refused, 429) == "Too Many Requests"
    assert int(refused.headers["retry-after"]) > 0
    unworked.gate.shop.work()
    assert unworked.call(STOCK, {"products": [UNIT] * 1_200}).status_code == 200


def test_a_batch_waits_until_it_is_processed(unworked: Mircate) -> None:
    """Its status is WAITING, without progress."""
    ids = unworked.call(STOCK, {"products": [UNIT] * 501}).json()["batchIds"]
    result = [unworked.status(id) for id in ids]
    assert [(one["batchStatus"], one["ratio"]) for one in result] == [("WAITING", "0/500"), ("WAITING", "0/1")]


def test_a_removal_that_is_not_over_answers_its_batches(tmp_path: Path) -> None:
    """Their status says when it is over."""
    with Shop(tmp_path, kind="sqlite", wait_seconds_max=0.01) as shop:
        served = HttpGate(shop)
        with closing(Mircate(served, served.merchant())) as client:
            client.call(STOCK, {"products": [UNIT]})
            shop.work()
            removed = client.call("MerchantAPI/removeMyProducts", {"products": [{"sku": UNIT["sku"]}]})
            assert (removed.status_code, removed.json()["removedCount"]) == (202, 1)
            (batch,) = removed.json()["batchIds"]
            assert client.status(batch)["batchStatus"] == "WAITING"
            shop.work()
            assert client.status(batch)["ratio"] == "1/1"
        served.close()


@pytest.mark.parametrize(("name", "most"), [(STOCK, UNITS_BYTES_MAX), (EXPORT, ARGUMENTS_BYTES_MAX)])
def test_a_body_has_a_limit(unworked: Mircate, name: str, most: int) -> None:
    """A larger body gets 413."""
    blanks = b" " * (most - 2)
    assert unworked.post(unworked.path(name), content=b"{" + blanks + b"}").status_code in (200, 400)
    assert unworked.post(unworked.path(name), content=b"{ " + blanks + b"}").status_code == 413


def test_the_number_of_exports_has_a_limit(unworked: Mircate) -> None:
    """Further exports get 429."""
    for _ in range(EXPORTS_MAX):
        assert unworked.call(EXPORT).status_code == 200
    assert message(unworked.call(EXPORT), 429) == "Too Many Requests"


def test_exports_need_a_storage(tmp_path: Path) -> None:
    """The error names the setting, no export is started, and other calls work."""
    with Shop(tmp_path, kind="postgres") as shop:
        served = HttpGate(shop)
        with closing(Mircate(served, served.merchant())) as client:
            assert "the setting exports" in message(client.call(EXPORT), 503)
            assert client.call("MerchantAPI/listExports").json()["total"] == 0
            assert client.call(STOCK, {"products": [UNIT]}).status_code == 200
        served.close()
    stores.drop(tmp_path)


def test_files_in_s3_are_fetched_there(tmp_path: Path, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The links are those of S3."""
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    with Shop(tmp_path, kind="sqlite", exports=f"s3://{aws.bucket()}/exports") as shop:
        served = HttpGate(shop)
        outbox = create_outbox(shop.store, shop.config)
        outbox.start()
        with closing(Mircate(served, served.merchant())) as client:
            client.call(STOCK, {"products": [UNIT]})
            shop.work()
            id = client.call(EXPORT, {"type": "STOCK"}).json()["exportId"]
            result = client.until("MerchantAPI/getExportedFiles", {"exportId": id},
                lambda result: result["status"] == "DONE")
            (file,) = result["files"]
            assert file["url"].startswith(aws.url)
            assert "A-1,web,5,0,5," in client.gate.anonymous().get(file["url"]).text
        outbox.stop()
        served.close()
