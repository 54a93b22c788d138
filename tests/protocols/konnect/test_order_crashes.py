"""kill -9 of whoever works orders: what was begun is finished by the next, and stock is what the orders say."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from goodsgate import app
from goodsgate.engine.stock import Level, Stock
from goodsgate.model.batch import Kind, now
from goodsgate.model.catalogue import item_key
from goodsgate.protocols.konnect.orders import shipment as shipments
from goodsgate.protocols.konnect.orders.repository import ShipmentRepository
from goodsgate.protocols.konnect.orders.shipment import RESOURCE_TYPE, PendingStockChange, Shipment
from goodsgate.protocols.konnect.orders.transitions import apply_event
from goodsgate.protocols.konnect.orders.wiring import open_repository
from goodsgate.protocols.konnect.unpublished import COLLECTION
from goodsgate.store.contract import Store
from tests.docs.pages import TOP
from tests.protocols.konnect.order_process import LOCATION, PIECES, SKU, order
from tests.shop import Shop

STOCK = 100_000
KEY = item_key(SKU, LOCATION)
decode = msgspec.json.Decoder(Shipment).decode


@pytest.fixture
def shop(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """With stock, and without patience for what somebody left."""
    monkeypatch.setattr(shipments, "PLACEMENT_SECONDS_MAX", 0)
    opened = Shop(tmp_path, "acme", kind=kind)
    opened.run(
        [{"sku": SKU, "location": LOCATION, "quantity": STOCK}], kind=Kind.STOCK, collection=COLLECTION
    )
    return opened


def _level(shop: Shop) -> Level:
    return Stock(shop.store).levels("acme", COLLECTION, [KEY])[KEY]


def _all(store: Store) -> list[Shipment]:
    """Every shipment that is held."""
    found, number = [], 0
    while (number := number + 1) < 2_000:
        resource = store.resource("acme", RESOURCE_TYPE, number)
        found += [] if resource is None else [decode(resource.body)]
    return found


def _placer(folder: Path, name: str) -> "subprocess.Popen[str]":
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TOP), str(TOP / "src")])}
    command = [sys.executable, "-m", "tests.protocols.konnect.order_process", str(folder), name]
    return subprocess.Popen(command, env=environ, cwd=TOP, stdout=subprocess.PIPE, text=True)


def test_stock_is_what_the_orders_say(shop: Shop, tmp_path: Path) -> None:
    """Two processes at the same time, killed at any moment."""
    placers = [_placer(tmp_path, name) for name in "ab"]
    try:
        for placer, lines in zip(placers, (9, 6), strict=True):
            assert placer.stdout is not None
            for _ in range(lines):
                assert placer.stdout.readline()
    finally:
        for placer in placers:
            placer.kill()
            placer.wait()
            assert placer.stdout is not None
            placer.stdout.close()
    with shop:
        _settled(open_repository(app.create_services(shop.store, shop.config)), shop)


def _settled(book: ShipmentRepository, shop: Shop) -> None:
    book.apply_due_events("acme")
    found = _all(shop.store)
    assert len(found) >= 15
    assert [one.state for one in found if one.state == "new" or one.stock_changes] == []
    reserved = sum(PIECES for one in found if one.state in ("placed", "bag_confirmed"))
    taken = sum(PIECES for one in found if one.state in ("bag_invoiced", "cancelled_invoiced"))
    assert _level(shop) == Level(STOCK - taken, reserved)


def test_stock_that_was_not_moved_is_moved_by_the_next(shop: Shop) -> None:
    """Whoever reads, lists or changes; once."""
    with shop:
        book = open_repository(app.create_services(shop.store, shop.config))
        ids = [book.place("acme", order(name)).id for name in ("a", "b", "c")]
        for id in ids:
            _left_behind(shop.store, book.find("acme", id))
        assert _level(shop) == Level(STOCK, 3 * PIECES)
        assert book.find("acme", ids[0]).state == "cancelled_seller"
        assert _level(shop) == Level(STOCK, 2 * PIECES)
        assert len(book.list_by_label("acme", "CANCELLED")) == 3
        assert _level(shop) == Level(STOCK, 0)
        _left_behind(shop.store, book.find("acme", ids[0]), again=True)
        book.apply_due_events("acme")
        assert _level(shop) == Level(STOCK, 0)


def _left_behind(store: Store, shipment: Shipment, *, again: bool = False) -> None:
    """As who was killed between the step and its stock leaves it, or between the stock and saying so."""
    resource = store.resource("acme", RESOURCE_TYPE, shipment.number)
    assert resource is not None
    left = apply_event(shipment, "cancel", at=now()) if not again else msgspec.structs.replace(
        shipment, stock_changes=(PendingStockChange(f"{shipment.id}/2/cancel", "cancel", {KEY: PIECES}),)
    )
    body = msgspec.json.encode(left)
    assert store.put_resource(msgspec.structs.replace(resource, body=body, expires_at=None), labels=left.labels())


def test_what_was_begun_is_finished_or_forgotten(shop: Shop) -> None:
    """An order whose stock was to be reserved: it is placed, or, where there is too little, it never was."""
    with shop:
        book = open_repository(app.create_services(shop.store, shop.config))
        small, large = order("small"), order("large")
        (line,) = large.lines
        large = msgspec.structs.replace(large, lines=(msgspec.structs.replace(line, quantity=STOCK + 1),))
        for one in (small, large):
            shop.store.add_resource(
                "acme", RESOURCE_TYPE, name=one.order, body=msgspec.json.encode(one), resources_max=9,
                labels=one.labels()
            )
        assert [one.order for one in book.list_by_label("acme", "CREATED")] == ["small"]
        assert _level(shop) == Level(STOCK, PIECES)
        assert shop.store.resource("acme", RESOURCE_TYPE, 2) is None
        assert book.place("acme", order("large")).state == "placed"
