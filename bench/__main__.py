"""Every demand on speed and memory, as a ratio to a ceiling of the same run: `python -m bench [part …] [--short]`.

Parts: check load memory small growth polls. Prints a Markdown table and exits 1 if a demand is not reached.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import orjson

from bench import ceilings, polls
from bench.gate import Gate
from bench.products import products
from goodsgate.model.batch import Kind, Policy
from goodsgate.model.catalogue import Entry

PRODUCTS = 96_966
"""100 MB of NDJSON."""


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


def lines_of(count: int, *, bad: float = 0.0, start: int = 0, version: int = 0) -> list[bytes]:
    """NDJSON lines of generated products."""
    return [orjson.dumps(product) for product in products(count, bad=bad, start=start, version=version)]


def check(short: bool) -> Iterator[Figure]:
    """CPU of everything a record costs before the store: shape, rules, hash."""
    from goodsgate.engine.check import judge
    from goodsgate.engine.shape import settle_shape
    from goodsgate.engine.source import Stretch
    from goodsgate.rules import Reference, checker

    count = 10_000 if short else 30_000
    lines = lines_of(count)
    shape, _ = settle_shape(Kind.PRODUCT, Policy(), columns=None, sample=lines[:1000])
    brands = {orjson.loads(line)["brand"] for line in lines}
    reference = Reference.build({"brand": [Entry(code=brand) for brand in sorted(brands)]})
    rules = checker(Kind.PRODUCT, Policy(), reference, issues_per_record_max=100, depth_max=16)
    ratios, loads_us = [], []
    for _ in range(5):
        begin = time.process_time()
        for line in b"\n".join(lines).split(b"\n"):
            orjson.loads(line)
        floor = time.process_time() - begin
        block = b"\n".join(lines)
        begin = time.process_time()
        split = block.split(b"\n")
        judge(
            Stretch(lines=split, rows=[], places=list(range(count)), unreadable={}, bytes_done=0), shape, rules
        )
        ratios.append((time.process_time() - begin) / floor)
        loads_us.append(floor / count * 1e6)
    detail = f"orjson.loads {statistics.median(loads_us):.2f} µs CPU"
    yield Figure("check per product, CPU, against orjson.loads", statistics.median(ratios), 3.5, False, detail)


def load(short: bool) -> Iterator[Figure]:
    """POST of 100 MB to finished: fresh, again, and with bad records."""
    count = PRODUCTS // 5 if short else PRODUCTS
    lines = lines_of(count)
    body, spoilt = b"\n".join(lines), b"\n".join(lines_of(count, bad=0.1))
    rates: dict[str, list[float]] = {"fresh": [], "again": [], "bad": [], "ceiling": []}
    with tempfile.TemporaryDirectory(prefix="goodsgate-bench-") as folder:
        for _ in range(1 if short else 3):
            ceiling = ceilings.measure(lines[:50_000], Path(folder))
            rates["ceiling"].append(ceiling["sqlite insert, 2 unique indexes"].rows_per_second)
            with Gate() as gate:
                for name, sent, collection in (("fresh", body, "a"), ("again", body, "a"), ("bad", spoilt, "b")):
                    seconds, document = gate.load(sent, collection=collection)
                    assert document["counts"]["total"] == count, document
                    rates[name].append(count / seconds)
    fresh, again, bad, top = (statistics.median(rates[name]) for name in ("fresh", "again", "bad", "ceiling"))
    detail = f"{fresh:,.0f} products/s; ceiling {top:,.0f}"
    ratio = statistics.median(f / c for f, c in zip(rates["fresh"], rates["ceiling"], strict=True))
    yield Figure("POST of 100 MB to finished, against SQLite INSERT", ratio, 0.50, True, detail)
    yield Figure("identical feed again, against fresh", again / fresh, 1.2, True, f"{again:,.0f} products/s")
    yield Figure("10 % bad records, against none bad", bad / fresh, 0.7, True, f"{bad:,.0f} products/s")


def memory(short: bool) -> Iterator[Figure]:
    """Peak RSS of API and worker: 10 MB, 1 GB of NDJSON, 1 GB of CSV as gzip."""
    for size_mb in (10, 100) if short else (10, 1000):
        for name, media, packing in (("NDJSON", "application/x-ndjson", None), ("CSV, gzip", "text/csv", "gzip")):
            with Gate() as gate:
                body = _stream(size_mb, media)
                document = gate.finish(
                    gate.submit(_packed(body) if packing else body, media=media, packing=packing), poll_seconds=0.2
                )
                detail = f"{document['counts']['total']:,} records, {document['state']}"
                for process, most in (("api", 120.0), ("worker", 400.0)):
                    what = f"{size_mb} MB {name}: peak RSS of {process}, MB"
                    yield Figure(what, gate.peaks[process], most, False, detail)


def small(short: bool) -> Iterator[Figure]:
    """Submissions of 100 records while a bulk load runs."""
    body = b"\n".join(lines_of(PRODUCTS // (2 if short else 1)))
    accepted: list[float] = []
    finished: list[float] = []
    with Gate() as gate:
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
        with httpx.Client(base_url=gate.url, headers={"Authorization": f"Bearer {other}"}, timeout=60) as client:
            for turn in range(60 if short else 300):
                sent = b"\n".join(lines_of(100, start=turn * 100))
                begin = time.perf_counter()
                answer = client.post("/v1/batches", content=sent, headers={"Content-Type": "application/x-ndjson"})
                accepted.append(time.perf_counter() - begin)
                batch = answer.json()["id"]
                while client.get(f"/v1/batches/{batch}").json()["state"] != "finished":
                    time.sleep(0.01)
                finished.append(time.perf_counter() - begin)
                time.sleep(0.02)
        stop.set()
        loader.join()
    for what, times, most in (("accepted", accepted, 60.0), ("finished", finished, 1000.0)):
        times.sort()
        detail = f"p50 {statistics.median(times) * 1000:.0f} ms, {len(times)} submissions"
        p99 = times[int(len(times) * 0.99)] * 1000
        yield Figure(f"100 records beside a bulk load, {what} p99, ms", p99, most, False, detail)


def growth(short: bool) -> Iterator[Figure]:
    """Speed of loading items 1 M to 2 M, in random key order, against the first 200 k."""
    steps = (20_000, 100_000, 200_000) if short else (200_000, 1_000_000, 2_000_000)
    rates = []
    with Gate() as gate:
        low = 0
        for high in steps:
            begin = time.perf_counter()
            gate.finish(gate.submit(_numbered(low, high), collection="grown"), poll_seconds=0.1)
            rates.append((high - low) / (time.perf_counter() - begin))
            low = high
    detail = ", ".join(f"to {high:,}: {rate:,.0f}/s" for high, rate in zip(steps, rates, strict=True))
    yield Figure("store speed from 1 M to 2 M items, against the first 200 k", rates[-1] / rates[0], 0.4, True, detail)


def poll(short: bool) -> Iterator[Figure]:
    """Status polls against a bare ASGI answer, by CPU of the server."""
    ratio, detail = polls.measure(seconds=1.0 if short else 3.0)
    yield Figure("status poll, against a bare ASGI answer", ratio, 0.5, True, detail)


def _stream(size_mb: int, media: str) -> Iterator[bytes]:
    """A body of about this size, made on the way."""
    lines = lines_of(5_000)
    if media == "text/csv":
        yield b"id,title,description,brand,price,link,gtin\n"
        rows = []
        for line in lines:
            product = orjson.loads(line)
            cells = ("@@", product["title"], product["description"], product["brand"], "19.99 EUR", product["link"], "")
            rows.append((",".join(cells) + "\n").encode())
        lines = rows
    else:
        lines = [line.replace(orjson.loads(line)["id"].encode(), b"@@", 1) + b"\n" for line in lines]
    sent, number = 0, 0
    while sent < size_mb * 1_000_000:
        piece = b"".join(
            line.replace(b"@@", b"S%09d" % ((number + at) * 7919 % 100_000_007), 1) for at, line in enumerate(lines)
        )
        number += len(lines)
        sent += len(piece)
        yield piece


def _numbered(low: int, high: int) -> Iterator[bytes]:
    """Products in random key order: the key is a permutation of the number."""
    lines = [line.replace(orjson.loads(line)["id"].encode(), b"@@", 1) + b"\n" for line in lines_of(2_000)]
    for first in range(low, high, len(lines)):
        count = min(len(lines), high - first)
        yield b"".join(
            line.replace(b"@@", b"SKU-%010d" % ((first + at) * 7_368_787 % 9_999_999_967), 1)
            for at, line in enumerate(lines[:count])
        )


def _packed(body: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(1, wbits=31)
    for piece in body:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()


PARTS = {"check": check, "load": load, "memory": memory, "small": small, "growth": growth, "polls": poll}


def main() -> int:
    """Run the parts asked for."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("parts", nargs="*", default=list(PARTS), metavar="part")
    ask.add_argument("--short", action="store_true", help="smaller sizes: shows that it runs, not how fast")
    asked = ask.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        ask.error(f"no such part: {', '.join(sorted(unknown))}")
    print("| what | measured | demand | reached | detail |\n|---|---|---|---|---|", flush=True)
    reached = True
    for name in asked.parts:
        for figure in PARTS[name](asked.short):
            bound = f"{'≥' if figure.least else '≤'} {figure.demand:g}"
            print(
                f"| {figure.what} | {figure.measured:.2f} | {bound} | {'yes' if figure.reached else 'NO'} "
                f"| {figure.detail} |", flush=True,
            )
            reached = reached and figure.reached
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
