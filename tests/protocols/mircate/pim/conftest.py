"""Merchants with a configuration for shirts, and without any."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.http_gate import HttpGate
from tests.protocols.mircate.pim.client import Manager


@pytest.fixture
def manager(gate: HttpGate) -> Iterator[Manager]:
    """Return the client of a merchant with a configuration for shirts."""
    with closing(Manager(gate, gate.merchant())) as client:
        yield client


@pytest.fixture
def beginner(gate: HttpGate) -> Iterator[Manager]:
    """Return the client of a merchant without a configuration."""
    with closing(Manager(gate, gate.merchant(), configuration=None)) as client:
        yield client
