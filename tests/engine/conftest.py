"""A shop for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """An engine on a fresh store."""
    made = Shop(tmp_path, "acme", "other")
    yield made
    made.store.close()
