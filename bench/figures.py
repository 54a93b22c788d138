"""A line of the table, the records that are sent, and the parts that are measured alike on either store."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import orjson

from bench.gate import Gate
from bench.products import products

PRODUCTS = 96_966
"""100 MB of NDJSON."""
SUBMISSIONS = 300
"""Of small ones."""


class Figure(msgspec.Struct, frozen=True):
    """One line of the table."""

    what: str
    measured: float
    demand: float
    least: bool
    """Whether the demand is the least allowed (else the most)."""
    detail: str = ""

    @property
    def reached(self) -> bool:
        """Whether the demand holds."""
        return self.measured >= self.demand if self.least else self.measured <= self.demand


def late(what: str, seconds: list[float], most_ms: float) -> Figure:
    """Return the 99th percentile, in milliseconds."""
    seconds.sort()
    detail = f"p50 {statistics.median(seconds) * 1000:.1f} ms, {len(seconds)} times"
    return Figure(f"{what}, p99, ms", seconds[int(len(seconds) * 0.99)] * 1000, most_ms, False, detail)


def lines_of(count: int, *, bad: float = 0.0, start: int = 0, version: int = 0) -> list[bytes]:
    """NDJSON lines of generated products."""
    return [orjson.dumps(product) for product in products(count, bad=bad, start=start, version=version)]


def small(short: bool, make: Callable[[], Gate] = Gate, *, accepted_ms_max: float = 60.0) -> Iterator[Figure]:
    """Submissions of 100 records while a bulk load runs."""
    body = b"\n".join(lines_of(PRODUCTS // (2 if short else 1)))
    accepted: list[float] = []
    finished: list[float] = []
    with make() as gate:
        gate.load(b"\n".join(lines_of(100)), collection="warm")
        stop = threading.Event()

        def bulk() -> None:
            turn = 0
            while not stop.is_set():
                gate.load(body, collection=f"bulk-{turn}")
                turn += 1

        loader = threading.Thread(target=bulk)
        loader.start()
        time.sleep(0.5)
        other = gate.add_merchant("other")
        with gate.visit(other) as ask:
            for turn in range(60 if short else SUBMISSIONS):
                sent = b"\n".join(lines_of(100, start=turn * 100))
                begin = time.perf_counter()
                batch = ask("POST", "/v1/batches", sent)["id"]
                accepted.append(time.perf_counter() - begin)
                while ask("GET", f"/v1/batches/{batch}")["state"] != "finished":
                    time.sleep(0.01)
                finished.append(time.perf_counter() - begin)
                time.sleep(0.02)
        stop.set()
        loader.join()
    for what, times, most in (("accepted", accepted, accepted_ms_max), ("finished", finished, 1000.0)):
        times.sort()
        detail = f"p50 {statistics.median(times) * 1000:.0f} ms, {len(times)} submissions"
        p99 = times[int(len(times) * 0.99)] * 1000
        yield Figure(f"100 records beside a bulk load, {what} p99, ms", p99, most, False, detail)


def growth(short: bool, make: Callable[[], Gate] = Gate) -> Iterator[Figure]:
    """Speed of loading items 1 M to 2 M, in random key order, against the first 200 k."""
    steps = (20_000, 100_000, 200_000) if short else (200_000, 1_000_000, 2_000_000)
    rates = []
    with make() as gate:
        low = 0
        for high in steps:
            begin = time.perf_counter()
            gate.finish(gate.submit(numbered(low, high), collection="grown"))
            rates.append((high - low) / (time.perf_counter() - begin))
            low = high
    detail = ", ".join(f"to {high:,}: {rate:,.0f}/s" for high, rate in zip(steps, rates, strict=True))
    yield Figure("store speed from 1 M to 2 M items, against the first 200 k", rates[-1] / rates[0], 0.4, True, detail)


def numbered(low: int, high: int) -> Iterator[bytes]:
    """Products in random key order: the key is a permutation of the number."""
    lines = [line.replace(orjson.loads(line)["id"].encode(), b"@@", 1) + b"\n" for line in lines_of(2_000)]
    for first in range(low, high, len(lines)):
        count = min(len(lines), high - first)
        yield b"".join(
            line.replace(b"@@", b"SKU-%010d" % ((first + at) * 7_368_787 % 9_999_999_967), 1)
            for at, line in enumerate(lines[:count])
        )
