"""A gate with a worker, and its clients for programs with and without an event loop."""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterable, Iterator
from typing import Any

import pytest

from goodsgate_client import AsyncClient, Client, Pages
from tests.http_gate import HttpGate
from tests.shop import Shop


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """Serve a gate with a worker."""
    with Shop(tmp_path_factory.mktemp("gate"), kind="sqlite", poll_seconds=0.005, rate_limits="off") as shop:
        served = HttpGate(shop)
        working = threading.Thread(target=shop.worker.run)
        working.start()
        yield served
        served.close()
        shop.worker.stop()
        working.join()


class EitherClient:
    """A `Client` or an `AsyncClient`, called in the same way: coroutines are run, and lists are read to their end."""

    def __init__(self, kind: str, url: str, key: str = "key", **options: Any) -> None:
        self.is_async = kind == "async"
        self.client: Any = (AsyncClient if self.is_async else Client)(url, key, **options)
        self._runner = asyncio.Runner() if self.is_async else None

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        """Call a method and return its result; a list for what is iterated."""
        returned = getattr(self.client, method)(*args, **options)
        if inspect.iscoroutine(returned):
            return self._run(returned)
        if isinstance(returned, AsyncIterable):
            return self._run(_collect(returned))
        return list(returned) if isinstance(returned, Pages | Iterator) else returned

    def _run(self, coroutine: Any) -> Any:
        assert self._runner is not None
        return self._runner.run(coroutine)

    def close(self) -> None:
        """Close the connections and the event loop."""
        if self._runner is None:
            self.client.close()
        else:
            self._run(self.client.aclose())
            self._runner.close()


async def _collect(rows: AsyncIterable[Any]) -> list[Any]:
    return [row async for row in rows]


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    """Both kinds of client."""
    return str(request.param)


@pytest.fixture
def client(gate: HttpGate, kind: str) -> Iterator[EitherClient]:
    """A client of a new merchant."""
    either = EitherClient(kind, gate.url, gate.secret(gate.merchant()))
    yield either
    either.close()
