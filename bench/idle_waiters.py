"""What clients cost that wait while nothing happens: `python -m bench idle_waiters`."""

import asyncio
import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from bench.figures import Figure
from bench.gate import Gate
from bench.scaled import scaled

T = TypeVar("T")

FEW = 200
"""Waiters whose commits are counted."""
MANY = 5_000
"""Waiters whose memory and processor time are measured."""
COMMITS_MAX = 20.0
MEGABYTES_MAX = 200.0
CPU_MAX = 0.05
BATCHES = 20
"""Batches that the waiters share: one that is held, and those behind it."""
WAIT_SECONDS = 60
SETTLE_SECONDS = 12.0
"""Idle connections of the server add what they have counted after ten seconds."""
RECORD = b'{"id":"A%d","title":"Tent","price":"7.90 EUR"}\n'


class Waiter(asyncio.Protocol):
    """A client that sends its request again whenever it is answered."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._received = b""
        self.is_waiting = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Note whether the request was refused, and send it again after its answer."""
        if b"/events " in self._request:  # a stream, which is not answered
            self.is_waiting = self.is_waiting and not data.startswith(b"HTTP/1.1 4")
            return
        self._received += data
        head, _, body = self._received.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0)
        if len(body) >= length and head:
            self.is_waiting = self.is_waiting and head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 304"))
            self._received = b""
            self._transport.write(self._request)

    def connection_lost(self, _: Exception | None) -> None:
        """Note that it waits no longer."""
        self.is_waiting = False


def parts(short: bool) -> Iterator[Figure]:
    """Waiters for batches and for changes, by long polls and event streams, on both stores."""
    few, many, seconds = (FEW, 500, 5.0) if short else (FEW, MANY, 60.0)
    _raise_files(2 * MANY + 1_000)
    with scaled() as server:
        for name, make in (("PostgreSQL", server.gate), ("SQLite", Gate)):
            with make(**_settings(2 * many)) as gate:
                def commits(database: str = gate.database) -> int:
                    with server.server.admin() as db:
                        row = db.execute(
                            "SELECT xact_commit FROM pg_stat_database WHERE datname = %s", (database,)
                        ).fetchone()
                    return int(str(row[0])) if row is not None else 0

                requests = _requests(gate)
                if name == "PostgreSQL":
                    yield _commits(gate, requests, few, seconds, commits)
                yield from _costs(gate, requests, many, seconds, name)


def _settings(waiters: int) -> dict[str, object]:
    return dict.fromkeys((
        "sessions_max", "sessions_per_merchant_max", "http_connections_max", "http_connections_per_address_max",
    ), waiters)


def _requests(gate: Gate) -> list[bytes]:
    """Return the requests of waiters for batches that do not end, and for changes of the catalogue."""
    batches = [gate.submit(RECORD % number, hold_if="created:1", collection=f"c{number}") for number in range(BATCHES)]
    while gate.client.get(f"/v1/batches/{batches[0]}").json()["state"] != "held":
        time.sleep(0.05)
    cursor = gate.client.get("/v1/changes", params={"after": "now"}).json()["cursor"]
    paths = []
    for batch in batches:
        etag = gate.client.get(f"/v1/batches/{batch}").headers["etag"]
        paths += [
            (f"/v1/batches/{batch}?wait={WAIT_SECONDS}", f"If-None-Match: {etag}\r\n"),
            (f"/v1/batches/{batch}/events", ""),
            (f"/v1/changes?after={cursor}&wait={WAIT_SECONDS}", ""),
        ]
    return [
        f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {gate.key}\r\n{header}\r\n".encode()
        for path, header in paths
    ]


def _commits(gate: Gate, requests: list[bytes], count: int, seconds: float, commits: Callable[[], int]) -> Figure:
    def rate() -> float:
        before, began = commits(), time.monotonic()
        time.sleep(seconds)
        return (commits() - before) / (time.monotonic() - began)

    time.sleep(SETTLE_SECONDS)
    base = rate()
    waited = asyncio.run(_waiting(gate, requests, count, rate))
    detail = f"{waited:.1f} with {count} waiters, {base:.1f} without"
    return Figure("PostgreSQL: further commits a second of idle waiters", waited - base, COMMITS_MAX, False, detail)


def _costs(gate: Gate, requests: list[bytes], count: int, seconds: float, store: str) -> Iterator[Figure]:
    base_mb, base_cpu = gate.resident("api"), _cpu_share(gate, seconds / 2)
    mb, cpu = asyncio.run(_waiting(
        gate, requests, count, lambda: (gate.resident("api"), _cpu_share(gate, seconds))
    ))
    what = f"{store}: {count} idle waiters"
    yield Figure(f"{what}, resident memory of the API, MB", mb, MEGABYTES_MAX, False, f"{base_mb:.0f} MB without")
    yield Figure(f"{what}, share of a processor", cpu, CPU_MAX, False, f"{base_cpu:.3f} without")


async def _waiting(gate: Gate, requests: list[bytes], count: int, measure: Callable[[], T]) -> T:
    """Return what is measured while so many clients wait, each on a connection of its own."""
    loop = asyncio.get_running_loop()
    host, port = gate.url.removeprefix("http://").split(":")
    waiters: list[Waiter] = []
    for first in range(0, count, 50):
        opened = await asyncio.gather(*(
            loop.create_connection(lambda number=number: Waiter(requests[number % len(requests)]), host, int(port))
            for number in range(first, min(first + 50, count))
        ))
        waiters += [waiter for _, waiter in opened]
    await asyncio.sleep(SETTLE_SECONDS)
    measured = await asyncio.to_thread(measure)
    lost = sum(not waiter.is_waiting for waiter in waiters)
    if lost:
        raise RuntimeError(f"{lost} of {count} waiters were refused")
    for waiter in waiters:
        waiter._transport.abort()
    await asyncio.sleep(0.5)
    return measured


def _cpu_share(gate: Gate, seconds: float) -> float:
    """Return the share of a processor that the API process uses."""
    def used() -> float:
        fields = Path(f"/proc/{gate.pids()['api']}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before, began = used(), time.monotonic()
    time.sleep(seconds)
    return (used() - before) / (time.monotonic() - began)


def _raise_files(count: int) -> None:
    """Allow this process, and the gates that it starts, so many open files if the system does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(count, hard)), hard))
