"""One browser for all tests, and a gate over each kind of store."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests import place
from tests.browser.world import World, chromium
from tests.served import Served
from tests.shop import Shop


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The machine's own."""
    with chromium() as started:
        yield started


@pytest.fixture(params=place.KINDS)
def world(browser: Browser, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory,
          ) -> Iterator[World]:
    """A gate of its own for each test; nothing may have gone wrong in the browser."""
    yield from _world(browser, tmp_path_factory, request.param)


@pytest.fixture
def sqlite_world(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The same, for what no store has a part in."""
    yield from _world(browser, tmp_path_factory, "sqlite")


def _world(browser: Browser, tmp_path_factory: pytest.TempPathFactory, kind: str) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("browser")
    with Shop(folder, kind=kind) as shop:
        gate = Served(shop)
        made = World(shop, gate, browser)
        yield made
        gate.close()
    place.drop(folder)
    assert made.trouble == []
