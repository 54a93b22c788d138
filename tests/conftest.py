"""Fixtures for all tests."""

import functools
import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests import stores

if TYPE_CHECKING:
    from tests.aws import Aws

sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
"""Images of containers often set it. Hundreds of processes would compile all modules, each for half a second."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
"""Shells start background jobs so, and what ignores a signal hands that on: no process of a test could be stopped."""

httpx._transports.default.create_ssl_context = functools.cache(httpx.create_ssl_context)
"""Thousands of clients, which speak plain HTTP, would each load the certificates of the system: 20 ms of CPU time."""


def pytest_xdist_auto_num_workers() -> int:
    """Run one test more than there are cores: tests of crashes and outages mostly wait for other processes."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_finish() -> None:
    """Keep the collected tests, which live until the end, out of every later garbage collection."""
    gc.collect()
    gc.freeze()


@pytest.fixture(params=stores.KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The kind of store: the test runs for each, and its databases are dropped afterwards."""
    yield request.param
    stores.drop(tmp_path)


@pytest.fixture(scope="session")
def aws() -> "Iterator[Aws]":
    """A local server of S3 and SQS."""
    from tests.aws import Aws  # takes a second to load, and few tests ask for it

    server = Aws()
    yield server
    server.close()
