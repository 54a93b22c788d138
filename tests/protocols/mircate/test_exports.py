"""Exports of stock and prices: requested, written in the background, downloaded by links."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from goodsgate.app import create_outbox, create_services
from goodsgate.engine.outbox import DeliveryError
from goodsgate.model.batch import Kind, now
from goodsgate.model.message import Message
from goodsgate.protocols.mircate import export_files
from goodsgate.protocols.mircate.export_files import (
    RESOURCE_TYPE,
    ExportStep,
    ExportWriter,
    StockPriceExport,
    file_path,
    find_export,
)
from goodsgate.store.objects import Objects
from tests.protocols.mircate.client import Mircate, message

EXPORT, FILES = "MerchantAPI/exportStockPrice", "MerchantAPI/getExportedFiles"


@pytest.fixture(autouse=True)
def outbox(seller: Mircate) -> Iterator[None]:
    """Run an outbox, as every worker process does."""
    shop = seller.gate.shop
    carrying = create_outbox(shop.store, shop.config)
    carrying.start()
    yield
    carrying.stop()


def _fill(seller: Mircate, count: int) -> None:
    units = [
        {"sku": f"A-{at:03}", "channel": "web" if at % 2 else "app", "stock": at, "price": at + 0.5, "currency": "TRY"}
        for at in range(count)
    ]
    for method in ("receiveStock", "receivePrice"):
        seller.final_status(seller.call(f"MerchantAPI/{method}", {"products": units}).json()["batchId"])


def _done(seller: Mircate, **arguments: Any) -> dict[str, Any]:
    response = seller.call(EXPORT, arguments)
    assert response.status_code == 200, response.text
    return seller.until(FILES, response.json(), lambda result: result["status"] in ("DONE", "FAILED"))


def _rows(seller: Mircate, file: dict[str, str]) -> list[dict[str, str]]:
    fetched = seller.gate.anonymous().get(file["url"])
    assert (fetched.status_code, fetched.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    return list(csv.DictReader(io.StringIO(fetched.text)))


def test_stock_and_prices_are_files(seller: Mircate) -> None:
    """Each becomes one file, whose link needs no key."""
    _fill(seller, 10)
    result = _done(seller)
    assert [file["filename"] for file in result["files"]] == ["stock-1.csv", "price-1.csv"]
    stock, prices = [_rows(seller, file) for file in result["files"]]
    assert [(row["sku"], row["channel"], row["stock"]) for row in stock[:2]] == [
        ("A-000", "app", "0"), ("A-001", "web", "1")
    ]
    assert [(row["sku"], row["price"], row["discountedPrice"], row["currency"]) for row in prices[-1:]] == [
        ("A-009", "9.5", "", "TRY")
    ]
    assert (len(stock), len(prices)) == (10, 10)


def test_one_type_and_one_channel(seller: Mircate) -> None:
    """The export has only these; without an item there is an empty file."""
    _fill(seller, 10)
    result = _done(seller, type="PRICE", channel="web")
    (file,) = result["files"]
    assert (result["types"], result["channel"]) == (["PRICE"], "web")
    assert {row["channel"] for row in _rows(seller, file)} == {"web"}
    (file,) = _done(seller, type="STOCK", channel="fax")["files"]
    assert _rows(seller, file) == []


def test_a_large_export_has_several_files(seller: Mircate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step writes one file, and together they have each item once."""
    monkeypatch.setattr(export_files, "EXPORT_PART_ROWS", 4)
    _fill(seller, 10)
    result = _done(seller)
    names = [f"{kind}-{part}.csv" for kind in ("stock", "price") for part in (1, 2, 3)]
    assert [file["filename"] for file in result["files"]] == names
    rows = [row["sku"] for file in result["files"][:3] for row in _rows(seller, file)]
    assert rows == [f"A-{at:03}" for at in range(10)]


def test_exports_are_listed(seller: Mircate, stranger: Mircate) -> None:
    """They are listed newest first, in pages, and only to their own merchant."""
    ids = [_done(seller)["exportId"] for _ in range(3)]
    result = seller.call("MerchantAPI/listExports").json()
    assert ([one["exportId"] for one in result["exports"]], result["total"]) == (ids[::-1], 3)
    page = seller.call_by_get("MerchantAPI/listExports", {"pageFrom": 1, "pageSize": 1}).json()
    assert [one["exportId"] for one in page["exports"]] == [ids[1]]
    assert stranger.call("MerchantAPI/listExports").json() == {"exports": [], "total": 0}
    assert message(stranger.call(FILES, {"exportId": ids[0]}), 404) == "Record Not Found"
    assert message(seller.call(FILES, {"exportId": "nothing"}), 404) == "Record Not Found"


def test_a_link_works_for_one_file_only(seller: Mircate) -> None:
    """It does not work with another file, time or signature."""
    first, second = _done(seller), _done(seller)
    anonymous = seller.gate.anonymous()
    url = first["files"][0]["url"]
    for wrong in (
        url.replace(first["exportId"], second["exportId"]), url.replace("stock-1", "price-1"),
        url.replace("until=", "until=9"), url[:-1] + ("0" if url[-1] != "0" else "1"), url.replace("by=0", "by=other"),
    ):
        assert anonymous.get(wrong).json()["code"] == "ACCESS_DENIED"
    assert anonymous.get(url.partition("?")[0]).status_code == 400


def test_a_repeated_step_changes_nothing(seller: Mircate) -> None:
    """A message may be delivered more than once."""
    result = _done(seller)
    shop = seller.gate.shop
    writer = ExportWriter(create_services(shop.store, shop.config))
    for sent in shop.store.messages(seller.merchant, topic=RESOURCE_TYPE):
        if sent.sent_at is not None:
            writer.send(sent)
    assert [file["filename"] for file in seller.call(FILES, result).json()["files"]] == ["stock-1.csv", "price-1.csv"]
    assert len(shop.store.messages(seller.merchant, topic=RESOURCE_TYPE)) == 3


def test_expired_exports_are_deleted(seller: Mircate) -> None:
    """The last message of an export is due after seven days and deletes its files."""
    result = _done(seller)
    shop = seller.gate.shop
    *_, last = shop.store.messages(seller.merchant, topic=RESOURCE_TYPE)
    assert last.due_at is not None
    assert 6.9 < (last.due_at - last.created_at).total_seconds() / 86_400 < 7.1
    resource = find_export(shop.store, seller.merchant, result["exportId"])
    assert resource is not None
    objects = Objects(shop.config.exports)
    assert objects.get(file_path(resource, "stock-1.csv")) is not None
    ExportWriter(create_services(shop.store, shop.config)).send(last)
    assert objects.get(file_path(resource, "stock-1.csv")) is None
    assert seller.call("MerchantAPI/listExports").json()["total"] == 0
    assert seller.gate.anonymous().get(result["files"][0]["url"]).status_code == 404


def test_a_broken_storage_fails_the_export(seller: Mircate, tmp_path: Path) -> None:
    """It fails with the reason after all retries."""
    store = seller.gate.shop.store
    (tmp_path / "file").write_text("no folder")
    config = msgspec.structs.replace(seller.gate.shop.config, exports=str(tmp_path / "file"))
    name = "ab" * 16
    body = msgspec.json.encode(StockPriceExport(kinds=(Kind.STOCK,), channel=None, requested_at=now()))
    store.add_resource(seller.merchant, RESOURCE_TYPE, name=name, body=body, labels=[(name, 0)], resources_max=1)
    for attempts, status in ((1, "WAITING"), (99, "FAILED")):
        sent = Message(
            merchant=seller.merchant, number=1, topic=RESOURCE_TYPE, subject=name,
            body=msgspec.json.encode(ExportStep()), created_at=now(), attempts=attempts, due_at=None,
        )
        with pytest.raises(DeliveryError, match="cannot store objects"):
            ExportWriter(create_services(store, config)).send(sent)
        assert seller.call(FILES, {"exportId": name}).json()["status"] == status
    assert "cannot store objects" in seller.call(FILES, {"exportId": name}).json()["message"]
