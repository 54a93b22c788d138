"""What a page of a merchant's batches costs, whatever it is filtered by: `python -m bench lists`."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw

from bench.console import signed_in
from bench.figures import Figure
from bench.gate import Gate
from bench.scaled import Scaled, scaled

BATCHES = 200_000
OWN_COLUMNS = {"seq", "id", "kind", "folded", "ended", "state", "rejected", "created"}
OWN_ROUND_COLUMNS = {"id", "batch", "kind"}
TIMES = 40
"""Requests for each page."""
PAGE_MS_MAX = 50.0
PAGES = {
    "all": {}, "state=finished": {"state": "finished"}, "state=broken": {"state": "broken"},
    "state=cancelled": {"state": "cancelled"}, "state=queued": {"state": "queued"}, "state=held": {"state": "held"},
    "outcome=clean": {"outcome": "clean"}, "outcome=partial": {"outcome": "partial"},
    "outcome=rejected": {"outcome": "rejected"}, "kind=stock": {"kind": "stock"},
    "kind=price": {"kind": "price"}, "q, in all": {"q": "feed"}, "q, in one": {"q": "needle"},
    "q, in none": {"q": "nowhere"}, "q, part of an id": {"q": "00000000000000000000000000012"},
    "q, two words": {"q": "needle csv"},
}
CONSOLE = {"": {}, "open": {"view": "open"}, "held": {"view": "held"}, "failed": {"view": "failed"},
           "clean": {"view": "clean"}, "needle": {"q": "needle"}}
# One batch of a thousand is partial, one of ten thousand is rejected, broken or cancelled. The gate itself has worked
# the newest one, whose other columns all have.
SELECTED = """
    {id}, CASE WHEN g % 20000 = 7 THEN 'stock' WHEN g % 3 = 0 THEN 'price' ELSE kind END,
    CASE WHEN g = 777 THEN 'products needle.csv products native' ELSE folded || ' feed-' || g || '.csv' END,
    CASE WHEN g % 10000 = 3 THEN 'broken' WHEN g % 10000 = 4 THEN 'cancelled' ELSE 'finished' END,
    CASE WHEN g % 1000 = 5 OR g % 10000 = 6 THEN 1 ELSE 0 END, CASE WHEN g % 10000 = 6 THEN 0 ELSE 1 END
"""


def parts(short: bool) -> Iterator[Figure]:
    """Pages of one merchant's batches, on both stores; on PostgreSQL before and after its maintenance."""
    count = BATCHES // 20 if short else BATCHES
    with scaled() as server, server.gate() as gate:
        _prepare(gate, lambda: _fill_server(server, gate, count))
        yield from _pages(gate, "PostgreSQL before ANALYZE")
        for how in ("ANALYZE", "VACUUM"):
            with server.server.admin(gate.database) as db:
                db.execute(how)
            yield from _pages(gate, f"PostgreSQL after {how}")
    with Gate() as gate:
        _prepare(gate, lambda: _fill_file(gate, count))
        yield from _pages(gate, "SQLite")


def _prepare(gate: Gate, fill: Callable[[], None]) -> None:
    """Submit a batch, copy it, and submit some that stay open."""
    gate.finish(gate.submit(b'{"id":"A","title":"Tent","price":"7.90 EUR"}\n'))
    fill()
    for number in range(3):
        gate.submit(b'{"id":"B%d","title":"Tent","price":"7.90 EUR"}\n' % number, hold_if="created:1")
    while not gate.client.get("/v1/batches", params={"state": "held"}).json()["batches"]:
        time.sleep(0.1)


def _fill_server(server: Scaled, gate: Gate, count: int) -> None:
    with server.server.admin(gate.database) as db:
        def columns(table: str, own: set[str]) -> list[str]:
            named = "SELECT column_name FROM information_schema.columns WHERE table_name = %s"
            return [name for (name,) in db.execute(named, (table,)) if isinstance(name, str) and name not in own]

        others = ", ".join(columns("batch", OWN_COLUMNS))
        id = "lpad(to_hex(g), 32, '0')::uuid"
        db.execute("ALTER TABLE goodsgate.batch SET (autovacuum_enabled = off)")
        db.execute("SET search_path = goodsgate")
        db.execute(f"INSERT INTO batch (id, kind, folded, ended, rejected, created, {others}) "
                   f"SELECT {SELECTED.format(id=id)}, {others} FROM batch, generate_series(1, {count}) g")
        rounds = columns("round", OWN_ROUND_COLUMNS)
        others = ", ".join(f"r.{name}" for name in rounds)
        db.execute(f"INSERT INTO round (batch, kind, {', '.join(rounds)}) SELECT b.seq, b.kind, {others} "
                   "FROM batch b, (SELECT * FROM round LIMIT 1) r WHERE b.seq > 1")


def _fill_file(gate: Gate, count: int) -> None:
    with closing(apsw.Connection(str(Path(gate.store) / "intake.db"))) as db, db:
        def columns(table: str, own: set[str]) -> list[str]:
            return [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})") if name not in own]

        others = ", ".join(columns("batch", OWN_COLUMNS))
        id = "unhex(printf('%032x', g))"
        numbers = f"WITH RECURSIVE n(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < {count})"
        db.execute(f"INSERT INTO batch (id, kind, folded, state, rejected, created, {others}) {numbers} "
                   f"SELECT {SELECTED.format(id=id)}, {others} FROM n CROSS JOIN batch WHERE batch.seq = 1")
        rounds = columns("round", OWN_ROUND_COLUMNS)
        others = ", ".join(f"r.{name}" for name in rounds)
        db.execute(f"INSERT INTO round (batch, kind, {', '.join(rounds)}) SELECT b.seq, b.kind, {others} "
                   "FROM batch b CROSS JOIN round r WHERE b.seq > 1 AND r.id = 1")


def _pages(gate: Gate, store: str) -> Iterator[Figure]:
    slowest: dict[str, float] = {}
    for name, query in PAGES.items():
        slowest[name] = _p99(lambda query=query: gate.client.get("/v1/batches", params=query).raise_for_status())
    yield _figure(f"{store}: pages of `GET /v1/batches`", slowest)
    with closing(signed_in(gate)) as browser:
        slowest = {}
        for name, query in CONSOLE.items():
            slowest[name] = _p99(lambda query=query: browser.get("/console/batches", params=query).raise_for_status())
    yield _figure(f"{store}: pages of the console", slowest)


def _p99(ask: Callable[[], object]) -> float:
    """Return the milliseconds that the slowest but one of a hundred takes."""
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - began) * 1000)
    return sorted(taken)[min(len(taken) - 1, int(len(taken) * 0.99))]


def _figure(what: str, slowest: dict[str, float]) -> Figure:
    worst = max(slowest, key=lambda name: slowest[name])
    detail = "; ".join(f"{name} {ms:.0f}" for name, ms in slowest.items())
    return Figure(f"{what}, p99 of the slowest ({worst}), ms", slowest[worst], PAGE_MS_MAX, False, detail)
