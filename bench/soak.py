"""Memory of a gate under a mixed load that goes on: `python -m bench.soak [--minutes 30] [--share 1.0]`.

One client submits feeds of products, prices and stock, good, bad and unreadable ones, whole and in small pieces, and
reads what came of them, round after round, with the same keys. `--share` is the part of the time in which it does so;
it rests for the others. Before that time a large feed and thousands of small batches fill the caches. After a third of
it the memory of API and worker is read once a second. Prints the slope of each in MB a minute (the median of the slopes
between all pairs of readings). Exits 1 if one is above 1 and memory has grown by more than 12 MB, if a process took
more than it may, or if it was not running.
"""

import argparse
import signal
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from itertools import combinations

import orjson

from bench.figures import lines_of
from bench.gate import Gate

SLOPE_MAX = 1.0
"""MB a minute."""
STEP_MAX = 12.0
"""MB by which memory may grow in a short run: the allocator takes memory in steps."""
MEMORY_MAX = {"api": 200, "worker": 450}
"""MB, at any moment."""
LARGE = 100_000
"""Records that fill the cache of valid documents and SQLite's pages, which the worker keeps."""
POLLED = 4_000
"""Batches whose documents fill the cache of the API."""
PRODUCTS = 2_000
SMALL = 40
WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
READINGS_MAX = 600
"""Readings of which pairs are formed."""

Readings = list[tuple[float, float]]
"""Minutes since the begin, and MB."""


class Memory:
    """Readings of API and worker, once a second."""

    def __init__(self, gate: Gate) -> None:
        self.readings: dict[str, Readings] = {"api": [], "worker": []}
        self._gate = gate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        begun = time.monotonic()
        while not self._stop.wait(1):
            for name, readings in self.readings.items():
                readings.append(((time.monotonic() - begun) / 60, self._gate.resident(name)))


def slope(readings: Readings) -> float:
    """Return the median slope between all pairs of readings, in MB a minute."""
    step = -(-len(readings) // READINGS_MAX)
    return statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(readings[::step], 2))


def fill_caches(gate: Gate) -> None:
    """Load what caches hold as much of as they may, so that they grow no more."""
    gate.load(b"\n".join(lines_of(LARGE)), collection="large")
    with gate.visit(gate.key) as ask:
        for line in lines_of(POLLED):
            ask("GET", f"/v1/batches/{ask('POST', '/v1/batches?collection=small&format=ndjson', line)['id']}")


def rounds(gate: Gate) -> Iterator[int]:
    """Load the gate and yield after each step, without end; the value is the number of the round."""
    number = 0
    while True:
        for step in (_submit_feeds, _submit_small, _submit_wrong, _read):
            step(gate, number)
            yield number
        number += 1


def _submit_feeds(gate: Gate, number: int) -> None:
    products = lines_of(PRODUCTS // 2, bad=0.1, version=number) + lines_of(PRODUCTS // 2, start=PRODUCTS // 2)
    feed = b"\n".join(products)
    skus = [orjson.loads(line)["id"] for line in products[: PRODUCTS // 4]]
    gate.load(feed)
    gate.load(feed, dry_run="true")
    gate.load("\n".join(["sku,price,currency", *(f"{sku},{number}.90,EUR" for sku in skus)]).encode(),
              media="text/csv", kind="price")
    gate.load(b"\n".join(orjson.dumps({"sku": sku, "quantity": number}) for sku in skus), kind="stock")


def _submit_small(gate: Gate, number: int) -> None:
    for line in lines_of(SMALL, version=number):
        batch = gate.submit(line)
    gate.finish(batch)


def _submit_wrong(gate: Gate, number: int) -> None:
    gate.load(b"PK\x03\x04 this is no workbook", media=WORKBOOK)
    gate.load(b'sku,title\n"' + b"A,never closed\n" * 1_000, media="text/csv")
    gate.load(b'[{"id": "A"}, {"id": ', media="application/json")
    cancelled = gate.submit(b"\n".join(lines_of(PRODUCTS, version=number)))
    gate.client.post(f"/v1/batches/{cancelled}/cancel").raise_for_status()
    gate.finish(cancelled)


def _read(gate: Gate, number: int) -> None:
    batches = gate.client.get("/v1/batches", params={"limit": 50}).raise_for_status().json()["batches"]
    for batch in batches[:10]:
        for page in ("", "/issues", "/results", "/report"):
            gate.client.get(f"/v1/batches/{batch['id']}{page}").raise_for_status()
    for path in ("/v1/changes", "/v1/collections/products/items", "/v1/scorecard", "/docs", "/readyz"):
        gate.client.get(path).raise_for_status()
    with gate.client.stream("GET", "/v1/collections/products/export") as answer:
        answer.raise_for_status()
        for _ in answer.iter_raw():
            pass
    gate.client.get("/v1/batches", headers={"Authorization": f"Bearer wrong-{number}"})


def growth(readings: Readings) -> float:
    """Return by how many MB the median of the last third of the readings is above that of the first third."""
    third = max(1, len(readings) // 3)
    sizes = [size for _, size in readings]
    return statistics.median(sizes[-third:]) - statistics.median(sizes[:third])


def faults(name: str, readings: Readings) -> Iterator[str]:
    """Yield what is wrong with the memory of a process."""
    sizes = [size for _, size in readings]
    if len(sizes) < 2 or min(sizes) <= 0:
        yield f"{name} was not running all the time"
        return
    if slope(readings) > SLOPE_MAX and growth(readings) > STEP_MAX:
        yield f"{name} grows by more than {SLOPE_MAX:.0f} MB a minute"
    if max(sizes) > MEMORY_MAX[name]:
        yield f"{name} took {max(sizes):.0f} MB, more than {MEMORY_MAX[name]}"


def main() -> None:
    """Load a gate for some minutes and print how its memory grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--share", type=float, default=1.0)
    options = parser.parse_args()
    # A signal ends the gate, too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with Gate() as gate:
        fill_caches(gate)
        load, begun = rounds(gate), time.monotonic()
        _run(load, until=begun + options.minutes * 20, share=options.share)
        with Memory(gate) as memory:
            number = _run(load, until=begun + options.minutes * 60, share=options.share)
    problems = []
    for name, readings in memory.readings.items():
        problems += faults(name, readings)
        if len(readings) > 1:
            (_, first), (_, last) = readings[0], readings[-1]
            print(f"{name}: {first:.0f} MB after a third of the time, {last:.0f} at the end, "
                  f"{max(size for _, size in readings):.0f} at most; {slope(readings):+.2f} MB/min")
    print(f"{number + 1} rounds")
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


def _run(load: Iterator[int], *, until: float, share: float) -> int:
    number = 0
    while time.monotonic() < until:
        begin = time.monotonic()
        number = next(load)
        time.sleep((time.monotonic() - begin) * (1 / share - 1))
    return number


if __name__ == "__main__":
    main()
