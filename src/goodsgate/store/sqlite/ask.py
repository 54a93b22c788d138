"""Statements by their names; see queries.sql."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import apsw

from goodsgate.store.sql import statements

SQL = statements(Path(__file__).parent / "queries.sql")

Bindings = Mapping[str, Any] | Sequence[Any] | None


def do(db: apsw.Connection, name: str, given: Bindings = None) -> int:
    """Rows that were changed, of a statement that gives none."""
    db.execute(SQL[name], given)
    return db.changes()


def do_each(db: apsw.Connection, name: str, given: Iterable[Sequence[Any]]) -> None:
    """The statement once for each."""
    db.executemany(SQL[name], given)


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
