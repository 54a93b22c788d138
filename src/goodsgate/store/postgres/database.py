"""What the parts of the store share: the way to the server, its schema, and the numbers of merchants."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from psycopg import errors, sql

from goodsgate.store.contract import StoreError
from goodsgate.store.postgres.ask import Cursor
from goodsgate.store.postgres.server import ROLE, SCHEMA, Server
from goodsgate.store.postgres.uploads import Uploads
from goodsgate.store.postgres.watch import Watch
from goodsgate.store.sql import migrations

MIGRATIONS = migrations(Path(__file__).parent / "migrations")
VERSION_MIN = 140000
"""PostgreSQL 14."""
MIGRATION_LOCK = 0x600D5_6A7E
"""Key of the advisory lock that one process at a time migrates under."""
MIGRATION_SECONDS_MAX = 3_600.0
"""For one of them, and for those of another process that are waited for."""


class Database:
    """See PostgresStore."""

    def __init__(self, address: str, *, connections_max: int, small_payload_bytes: int,
                 now: Callable[[], datetime] | None = None) -> None:
        """At most `connections_max` connections of this process, and one to listen by; a payload up to
        `small_payload_bytes` is sent once, with its seal. `now` stands in for the server's clock. Connects when first
        used. Raises StoreError if `address` is none."""
        self.server = Server(address, connections_max=connections_max, now=now)
        self.watch = Watch(self.server)
        self.uploads = Uploads(self.server, small_bytes=small_payload_bytes, sending_max=connections_max)
        self._numbers: dict[str, int] = {}

    # -- life -----------------------------------------------------------------------------------------------------

    def migrate(self) -> list[str]:
        """Titles of the migrations that were applied. Raises StoreError if the login may not do what is needed."""
        known = MIGRATIONS[-1].number
        self._make_role()
        with self._migrating() as db:
            there = _schema_number(db)
            if there > known:
                raise StoreError(f"the database was made by a newer Goodsgate (schema {there}, known {known})")
            missing = MIGRATIONS[there:]
            for one in missing:
                db.connection.execute(one.parts["database"].encode())  # many statements: the simple protocol
                db.execute("INSERT INTO migration (number, title) VALUES (%s, %s)", (one.number, one.title))
        return [f"{one.number:04d} {one.title}" for one in missing]

    @contextmanager
    def _migrating(self) -> Iterator[Cursor]:
        """A transaction of the login itself, alone among all that migrate."""
        try:
            begin = f"BEGIN; SET LOCAL search_path = {SCHEMA}, pg_temp"
            with self.server.session(begin, seconds=MIGRATION_SECONDS_MAX) as db:
                db.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
                yield db
        except errors.InsufficientPrivilege as fault:
            said = f"{self.server.shown}: {fault.diag.message_primary}; see docs/how-to/run-on-postgresql.md"
            raise StoreError(said) from fault

    def _make_role(self) -> None:
        """The role that transactions take, and the table that says which migrations were applied."""
        with self._migrating() as db:
            version = db.connection.info.server_version
            if version < VERSION_MIN:
                raise StoreError(f"PostgreSQL {version // 10000} is too old, {VERSION_MIN // 10000} is needed")
            if db.execute("SHOW server_encoding").fetchone() != ("UTF8",):
                raise StoreError("the database's encoding has to be UTF8")
            if db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ROLE,)).fetchone() is None:
                db.execute(f"CREATE ROLE {ROLE} NOLOGIN")
            db.execute("SELECT current_user::text, pg_has_role(current_user, %s, %s)", (ROLE, taking(db)))
            login, may_take = db.fetchone() or ("", False)
            if not may_take:
                db.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(ROLE), sql.Identifier(login)))
            if db.execute("SELECT to_regnamespace(%s)", (SCHEMA,)).fetchone() == (None,):
                db.execute(f"CREATE SCHEMA {SCHEMA}")
                db.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {ROLE}")
            db.execute(
                "CREATE TABLE IF NOT EXISTS migration (number integer PRIMARY KEY, title text NOT NULL,"
                " applied_at timestamptz NOT NULL DEFAULT now())"
            )

    def schema_number(self) -> int:
        """Number of the last migration applied; 0 if there is none. Raises StoreBusyError."""
        with self.server.session(f"BEGIN READ ONLY; SET LOCAL search_path = {SCHEMA}") as db:
            return _schema_number(db) if _is_made(db) else 0

    def change_token(self) -> object:
        """Changes with every commit of this process, and within a fraction of a second with those of others."""
        return self.watch.change_token()

    def wait_for_work(self, seconds: float) -> None:
        """About so long, or until somebody tells of new work."""
        self.watch.wait(seconds)

    def close(self) -> None:
        """Forget what is not sealed; let go of all connections."""
        self.uploads.close()
        self.watch.close()
        self.server.close()

    # -- time, numbers ------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """Microseconds since 1970, on the server's clock."""
        return self.server.now()

    def number(self, merchant: str) -> int | None:
        """The number that rows know the merchant by; None if there is no such merchant."""
        number = self._numbers.get(merchant)
        if number is not None:
            return number
        rows = self.server.at_once("merchant_number", {"id": merchant}, every=True).rows
        if not rows:
            return None
        self._numbers[merchant] = int(rows[0][0])  # for good: merchants do not go, and numbers are not used twice
        return int(rows[0][0])

    def known(self, merchant: str) -> int:
        """The number; raises StoreError if there is no such merchant."""
        number = self.number(merchant)
        if number is None:
            raise StoreError(f"no such merchant: {merchant}")
        return number


def taking(db: Cursor) -> str:
    """What a login needs of a role to take it: a member may, from 16 on only one that is said to."""
    return "set" if db.connection.info.server_version >= 160000 else "member"


def _is_made(db: Cursor) -> bool:
    return db.execute("SELECT to_regclass('migration')").fetchone() != (None,)


def _schema_number(db: Cursor) -> int:
    row = db.execute("SELECT coalesce(max(number), 0) FROM migration").fetchone()
    assert row is not None
    return int(row[0])
