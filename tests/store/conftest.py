"""Every test that asks for a scene runs for every store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.scene import STORES, Scene


@pytest.fixture(params=STORES)
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """A fresh store with the merchants acme and bolt."""
    made = Scene(tmp_path, STORES[request.param])
    yield made
    made.close()
