"""A consumer of changes that keeps a copy in SQLite: `python -m tests.crash.follower URL KEY FILE`.

It checks that each change fits its copy: one that came twice, too early or not at all does not, and ends the process.
"""

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

from goodsgate_client import Client

RETRY_SECONDS = 240.0
MISFIT = 3
"""Exit code if a change does not fit."""


def open_copy(file: Path) -> sqlite3.Connection:
    """Open the copy, created if it is new."""
    copy = sqlite3.connect(file, timeout=60)
    copy.execute("CREATE TABLE IF NOT EXISTS product (key TEXT PRIMARY KEY, record TEXT)")
    copy.execute("CREATE TABLE IF NOT EXISTS position (id INTEGER PRIMARY KEY, cursor TEXT, number INTEGER)")
    return copy


def cursor_of(copy: sqlite3.Connection) -> str | None:
    """Return the cursor of the last change that was applied; None if the consumer has not begun."""
    if not copy.execute("SELECT 1 FROM sqlite_master WHERE name = 'position'").fetchone():
        return None
    row: tuple[str] | None = copy.execute("SELECT cursor FROM position").fetchone()
    return row[0] if row else None


def position_of(copy: sqlite3.Connection) -> tuple[str, int] | None:
    """Return cursor and number of the last change that was applied."""
    row: tuple[str, int] | None = copy.execute("SELECT cursor, number FROM position").fetchone()
    return row


def _take_snapshot(client: Client, copy: sqlite3.Connection, file: Path) -> None:
    export = client.save_export(file.with_suffix(".ndjson"), "products", format="ndjson")
    with copy, open(export.file) as lines:
        records = [json.loads(line) for line in lines]
        copy.executemany("INSERT INTO product VALUES (?, ?)", ((each["id"], json.dumps(each)) for each in records))
        copy.execute("INSERT INTO position VALUES (1, ?, 0)", (export.cursor,))


def _apply(copy: sqlite3.Connection, page: Any, number: int) -> None:
    with copy:
        for change in page.changes:
            row = copy.execute("SELECT record FROM product WHERE key = ?", (change.key,)).fetchone()
            fits = change.number > number and change.before == (json.loads(row[0]) if row is not None else None)
            if not fits:
                print(change, row, number, file=sys.stderr)
                sys.exit(MISFIT)
            number = change.number
            if change.after is None:
                copy.execute("DELETE FROM product WHERE key = ?", (change.key,))
            else:
                copy.execute("REPLACE INTO product VALUES (?, ?)", (change.key, json.dumps(change.after)))
        copy.execute("UPDATE position SET cursor = ?, number = ?", (page.cursor, number))


def main(url: str, key: str, path: str) -> None:
    """Follow the changes until somebody ends the process."""
    copy = open_copy(Path(path))
    with Client(url, key, retry_seconds=RETRY_SECONDS) as client:
        while True:
            position = position_of(copy)
            if position is None:
                _take_snapshot(client, copy, Path(path))
                continue
            cursor, number = position
            page = client.change_page(
                cursor, kind="product", collection="products", fields=("before", "after"), limit=7, wait_seconds=10
            )
            _apply(copy, page, number)


if __name__ == "__main__":
    main(*sys.argv[1:])
