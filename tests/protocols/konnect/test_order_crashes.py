"""Processes killed while they process orders: the next request completes their work, and stock matches the orders."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from goodsgate import app
from goodsgate.engine.stock import Stock, StockLevel
from goodsgate.model.batch import Kind, now
from goodsgate.model.catalogue import item_key
from goodsgate.protocols.konnect.orders import shipment as shipment_module
from goodsgate.protocols.konnect.orders.repository import ShipmentRepository
from goodsgate.protocols.konnect.orders.shipment import RESOURCE_TYPE, PendingStockChange, Shipment
from goodsgate.protocols.konnect.orders.transitions import apply_event
from goodsgate.protocols.konnect.orders.wiring import open_repository
from goodsgate.protocols.konnect.unpublished import COLLECTION
from goodsgate.store.contract import Store
from tests.docs.pages import TOP
from tests.protocols.konnect.order_process import LOCATION, PIECES, SKU, new_order
from tests.shop import Shop

STOCK = 100_000
KEY = item_key(SKU, LOCATION)
decode = msgspec.json.Decoder(Shipment).decode


@pytest.fixture
def shop(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop with stock, in which an interrupted placement is completed at once."""
    monkeypatch.setattr(shipment_module, "PLACEMENT_SECONDS_MAX", 0)
    shop = Shop(tmp_path, "acme", kind=kind)
    shop.run(
        [{"sku": SKU, "location": LOCATION, "quantity": STOCK}], kind=Kind.STOCK, collection=COLLECTION
    )
    return shop


def _level(shop: Shop) -> StockLevel:
    return Stock(shop.store).levels("acme", COLLECTION, [KEY])[KEY]


def _all_shipments(store: Store) -> list[Shipment]:
    """Return every stored shipment."""
    resources = (store.resource("acme", RESOURCE_TYPE, number) for number in range(1, 2_000))
    return [decode(resource.body) for resource in resources if resource is not None]


def _start_process(folder: Path, name: str) -> "subprocess.Popen[str]":
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TOP), str(TOP / "src")])}
    command = [sys.executable, "-m", "tests.protocols.konnect.order_process", str(folder), name]
    return subprocess.Popen(command, env=environ, cwd=TOP, stdout=subprocess.PIPE, text=True)


def test_stock_matches_the_orders_after_a_kill(shop: Shop, tmp_path: Path) -> None:
    """Two processes work at the same time and are killed at an arbitrary moment."""
    processes = [_start_process(tmp_path, name) for name in "ab"]
    try:
        for process, lines in zip(processes, (9, 6), strict=True):
            assert process.stdout is not None
            for _ in range(lines):
                assert process.stdout.readline()
    finally:
        for process in processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
    with shop:
        _check_stock(open_repository(app.create_services(shop.store, shop.config)), shop)


def _check_stock(repository: ShipmentRepository, shop: Shop) -> None:
    repository.apply_due_events("acme")
    shipments = _all_shipments(shop.store)
    assert len(shipments) >= 15
    assert [one.state for one in shipments if one.state == "new" or one.stock_changes] == []
    reserved = sum(PIECES for one in shipments if one.state in ("placed", "bag_confirmed"))
    taken = sum(PIECES for one in shipments if one.state in ("bag_invoiced", "cancelled_invoiced"))
    assert _level(shop) == StockLevel(STOCK - taken, reserved)


def test_the_next_request_makes_a_pending_stock_change_once(shop: Shop) -> None:
    """It may be a read, a list or a change."""
    with shop:
        repository = open_repository(app.create_services(shop.store, shop.config))
        ids = [repository.place("acme", new_order(name)).id for name in ("a", "b", "c")]
        for id in ids:
            _leave_pending(shop.store, repository.find("acme", id))
        assert _level(shop) == StockLevel(STOCK, 3 * PIECES)
        assert repository.find("acme", ids[0]).state == "cancelled_seller"
        assert _level(shop) == StockLevel(STOCK, 2 * PIECES)
        assert len(repository.list_by_label("acme", "CANCELLED")) == 3
        assert _level(shop) == StockLevel(STOCK, 0)
        _leave_pending(shop.store, repository.find("acme", ids[0]), again=True)
        repository.apply_due_events("acme")
        assert _level(shop) == StockLevel(STOCK, 0)


def _leave_pending(store: Store, shipment: Shipment, *, again: bool = False) -> None:
    """Leave a pending stock change like a process killed before making the change, or after it (`again`)."""
    resource = store.resource("acme", RESOURCE_TYPE, shipment.number)
    assert resource is not None
    left = apply_event(shipment, "cancel", at=now()) if not again else msgspec.structs.replace(
        shipment, stock_changes=(PendingStockChange(f"{shipment.id}/2/cancel", "cancel", {KEY: PIECES}),)
    )
    body = msgspec.json.encode(left)
    assert store.put_resource(msgspec.structs.replace(resource, body=body, expires_at=None), labels=left.labels())


def test_an_interrupted_placement_is_completed_or_dropped(shop: Shop) -> None:
    """It is dropped if there is too little stock to reserve."""
    with shop:
        repository = open_repository(app.create_services(shop.store, shop.config))
        small, large = new_order("small"), new_order("large")
        (line,) = large.lines
        large = msgspec.structs.replace(large, lines=(msgspec.structs.replace(line, quantity=STOCK + 1),))
        for one in (small, large):
            shop.store.add_resource(
                "acme", RESOURCE_TYPE, name=one.order, body=msgspec.json.encode(one), resources_max=9,
                labels=one.labels()
            )
        assert [one.order for one in repository.list_by_label("acme", "CREATED")] == ["small"]
        assert _level(shop) == StockLevel(STOCK, PIECES)
        assert shop.store.resource("acme", RESOURCE_TYPE, 2) is None
        assert repository.place("acme", new_order("large")).state == "placed"
