"""A shop for every test; the test runs for each kind of store."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.shop import Shop

Opens = Callable[..., Shop]


@pytest.fixture
def opens(kind: str, tmp_path: Path) -> Iterator[Opens]:
    """Makes the test's shop with merchants and settings of its choice; closed at the end."""
    with ExitStack() as made:
        yield lambda *merchants, **settings: made.enter_context(Shop(tmp_path, *merchants, kind=kind, **settings))


@pytest.fixture
def shop(opens: Opens) -> Shop:
    """An engine on a fresh store."""
    return opens("acme", "other")
