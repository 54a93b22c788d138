"""Merchants of shirts, of nothing yet, and others."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.protocols.mircate.pim.client import Manager
from tests.served import Served


@pytest.fixture
def manager(gate: Served) -> Iterator[Manager]:
    """Whose shirts are settled."""
    with closing(Manager(gate, gate.merchant())) as client:
        yield client


@pytest.fixture
def beginner(gate: Served) -> Iterator[Manager]:
    """Who has settled nothing yet."""
    with closing(Manager(gate, gate.merchant(), configuration=None)) as client:
        yield client
