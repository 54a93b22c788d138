"""A served gate for the tests of this protocol, on each kind of store."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests import stores
from tests.http_gate import HttpGate
from tests.protocols.justwalkout.client import JustWalkOut
from tests.shop import Shop


@pytest.fixture(scope="module", params=stores.KINDS)
def gate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """Serve one gate for all tests of a module; each test creates merchants of its own."""
    folder = tmp_path_factory.mktemp("justwalkout")
    with Shop(folder, kind=request.param, body_idle_seconds=1.0) as shop:
        served = HttpGate(shop)
        yield served
        served.close()
    stores.drop(folder)


@pytest.fixture
def retailer(gate: HttpGate) -> Iterator[JustWalkOut]:
    """Return the client of a merchant with two stores."""
    with closing(JustWalkOut(gate, gate.merchant(), "STORE-1", "STORE-2")) as client:
        yield client


@pytest.fixture
def stranger(gate: HttpGate) -> Iterator[JustWalkOut]:
    """Return the client of another merchant, which has a store of its own."""
    with closing(JustWalkOut(gate, gate.merchant(), "OTHER-1")) as client:
        yield client
