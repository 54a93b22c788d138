"""What the tests of several rooms share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import place


@pytest.fixture(params=place.KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of the store; the test runs for each, and the databases of its folder go with it."""
    yield request.param
    place.drop(tmp_path)
