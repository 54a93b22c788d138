"""Every test that asks for a scene runs for every store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.scene import Scene


@pytest.fixture
def scene(kind: str, tmp_path: Path) -> Iterator[Scene]:
    """A fresh store with the merchants acme and bolt."""
    with Scene(tmp_path, kind) as made:
        yield made
