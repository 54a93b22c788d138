"""Gives a large merchant partitions of its own while the store is used.

A partition is a range of the numbers of merchants. To isolate a merchant, the range that has it is split into what is
before, the merchant alone, and what is behind. Table by table:

1. New partitions are created beside the old one, and a trigger notes the keys of rows that change in the old one.
2. The rows are copied in the order of their key, in steps of a fraction of a second.
3. The rows whose keys were noted are copied again, until few are left.
4. In one transaction that locks the table: the last of these, and the new partitions replace the old one.

What exists only for a time is named `isolation_…`. After a crash at any point, the next run removes it and goes on
with the first table that is not split yet.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import psycopg
from psycopg import errors, sql

from goodsgate.model import crash
from goodsgate.model.counting import counted
from goodsgate.store.contract import StoreBusyError, StoreError
from goodsgate.store.postgres.connections import Connection
from goodsgate.store.postgres.server import PLANS, ROLE, SCHEMA, Server

ISOLATION_LOCK = 0x600D5_6A7F
"""Key of the advisory lock under which one process at a time isolates a merchant."""
LOCK_SECONDS_MIN, LOCK_SECONDS_MAX = 0.25, 2.0
"""How long one attempt waits for a table; others wait behind it. From one second on, the server ends an autovacuum."""
ATTEMPT_PAUSE_SECONDS = 1.0
ATTEMPTS_SECONDS_MAX = 600.0
STEP_SECONDS = 0.25
STEP_ROWS_MIN, STEP_ROWS_MAX = 16, 16_384
NOTED_ROWS_MAX = 5_000
"""Rows whose keys were noted that are copied again in one step."""
STATEMENT_SECONDS_MAX = 600.0
"""A step takes a fraction of a second unless the server is overloaded."""
_BOUNDS = re.compile(r"FOR VALUES FROM \((?:'(?P<first>-?\d+)'|MINVALUE)\) TO \((?:'(?P<end>-?\d+)'|MAXVALUE)\)")

PARTITIONS = """
SELECT parent.relname, leaf.relname, pg_get_expr(leaf.relpartbound, leaf.oid), leaf.reloptions
FROM pg_inherits h JOIN pg_class parent ON parent.oid = h.inhparent JOIN pg_class leaf ON leaf.oid = h.inhrelid
WHERE parent.relnamespace = %s::regnamespace AND parent.relkind = 'p' AND NOT starts_with(parent.relname, 'isolation_')
ORDER BY parent.relname, leaf.relname
"""
KEY = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_index i
CROSS JOIN unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (number, position)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
WHERE i.indrelid = %s::regclass AND i.indisunique ORDER BY k.position
"""
COLUMNS = """
SELECT attname FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""
LEFTOVERS = """
SELECT relname FROM pg_class
WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
AND starts_with(relname, 'isolation_')
"""
UNFINISHED = """
SELECT (SELECT count(*) FROM pg_class
        WHERE relnamespace = 'goodsgate'::regnamespace AND starts_with(relname, 'isolation_'))
    + (SELECT count(*) FROM pg_proc WHERE pronamespace = 'goodsgate'::regnamespace AND proname = 'isolation_note')
"""
OLD_SNAPSHOTS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
AND backend_xmin IS NOT NULL AND (state LIKE 'idle in transaction%%' OR application_name IN ('pg_dump', 'pg_restore'))
"""
"""Transactions with a snapshot from before. They would find no row in the new partitions."""


class Partition(NamedTuple):
    """One partition of a table: the numbers of merchants from `first` to before `end`; None is unlimited."""

    table: str
    name: str
    first: int | None
    end: int | None
    options: Sequence[str]
    """Storage parameters, as name=value."""

    def has(self, number: int) -> bool:
        """Return whether the rows of a merchant are in it."""
        return (self.first is None or self.first <= number) and (self.end is None or number < self.end)

    def is_alone(self, number: int) -> bool:
        """Return whether it is the merchant's own."""
        return (self.first, self.end) == (number, number + 1)


def read_partitions(cursor: "psycopg.Cursor[Any]") -> list[Partition]:
    """Return the partitions of all tables, in the order of their names."""
    partitions = []
    for table, name, bounds, options in cursor.execute(PARTITIONS, (SCHEMA,)).fetchall():
        match = _BOUNDS.fullmatch(bounds)
        if match is None:
            raise StoreError(f"the partition {name} has bounds that Goodsgate did not create: {bounds}")
        first, end = (int(bound) if bound else None for bound in (match["first"], match["end"]))
        partitions.append(Partition(table, name, first, end, options or ()))
    return partitions


def isolate(server: Server, number: int, report: Callable[[str], None]) -> list[str]:
    """Split the partitions that have the merchant with this number; see SupportsPartitions."""
    with server.connecting() as guard, server.connecting() as connection:
        guard.execute("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0")
        if guard.execute("SELECT pg_try_advisory_xact_lock(%s)", (ISOLATION_LOCK,)).fetchone() != (True,):
            raise StoreError("another process is isolating a merchant; wait until it has ended")
        connection.patience = guard.patience = STATEMENT_SECONDS_MAX + ATTEMPTS_SECONDS_MAX
        _drop_leftovers(connection)
        split = []
        for partition in read_partitions(connection.cursor()):
            if not partition.has(number) or partition.is_alone(number):
                continue
            guard.execute("SELECT 1")  # fails if the lock was lost with the connection
            copied, again = _Split(connection, partition, number).run()
            split.append(partition.table)
            report(f"{partition.table}: copied {counted(copied, 'row')}, and {counted(again, 'change')} made meanwhile")
        return split


class _Split:
    """Splits one partition."""

    def __init__(self, connection: Connection, partition: Partition, number: int) -> None:
        self._connection = connection
        self._partition = partition
        table, cursor = f"{SCHEMA}.{partition.table}", connection.cursor()
        self._key = cursor.execute(KEY, (table,)).fetchall()
        self._columns = [name for name, in cursor.execute(COLUMNS, (table,)).fetchall()]
        self._names = {
            "table": sql.Identifier(SCHEMA, partition.table), "old": sql.Identifier(SCHEMA, partition.name),
            "key": _list([name for name, _ in self._key]), "role": sql.Identifier(ROLE),
            "columns": _list(self._columns),
        }
        ranges = {
            "before": (partition.first, number), "only": (number, number + 1), "after": (number + 1, partition.end),
        }
        self._ranges = {
            f"{partition.table}_{place}_{number}": bounds for place, bounds in ranges.items() if bounds[0] != bounds[1]
        }
        """Name of each new partition → bounds."""

    def run(self) -> tuple[int, int]:
        """Split it; return the numbers of rows copied, and copied again."""
        with _locking(self._connection, self._names["old"], "SHARE ROW EXCLUSIVE"):
            self._prepare()
        crash.point("isolation-prepared")
        copied, again = self._copy(), 0
        crash.point("isolation-copied")
        for name in self._ranges:
            self._execute("ANALYZE {}", sql.Identifier(SCHEMA, name))
        while (count := self._copy_noted()) >= NOTED_ROWS_MAX:
            again += count
        again += count
        with _locking(self._connection, self._names["table"], "ACCESS EXCLUSIVE", check=True):
            while count := self._copy_noted(in_transaction=True):
                again += count
            self._replace()
            crash.point("isolation-replaced")
        crash.point("isolation-switched")
        _drop_leftovers(self._connection)
        return copied, again

    def _prepare(self) -> None:
        """Create the new partitions, and the trigger that notes changes of the old one."""
        self._execute(
            "CREATE TABLE goodsgate.isolation_new (LIKE {table} INCLUDING ALL) PARTITION BY RANGE (merchant);"
            "CREATE TABLE goodsgate.isolation_noted (isolation_number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);"
            "CREATE TABLE goodsgate.isolation_taken AS SELECT {key} FROM {table} WITH NO DATA;"
            "GRANT INSERT ON goodsgate.isolation_noted TO {role}"
        )
        for name, type_name in self._key:
            add = f"ALTER TABLE goodsgate.isolation_noted ADD COLUMN {{}} {type_name}"
            self._execute(add, sql.Identifier(name))
        options = ", ".join(option for option in self._partition.options if option.startswith("fillfactor="))
        for name, (first, end) in self._ranges.items():
            checks = [f"merchant >= {first}"] * (first is not None) + [f"merchant < {end}"] * (end is not None)
            self._execute(
                f"CREATE TABLE {{}} PARTITION OF goodsgate.isolation_new"
                f" (CONSTRAINT isolation_range CHECK ({' AND '.join(checks)})) {_bounds(first, end)}"
                + (f" WITH ({options})" if options else ""), sql.Identifier(SCHEMA, name),
            )
        old, new = (sql.SQL(", ").join(sql.Identifier(row, name) for name, _ in self._key) for row in ("old", "new"))
        self._execute(
            "CREATE FUNCTION goodsgate.isolation_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF TG_OP <> 'INSERT' THEN INSERT INTO goodsgate.isolation_noted ({key}) VALUES ({before}); END IF;"
            " IF TG_OP <> 'DELETE' THEN INSERT INTO goodsgate.isolation_noted ({key}) VALUES ({after}); END IF;"
            " RETURN NULL; END $$;"
            "CREATE TRIGGER isolation_note AFTER INSERT OR UPDATE OR DELETE ON {old}"
            " FOR EACH ROW EXECUTE FUNCTION goodsgate.isolation_note();"
            "ALTER TABLE {old} SET (autovacuum_enabled = off)",  # soon dropped; a vacuum would be in the way
            before=old, after=new,
        )

    def _copy(self) -> int:
        """Copy all rows in the order of the key; return their number."""
        last: tuple[str, ...] | None = None
        count, limit = 0, STEP_ROWS_MIN
        while True:
            began = time.monotonic()
            with _transaction(self._connection, lazy=True):
                rows = self._copy_step(last, limit)
            crash.point("isolation-step")
            if rows is None:
                return count
            copied, *key = rows
            count, last = count + copied, tuple(key)
            if time.monotonic() - began < STEP_SECONDS / 2:
                limit = min(limit * 2, STEP_ROWS_MAX)
            elif time.monotonic() - began > STEP_SECONDS:
                limit = max(limit // 2, STEP_ROWS_MIN)

    def _copy_step(self, last: tuple[str, ...] | None, limit: int) -> tuple[Any, ...] | None:
        """Copy the next rows behind a key; return their number and the last key, None behind the last row."""
        values = sql.SQL(", ").join(sql.SQL(f"%s::{type_name}") for _, type_name in self._key)
        behind = sql.SQL("WHERE ({key}) > ({values})").format(key=self._names["key"], values=values)
        descending = sql.SQL(", ").join(sql.SQL("step.{} DESC").format(sql.Identifier(name)) for name, _ in self._key)
        texts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name, _ in self._key)
        cursor = self._execute(
            "WITH step AS MATERIALIZED (SELECT * FROM {old} {behind} ORDER BY {key} LIMIT {limit}),"
            " copied AS (INSERT INTO goodsgate.isolation_new ({columns}) SELECT {columns} FROM step)"
            " SELECT (SELECT count(*) FROM step), {texts} FROM step ORDER BY {descending} LIMIT 1",
            values=last, behind=behind if last else sql.SQL(""), limit=sql.Literal(limit), texts=texts,
            descending=descending,
        )
        return cursor.fetchone()

    def _copy_noted(self, *, in_transaction: bool = False) -> int:
        """Copy rows again whose keys were noted, as they are now; return the number of keys."""
        if not in_transaction:
            with _transaction(self._connection, lazy=True):
                return self._copy_noted(in_transaction=True)
        same = sql.SQL(" AND ").join(
            sql.SQL("r.{name} = t.{name}").format(name=sql.Identifier(name)) for name, _ in self._key
        )
        theirs = sql.SQL(", ").join(sql.SQL("r.{}").format(sql.Identifier(name)) for name in self._columns)
        cursor = self._execute(
            "WITH noted AS (DELETE FROM goodsgate.isolation_noted WHERE isolation_number = ANY(ARRAY("
            " SELECT isolation_number FROM goodsgate.isolation_noted ORDER BY isolation_number LIMIT {limit}"
            ")) RETURNING {key})"
            " INSERT INTO goodsgate.isolation_taken SELECT {key} FROM noted",
            limit=sql.Literal(NOTED_ROWS_MAX),
        )
        if count := cursor.rowcount:
            self._execute(
                "DELETE FROM goodsgate.isolation_new r USING goodsgate.isolation_taken t WHERE {same};"
                "INSERT INTO goodsgate.isolation_new ({columns}) SELECT {theirs} FROM {old} r"
                " JOIN (SELECT DISTINCT {key} FROM goodsgate.isolation_taken) t ON {same};"
                "TRUNCATE goodsgate.isolation_taken", same=same, theirs=theirs,
            )
        return count

    def _replace(self) -> None:
        """Put the new partitions in the place of the old one."""
        self._execute("ALTER TABLE {table} DETACH PARTITION {old}; ALTER TABLE {old} RENAME TO isolation_old")
        for name, (first, end) in self._ranges.items():
            self._execute(
                f"ALTER TABLE goodsgate.isolation_new DETACH PARTITION {{new}};"
                f"ALTER TABLE {{table}} ATTACH PARTITION {{new}} {_bounds(first, end)};"
                f"ALTER TABLE {{new}} DROP CONSTRAINT isolation_range", new=sql.Identifier(SCHEMA, name),
            )

    def _execute(self, text: str, *names: sql.Composable, values: tuple[str, ...] | None = None,
                 **more: sql.Composable) -> "psycopg.Cursor[Any]":
        statement = sql.SQL(text).format(*names, **{**self._names, **more})
        return self._connection.execute(statement, values)


def _drop_leftovers(connection: Connection) -> None:
    """Drop what was created for a time, here or by a process that was killed."""
    with suppress(errors.UndefinedFunction):
        trigger = "DROP FUNCTION goodsgate.isolation_note() CASCADE"
        _with_attempts(lambda seconds: _run(connection, seconds, trigger))
    for name, in connection.execute(LEFTOVERS, (SCHEMA,)).fetchall():
        connection.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.Identifier(SCHEMA, name)))
    for partition in read_partitions(connection.cursor()):
        if "autovacuum_enabled=off" in partition.options:
            _reset_autovacuum(connection, sql.Identifier(SCHEMA, partition.name))


def _reset_autovacuum(connection: Connection, table: sql.Identifier) -> None:
    reset = sql.SQL("ALTER TABLE {} RESET (autovacuum_enabled)").format(table)
    _with_attempts(lambda seconds: _run(connection, seconds, reset))


def _run(connection: Connection, lock_seconds: float, statement: str | sql.Composed) -> None:
    with _transaction(connection, lock_seconds=lock_seconds):
        connection.execute(sql.SQL(statement) if isinstance(statement, str) else statement)


@contextmanager
def _locking(connection: Connection, table: sql.Composable, mode: str, *, check: bool = False) -> Iterator[None]:
    """Open a transaction that has locked a table, and with `check` in which nobody has an older snapshot."""

    def lock(seconds: float) -> None:
        _begin(connection, lock_seconds=seconds)
        try:
            connection.execute(sql.SQL(f"LOCK TABLE {{}} IN {mode} MODE").format(table))
            if check and connection.execute(OLD_SNAPSHOTS).fetchone() != (0,):
                raise errors.LockNotAvailable("a transaction such as that of pg_dump has a snapshot from before")
        except BaseException:
            _roll_back(connection)
            raise

    _with_attempts(lock)
    with _committing(connection):
        yield


def _with_attempts(action: Callable[[float], None]) -> None:
    """Run an action with the seconds that it may wait for locks, again until it gets them. Raises StoreBusyError."""
    until, seconds = time.monotonic() + ATTEMPTS_SECONDS_MAX, LOCK_SECONDS_MIN
    while True:
        try:
            action(seconds)
            return
        except errors.LockNotAvailable as fault:
            if time.monotonic() > until:
                message = (
                    f"a table was in use for {ATTEMPTS_SECONDS_MAX / 60:.0f} minutes ({fault}); see pg_stat_activity"
                    " for transactions that do not end, then run the command again"
                )
                raise StoreBusyError(" ".join(message.split())) from fault
            time.sleep(ATTEMPT_PAUSE_SECONDS)
            seconds = min(seconds * 2, LOCK_SECONDS_MAX)


@contextmanager
def _transaction(connection: Connection, *, lock_seconds: float = LOCK_SECONDS_MAX, lazy: bool = False,
                 ) -> Iterator[None]:
    """Open a transaction; with `lazy` it is on disk with the next one that is not."""
    _begin(connection, lock_seconds=lock_seconds, lazy=lazy)
    with _committing(connection):
        yield


def _begin(connection: Connection, *, lock_seconds: float, lazy: bool = False) -> None:
    connection.execute(
        f"BEGIN; {PLANS}; SET LOCAL lock_timeout = {int(lock_seconds * 1000)};"
        f"SET LOCAL statement_timeout = {int(STATEMENT_SECONDS_MAX * 1000)};"
        f"SET LOCAL synchronous_commit = {'off' if lazy else 'on'}".encode()
    )


@contextmanager
def _committing(connection: Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        _roll_back(connection)
        raise
    connection.execute("COMMIT")


def _roll_back(connection: Connection) -> None:
    with suppress(psycopg.Error):
        connection.execute("ROLLBACK")


def _bounds(first: int | None, end: int | None) -> str:
    begin, stop = "MINVALUE" if first is None else first, "MAXVALUE" if end is None else end
    return f"FOR VALUES FROM ({begin}) TO ({stop})"


def _list(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
