"""The statements of `queries.sql`, run by name in one transaction.

In the file a value is written ``:name``; psycopg wants ``%(name)s``.
"""

import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psycopg

from goodsgate.store.shared.database import Row, Values
from goodsgate.store.shared.statement_files import statements

TEXTS = statements(Path(__file__).parent / "queries.sql")
"""As they are written."""
_COMMENT = re.compile(r"^--.*\n?", re.M)
_BYTES = re.compile(r"(?<!:):([a-z_]+)(?=::bytea\[\])")
_VALUE = re.compile(r"(?<!:):([a-z_]+)")
SQL = {
    name: _VALUE.sub(r"%(\1)s", _BYTES.sub(r"%(\1)b", _COMMENT.sub("", text))).strip().encode()
    for name, text in TEXTS.items()
}
"""As they are sent: without comments, and arrays of bytes in their binary form, which needs no escaping."""

Cursor = psycopg.Cursor[Row]


class PostgresStatements:
    """Runs statements by name on a cursor."""

    __slots__ = ("cursor",)

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor

    def change(self, name: str, values: Values | None = None, /) -> int:
        """Run a statement that returns no rows, and return the number of rows it changed."""
        return self.cursor.execute(SQL[name], values).rowcount

    def first(self, name: str, values: Values | None = None, /) -> Row | None:
        """Return the first row, if there is one."""
        return self.cursor.execute(SQL[name], values).fetchone()

    def value(self, name: str, values: Values | None = None, /) -> Any:
        """Return the first column of the first row, which must exist."""
        row = self.first(name, values)
        assert row is not None
        return row[0]

    def rows(self, name: str, values: Values | None = None, /) -> list[Row]:
        """Return all rows."""
        return self.cursor.execute(SQL[name], values).fetchall()

    def each(self, name: str, values: Values | None = None, /) -> Generator[Row, None, None]:
        """Yield row by row; the server has sent them all."""
        yield from self.cursor.execute(SQL[name], values)
