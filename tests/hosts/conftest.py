"""A server that may be stopped and paused, because nobody else uses it."""

import itertools
from collections.abc import Iterator

import pytest

from goodsgate.model.catalogue import Merchant
from tests import place, postgres
from tests.make import NOW
from tests.postgres import Server
from tests.store.wire import Wire


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """One for a module."""
    binaries = postgres.first(itertools.chain(postgres.machine(), postgres.wheel()))
    if binaries is None:
        print("no PostgreSQL on this machine and no wheel")
        pytest.skip("no PostgreSQL on this machine and no wheel")
    made = Server(binaries)
    yield made
    made.close()


@pytest.fixture
def address(own: Server) -> Iterator[str]:
    """A fresh database there, of a store with the merchant acme."""
    made = own.database()
    store = place.open_at(made, small_payload_bytes=1_000)
    store.add_merchant(Merchant(id="acme", name="Acme", created_at=NOW))
    store.close()
    yield made
    own.drop(made)


@pytest.fixture
def wire(own: Server) -> Iterator[Wire]:
    """Between the store and the server."""
    made = Wire(own.port)
    yield made
    made.close()
