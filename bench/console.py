"""First bytes of the console's pages: `python -m bench.console [--short]`.

There are 100,000 batches and a batch of a million issues, and bulk loads run meanwhile.
"""

import argparse
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx

from bench.figures import PRODUCTS, Figure, late, lines_of
from bench.gate import Gate

BATCHES = 100_000
RECORDS = 1_000_000
"""Each with one issue."""
MOST_MS = 300.0
TIMES = 40
COPIES = """
WITH RECURSIVE turn (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM turn WHERE n < :copies)
INSERT INTO batch (merchant, id, kind, collection, policy, format, content_encoding, label, folded, protocol,
                   protocol_data, rounds, bytes_total, received_at, started_at, payload_kept, report_kept, state,
                   finished_at, total, bytes_done, created, rejected, warned)
SELECT merchant, randomblob(16), kind, collection, policy, format, content_encoding, 'feed-' || n || '.csv',
       'feed-' || n || '.csv', protocol, protocol_data, 1, bytes_total, received_at + n, started_at + n, 0, 1, state,
       finished_at + n, total, bytes_done, created, n % 3, n % 5
FROM batch CROSS JOIN turn WHERE seq = (SELECT min(seq) FROM batch)
"""
ROUNDS = """
INSERT INTO round (merchant, kind, batch, number, round_kind, format, content_encoding, bytes, open, started_at)
SELECT merchant, kind, seq, 0, 'submission', format, content_encoding, bytes_total, 0, started_at
FROM batch WHERE seq NOT IN (SELECT batch FROM round)
"""


def parts(short: bool) -> Iterator[Figure]:
    """Every kind of page, asked one after the other."""
    share = 20 if short else 1
    with Gate() as gate:
        _, first = gate.load(b'{"id":"A","title":"a"}\n')
        _copy(gate, BATCHES)
        lines = b"".join(b'{"id":"R%d","n":%d}\n' % (n, n) for n in range(RECORDS // share))
        lines += b'{"id":"last","title":"Last","price":"-1 EUR"}\n'
        _, large = gate.load(lines, collection="red")
        gate.load(b"\n".join(lines_of(PRODUCTS // share)), collection="held")
        pages = _pages(large["id"])
        stop = threading.Event()
        loading = threading.Thread(target=_bulk, args=(gate, stop, share))
        loading.start()
        seconds: dict[str, list[float]] = {name: [] for name in pages}
        try:
            with closing(signed_in(gate)) as client:
                for _ in range(TIMES):
                    for name, path in pages.items():
                        seconds[name].append(_first_byte(client, path))
        finally:
            stop.set()
            loading.join()
    for name, taken in seconds.items():
        yield late(f"console: {name}", taken, MOST_MS)
    every = [one for taken in seconds.values() for one in taken]
    yield late(f"console: all pages, {BATCHES:,} batches, {RECORDS // share:,} issues", every, MOST_MS)
    assert first["state"] == "finished"


def _pages(large: str) -> dict[str, str]:
    of = "/console/merchants/bench"
    return {
        "batches": "/console/batches",
        "batches that none is like": "/console/batches?outcome=clean&kind=stock",
        "batches by text": "/console/batches?q=feed-77",
        "a batch of many issues": f"{of}/batches/{large}",
        "its records": f"{of}/batches/{large}/records",
        "records of a group": f"{of}/batches/{large}/records?code=field_missing&field=/title",
        "the record of a rare group": f"{of}/batches/{large}/records?code=price_negative&field=/price",
        "collections": f"{of}/catalogue",
        "items": f"{of}/catalogue/product/held",
        "items by words": f"{of}/catalogue/product/held?q=nothing+has+this",
        "health": "/console/health",
    }


def _copy(gate: Gate, copies: int) -> None:
    """Batches like the first one: made through the door they would take an hour, and look the same."""
    with sqlite3.connect(Path(gate.store) / "intake.db", timeout=60) as db:
        db.execute(COPIES, {"copies": copies})
        db.execute(ROUNDS)
    db.close()


def _bulk(gate: Gate, stop: threading.Event, share: int) -> None:
    body, turn = b"\n".join(lines_of(PRODUCTS // share, start=10**6)), 0
    while not stop.is_set():
        gate.load(body, collection=f"bulk-{turn}")
        turn += 1


def signed_in(gate: Gate) -> httpx.Client:
    """Return a browser with a session of the gate's merchant."""
    client = httpx.Client(base_url=gate.url, timeout=60)
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get("/console/sign-in").text)
    assert found is not None
    answer = client.post("/console/sign-in", data={"key": gate.key, "csrf": found[1]})
    assert answer.status_code == 303, answer.text
    return client


def _first_byte(client: httpx.Client, path: str) -> float:
    begin = time.perf_counter()
    with client.stream("GET", path) as answer:
        taken = time.perf_counter() - begin
        answer.read()
    assert answer.status_code == 200, path
    return taken


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="smaller, to show that it runs")
    for figure in parts(parser.parse_args().short):
        print(f"{figure.what}: {figure.measured:.1f} (at most {figure.demand:.0f}; {figure.detail})", flush=True)
