"""Statements by their names; see queries.sql. There a value is written ``:name``, as psycopg's ``%(name)s``."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

from goodsgate.store.sql import statements

TEXTS = statements(Path(__file__).parent / "queries.sql")
"""As they are written."""
_COMMENT = re.compile(r"^--.*\n?", re.M)
_BYTES = re.compile(r"(?<!:):([a-z_]+)(?=::bytea\[\])")
_VALUE = re.compile(r"(?<!:):([a-z_]+)")
SQL = {
    name: _VALUE.sub(r"%(\1)s", _BYTES.sub(r"%(\1)b", _COMMENT.sub("", text))).strip().encode()
    for name, text in TEXTS.items()
}
"""As they are sent: without comments, arrays of bytes in their binary form, which nothing has to be escaped for."""

Cursor = psycopg.Cursor[tuple[Any, ...]]
Values = Mapping[str, Any]


def do(db: Cursor, name: str, given: Values | None = None) -> int:
    """Rows that were changed, of a statement that gives none."""
    return db.execute(SQL[name], given).rowcount


def one(db: Cursor, name: str, given: Values | None = None) -> tuple[Any, ...] | None:
    """The first row, if there is one."""
    return db.execute(SQL[name], given).fetchone()


def value(db: Cursor, name: str, given: Values | None = None) -> Any:
    """The first column of a row that there always is."""
    row = one(db, name, given)
    assert row is not None
    return row[0]


def every(db: Cursor, name: str, given: Values | None = None) -> list[tuple[Any, ...]]:
    """All rows."""
    return db.execute(SQL[name], given).fetchall()
