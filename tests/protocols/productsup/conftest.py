"""A served gate for the tests of this protocol, on each kind of store."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests import place
from tests.protocols.productsup.client import Productsup
from tests.served import Served
from tests.shop import Shop


@pytest.fixture(scope="module", params=place.KINDS)
def gate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve one gate for all tests of a module; each test creates merchants of its own."""
    folder = tmp_path_factory.mktemp("productsup")
    with Shop(folder, kind=request.param, body_idle_seconds=1.0, rate_limits="off") as shop:
        served = Served(shop)
        yield served
        served.close()
    place.drop(folder)


@pytest.fixture
def sender(gate: Served) -> Iterator[Productsup]:
    """Return the client of a merchant."""
    with closing(Productsup(gate, gate.merchant())) as client:
        yield client


@pytest.fixture
def stranger(gate: Served) -> Iterator[Productsup]:
    """Return the client of another merchant."""
    with closing(Productsup(gate, gate.merchant())) as client:
        yield client
