"""CPU of a status poll, against a bare ASGI answer of the same length on the same server: `python -m bench.polls`."""

import asyncio
import contextlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import orjson
import uvicorn

CONNECTIONS = 16
PIPELINED = 4
"""Requests that each connection has under way; some, since a client that waits measures its own wake-ups."""
ROUNDS = 5
MARK = b"HTTP/1.1 200"


class Client(asyncio.Protocol):
    """One keep-alive connection that asks again as soon as it is answered."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._tail = b""
        self.answered = 0
        self.running = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request * PIPELINED)

    def data_received(self, data: bytes) -> None:
        """Count answers by their first line, which may be cut in two."""
        seen = self._tail + data
        found = seen.count(MARK)
        self._tail = seen[-(len(MARK) - 1) :]
        self.answered += found
        if self.running and found:
            self._transport.write(self._request * found)


class ServerProcess:
    """A server process, its request, and its CPU time."""

    def __init__(self, what: str, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.polls", what, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started = orjson.loads(self._line())
        self._port = int(started["port"])
        self._request = str(started["request"]).encode()

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def cpu_seconds(self) -> float:
        """User and system time of the process so far."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"cpu\n")
        self._process.stdin.flush()
        return float(self._line())

    def poll_microseconds(self, seconds: float) -> tuple[float, float]:
        """CPU a request, and requests a second."""
        before = self.cpu_seconds()
        answered = asyncio.run(self._load(seconds))
        return (self.cpu_seconds() - before) / answered * 1e6, answered / seconds

    async def _load(self, seconds: float) -> int:
        loop = asyncio.get_running_loop()
        opened = [
            await loop.create_connection(lambda: Client(self._request), "127.0.0.1", self._port)
            for _ in range(CONNECTIONS)
        ]
        await asyncio.sleep(seconds)
        for _, client in opened:
            client.running = False
        await asyncio.sleep(0.1)
        for transport, _ in opened:
            transport.close()
        return sum(client.answered for _, client in opened)

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.communicate()


def measure(*, seconds: float = 3.0) -> tuple[float, str]:
    """CPU of the bare answer over that of a poll (1 would be free), the median of interleaved rounds."""
    with tempfile.TemporaryDirectory(prefix="goodsgate-bench-") as name, contextlib.ExitStack() as stack:
        gate, bare = ServerProcess("gate", Path(name)), ServerProcess("bare", Path(name))
        stack.callback(gate.close)
        stack.callback(bare.close)
        for served in (gate, bare):
            served.poll_microseconds(0.3)
        share = seconds / ROUNDS
        rounds = [(bare.poll_microseconds(share), gate.poll_microseconds(share)) for _ in range(ROUNDS)]
    ratio = statistics.median(plain[0] / poll[0] for plain, poll in rounds)
    plain_us, poll_us = (statistics.median(pair[side][0] for pair in rounds) for side in (0, 1))
    rate = statistics.median(pair[1][1] for pair in rounds)
    return ratio, f"{poll_us:.1f} µs CPU a poll, {plain_us:.1f} µs bare; {rate:,.0f} polls/s"


# -- the server processes ---------------------------------------------------------------------------------------------


def _gate(folder: Path) -> tuple[uvicorn.Config, bytes]:
    """Return a gate with one finished batch that has issues, and the poll for it."""
    from goodsgate import app, auth
    from goodsgate.model.catalogue import Scope
    from tests import factories
    from tests.shop import Shop, open_store

    shop = Shop(folder)
    records = [*factories.products(*range(50)), factories.product(51, price="cheap"), factories.product(52, title=None)]
    batch = shop.run(records)
    key, secret = auth.new_key("acme", {Scope.READ})
    shop.store.add_key(key)
    shop.store.close()
    store = open_store(shop.config)
    application = app.create_app(store, shop.config)
    request = f"GET /v1/batches/{batch.id} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {secret}\r\n\r\n"
    return app.server_config(application, app.connection_limits(shop.config)), request.encode()


def _bare(_: Path) -> tuple[uvicorn.Config, bytes]:
    """As little as ASGI can do."""
    body = b"x" * 2000
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2000")]

    async def answer(_scope: object, _receive: object, send: Callable[[dict[str, object]], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    config = uvicorn.Config(
        answer, loop="uvloop", http="httptools", ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, proxy_headers=False,
    )
    request = f"GET /v1/batches/{32 * '0'} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {58 * '0'}\r\n\r\n"
    return config, request.encode()


def _tell_cpu(lines: Iterator[str]) -> None:
    for _ in lines:
        print(time.process_time(), flush=True)


def _serve(what: str, folder: Path) -> None:
    config, request = (_gate if what == "gate" else _bare)(folder)
    listening = socket.create_server(("127.0.0.1", 0))
    print(orjson.dumps({"port": listening.getsockname()[1], "request": request.decode()}).decode(), flush=True)
    threading.Thread(target=_tell_cpu, args=(sys.stdin,), daemon=True).start()
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _serve(sys.argv[1], Path(sys.argv[2]))
    else:
        print("status poll against a bare ASGI answer: {:.2f} ({})".format(*measure()))
