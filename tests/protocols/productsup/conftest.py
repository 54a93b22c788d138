"""A served gate for the tests of this protocol, on each kind of store."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests import stores
from tests.http_gate import HttpGate
from tests.protocols.productsup.client import Productsup
from tests.shop import Shop


@pytest.fixture(scope="module", params=stores.KINDS)
def gate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """Serve one gate for all tests of a module; each test creates merchants of its own."""
    folder = tmp_path_factory.mktemp("productsup")
    with Shop(folder, kind=request.param, body_idle_seconds=1.0, rate_limits="off", stream_imports="at_once") as shop:
        served = HttpGate(shop)
        yield served
        served.close()
    stores.drop(folder)


@pytest.fixture
def sender(gate: HttpGate) -> Iterator[Productsup]:
    """Return the client of a merchant."""
    with closing(Productsup(gate, gate.merchant())) as client:
        yield client


@pytest.fixture
def stranger(gate: HttpGate) -> Iterator[Productsup]:
    """Return the client of another merchant."""
    with closing(Productsup(gate, gate.merchant())) as client:
        yield client
