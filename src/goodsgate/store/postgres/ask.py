"""Statements by their names; see queries.sql. There a value is written ``:name``, as psycopg's ``%(name)s``."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

from goodsgate.store.sql import statements

TEXTS = statements(Path(__file__).parent / "queries.sql")
"""As they are written."""
SQL = {name: re.sub(r"(?<!:):([a-z_]+)", r"%(\1)s", text).encode() for name, text in TEXTS.items()}

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
