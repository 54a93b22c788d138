"""A served gate for the tests of the native protocol."""

from collections.abc import Iterator

import pytest

from tests.served import Client, Served
from tests.shop import Shop


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One gate for all tests of a module; each takes merchants of its own."""
    shop = Shop(tmp_path_factory.mktemp("gate"), body_idle_seconds=1.0, sessions_max=8)
    served = Served(shop)
    yield served
    served.close()
    shop.store.close()


@pytest.fixture
def client(gate: Served) -> Client:
    """A client of a merchant of its own, with the scopes submit and read."""
    return gate.client()


@pytest.fixture
def admin(gate: Served) -> Client:
    """A client with the scope admin."""
    return gate.client(None, "admin")
