"""One browser for all tests, and a gate over each kind of store."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests import stores
from tests.browser.world import World, chromium
from tests.http_gate import HttpGate
from tests.shop import Shop


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium as installed on this machine."""
    with chromium() as started:
        yield started


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def world(browser: Browser, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory,
          ) -> Iterator[World]:
    """A new gate for each test; the test fails if the browser reported a problem."""
    yield from _world(browser, tmp_path_factory, request.param)


@pytest.fixture
def sqlite_world(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A gate over SQLite only, for tests in which the store plays no part."""
    yield from _world(browser, tmp_path_factory, "sqlite")


def _world(browser: Browser, tmp_path_factory: pytest.TempPathFactory, kind: str) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("browser")
    with Shop(folder, kind=kind) as shop:
        gate = HttpGate(shop)
        world = World(shop, gate, browser)
        yield world
        gate.close()
    stores.drop(folder)
    assert world.problems == []
