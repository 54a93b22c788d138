"""Price writes while no worker is running: a bounded wait, and an answer that says so."""

from contextlib import closing

import pytest

from tests.http_gate import HttpGate
from tests.protocols.konnect.client import Konnect, product
from tests.shop import Shop

RECORD = {"location_id": "BLR-01", "sku": "TR-001-42", "esp": 9, "mrp": 10, "currency": "INR"}


@pytest.fixture
def idle(tmp_path, kind: str):
    """A client of a gate without a running worker, which waits only briefly and for one client at a time."""
    with Shop(tmp_path, kind=kind, wait_seconds_max=0.05, open_rounds_max=3, sessions_max=1) as shop:
        served = HttpGate(shop)
        with closing(Konnect(served, "acme")) as client:
            yield client
        served.close()


def test_waiting_records_are_pending_and_applied_in_order(idle: Konnect) -> None:
    """The answer is 202 and reports no success yet."""
    idle.create(product(1))
    idle.gate.shop.work()
    for esp in (1, 2):
        response = idle.put("/ims/v3/price", json=[{**RECORD, "esp": esp}])
        body = response.json()
        assert (response.status_code, body["meta"]["status"]) == (202, "PENDING")
        assert body["data"] == {"payload_count": 1, "success_count": 0, "failed_count": 0, "errors": []}
        assert "order" in body["message"]
    idle.gate.shop.work()
    (row,) = idle.get("/ims/v3/listings").json()["data"]
    assert [price["esp"] for price in row["prices"]] == [2]


def test_stock_that_is_sent_behind_a_create_finds_its_product(idle: Konnect) -> None:
    """However many lanes there are to choose from, and in whatever order workers serve them."""
    idle.create(product(1))
    for record in ({"quantity": 7}, {"quantity": 8}):
        sent = [{"location_id": "BLR-01", "sku": "TR-001-42", **record}]
        assert idle.put("/ims/v3/inventory", json=sent).json()["meta"]["status"] == "PENDING"
    idle.gate.shop.work()
    (row,) = idle.get("/ims/v3/listings").json()["data"]
    assert row["quantity"] == 8


def test_a_full_queue_is_refused_with_a_retry_time(idle: Konnect) -> None:
    """The answer is 429, and nothing is stored."""
    for _ in range(3):
        assert idle.create(product(1)).status_code == 200
    for refused in (idle.create(product(1)), idle.put("/ims/v3/price", json=[RECORD])):
        assert (refused.status_code, refused.json()["status"]) == (429, "FAILED")
        assert int(refused.headers["retry-after"]) > 0
