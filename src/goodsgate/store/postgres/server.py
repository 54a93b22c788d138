"""The way to the server: bounded connections, transactions of one merchant, the server's clock and faults.

Nothing is kept in a session: what a transaction needs is set for that transaction alone, and no statement is prepared.
So any pool may stand between, PgBouncer in transaction mode too.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

import psycopg
from psycopg import errors
from psycopg.adapt import Buffer, Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Format, TransactionStatus
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from goodsgate.store.contract import StoreBusy, StoreError, StoreFull
from goodsgate.store.moments import microseconds
from goodsgate.store.postgres.ask import Cursor

SCHEMA = "goodsgate"
ROLE = "goodsgate_app"
"""Every transaction takes this role: row-level security holds for it, even where the login is a superuser."""

PLANNERS = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit")
PLANS = "; ".join(f"SET LOCAL {name} = off" for name in PLANNERS)
"""Every statement on the way of a record looks rows up by an index. Without statistics, as after a first load, the
planner may think otherwise, and then reads whole tables for each key: minutes for what takes a moment."""

CONNECT_SECONDS = 5
"""A server that does not answer for this long is away."""
POOL_SECONDS = 10.0
"""A free connection is waited for this long."""
ANSWER_MILLISECONDS = 10_000
"""Data that the server's host does not acknowledge for this long: the connection is lost."""
CLOCK_SECONDS = 30.0
"""The server's clock is asked for anew after this long."""
IDLE_SECONDS_MAX = 60.0
STATEMENT_SECONDS_MAX = 120.0
"""What a cut-off client leaves behind in the server ends after these."""

BUSY = (
    psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, errors.DeadlockDetected, errors.SerializationFailure,
    errors.ReadOnlySqlTransaction,
)
FULL = (errors.DiskFull, errors.OutOfMemory)


class CommitLost(StoreBusy):
    """The connection was lost while the transaction was committed: it took effect, or it did not."""


class _Bytes(Loader):
    """uuid and json as the bytes they travel in."""

    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


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
        self._pool = ConnectionPool(
            kwargs={**self._settings, "autocommit": True, "prepare_threshold": None},
            min_size=1, max_size=connections_max, open=False, timeout=POOL_SECONDS, max_idle=60.0,
            reconnect_timeout=1.0, configure=_configure, name="goodsgate",
        )
        self._tries = connections_max + 1
        self._pool_lock = threading.Lock()
        self._opened = False

    def close(self) -> None:
        """Let go of all connections; for good."""
        with self._pool_lock:
            self._opened = True
            self._pool.close()

    def connect(self) -> psycopg.Connection:
        """A connection of its own, in autocommit; raises StoreBusy."""
        with self._translated():
            settings: dict[str, object] = dict(self._settings)
            connection = psycopg.Connection[tuple[object, ...]].connect(
                "", autocommit=True, prepare_threshold=None, **settings,  # type: ignore[arg-type]
            )
        _configure(connection)
        return connection

    # -- transactions -------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self, merchant: int | None = None, *, every: bool = False, lazy: bool = False,
                    also: str = "") -> Iterator[Cursor]:
        """One transaction that sees the rows of this merchant, or with `every` those of the dispatching tables whole.

        Committed and on disk at the end, or with `lazy` on disk with the next one that is not; rolled back if
        anything is raised. `also` are statements that it begins with. Raises StoreBusy, StoreFull, CommitLost.
        """
        begin = (
            f"BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL search_path = goodsgate, pg_temp; {PLANS};"
            f"SET LOCAL ROLE {ROLE}; SET LOCAL goodsgate.merchant = '{'' if merchant is None else int(merchant)}';"
            f"SET LOCAL goodsgate.every = '{'on' if every else 'off'}'"
        )
        if lazy:
            begin += "; SET LOCAL synchronous_commit = off"
        with self.session(f"{begin}; {also}" if also else begin) as cursor:
            yield cursor

    @contextmanager
    def session(self, begin: str) -> Iterator[Cursor]:
        """A transaction that begins so."""
        with self._translated():
            connection = self._begun(begin)
            try:
                yield connection.cursor(binary=True)
                self._commit(connection)
            except BaseException:
                if not connection.closed and connection.info.transaction_status != TransactionStatus.IDLE:
                    with suppress(psycopg.Error):
                        connection.execute("ROLLBACK")
                raise
            finally:
                self._pool.putconn(connection)

    def _begun(self, begin: str) -> psycopg.Connection:
        """A connection on which the transaction has begun; those that died in the pool are thrown away."""
        with self._pool_lock:
            if not self._opened:
                self._opened = True
                self._pool.open()
        for left in range(self._tries, 0, -1):
            connection = self._pool.getconn()
            try:
                connection.execute(begin)
            except BaseException as fault:
                self._pool.putconn(connection)  # which closes it if it is broken, or rolls it back
                if not isinstance(fault, psycopg.OperationalError) or left == 1:
                    raise
            else:
                return connection
        raise AssertionError("not reached")

    @staticmethod
    def _commit(connection: psycopg.Connection) -> None:
        try:
            connection.execute("COMMIT")
        except (psycopg.OperationalError, psycopg.InterfaceError) as fault:
            raise CommitLost(_worded(fault)) from fault

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except FULL as fault:
            raise StoreFull(_worded(fault)) from fault
        except PoolClosed as fault:
            raise StoreError("the store is closed") from fault
        except BUSY as fault:
            raise StoreBusy(_worded(fault)) from fault

    # -- time ---------------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """Microseconds since 1970 on the server's clock, whatever this host's shows. Raises StoreBusy."""
        if self._clock is not None:
            return microseconds(self._clock())
        with self._clock_lock:
            if self._offset is None or time.monotonic() - self._asked > CLOCK_SECONDS:
                self._offset, self._asked = self._ask_offset(), time.monotonic()
            return int((time.monotonic() + self._offset) * 1e6)

    def ahead(self) -> float:
        """Seconds by which this host's clock is ahead of the server's."""
        return time.time() - self.now() / 1e6

    def _ask_offset(self) -> float:
        """Seconds to be added to this host's monotonic clock; wrong by half the way there and back at most."""
        with self.session("BEGIN READ ONLY") as db:
            before = time.monotonic()
            row = db.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").fetchone()
            after = time.monotonic()
        assert row is not None
        return float(row[0]) / 1e6 - (before + after) / 2


def _configure(connection: psycopg.Connection) -> None:
    for name in ("uuid", "json"):
        connection.adapters.register_loader(name, _Bytes)


def _worded(fault: Exception) -> str:
    """What the server or the way there says, on one line."""
    return " ".join(str(fault).split()) or type(fault).__name__
