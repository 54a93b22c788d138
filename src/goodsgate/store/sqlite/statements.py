"""The statements of `queries.sql`, run by name on one connection."""

import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import apsw

from goodsgate.store.shared.database import Row
from goodsgate.store.shared.statement_files import statements

TEXTS = statements(Path(__file__).parent / "queries.sql")
"""As they are written."""
SQL = {
    name: " ".join(line.strip() for line in text.splitlines() if not line.startswith("--"))
    for name, text in TEXTS.items()
}
"""As they are run: in one line without comments, because the cache of statements hashes the text at each use."""

ROWS_PER_STATEMENT = 128
"""Of `insert_rows`; longer statements are not cached and compiled each time."""

Bindings = Mapping[str, Any] | Sequence[Any] | None


class SqliteStatements:
    """Runs statements by name on a connection."""

    __slots__ = ("connection",)

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection

    def change(self, name: str, values: Bindings = None, /) -> int:
        """Run a statement that returns no rows, and return the number of rows it changed."""
        self.connection.execute(SQL[name], values)
        return self.connection.changes()

    def change_each(self, name: str, rows: Iterable[Sequence[Any]], /) -> None:
        """Run the statement once for each row of values."""
        self.connection.executemany(SQL[name], rows)

    def insert_rows(self, name: str, leading: Sequence[Any], rows: Sequence[Sequence[Any]], /) -> None:
        """Run the statement with many rows of values at once, each behind the leading values."""
        done = 0
        while left := len(rows) - done:
            count = ROWS_PER_STATEMENT if left >= ROWS_PER_STATEMENT else 1 << left.bit_length() - 1
            text = _with_rows(name, len(leading), width=len(rows[0]), count=count)
            self.connection.execute(text, (*leading, *chain.from_iterable(rows[done : done + count])))
            done += count

    def first(self, name: str, values: Bindings = None, /) -> Row | None:
        """Return the first row, if there is one."""
        row: Row | None = self.connection.execute(SQL[name], values).fetchone()
        return row

    def value(self, name: str, values: Bindings = None, /) -> Any:
        """Return the first column of the first row, which must exist."""
        row = self.first(name, values)
        assert row is not None
        return row[0]

    def rows(self, name: str, values: Bindings = None, /) -> list[Row]:
        """Return all rows."""
        rows: list[Row] = self.connection.execute(SQL[name], values).fetchall()
        return rows

    def each(self, name: str, values: Bindings = None, /) -> Generator[Row, None, None]:
        """Yield row by row; the statement ends with the generator, so that no snapshot outlives it."""
        rows = self.connection.execute(SQL[name], values)
        try:
            yield from rows
        finally:
            rows.close()


@lru_cache(64)
def _with_rows(name: str, leading: int, *, width: int, count: int) -> str:
    """Repeat the statement's one row of values, which ends in `:row`, `count` times."""
    before, values, behind = re.split(r"VALUES \((.*):row\)", SQL[name])
    rows = (
        ", ".join(f"?{leading + 1 + row * width + column}" for column in range(width)) for row in range(count)
    )
    return f"{before}VALUES {', '.join(f'({values}{row})' for row in rows)}{behind}"
