"""Statements by their names; see queries.sql."""

import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import apsw

from goodsgate.store.sql import statements

SQL = statements(Path(__file__).parent / "queries.sql")

ROWS_AT_ONCE = 128
"""Of `do_rows`; longer statements are compiled anew each time."""

Bindings = Mapping[str, Any] | Sequence[Any] | None


def do(db: apsw.Connection, name: str, given: Bindings = None) -> int:
    """Rows that were changed, of a statement that gives none."""
    db.execute(SQL[name], given)
    return db.changes()


def do_each(db: apsw.Connection, name: str, given: Iterable[Sequence[Any]]) -> None:
    """The statement once for each."""
    db.executemany(SQL[name], given)


def do_rows(db: apsw.Connection, name: str, given: Sequence[Any], rows: Sequence[Sequence[Any]]) -> None:
    """The statement with many rows at once, which costs less than one after the other."""
    done = 0
    while left := len(rows) - done:
        count = ROWS_AT_ONCE if left >= ROWS_AT_ONCE else 1 << left.bit_length() - 1
        text = _with_rows(name, len(given), width=len(rows[0]), count=count)
        db.execute(text, (*given, *chain.from_iterable(rows[done : done + count])))
        done += count


@lru_cache(64)
def _with_rows(name: str, given: int, *, width: int, count: int) -> str:
    """The statement's one row of values, which ends in `:row`, as many times as there are rows."""
    before, values, behind = re.split(r"VALUES \((.*):row\)", SQL[name])
    rows = (
        ", ".join(f"?{given + 1 + row * width + column}" for column in range(width)) for row in range(count)
    )
    return f"{before}VALUES {', '.join(f'({values}{row})' for row in rows)}{behind}"


def one(db: apsw.Connection, name: str, given: Bindings = None) -> tuple[Any, ...] | None:
    """The first row, if there is one."""
    row: tuple[Any, ...] | None = db.execute(SQL[name], given).fetchone()
    return row


def value(db: apsw.Connection, name: str, given: Bindings = None) -> Any:
    """The first column of a row that there always is."""
    row = one(db, name, given)
    assert row is not None
    return row[0]


def every(db: apsw.Connection, name: str, given: Bindings = None) -> list[tuple[Any, ...]]:
    """All rows at once."""
    rows: list[tuple[Any, ...]] = db.execute(SQL[name], given).fetchall()
    return rows


def each(db: apsw.Connection, name: str, given: Bindings = None) -> Generator[tuple[Any, ...], None, None]:
    """Row by row; the statement ends with the iterator, so that no snapshot outlives it."""
    rows = db.execute(SQL[name], given)
    try:
        yield from rows
    finally:
        rows.close()
