"""Figures of a gate on PostgreSQL: a server of the run's own, with the settings of one that is meant to last."""

import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import xxhash

from bench.figures import PRODUCTS, Figure, growth, lines_of, numbered, small
from bench.gate import Gate
from goodsgate.store.postgres.notifications import WAIT_SECONDS
from tests import postgres

SETTINGS = {
    "fsync": "on", "full_page_writes": "on", "shared_buffers": "2GB", "max_wal_size": "8GB", "wal_compression": "on",
    "wal_writer_delay": "10ms", "min_wal_size": "8GB", "backend_flush_after": "1MB",
}
"""As docs/how-to/run-on-postgresql.md recommends."""
LOG_FILES = 512
"""As many as `min_wal_size` keeps, of 16 MB."""
AGAIN_FILES = 32
"""So many in a row without a new one: the server has what it needs."""
CEILING_ROWS = 50_000
WARM_RECORDS = 10_000
"""Others, submitted first: a gate that has run for a while."""
ROUNDS = 5
"""Medians are taken of so many: single ones differ by a quarter on a shared machine."""
CLIENTS = 8
REQUEST_RECORDS = 500
LEASE_SECONDS = 2.0
FAIR_TURNS = 3
"""Times that all the small merchants submit at once while the large batch is worked."""


class Scaled:
    """A server, and gates on fresh databases of it."""

    def __init__(self) -> None:
        binaries = postgres.first(postgres.machine()) or postgres.first(postgres.wheel())
        if binaries is None:
            raise SystemExit("no PostgreSQL on this machine, and no wheel of it")
        self.server = postgres.Server(binaries, place=Path(tempfile.gettempdir()), **SETTINGS)

    def gate(self, **settings: object) -> Gate:
        """Open a gate on a database of its own."""
        return Gate(store=self.server.database(), **settings)

    def recycle_logs(self) -> None:
        """Make the server recycle its log files, as one does that has run for a while.

        A new server has none: it creates each when it is first needed, fills it with zeros, and every commit waits.
        """
        with self.server.admin("postgres") as db:
            server = again = 0
            while server < LOG_FILES and again < AGAIN_FILES:
                db.execute("SELECT pg_logical_emit_message(false, 'bench', 'fill'), pg_switch_wal()")
                (there,) = db.execute("SELECT count(*) FROM pg_ls_waldir()").fetchone() or (0,)
                again = 0 if there > server else again + 1
                server = max(server, there)
            db.execute("CHECKPOINT")

    def ceiling(self, lines: list[bytes]) -> float:
        """Return rows a second of plain COPY into the table of items with its indexes.

        Each transaction has CEILING_ROWS rows and is on disk at its end.
        """
        rows = [
            b"1\t1\t%b\t%b\t\\N\t%032d\t1\t%b\n" % (
                orjson.loads(line)["id"].encode(), xxhash.xxh3_128(line).hexdigest().encode(), 1,
                line.replace(b"\\", b"\\\\"),
            )
            for line in lines
        ]
        texts = [b"".join(rows[first : first + CEILING_ROWS]) for first in range(0, len(rows), CEILING_ROWS)]
        with self.server.admin(urlsplit(self.server.database()).path[1:]) as db:
            begin = time.perf_counter()
            for text in texts:
                with db.cursor().copy(
                    "COPY goodsgate.item (merchant, collection, key, hash, version, batch, written_at, document) "
                    "FROM STDIN"
                ) as copy:
                    copy.write(text)
            return len(lines) / (time.perf_counter() - begin)


@contextmanager
def scaled() -> Iterator[Scaled]:
    """Run a server while the block runs."""
    server = Scaled()
    try:
        yield server
    finally:
        server.server.close()


def parts(short: bool) -> Iterator[Figure]:
    """All of them, on one server."""
    with scaled() as server:
        server.recycle_logs()
        yield from load(server, short)
        yield from kinds(server, short)
        yield takeover(server, short)
        yield fairness(server, short)
        yield from growth(short, server.gate)
        server.recycle_logs()
        yield from small(short, server.gate, accepted_ms_max=25.0)


def load(server: Scaled, short: bool) -> Iterator[Figure]:
    """POST of 100 MB to finished, fresh and again; and two of 50 MB in lanes of their own, by one worker and by two."""
    count = PRODUCTS // 5 if short else PRODUCTS
    lines = lines_of(count)
    body = b"\n".join(lines)
    warm = b"\n".join(lines_of(WARM_RECORDS, start=count))
    halves = [b"\n".join(lines[: count // 2]), b"\n".join(lines[count // 2 :])]
    rates: dict[str, list[float]] = {"ceiling": [], "fresh": [], "again": [], "one": [], "two": []}
    for _ in range(1 if short else ROUNDS):
        rates["ceiling"].append(server.ceiling(lines))
        with server.gate() as gate:
            gate.load(warm, collection="warm")
            for name in ("fresh", "again"):
                seconds, document = gate.load(body, collection="a")
                assert document["counts"]["total"] == count, document
                rates[name].append(count / seconds)
        for workers, name in ((1, "one"), (2, "two")):
            with server.gate(workers=workers) as gate:
                gate.load(warm, collection="warm")
                rates[name].append(count / _lanes_seconds(gate, halves))
    top, fresh, again, one, two = (statistics.median(rates[name]) for name in rates)
    detail = f"{fresh:,.0f} products/s; ceiling {top:,.0f}"
    ratio = statistics.median(f / c for f, c in zip(rates["fresh"], rates["ceiling"], strict=True))
    yield Figure("POST of 100 MB to finished, 1 worker, against COPY", ratio, 0.45, True, detail)
    what = "100 MB in the lanes of two merchants, 2 workers against 1"
    yield Figure(what, two / one, 1.15, True, f"{two:,.0f} against {one:,.0f} products/s")
    yield Figure("identical feed again, against fresh", again / fresh, 1.7, True, f"{again:,.0f} products/s")


def kinds(server: Scaled, short: bool) -> Iterator[Figure]:
    """Measure requests of 500 records by 8 clients at once: prices and stock against products."""
    requests = 20 if short else 100
    with server.gate(workers=2) as gate:
        many(gate, "product", _bodies(2, _product))
        rates = {kind: many(gate, kind, _bodies(requests, make)) for kind, make in KINDS.items()}
    for kind in ("price", "stock"):
        detail = f"{rates[kind]:,.0f} records/s; products {rates['product']:,.0f}"
        what = f"{kind} records, 500 a request, 8 clients, against products"
        yield Figure(what, rates[kind] / rates["product"], 1.5, True, detail)


def takeover(server: Scaled, short: bool) -> Figure:
    """Kill -9 of the worker in the middle of a bulk load, until another one holds the lane."""
    over = []
    for _ in range(1 if short else 3):
        with server.gate(workers=2, lease_seconds=LEASE_SECONDS) as gate:
            seconds = _takeover_seconds(server, gate, b"\n".join(lines_of(PRODUCTS)))
            over.append(seconds - LEASE_SECONDS - WAIT_SECONDS)
    told = ", ".join(f"{seconds:+.2f}" for seconds in over)
    detail = f"lease {LEASE_SECONDS:g} s, looked for every {WAIT_SECONDS:g} s; {told}"
    return Figure("takeover after kill -9, seconds beyond lease and poll, worst", max(over), 0.5, False, detail)


def fairness(server: Scaled, short: bool) -> Figure:
    """50 merchants with 20 records each while 1 M records of another are worked."""
    with server.gate(workers=2) as gate:
        times = _fair_seconds(gate, 200_000 if short else 1_000_000, 10 if short else 50)
    detail = f"p50 {times[len(times) // 2] * 1000:.0f} ms, {len(times)} batches"
    worst = times[min(int(len(times) * 0.99), len(times) - 1)] * 1000
    what = "20 records of each of 50 merchants beside 1 M of another, finished p99, ms"
    return Figure(what, worst, 2000.0, False, detail)


def many(gate: Gate, kind: str, bodies: list[bytes]) -> float:
    """Return records a second of CLIENTS clients at once, from the first byte sent to the last batch's end."""
    waiting = list(reversed(bodies))
    ids: list[str] = []

    def send() -> None:
        while waiting:
            ids.append(gate.submit(waiting.pop(), kind=kind, collection="many"))

    begin = time.perf_counter()
    clients = [threading.Thread(target=send) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    for batch in sorted(ids):
        gate.finish(batch)
    return len(bodies) * REQUEST_RECORDS / (time.perf_counter() - begin)


def _lanes_seconds(gate: Gate, bodies: list[bytes]) -> float:
    """From the first byte sent to the end of the last batch, each body of a merchant of its own, all at once."""
    keys = [gate.add_merchant(f"lane-{number}") for number in range(len(bodies))]

    def one(key: str, body: bytes) -> None:
        gate.finish(gate.submit(body, key=key), key=key)

    threads = [threading.Thread(target=one, args=pair) for pair in zip(keys, bodies, strict=True)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begin


def _takeover_seconds(server: Scaled, gate: Gate, body: bytes) -> float:
    batch = gate.submit(body, collection="taken")
    while not gate.client.get(f"/v1/batches/{batch}").json()["counts"]["accounted"]:
        time.sleep(0.005)
    asked = "SELECT holder FROM goodsgate.lane WHERE holder IS NOT NULL AND holder <> %s"
    with server.server.admin(gate.database) as db:
        (holder,) = db.execute(asked, ("",)).fetchone() or ("",)
        os.kill(int(str(holder).rpartition("-")[2]), signal.SIGKILL)  # a worker is named by its host and process
        begin = time.perf_counter()
        while db.execute(asked, (holder,)).fetchone() is None:
            time.sleep(0.005)
    seconds = time.perf_counter() - begin
    gate.finish(batch)
    return seconds


def _fair_seconds(gate: Gate, large: int, merchants: int) -> list[float]:
    """From accepted to finished, sorted, of the small batches; all are over before the large one is."""
    keys = [gate.add_merchant(f"small-{number}") for number in range(merchants)]
    bulk = gate.submit(numbered(0, large), collection="large")
    while not gate.client.get(f"/v1/batches/{bulk}").json()["counts"]["accounted"]:
        time.sleep(0.01)
    times: list[float] = []

    def one(number: int, turn: int) -> None:
        body = b"\n".join(lines_of(20, start=(turn * merchants + number) * 20))
        batch = gate.submit(body, key=keys[number])
        accepted = time.perf_counter()
        gate.finish(batch, key=keys[number])
        times.append(time.perf_counter() - accepted)

    for turn in range(FAIR_TURNS):
        threads = [threading.Thread(target=one, args=(number, turn)) for number in range(merchants)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if gate.client.get(f"/v1/batches/{bulk}").json()["state"] == "finished":
        raise RuntimeError("the large batch was over before the small ones")
    gate.client.post(f"/v1/batches/{bulk}/cancel")
    gate.finish(bulk)
    return sorted(times)


def _product(number: int) -> bytes:
    return lines_of(1, start=number)[0]


def _price(number: int) -> bytes:
    return b'{"id":"SKU-%08d","price":"%d.99 EUR"}' % (number, 1 + number % 900)


def _stock(number: int) -> bytes:
    return b'{"id":"SKU-%08d","location":"L%d","quantity":%d}' % (number, number % 7, number % 1_000)


KINDS: dict[str, Callable[[int], bytes]] = {"product": _product, "price": _price, "stock": _stock}


def _bodies(requests: int, make: Callable[[int], bytes]) -> list[bytes]:
    return [
        b"\n".join(make(request * REQUEST_RECORDS + at) for at in range(REQUEST_RECORDS)) for request in range(requests)
    ]
