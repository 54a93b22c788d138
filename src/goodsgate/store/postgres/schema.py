"""The schema: the role that transactions take, and migrations, one process at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import errors, sql

from goodsgate.store.contract import StoreBusyError, StoreError
from goodsgate.store.postgres.database import MIGRATIONS
from goodsgate.store.postgres.fingerprint import fingerprint, migration_difference, read_content
from goodsgate.store.postgres.server import ROLE, SCHEMA, Server
from goodsgate.store.postgres.statements import Cursor

VERSION_MIN = 140000
"""PostgreSQL 14."""
MIGRATION_LOCK = 0x600D5_6A7E
"""Key of the advisory lock under which one process at a time migrates."""
MIGRATION_SECONDS_MAX = 3_600.0
"""For one migration, and for those of another process that are waited for."""


PARTITIONS = 16
"""Of each large table, unless the operator chooses another number when the store is created."""
PARTITIONS_MAX = 256


def migrate(server: Server, partitions: int | None = None) -> list[str]:
    """Apply missing migrations and return their titles.

    A new store gets this number of `partitions`. Raises StoreError if the login lacks a privilege, or if the store
    exists already and its number of partitions is asked for.
    """
    known = MIGRATIONS[-1].number
    with _migrating(server) as cursor:
        _create_role(cursor)
    with _migrating(server) as cursor:
        current = _current_number(cursor)
        if current > known:
            raise StoreError(f"the database was created by a newer Goodsgate (schema {current}, known {known})")
        if current and partitions is not None:
            raise StoreError(
                "the number of partitions is chosen when the store is created, and this one exists;"
                " `goodsgate store isolate MERCHANT` gives a large merchant partitions of its own"
            )
        cursor.execute(f"SET LOCAL goodsgate.partitions = {partitions or PARTITIONS:d}")
        missing = MIGRATIONS[current:]
        for migration in missing:
            cursor.connection.execute(migration.parts["database"].encode())  # many statements: the simple protocol
            row = (migration.number, migration.title, fingerprint(migration), read_content(cursor))
            cursor.execute("INSERT INTO migration (number, title, fingerprint, content) VALUES (%s, %s, %s, %s)", row)
        difference = migration_difference(cursor, MIGRATIONS[-1])
        if difference is not None:
            raise StoreError(f"{difference}; use the version of Goodsgate that created it, or another database")
    return [f"{migration.number:04d} {migration.title}" for migration in missing]


def schema_number(server: Server) -> int:
    """Return the number of the last migration applied; 0 if there is none. Raises StoreBusyError."""
    with server.session(f"BEGIN READ ONLY; SET LOCAL search_path = {SCHEMA}") as db:
        exists = db.cursor.execute("SELECT to_regclass('migration')").fetchone() != (None,)
        return _current_number(db.cursor) if exists else 0


def role_privilege(cursor: Cursor) -> str:
    """Return the privilege that a login needs to take a role: since 16, membership alone is not enough."""
    return "set" if cursor.connection.info.server_version >= 160000 else "member"


@contextmanager
def _migrating(server: Server) -> Iterator[Cursor]:
    """Open a transaction of the login itself, alone among all processes that migrate."""
    try:
        begin = f"BEGIN; SET LOCAL search_path = {SCHEMA}, pg_temp"
        with server.session(begin, seconds=MIGRATION_SECONDS_MAX) as db:
            db.cursor.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
            yield db.cursor
    except StoreBusyError as fault:
        if not isinstance(fault.__cause__, errors.InsufficientPrivilege):
            raise
        message = f"{server.display_address}: {fault}; see docs/how-to/run-on-postgresql.md"
        raise StoreError(message) from fault


def _create_role(cursor: Cursor) -> None:
    """Create the role that transactions take, the schema, and the table of applied migrations."""
    version = cursor.connection.info.server_version
    if version < VERSION_MIN:
        raise StoreError(f"PostgreSQL {version // 10000} is too old, {VERSION_MIN // 10000} is needed")
    if cursor.execute("SHOW server_encoding").fetchone() != ("UTF8",):
        raise StoreError("the database's encoding has to be UTF8")
    if cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ROLE,)).fetchone() is None:
        cursor.execute(f"CREATE ROLE {ROLE} NOLOGIN")
    cursor.execute("SELECT current_user::text, pg_has_role(current_user, %s, %s)", (ROLE, role_privilege(cursor)))
    login, may_take = cursor.fetchone() or ("", False)
    if not may_take:
        cursor.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(ROLE), sql.Identifier(login)))
    if cursor.execute("SELECT to_regnamespace(%s)", (SCHEMA,)).fetchone() == (None,):
        cursor.execute(f"CREATE SCHEMA {SCHEMA}")
        cursor.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {ROLE}")
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS migration (number integer PRIMARY KEY, title text NOT NULL,"
        " applied_at timestamptz NOT NULL DEFAULT now(), fingerprint text NOT NULL, content text NOT NULL)"
    )


def _current_number(cursor: Cursor) -> int:
    row = cursor.execute("SELECT coalesce(max(number), 0) FROM migration").fetchone()
    assert row is not None
    return int(row[0])
