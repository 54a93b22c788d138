"""A served gate with a worker, for the tests of this protocol, on each kind of store."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests import stores
from tests.http_gate import HttpGate
from tests.protocols.mircate.client import Mircate
from tests.shop import Shop


@pytest.fixture(scope="module", params=stores.KINDS)
def gate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """Serve one gate for all tests of a module; each test creates merchants of its own."""
    folder = tmp_path_factory.mktemp("mircate")
    settings = {"body_idle_seconds": 1.0, "wait_seconds_max": 3.0, "poll_seconds": 0.005}
    places = {name: str(folder / name) for name in ("images", "exports")}
    with Shop(folder, kind=request.param, **places, **settings) as shop:
        served = HttpGate(shop)
        working = threading.Thread(target=shop.worker.run)
        working.start()
        yield served
        served.close()
        shop.worker.stop()
        working.join()
    stores.drop(folder)


@pytest.fixture
def seller(gate: HttpGate) -> Iterator[Mircate]:
    """Return the client of a merchant."""
    with closing(Mircate(gate, gate.merchant())) as client:
        yield client


@pytest.fixture
def stranger(gate: HttpGate) -> Iterator[Mircate]:
    """Return the client of another merchant."""
    with closing(Mircate(gate, gate.merchant())) as client:
        yield client
