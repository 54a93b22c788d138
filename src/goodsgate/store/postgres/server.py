"""Access to the server: bounded connections, transactions of one merchant, the server's clock and its errors.

Sessions have no state: what a transaction needs is set for that transaction only, and no statement is prepared. So any
pool may stand between, including PgBouncer in transaction mode.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from datetime import datetime
from typing import NamedTuple

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from goodsgate.store.contract import StoreBusyError, StoreError, StoreFullError
from goodsgate.store.postgres.connections import (
    CONNECT_SECONDS,
    SILENCE_SECONDS,
    Connection,
    Connections,
    NoAnswerError,
)
from goodsgate.store.postgres.statements import SQL, Cursor, PostgresStatements
from goodsgate.store.shared.database import ALL_MERCHANTS, ConstraintError, Merchants, Row, Values
from goodsgate.store.shared.timestamps import microseconds

SCHEMA = "goodsgate"
ROLE = "goodsgate_app"
"""Every transaction takes this role: row-level security applies to it, even if the login is a superuser."""

PLANNERS = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit")
PLANS = "; ".join(f"SET LOCAL {name} = off" for name in PLANNERS)
"""Every statement that processes records looks rows up by an index. Without statistics, as after a first load, the
planner might read whole tables for each key instead: minutes for what takes milliseconds."""

POOL_SECONDS = 10.0
"""How long to wait for a free connection."""
ANSWER_MILLISECONDS = 10_000
"""A connection is lost if the server's host does not acknowledge data for this long."""
CLOCK_SECONDS = 30.0
"""How often the server's clock is read."""
CLOCK_QUERY_SECONDS_MAX = 0.1
"""A reading of the clock that took longer is too inexact."""
STATEMENT_SECONDS_MAX = 20.0
"""A statement that takes longer is ended: a client waits for it."""
LOCK_SECONDS_MAX = 10.0
"""A statement that waits longer for a lock is ended, like one that waits for another process on an embedded store."""
WORK_SECONDS_MAX = 120.0
"""The same for statements of a worker about thousands of records."""
IDLE_SECONDS_MAX = 15.0
"""A transaction is ended if its client sends nothing for this long: one that was cut off must not block others, and its
lanes have to be taken over."""

COMMIT = "SET LOCAL statement_timeout = 0; COMMIT"
"""Without a time limit: a commit that waits for a standby would otherwise be reported as done."""

BUSY = (
    psycopg.OperationalError, psycopg.InterfaceError, errors.DeadlockDetected, errors.SerializationFailure,
    errors.ReadOnlySqlTransaction, errors.IdleInTransactionSessionTimeout,
)
DENIED = (errors.InsufficientPrivilege, errors.UndefinedTable, errors.InvalidSchemaName)
"""Somebody is changing privileges or restoring the database; no record is to blame, and it may be over in a moment."""
FULL = (errors.DiskFull, errors.OutOfMemory)


class CommitLostError(StoreBusyError):
    """The connection was lost during the commit, which may or may not have taken effect."""


class StatementResult(NamedTuple):
    """The result of one statement."""

    rows: list[Row]
    changed: int
    """Rows that a statement without rows has written."""


class Server:
    """A PostgreSQL database, for any number of threads of this process."""

    def __init__(self, address: str, *, connections_max: int, now: Callable[[], datetime] | None = None) -> None:
        """Connect to nothing yet; `now` replaces the server's clock. Raises StoreError if the address is invalid."""
        try:
            given = conninfo_to_dict(address)
        except psycopg.ProgrammingError as fault:
            raise StoreError("not an address of a PostgreSQL server") from fault
        user, host, port = given.get("user") or "", given.get("host") or "", given.get("port") or 5432
        self.display_address = f"postgresql://{user}@{host}:{port}/{given.get('dbname') or ''}"
        """The address without its password."""
        self._settings = {
            "connect_timeout": CONNECT_SECONDS, "keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 2,
            "tcp_user_timeout": ANSWER_MILLISECONDS, "application_name": "goodsgate",
            **{name: text for name, text in given.items() if text is not None}, "client_encoding": "UTF8",
        }
        self.full_at: float | None = None
        """When a statement last failed for lack of space, on the monotonic clock."""
        self._clock = now
        self._clock_lock = threading.Lock()
        self._offset: float | None = None
        self._clock_read_at = 0.0
        self._connections = Connections(
            self._settings, connections_max=connections_max, wait_seconds=POOL_SECONDS
        )

    def close(self) -> None:
        """Close all connections for good."""
        self._connections.close()

    def connect(self) -> Connection:
        """Open a separate connection in autocommit mode. Raises StoreBusyError."""
        with self._translate_errors():
            return self._connections.connect()

    @contextmanager
    def connecting(self) -> Iterator[Connection]:
        """Open a separate connection in autocommit mode for a block. Raises StoreBusyError and others."""
        with self._translate_errors(), closing(self._connections.connect()) as connection:
            yield connection

    # -- transactions -------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self, merchants: Merchants = None, /, *, lazy: bool = False, also: str = "",
                    seconds: float = STATEMENT_SECONDS_MAX) -> Iterator[PostgresStatements]:
        """Open a transaction that sees the rows of one merchant, or with ALL_MERCHANTS the dispatching tables whole.

        It is committed and on disk at the end, or with `lazy` on disk with the next one that is not; and rolled back
        if anything is raised. It begins with the statements `also`; none may take longer than `seconds`. Raises
        ConstraintError, StoreBusyError, StoreFullError, CommitLostError.
        """
        if self._clock is None and time.monotonic() - self._clock_read_at > CLOCK_SECONDS / 2:
            self._set_clock()  # before, so that nobody inside needs a second connection for it
        with self.session(_begin(merchants, lazy=lazy), also=also, seconds=seconds) as db:
            yield db

    def reading(self, merchants: Merchants = None, /) -> AbstractContextManager[PostgresStatements]:
        """Open a transaction that only reads."""
        return self.transaction(merchants)

    def snapshot(self, merchants: Merchants = None, /) -> AbstractContextManager[PostgresStatements]:
        """Open a transaction that only reads, all of whose statements see what was committed when the first began."""
        # Locked before the snapshot exists: the copies of rows in a partition that was split since would be invisible.
        also = "LOCK TABLE item, journal IN ACCESS SHARE MODE"
        return self.session(_begin(merchants, lazy=False, isolation="REPEATABLE READ READ ONLY"), also=also)

    def writing(self, merchants: Merchants = None, /, *, lazy: bool = False,
                ) -> AbstractContextManager[PostgresStatements]:
        """Open a transaction that is committed and on disk at the end, or with `lazy` on disk a little later."""
        return self.transaction(merchants, lazy=lazy)

    def query(self, name: str, values: Values, merchants: Merchants = None, /) -> list[Row]:
        """Run one statement that reads, in one round trip, and return all rows."""
        return self.run(name, values, merchants).rows

    def run(self, name: str, values: Values | None = None, merchants: Merchants = None, /, *, lazy: bool = False,
            also: str = "", seconds: float = STATEMENT_SECONDS_MAX) -> StatementResult:
        """Run one statement in a transaction of its own, in one round trip.

        Begin, statement and commit are sent together with the values in the text, so not for many kilobytes. Raises as
        `transaction` does; CommitLostError wherever the connection is lost, because nobody knows how far it came.
        """
        begin = "; ".join(filter(None, (_begin(merchants, lazy=lazy), _limits(seconds), also)))
        with self._translate_errors():
            connection = self._connections.idle()
            try:
                statement = psycopg.ClientCursor(connection).mogrify(SQL[name], values)
                connection.patience = seconds + SILENCE_SECONDS
                text = f"{connection.pinned(begin)}; {statement}; {COMMIT}"
                result = _result(connection.execute(text.encode(connection.info.encoding)))
                if connection.pgconn.transaction_status != TransactionStatus.IDLE:
                    raise StoreError(f"{name} was not committed")
                self._connections.mark_available()
                return result
            except BaseException as fault:
                if isinstance(fault, NoAnswerError):
                    self._connections.mark_unavailable()
                else:
                    self._connections.mark_available()
                _roll_back(connection)
                if connection.closed and isinstance(fault, psycopg.OperationalError):
                    raise CommitLostError(_message(fault)) from fault
                raise
            finally:
                self._connections.give_back(connection)

    @contextmanager
    def session(self, begin: str, *, also: str = "", seconds: float = STATEMENT_SECONDS_MAX,
                ) -> Iterator[PostgresStatements]:
        """Open a transaction that begins with a text; none of its statements may take longer than `seconds`."""
        with self._translate_errors():
            connection = self._connections.begin("; ".join(filter(None, (begin, _limits(seconds), also))))
            try:
                connection.patience = seconds + SILENCE_SECONDS
                yield PostgresStatements(connection.cursor(binary=True))
                self._commit(connection)
            except BaseException as fault:
                if isinstance(fault, NoAnswerError) or isinstance(fault.__cause__, NoAnswerError):
                    self._connections.mark_unavailable()
                _roll_back(connection)
                raise
            finally:
                self._connections.give_back(connection)

    def notify(self, channel: str, payload: str) -> None:
        """Notify listeners of an ASCII payload: a transaction in one round trip, on disk with the next one."""
        begin = f"BEGIN; SET LOCAL synchronous_commit = off; {_limits(STATEMENT_SECONDS_MAX)}"
        with self._translate_errors():
            quoted = payload.replace("'", "''")
            self._connections.give_back(self._connections.begin(f"{begin}; NOTIFY {channel}, '{quoted}'; COMMIT"))

    @staticmethod
    def _commit(connection: Connection) -> None:
        try:
            connection.execute(COMMIT)
        except (psycopg.OperationalError, psycopg.InterfaceError) as fault:
            raise CommitLostError(_message(fault)) from fault

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except errors.IntegrityError as fault:
            raise ConstraintError(_message(fault)) from fault
        except FULL as fault:
            self.full_at = time.monotonic()
            raise StoreFullError(_message(fault)) from fault
        except (*BUSY, *DENIED) as fault:
            raise StoreBusyError(_message(fault)) from fault

    # -- time ---------------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """Return the microseconds since 1970 on the server's clock. Raises StoreBusyError."""
        if self._clock is not None:
            return microseconds(self._clock())
        if self._offset is None or time.monotonic() - self._clock_read_at > CLOCK_SECONDS:
            self._set_clock()
        assert self._offset is not None
        return int((time.monotonic() + self._offset) * 1e6)

    def ahead(self) -> float:
        """Return the seconds by which this host's clock is ahead of the server's."""
        return time.time() - self.now() / 1e6

    def _set_clock(self) -> None:
        with self._clock_lock:
            if self._offset is None or time.monotonic() - self._clock_read_at > CLOCK_SECONDS / 2:
                self._offset, self._clock_read_at = self._read_offset(), time.monotonic()

    def _read_offset(self) -> float:
        """Return the seconds to add to this host's monotonic clock; wrong by at most half a round trip."""
        with self.session("BEGIN READ ONLY") as db:
            for _ in range(3):
                before = time.monotonic()
                row = db.cursor.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").fetchone()
                after = time.monotonic()
                if after - before < CLOCK_QUERY_SECONDS_MAX:
                    break
        assert row is not None
        return float(row[0]) / 1e6 - (before + after) / 2


def _begin(merchants: Merchants, *, lazy: bool, isolation: str = "READ COMMITTED") -> str:
    merchant = merchants if isinstance(merchants, int) else ''
    begin = (
        f"BEGIN ISOLATION LEVEL {isolation}; SET LOCAL search_path = goodsgate, pg_temp; {PLANS};"
        f"SET LOCAL ROLE {ROLE}; SET LOCAL goodsgate.merchant = '{merchant}';"
        f"SET LOCAL goodsgate.every = '{'on' if merchants is ALL_MERCHANTS else 'off'}'"
    )
    return f"{begin}; SET LOCAL synchronous_commit = off" if lazy else begin


def _result(cursor: Cursor) -> StatementResult:
    """Return the result of the one statement among several; the others return nothing and change no rows."""
    result = StatementResult([], 0)
    while True:
        if cursor.description is not None:
            result = StatementResult(cursor.fetchall(), cursor.rowcount)
        elif cursor.rowcount > 0:
            result = StatementResult([], cursor.rowcount)
        if not cursor.nextset():
            return result


def _limits(seconds: float) -> str:
    return (
        f"SET LOCAL statement_timeout = '{int(seconds * 1000)}ms';"
        f"SET LOCAL lock_timeout = '{int(LOCK_SECONDS_MAX * 1000)}ms';"
        f"SET LOCAL idle_in_transaction_session_timeout = '{int(IDLE_SECONDS_MAX * 1000)}ms'"
    )


def _roll_back(connection: Connection) -> None:
    if not connection.closed and connection.pgconn.transaction_status != TransactionStatus.IDLE:
        connection.patience = SILENCE_SECONDS
        with suppress(psycopg.Error):
            connection.execute("ROLLBACK")


def _message(fault: Exception) -> str:
    """Return the message of the server or the connection, on one line."""
    return " ".join(str(fault).split()) or type(fault).__name__
