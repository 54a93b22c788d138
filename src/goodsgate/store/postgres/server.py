"""The way to the server: bounded connections, transactions of one merchant, the server's clock and faults.

Nothing is kept in a session: what a transaction needs is set for that transaction alone, and no statement is prepared.
So any pool may stand between, PgBouncer in transaction mode too.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from goodsgate.store.contract import StoreBusyError, StoreError, StoreFullError
from goodsgate.store.moments import microseconds
from goodsgate.store.postgres.ask import SQL, Cursor, Values
from goodsgate.store.postgres.connections import CONNECT_SECONDS, SILENCE_SECONDS, Connection, Connections, Silent

SCHEMA = "goodsgate"
ROLE = "goodsgate_app"
"""Every transaction takes this role: row-level security holds for it, even where the login is a superuser."""

PLANNERS = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit")
PLANS = "; ".join(f"SET LOCAL {name} = off" for name in PLANNERS)
"""Every statement on the way of a record looks rows up by an index. Without statistics, as after a first load, the
planner may think otherwise, and then reads whole tables for each key: minutes for what takes a moment."""

POOL_SECONDS = 10.0
"""A free connection is waited for this long."""
ANSWER_MILLISECONDS = 10_000
"""Data that the server's host does not acknowledge for this long: the connection is lost."""
CLOCK_SECONDS = 30.0
"""The server's clock is asked for anew after this long."""
CLOCK_ASKED_SECONDS_MAX = 0.1
"""An answer about the clock that took longer says too little."""
STATEMENT_SECONDS_MAX = 20.0
"""A statement that takes longer ends: somebody waits for it at the door."""
WORK_SECONDS_MAX = 120.0
"""The same for those of a worker that concern thousands of records."""
IDLE_SECONDS_MAX = 15.0
"""A transaction whose client says nothing for this long ends: one that was cut off in the middle must not stand in the
way of others, and his lanes have to be taken over."""

COMMIT = "SET LOCAL statement_timeout = 0; COMMIT"
"""Without a limit in the server: what waits for a second server to have it too would be told that it has."""

BUSY = (
    psycopg.OperationalError, psycopg.InterfaceError, errors.DeadlockDetected, errors.SerializationFailure,
    errors.ReadOnlySqlTransaction, errors.IdleInTransactionSessionTimeout,
)
FULL = (errors.DiskFull, errors.OutOfMemory)


class CommitLost(StoreBusyError):
    """The connection was lost while the transaction was committed: it took effect, or it did not."""


class Told(NamedTuple):
    """The answer to one statement."""

    rows: list[tuple[Any, ...]]
    changed: int
    """Rows that were written, of a statement that gives none."""


class Server:
    """One PostgreSQL database, for any number of threads of this process."""

    def __init__(self, address: str, *, connections_max: int, now: Callable[[], datetime] | None = None) -> None:
        """`address` as libpq takes it; `now` stands in for the server's clock. Raises StoreError if it is none."""
        try:
            given = conninfo_to_dict(address)
        except psycopg.ProgrammingError as fault:
            raise StoreError("not an address of a PostgreSQL server") from fault
        self.shown = f"postgresql://{given.get('user') or ''}@{given.get('host') or ''}:{given.get('port') or 5432}/" \
                     f"{given.get('dbname') or ''}"
        """The address without its password."""
        self._settings = {
            "connect_timeout": CONNECT_SECONDS, "keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 2,
            "tcp_user_timeout": ANSWER_MILLISECONDS, "application_name": "goodsgate",
            **{name: text for name, text in given.items() if text is not None},
        }
        self._clock = now
        self._clock_lock = threading.Lock()
        self._offset: float | None = None
        self._asked = 0.0
        self._connections = Connections(
            self._settings, connections_max=connections_max, wait_seconds=POOL_SECONDS
        )

    def close(self) -> None:
        """Let go of all connections; for good."""
        self._connections.close()

    def connect(self) -> Connection:
        """A connection of its own, in autocommit; raises StoreBusyError."""
        with self._translated():
            return self._connections.connect()

    # -- transactions -------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self, merchant: int | None = None, *, every: bool = False, lazy: bool = False,
                    also: str = "", seconds: float = STATEMENT_SECONDS_MAX) -> Iterator[Cursor]:
        """One transaction that sees the rows of this merchant, or with `every` those of the dispatching tables whole.

        Committed and on disk at the end, or with `lazy` on disk with the next one that is not; rolled back if
        anything is raised. `also` are statements that it begins with; none may take longer than `seconds`. Raises
        StoreBusyError, StoreFullError, CommitLost.
        """
        if self._clock is None and time.monotonic() - self._asked > CLOCK_SECONDS / 2:
            self._set_clock()  # so that nobody has to ask, and for that needs a second connection, who holds one
        with self.session(_begin(merchant, every=every, lazy=lazy), also=also, seconds=seconds) as cursor:
            yield cursor

    def at_once(self, name: str, given: Values | None = None, *, merchant: int | None = None, every: bool = False,
                lazy: bool = False, also: str = "", seconds: float = STATEMENT_SECONDS_MAX) -> Told:
        """A transaction like `transaction`, of one statement, on one way to the server and back.

        Begin, statement and commit go together, values written out among them, so not for those of many kilobytes.
        Raises as `transaction` does; CommitLost wherever the connection is lost, for nobody knows how far it came.
        """
        begin = "; ".join(filter(None, (_begin(merchant, every=every, lazy=lazy), _limits(seconds), also)))
        with self._translated():
            connection = self._connections.idle()
            try:
                asked = psycopg.ClientCursor(connection).mogrify(SQL[name], given)
                connection.patience = seconds + SILENCE_SECONDS
                told = _told(connection.execute(f"{begin}; {asked}; {COMMIT}".encode(connection.info.encoding)))
                if connection.pgconn.transaction_status != TransactionStatus.IDLE:
                    raise StoreError(f"{name} was not committed")
                self._connections.heard()
                return told
            except BaseException as fault:
                if isinstance(fault, Silent):
                    self._connections.silent()
                else:
                    self._connections.heard()
                _roll_back(connection)
                if connection.closed and isinstance(fault, psycopg.OperationalError):
                    raise CommitLost(_worded(fault)) from fault
                raise
            finally:
                self._connections.give_back(connection)

    @contextmanager
    def session(self, begin: str, *, also: str = "", seconds: float = STATEMENT_SECONDS_MAX) -> Iterator[Cursor]:
        """A transaction that begins so; none of its statements may take longer than `seconds`."""
        with self._translated():
            connection = self._connections.begun("; ".join(filter(None, (begin, _limits(seconds), also))))
            try:
                connection.patience = seconds + SILENCE_SECONDS
                yield connection.cursor(binary=True)
                self._commit(connection)
            except BaseException as fault:
                if isinstance(fault, Silent) or isinstance(fault.__cause__, Silent):
                    self._connections.silent()
                _roll_back(connection)
                raise
            finally:
                self._connections.give_back(connection)

    def tell(self, channel: str) -> None:
        """Notify whoever listens: a transaction on one way to the server and back, on disk with the next one."""
        begin = f"BEGIN; SET LOCAL synchronous_commit = off; {_limits(STATEMENT_SECONDS_MAX)}"
        with self._translated():
            self._connections.give_back(self._connections.begun(f"{begin}; NOTIFY {channel}; COMMIT"))

    @staticmethod
    def _commit(connection: Connection) -> None:
        try:
            connection.execute(COMMIT)
        except (psycopg.OperationalError, psycopg.InterfaceError) as fault:
            raise CommitLost(_worded(fault)) from fault

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except FULL as fault:
            raise StoreFullError(_worded(fault)) from fault
        except BUSY as fault:
            raise StoreBusyError(_worded(fault)) from fault

    # -- time ---------------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """Microseconds since 1970 on the server's clock, whatever this host's shows. Raises StoreBusyError."""
        if self._clock is not None:
            return microseconds(self._clock())
        if self._offset is None or time.monotonic() - self._asked > CLOCK_SECONDS:
            self._set_clock()
        assert self._offset is not None
        return int((time.monotonic() + self._offset) * 1e6)

    def ahead(self) -> float:
        """Seconds by which this host's clock is ahead of the server's."""
        return time.time() - self.now() / 1e6

    def _set_clock(self) -> None:
        with self._clock_lock:
            if self._offset is None or time.monotonic() - self._asked > CLOCK_SECONDS / 2:
                self._offset, self._asked = self._ask_offset(), time.monotonic()

    def _ask_offset(self) -> float:
        """Seconds to be added to this host's monotonic clock; wrong by half the way there and back at most."""
        with self.session("BEGIN READ ONLY") as db:
            for _ in range(3):
                before = time.monotonic()
                row = db.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").fetchone()
                after = time.monotonic()
                if after - before < CLOCK_ASKED_SECONDS_MAX:
                    break
        assert row is not None
        return float(row[0]) / 1e6 - (before + after) / 2


def _begin(merchant: int | None, *, every: bool, lazy: bool) -> str:
    begin = (
        f"BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL search_path = goodsgate, pg_temp; {PLANS};"
        f"SET LOCAL ROLE {ROLE}; SET LOCAL goodsgate.merchant = '{'' if merchant is None else int(merchant)}';"
        f"SET LOCAL goodsgate.every = '{'on' if every else 'off'}'"
    )
    return f"{begin}; SET LOCAL synchronous_commit = off" if lazy else begin


def _told(cursor: Cursor) -> Told:
    """What the one statement among several gave; the others give nothing and change no rows."""
    told = Told([], 0)
    while True:
        if cursor.description is not None:
            told = Told(cursor.fetchall(), cursor.rowcount)
        elif cursor.rowcount > 0:
            told = Told([], cursor.rowcount)
        if not cursor.nextset():
            return told


def _limits(seconds: float) -> str:
    return (
        f"SET LOCAL statement_timeout = '{int(seconds * 1000)}ms';"
        f"SET LOCAL idle_in_transaction_session_timeout = '{int(IDLE_SECONDS_MAX * 1000)}ms'"
    )


def _roll_back(connection: Connection) -> None:
    if not connection.closed and connection.pgconn.transaction_status != TransactionStatus.IDLE:
        connection.patience = SILENCE_SECONDS
        with suppress(psycopg.Error):
            connection.execute("ROLLBACK")


def _worded(fault: Exception) -> str:
    """What the server or the way there says, on one line."""
    return " ".join(str(fault).split()) or type(fault).__name__
