"""What this machine can do at best, taken in the same run as the figures that are set against it."""

import gc
import hashlib
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import orjson

REPETITIONS = 3
TRANSACTION_ROWS = 50_000


class Ceiling(msgspec.Struct, frozen=True):
    """Medians of the repetitions."""

    rows_per_second: float
    cpu_us: float


class _Ids(msgspec.Struct):
    id: str
    link: str


def measure(lines: list[bytes], folder: Path) -> dict[str, Ceiling]:
    """Ceilings over these documents, repetitions interleaved."""
    decode = msgspec.json.Decoder(_Ids).decode
    rows = []
    for line in lines:
        ids = decode(line)
        rows.append((1, ids.id, ids.link, line, hashlib.blake2b(line, digest_size=16).digest()))
    works: dict[str, Callable[[], None]] = {
        "orjson.loads": lambda: _parse(lines),
        "append + fsync": lambda: _append(lines, folder),
        "sqlite insert, 2 unique indexes": lambda: _insert(rows, folder),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    gc.collect()
    gc.freeze()
    for _ in range(REPETITIONS):
        for name, work in works.items():
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    gc.unfreeze()
    return {
        name: Ceiling(
            len(lines) / statistics.median(wall for wall, _ in times),
            statistics.median(cpu for _, cpu in times) / len(lines) * 1e6,
        )
        for name, times in taken.items()
    }


def _parse(lines: list[bytes]) -> None:
    loads = orjson.loads
    for line in lines:
        loads(line)


def _append(lines: list[bytes], folder: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=folder, buffering=1 << 20) as file:
        for line in lines:
            file.write(line)
            file.write(b"\n")
        file.flush()
        os.fsync(file.fileno())


def _insert(rows: list[tuple[object, ...]], folder: Path) -> None:
    """Plain sqlite3 with the settings of the gate: WAL, synchronous FULL, 50,000 rows a transaction."""
    with tempfile.TemporaryDirectory(dir=folder) as inside:
        database = sqlite3.connect(f"{inside}/ceiling.db", isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("PRAGMA cache_size=-262144")
        database.execute(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, merchant INT, sku TEXT, slug TEXT, doc BLOB, hash BLOB)"
        )
        database.execute("CREATE UNIQUE INDEX a ON t(merchant, sku)")
        database.execute("CREATE UNIQUE INDEX b ON t(merchant, slug)")
        for low in range(0, len(rows), TRANSACTION_ROWS):
            database.execute("BEGIN")
            database.executemany(
                "INSERT INTO t(merchant, sku, slug, doc, hash) VALUES(?,?,?,?,?)", rows[low : low + TRANSACTION_ROWS]
            )
            database.execute("COMMIT")
        database.close()
