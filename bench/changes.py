"""How fast the change feed is read, by CPU: by the engine, and over HTTP: `python -m bench changes`.

GOODSGATE_STORE may name a PostgreSQL database, in which the merchant `bench` is added.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import PRODUCTS, Figure, lines_of
from bench.gate import Gate
from goodsgate.app import create_engine, open_store
from goodsgate.config import Config

PAGE_CHANGES = 10_000
CHANGES_PER_SECOND = 100_000.0


def parts(short: bool) -> Iterator[Figure]:
    """Load 100 MB of products once, and read their changes from the first one to the last."""
    count = PRODUCTS // 5 if short else PRODUCTS
    with Gate() as gate:
        gate.load(b"\n".join(lines_of(count)))
        yield _by_engine(gate, count)
        for fields in ("keys", "after"):
            yield _over_http(gate, count, fields)


def _by_engine(gate: Gate, count: int) -> Figure:
    config = Config(store=gate.store)
    store = open_store(config)
    engine = create_engine(store, config)
    changes, after, began = 0, None, time.process_time()
    while changes < count:
        page = engine.changes("bench", after=after, limit=PAGE_CHANGES)
        changes, after = changes + len(page.changes), page.position.cursor
    seconds = time.process_time() - began
    store.close()
    return Figure("changes read by the engine, a second of CPU", changes / seconds, CHANGES_PER_SECOND, True)


def _over_http(gate: Gate, count: int, fields: str) -> Figure:
    changes, size, began, cpu = 0, 0, time.perf_counter(), _cpu_seconds(gate.pids()["api"])
    query: dict[str, str | int] = {"limit": PAGE_CHANGES, "fields": fields}
    while changes < count:
        answer = gate.client.get("/v1/changes", params=query, headers={"Accept": "application/x-ndjson"})
        changes, size = changes + answer.content.count(b"\n"), size + len(answer.content)
        query["after"] = answer.headers["goodsgate-changes-cursor"]
    seconds, cpu = time.perf_counter() - began, _cpu_seconds(gate.pids()["api"]) - cpu
    what = f"changes read over HTTP with fields={fields}, a second of CPU of the gate"
    detail = f"{size / 1e6:.0f} MB; {changes / seconds:,.0f} a second by the clock"
    return Figure(what, changes / cpu, CHANGES_PER_SECOND, True, detail)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
