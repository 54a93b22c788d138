"""A served gate for the tests of the native protocol."""

from collections.abc import Iterator

import pytest

from tests.http_gate import Client, HttpGate
from tests.shop import Shop


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """One gate for all tests of a module; each takes merchants of its own."""
    shop = Shop(
        tmp_path_factory.mktemp("gate"), body_idle_seconds=1.0, sessions_max=8, webhook_private="allow",
        webhook_hosts="*.example.com,127.0.0.1", feed_hosts="*.example.com", feed_folders="/none",
    )
    served = HttpGate(shop)
    yield served
    served.close()
    shop.store.close()


@pytest.fixture
def client(gate: HttpGate) -> Client:
    """A client of a merchant of its own, with the scopes submit and read."""
    return gate.client()


@pytest.fixture
def admin(gate: HttpGate) -> Client:
    """A client with the scope admin."""
    return gate.client(None, "admin")
