"""A served gate with a worker, over each kind of store."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests import stores
from tests.http_gate import HttpGate
from tests.protocols.konnect.client import Konnect, load_starter
from tests.protocols.konnect.order_clients import Operator, Seller, create_with_stock
from tests.shop import Shop


@pytest.fixture(scope="module", params=stores.KINDS)
def gate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """A gate for all tests of a module; each test has merchants of its own."""
    folder = tmp_path_factory.mktemp("konnect")
    with Shop(folder, kind=request.param, body_idle_seconds=1.0, wait_seconds_max=3.0, poll_seconds=0.005) as shop:
        served = HttpGate(shop)
        working = threading.Thread(target=shop.worker.run)
        working.start()
        yield served
        served.close()
        shop.worker.stop()
        working.join()
    stores.drop(folder)


@pytest.fixture
def seller(gate: HttpGate) -> Iterator[Konnect]:
    """A merchant's client with a company-level token and the starter set of reference data."""
    merchant = gate.merchant()
    load_starter(gate, merchant)
    with closing(Konnect(gate, merchant)) as client:
        yield client


@pytest.fixture
def stranger(gate: HttpGate) -> Iterator[Konnect]:
    """The client of another merchant, without reference data."""
    with closing(Konnect(gate, gate.merchant())) as client:
        yield client


@pytest.fixture
def operator(seller: Konnect) -> Iterator[Operator]:
    """A client that places orders for the seller, over stock of one SKU."""
    create_with_stock(seller)
    with closing(Operator(seller)) as client:
        yield client


@pytest.fixture
def orders(seller: Konnect, operator: Operator) -> Seller:
    """The seller's client for orders."""
    return Seller(seller)
