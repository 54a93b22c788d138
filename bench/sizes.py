"""Space on disk that a record takes, on both stores: `python -m bench.sizes`.

Loads products of 1,032 bytes of JSON in one batch, sends the identical feed again, changes every price, and submits
stock and a feed in which one in ten records is invalid. After each step the growth of the store is divided by the
records. Write-ahead logs are emptied first.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import orjson

from bench.figures import lines_of
from bench.gate import Gate
from bench.scaled import scaled
from tests import postgres

RECORDS = 50_000
Sizes = dict[str, int]


def steps() -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Yield name, body and options of each submission."""
    products = lines_of(RECORDS)
    yield "new products", b"\n".join(products), {}
    yield "the identical feed again", b"\n".join(products), {}
    yield "every price changed", b"\n".join(lines_of(RECORDS, version=1)), {}
    stock = (orjson.dumps({"sku": f"SKU-{number:09d}", "location": "BER", "quantity": 5}) for number in range(RECORDS))
    yield "new stock", b"\n".join(stock), {"kind": "stock", "references": "off"}
    yield "one in ten invalid, else unchanged", b"\n".join(lines_of(RECORDS, bad=0.1, version=1)), {}


def folder_sizes(store: Path) -> Sizes:
    """Return bytes by part of an embedded store, with its write-ahead logs written back."""
    for name in ("intake", "catalogue"):
        connection = apsw.Connection(str(store / f"{name}.db"))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.close()
    sizes = {name: (store / f"{name}.db").stat().st_size for name in ("catalogue", "intake")}
    return sizes | {"payloads": sum(path.stat().st_size for path in (store / "payloads").rglob("*") if path.is_file())}


def measure(gate: Gate, sizes: Callable[[], Sizes]) -> None:
    """Print a row of a Markdown table for each step."""
    gate.load(b"\n".join(lines_of(100)), collection="warm")
    before = sizes()
    print(f"| step | received | {' | '.join(before)} |\n|---|{'---|' * (len(before) + 1)}")
    for name, body, options in steps():
        gate.load(body, **options)
        after = sizes()
        grown = (f"{(after[part] - before[part]) / RECORDS:,.0f}" for part in before)
        print(f"| {name} | {len(body) / RECORDS:,.0f} | {' | '.join(grown)} |")
        before = after


def database_sizes(server: postgres.Server, name: str) -> Sizes:
    """Return the bytes of a database of PostgreSQL."""
    with server.admin(name) as connection:
        connection.execute("CHECKPOINT")
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return {"database": int(str(row[0]))}


def main() -> None:
    """Measure both stores."""
    print(f"{RECORDS:,} records a step, bytes a record; {os.uname().machine}, {time.strftime('%Y-%m-%d')}\n")
    with Gate() as gate:
        measure(gate, lambda: folder_sizes(Path(gate.store)))
    print()
    with scaled() as server, server.gate() as gate:
        measure(gate, lambda: database_sizes(server.server, gate.database))


if __name__ == "__main__":
    main()
