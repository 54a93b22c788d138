"""Every demand on speed and memory, as a ratio to a ceiling of the same run: `python -m bench [part …] [--short]`.

Parts: check load memory small growth polls (the embedded store), scaled (PostgreSQL), konnect, justwalkout and
productsup (the protocols), console (its pages), path (code that a batch passes), reports (small requests while
reports are written), requests (a feed in many requests), groups (rows of one product on several lines), waiting
(records that wait), idle_waiters (clients that wait), passing (small batches behind large ones), lists (pages of
batches), xml (Google RSS), webhooks (latency of events), journal (what it costs, and reverts), dry_run (compared with
a load), destinations (feeds to files), findings (bytes of warnings), stamps (newer versions), search (the same of the
search index), changes (how fast the feed is read), sources (memory of what is fetched).
Prints a Markdown table and exits 1 if a demand is not reached.
"""

import argparse
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import orjson

from bench import (
    ceilings,
    changes,
    console,
    destinations,
    dry_run,
    findings,
    groups,
    idle_waiters,
    journal,
    justwalkout,
    konnect,
    lists,
    passing,
    path,
    polls,
    productsup,
    reports,
    requests,
    scaled,
    search,
    sources,
    stamps,
    waiting,
    webhooks,
    xml,
)
from bench.figures import PRODUCTS, Figure, growth, lines_of, small
from bench.gate import Gate
from goodsgate.app import open_store
from goodsgate.config import Config
from goodsgate.model.batch import Kind, Policy, RoundKind, now
from goodsgate.model.catalogue import Merchant, ReferenceEntry
from goodsgate.store.contract import ClaimedRound


def check(short: bool) -> Iterator[Figure]:
    """Measure the CPU that a record costs before the store: mapping, rules, hash."""
    from goodsgate.engine.mapping_resolution import resolve_mapping
    from goodsgate.engine.settings import CheckLimits
    from goodsgate.engine.validator import Validator
    from goodsgate.formats import Chunk

    count = 10_000 if short else 30_000
    lines = lines_of(count)
    mapping, _ = resolve_mapping(Kind.PRODUCT, Policy(), columns=None)
    brands = sorted({orjson.loads(line)["brand"] for line in lines})
    ratios, loads_us = [], []
    with tempfile.TemporaryDirectory(prefix="goodsgate-bench-") as folder:
        config = Config(store=folder)
        store = open_store(config)
        store.migrate()
        store.add_merchant(Merchant(id="bench", name="bench", created_at=now()))
        store.put_reference("bench", "brand", [ReferenceEntry(code=brand) for brand in brands])
        for _ in range(5):
            validator = Validator(store, CheckLimits(), {})
            round = _claimed_round()
            validator.rules("bench", Kind.PRODUCT, Policy())
            begin = time.process_time()
            for line in b"\n".join(lines).split(b"\n"):
                orjson.loads(line)
            floor = time.process_time() - begin
            payload = b"\n".join(lines)
            begin = time.process_time()
            split = payload.split(b"\n")
            chunk = Chunk(lines=split, rows=[], source_rows=list(range(count)), bytes_done=0)
            validator.check(chunk, round, mapping)
            ratios.append((time.process_time() - begin) / floor)
            loads_us.append(floor / count * 1e6)
        store.close()
    detail = f"orjson.loads {statistics.median(loads_us):.2f} µs CPU"
    yield Figure("check per product, CPU, against orjson.loads", statistics.median(ratios), 3.5, False, detail)


def _claimed_round() -> ClaimedRound:
    return ClaimedRound(
        merchant="bench", batch="", number=0, round_kind=RoundKind.SUBMISSION, kind=Kind.PRODUCT, collection="products",
        policy=Policy(), format="ndjson", content_encoding="identity", bytes_total=0, received_at=now(),
        started_at=now(), cancelling=False, chunks=0, records=0, total=0, columns=None, mapping=None,
    )


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
        for name, media, content_encoding in (("NDJSON", "application/x-ndjson", None), ("CSV, gzip", "text/csv",
            "gzip")):
            with Gate() as gate:
                body = _stream(size_mb, media)
                sent = _packed(body) if content_encoding else body
                document = gate.finish(gate.submit(sent, media=media, content_encoding=content_encoding))
                detail = f"{document['counts']['total']:,} records, {document['state']}"
                for process, most in (("api", 120.0), ("worker", 400.0)):
                    what = f"{size_mb} MB {name}: peak RSS of {process}, MB"
                    yield Figure(what, gate.peaks[process], most, False, detail)


def poll(short: bool) -> Iterator[Figure]:
    """Status polls against a bare ASGI answer, by CPU of the server."""
    ratio, detail = polls.measure(seconds=1.0 if short else 3.0)
    yield Figure("status poll, against a bare ASGI answer", ratio, 0.5, True, detail)


def _stream(size_mb: int, media: str) -> Iterator[bytes]:
    """Yield a body of about this size."""
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


def _packed(body: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(1, wbits=31)
    for piece in body:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()


PARTS = {
    "check": check, "load": load, "memory": memory, "small": small, "growth": growth, "polls": poll,
    "scaled": scaled.parts, "konnect": konnect.parts, "justwalkout": justwalkout.parts,
    "productsup": productsup.parts, "console": console.parts, "path": path.parts, "reports": reports.parts,
    "requests": requests.parts,
    "xml": xml.parts, "webhooks": webhooks.parts, "search": search.parts,
    "groups": groups.parts, "waiting": waiting.parts, "idle_waiters": idle_waiters.parts,
    "passing": passing.parts, "lists": lists.parts,
    "journal": journal.parts, "changes": changes.parts, "sources": sources.parts, "dry_run": dry_run.parts,
    "destinations": destinations.parts,
    "findings": findings.parts, "stamps": stamps.parts,
}


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
