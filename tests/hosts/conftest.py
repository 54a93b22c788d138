"""A PostgreSQL server that a test may stop and pause, because no other test uses it."""

import itertools
from collections.abc import Iterator

import pytest

from goodsgate.model.catalogue import Merchant
from tests import postgres, stores
from tests.factories import NOW
from tests.postgres import Server
from tests.store.wire import Wire


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """Start a server for the tests of a module."""
    binaries = postgres.first(itertools.chain(postgres.machine(), postgres.wheel()))
    if binaries is None:
        print("no PostgreSQL on this machine and no wheel")
        pytest.skip("no PostgreSQL on this machine and no wheel")
    server = Server(binaries)
    yield server
    server.close()


@pytest.fixture
def address(own: Server) -> Iterator[str]:
    """Create a database with a store and the merchant acme, and yield its address."""
    address = own.database()
    store = stores.open_at(address, small_payload_bytes=1_000)
    store.add_merchant(Merchant(id="acme", name="Acme", created_at=NOW))
    store.close()
    yield address
    own.drop(address)


@pytest.fixture
def wire(own: Server) -> Iterator[Wire]:
    """Return a proxy between store and server."""
    proxy = Wire(own.port)
    yield proxy
    proxy.close()
