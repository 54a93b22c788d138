"""Delivery of messages while a test runs, and what a test waits for."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from goodsgate import app
from tests.shop import Shop

SECONDS_MAX = 60.0
"""A guard against hanging."""
T = TypeVar("T")


@contextmanager
def delivering(shop: Shop, **settings: Any) -> Iterator[None]:
    """Deliver messages as a worker process does, with these settings."""
    outbox = app.create_outbox(shop.store, msgspec.structs.replace(shop.config, **settings))
    outbox.start()
    try:
        yield
    finally:
        outbox.stop()


def wait_for(find: Callable[[], T]) -> T:
    """Return what is found, as soon as it is there."""
    until = time.monotonic() + SECONDS_MAX
    while not (found := find()):
        assert time.monotonic() < until
        time.sleep(0.005)
    return found
