"""What warnings of records cost: `python -m bench findings`, on both stores.

Two collections get the same products; those of one have a warning each. What the store writes for the one and not for
the other is what findings cost.
"""

import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import orjson

from bench.figures import Figure, lines_of
from bench.gate import Gate
from bench.scaled import Scaled

RECORDS = 40_000
TURNS = 3
SAME_BYTES_MAX = 20
NEW_BYTES_MAX = 300
"""The issue itself, once, with what is needed to find it by its key."""


def parts(short: bool) -> Iterator[Figure]:
    """Submit feeds with and without warnings, new and again."""
    yield from _store("SQLite", Gate, lambda gate: _file_bytes(Path(gate.store)), short)
    scaled = Scaled()

    def log_bytes(gate: Gate) -> int:
        with scaled.server.admin(gate.database) as db:
            (position,) = db.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone() or (0,)
        return int(position)

    try:
        yield from _store("PostgreSQL", scaled.gate, log_bytes, short)
    finally:
        scaled.server.close()


def _file_bytes(folder: Path) -> int:
    """Return the bytes that the catalogue uses."""
    db = apsw.Connection(str(folder / "catalogue.db"), flags=apsw.SQLITE_OPEN_READONLY)
    pages, free, size = (db.pragma(name) for name in ("page_count", "freelist_count", "page_size"))
    db.close()
    return int((pages - free) * size)


def _store(store: str, make: Callable[..., Gate], size: Callable[[Gate], int], short: bool) -> Iterator[Figure]:
    count = RECORDS // 4 if short else RECORDS
    clean = lines_of(count)
    warned = [orjson.dumps({**(record := orjson.loads(line)), "title": f" {record['title']}"}) for line in clean]
    bodies = {"clean": b"\n".join(clean), "warned": b"\n".join(warned)}
    written: dict[tuple[str, str], list[int]] = {}
    seconds: dict[tuple[str, str], list[float]] = {}
    with make() as gate:
        gate.load(b"\n".join(lines_of(1_000)), collection="warm")
        for turn in range(1 if short else TURNS):
            for feed in ("new", "again", "again"):
                for name, body in bodies.items():
                    before = size(gate)
                    taken, batch = gate.load(body, collection=f"{name}-{turn}")
                    assert batch["counts"]["warned" if name == "warned" else "total"] == count, batch
                    written.setdefault((feed, name), []).append(size(gate) - before)
                    seconds.setdefault((feed, name), []).append(taken)
    for feed, most in (("new", NEW_BYTES_MAX), ("again", SAME_BYTES_MAX)):
        with_warnings, without = (statistics.median(written[feed, name]) for name in ("warned", "clean"))
        ratio = statistics.median(seconds[feed, "warned"]) / statistics.median(seconds[feed, "clean"])
        yield Figure(
            f"{store}: bytes written for the finding of a record, feed {feed}", (with_warnings - without) / count, most,
            least=False, detail=f"{without / count:,.0f} for a record without; time {ratio:.2f} of that without",
        )
