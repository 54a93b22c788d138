"""Where a test's store is: in its folder, or in a database that the folder remembers, for every process that asks."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from goodsgate.store.contract import Store
from goodsgate.store.postgres import PostgresStore
from goodsgate.store.sqlite import SqliteStore
from tests.postgres import server

KINDS = ("sqlite", "postgres")
"""Every implementation of the contract."""
CONNECTIONS_MAX = 6
_MARK = "postgresql-address"


def make(folder: Path, kind: str) -> str:
    """Settle that the folder's store is of this kind; its address, the same each time."""
    if kind == "postgres" and not (folder / _MARK).exists():
        settle(folder, server().database())
    return address(folder)


def settle(folder: Path, database: str) -> None:
    """That the folder's store is the database of this address."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).write_text(database)


def address(folder: Path) -> str:
    """What GOODSGATE_STORE is to be."""
    mark = folder / _MARK
    return mark.read_text() if mark.exists() else str(folder / "store")


def kind_of(folder: Path) -> str:
    """Which of the kinds its store is of."""
    return "postgres" if (folder / _MARK).exists() else "sqlite"


def raw(folder: Path) -> "psycopg.Connection[tuple[Any, ...]]":
    """The folder's database as its superuser sees it, the gate's tables first; to be used with `with`."""
    db = server().admin(urlsplit(address(folder)).path[1:])
    db.execute("SET search_path = goodsgate, public")
    return db


def drop(below: Path) -> None:
    """The databases of this folder and of those in it."""
    for mark in below.rglob(_MARK):
        server().retire(mark.read_text())
        mark.unlink()


def open_at(address: str, *, small_payload_bytes: int, cache_bytes: int = 4 * 1024**2,
            connections_max: int = CONNECTIONS_MAX, now: Callable[[], datetime] | None = None) -> Store:
    """The store there; `now` stands in for its clock."""
    if address.startswith("postgresql:"):
        return PostgresStore(
            address, connections_max=connections_max, small_payload_bytes=small_payload_bytes, now=now
        )
    clock = {} if now is None else {"now": now}
    return SqliteStore(Path(address), cache_bytes=cache_bytes, small_payload_bytes=small_payload_bytes, **clock)
