"""Prices while nobody works: a bounded wait and an honest answer."""

from contextlib import closing

import pytest

from tests.protocols.konnect.client import Konnect, product
from tests.served import Served
from tests.shop import Shop

RECORD = {"location_id": "BLR-01", "sku": "TR-001-42", "esp": 9, "mrp": 10, "currency": "INR"}


@pytest.fixture
def idle(tmp_path, kind: str):
    """A gate whose worker is stepped by hand, that waits a moment only, for one client at a time."""
    with Shop(tmp_path, kind=kind, wait_seconds_max=0.05, open_rounds_max=3, sessions_max=1) as shop:
        served = Served(shop)
        with closing(Konnect(served, "acme")) as client:
            yield client
        served.close()


def test_what_waits_is_pending_and_is_applied_in_order(idle: Konnect) -> None:
    """202; nothing is said to have succeeded."""
    idle.create(product(1))
    idle.gate.shop.work()
    for esp in (1, 2):
        answered = idle.put("/ims/v3/price", json=[{**RECORD, "esp": esp}])
        body = answered.json()
        assert (answered.status_code, body["meta"]["status"]) == (202, "PENDING")
        assert body["data"] == {"payload_count": 1, "success_count": 0, "failed_count": 0, "errors": []}
        assert "order" in body["message"]
    idle.gate.shop.work()
    (row,) = idle.get("/ims/v3/listings").json()["data"]
    assert [price["esp"] for price in row["prices"]] == [2]


def test_a_full_queue_is_said_so(idle: Konnect) -> None:
    """429 with the time after which to try again; nothing was kept."""
    for _ in range(3):
        assert idle.create(product(1)).status_code == 200
    for refused in (idle.create(product(1)), idle.put("/ims/v3/price", json=[RECORD])):
        assert (refused.status_code, refused.json()["status"]) == (429, "FAILED")
        assert int(refused.headers["retry-after"]) > 0
