"""The store of a test: in its folder, or in a database whose address the folder contains."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from goodsgate.engine.search_terms import item_terms
from goodsgate.store.contract import ItemTerms, Store
from goodsgate.store.postgres import PostgresStore
from goodsgate.store.postgres.retention import SWEEP_LOCK
from goodsgate.store.sqlite import SqliteStore
from tests.postgres import server

KINDS = ("sqlite", "postgres")
"""Every implementation of the contract."""
CONNECTIONS_MAX = 6
_MARK = "postgresql-address"


def create_address(folder: Path, kind: str) -> str:
    """Return the address of the folder's store, which is of this kind; the same for each call."""
    if kind == "postgres" and not (folder / _MARK).exists():
        set_address(folder, server().database())
    return address(folder)


def set_address(folder: Path, database: str) -> None:
    """Use the database at this address as the folder's store."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).write_text(database)


def address(folder: Path) -> str:
    """Return the address of the folder's store, for GOODSGATE_STORE."""
    mark = folder / _MARK
    return mark.read_text() if mark.exists() else str(folder / "store")


def kind_of(folder: Path) -> str:
    """Return the kind of the folder's store."""
    return "postgres" if (folder / _MARK).exists() else "sqlite"


def raw(folder: Path) -> "psycopg.Connection[tuple[Any, ...]]":
    """Connect to the folder's database as superuser, with the gate's schema first; use it with `with`."""
    db = server().admin(urlsplit(address(folder)).path[1:])
    db.execute("SET search_path = goodsgate, public")
    return db


def wait_for_sweep(folder: Path) -> None:
    """Wait until no sweep of the folder's store goes on: a server keeps the lock of a killed process for a moment."""
    if kind_of(folder) == "postgres":
        with raw(folder) as db:
            db.execute("SELECT pg_advisory_xact_lock(%s)", [SWEEP_LOCK])


def drop(below: Path) -> None:
    """Drop the databases of this folder and of the folders in it."""
    for mark in below.rglob(_MARK):
        server().retire(mark.read_text())
        mark.unlink()


def open_at(address: str, *, small_payload_bytes: int, cache_bytes: int = 4 * 1024**2,
            connections_max: int = CONNECTIONS_MAX, now: Callable[[], datetime] | None = None,
            terms: ItemTerms | None = item_terms, journal: bool = True) -> Store:
    """Open the store at an address; `now` replaces its clock, and without `terms` its search is off."""
    if address.startswith("postgresql:"):
        return PostgresStore(
            address, connections_max=connections_max, small_payload_bytes=small_payload_bytes, now=now,
            item_terms=terms, journal=journal,
        )
    clock = {} if now is None else {"now": now}
    return SqliteStore(
        Path(address), cache_bytes=cache_bytes, small_payload_bytes=small_payload_bytes, item_terms=terms,
        journal=journal, **clock
    )
