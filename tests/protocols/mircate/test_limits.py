"""What is too much, and a gate that has no place: at, above and below."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from goodsgate.app import create_outbox
from goodsgate.protocols.mircate.unpublished import ARGUMENTS_BYTES_MAX, EXPORTS_MAX, UNITS_BYTES_MAX
from tests import place
from tests.aws import Aws
from tests.protocols.mircate.client import Mircate, message
from tests.served import Served
from tests.shop import Shop

STOCK, EXPORT = "MerchantAPI/receiveStock", "MerchantAPI/exportStockPrice"
UNIT = {"sku": "A-1", "channel": "web", "stock": 5}


@pytest.fixture
def unworked(tmp_path: Path) -> Iterator[Mircate]:
    """A merchant that may have two open batches, and no worker."""
    with Shop(tmp_path, kind="sqlite", open_rounds_max=2) as shop:
        served = Served(shop)
        with closing(Mircate(served, served.merchant())) as client:
            yield client
        served.close()


def test_a_queue_that_is_full_is_429(unworked: Mircate) -> None:
    """With when to come again; nothing of the request remains, of however many batches it would be."""
    for _ in range(2):
        assert unworked.call(STOCK, {"products": [UNIT]}).status_code == 200
    refused = unworked.call(STOCK, {"products": [UNIT] * 1_200})
    assert message(refused, 429) == "Too Many Requests"
    assert int(refused.headers["retry-after"]) > 0
    unworked.gate.shop.work()
    assert unworked.call(STOCK, {"products": [UNIT] * 1_200}).status_code == 200


def test_a_batch_waits_until_it_is_worked(unworked: Mircate) -> None:
    """WAITING, with nothing done."""
    ids = unworked.call(STOCK, {"products": [UNIT] * 501}).json()["batchIds"]
    told = [unworked.status(id) for id in ids]
    assert [(one["batchStatus"], one["ratio"]) for one in told] == [("WAITING", "0/500"), ("WAITING", "0/1")]


@pytest.mark.parametrize(("name", "most"), [(STOCK, UNITS_BYTES_MAX), (EXPORT, ARGUMENTS_BYTES_MAX)])
def test_a_body_has_a_limit(unworked: Mircate, name: str, most: int) -> None:
    """413 above it."""
    blanks = b" " * (most - 2)
    assert unworked.post(unworked.path(name), content=b"{" + blanks + b"}").status_code in (200, 400)
    assert unworked.post(unworked.path(name), content=b"{ " + blanks + b"}").status_code == 413


def test_so_many_exports_at_once(unworked: Mircate) -> None:
    """429 above it."""
    for _ in range(EXPORTS_MAX):
        assert unworked.call(EXPORT).status_code == 200
    assert message(unworked.call(EXPORT), 429) == "Too Many Requests"


def test_exports_need_a_place_on_a_server(tmp_path: Path) -> None:
    """A word that names the setting; nothing is begun, and the rest works."""
    with Shop(tmp_path, kind="postgres") as shop:
        served = Served(shop)
        with closing(Mircate(served, served.merchant())) as client:
            assert "the setting exports" in message(client.call(EXPORT), 503)
            assert client.call("MerchantAPI/listExports").json()["total"] == 0
            assert client.call(STOCK, {"products": [UNIT]}).status_code == 200
        served.close()
    place.drop(tmp_path)


def test_files_in_s3_are_fetched_there(tmp_path: Path, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """By links of its own."""
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    with Shop(tmp_path, kind="sqlite", exports=f"s3://{aws.bucket()}/exports") as shop:
        served = Served(shop)
        outbox = create_outbox(shop.store, shop.config)
        outbox.start()
        with closing(Mircate(served, served.merchant())) as client:
            client.call(STOCK, {"products": [UNIT]})
            shop.work()
            id = client.call(EXPORT, {"type": "STOCK"}).json()["exportId"]
            told = client.until("MerchantAPI/getExportedFiles", {"exportId": id}, lambda told: told["status"] == "DONE")
            (file,) = told["files"]
            assert file["url"].startswith(aws.url)
            assert "A-1,web,5,0,5," in client.gate.anonymous().get(file["url"]).text
        outbox.stop()
        served.close()
