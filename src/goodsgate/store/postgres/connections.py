"""Connections of one process to the server: bounded in number and in waiting time.

A server that is down refuses connections at once, and so does this module. One that hangs, or is behind a broken
network, leaves its connections open without an answer: a caller gives up after a time, and until the server answers
again all others are refused at once, so that not all threads wait.
"""

import select
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.adapt import AdaptersMap, Buffer, Loader
from psycopg.pq import Format, TransactionStatus

from goodsgate.store.contract import StoreBusyError, StoreError
from goodsgate.store.postgres.session_settings import read_differences, set_again

CONNECT_SECONDS = 5
"""A server that does not accept a connection for this long is unavailable."""
SILENCE_SECONDS = 5.0
"""A server that is this late with an answer hangs."""
AWAY_SECONDS = 0.5
"""An unavailable server is not asked again for this long."""
SLOW_SECONDS = 1.0
"""A connection that fails after more than this got no answer."""
TRUSTED_SECONDS = 1.0
"""A connection that was used less than this ago is not checked."""
IDLE_SECONDS_MAX = 60.0
"""A connection that is idle for longer is closed."""


class _Bytes(Loader):
    """Loads uuid and json as bytes."""

    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


class _Text(_Bytes):
    """Loads json in text format as bytes."""

    format = Format.TEXT


class _Digits(_Text):
    """Loads uuid in text format as bytes."""

    def load(self, data: Buffer) -> bytes:
        return bytes.fromhex(bytes(data).replace(b"-", b"").decode())


class _Context:
    """The adapters of values."""

    def __init__(self) -> None:
        self.connection = None
        self.adapters = AdaptersMap(psycopg.adapters)
        for name, text in (("uuid", _Digits), ("json", _Text)):
            self.adapters.register_loader(name, _Bytes)
            self.adapters.register_loader(name, text)


_CONTEXT = _Context()


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that waits for an answer only so long; psycopg's own waits for ever."""

    patience: float | None = SILENCE_SECONDS
    """Seconds from a statement to its answer; None waits for ever."""
    differences: Mapping[str, str] = {}
    """Settings of the session that differ from what the store relies on, and their values."""
    _set_again = ""

    def prepare_session(self) -> None:
        """Read the settings of the session, so that transactions set what differs."""
        self.differences = read_differences(self)
        self._set_again = set_again({**self.differences})

    def pinned(self, begin: str) -> str:
        """Return the text that begins a transaction, with the settings that differ behind its first statement."""
        if not self._set_again:
            return begin
        first, semicolon, others = begin.partition(";")
        return f"{first}; {self._set_again}{semicolon}{others}"

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Exchange data with the server. Raises NoAnswerError, and closes the connection, if it takes too long."""
        began = time.monotonic()
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError as fault:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.pgconn.finish()  # a late answer could not be told from the next one
            raise NoAnswerError(f"the server has not answered for {time.monotonic() - began:.0f} s") from fault


class NoAnswerError(psycopg.OperationalError):
    """The server does not answer."""


class Connections:
    """A bounded pool; the connection used last is used next. For any number of threads."""

    def __init__(self, settings: Mapping[str, Any], *, connections_max: int, wait_seconds: float) -> None:
        """Open nothing yet. `settings` are libpq's; callers wait at most `wait_seconds` for a free connection."""
        self._settings = dict(settings)
        self._wait_seconds = wait_seconds
        self._room = threading.Semaphore(connections_max)
        self._lock = threading.Lock()
        self._free: list[tuple[Connection, float]] = []
        self._closed = False
        self._retry_at: float | None = None
        """While the server is unavailable: when it may be asked again."""

    def begin(self, begin: str) -> Connection:
        """Begin a transaction with these statements; return its connection, which has to be given back.

        Dead connections are dropped. Raises psycopg.OperationalError, StoreBusyError.
        """
        with self._counted():
            while (free := self._take()) is not None:
                try:
                    return self._begin(free[0], begin)
                except NoAnswerError:
                    raise
                except psycopg.OperationalError:
                    continue
            return self._begin(self.connect(), begin)

    def idle(self) -> Connection:
        """Return an idle connection for a statement that must not be sent twice; it has to be given back.

        A connection on which the server has sent anything is dropped: mostly it was closed. One that was not used for
        a while is tested first. Raises psycopg.OperationalError, StoreBusyError.
        """
        with self._counted():
            while (free := self._take()) is not None:
                connection, used = free
                if _has_input(connection):
                    connection.close()
                    continue
                if time.monotonic() - used < TRUSTED_SECONDS:
                    return connection
                try:
                    return self._begin(connection, "SELECT 1")
                except NoAnswerError:
                    raise
                except psycopg.OperationalError:
                    continue
            return self.connect()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count one more connection in use, unless an error is raised.

        Raises StoreBusyError if none is free, or the server is unavailable.
        """
        if not self._room.acquire(timeout=self._wait_seconds):
            raise StoreBusyError(f"no free connection for {self._wait_seconds:.0f} s")
        try:
            self._check_available()
            yield
        except BaseException:
            self._room.release()
            raise

    def give_back(self, connection: Connection) -> None:
        """Take a connection back; close it if it is unusable, and others that are idle for too long."""
        idle: list[Connection] = []
        moment = time.monotonic()
        if connection.closed or self._closed or connection.pgconn.transaction_status != TransactionStatus.IDLE:
            connection.close()
        else:
            with self._lock:
                self._free.append((connection, moment))
                while moment - self._free[0][1] > IDLE_SECONDS_MAX:
                    idle.append(self._free.pop(0)[0])
        self._room.release()
        for unused in idle:
            unused.close()

    def connect(self) -> Connection:
        """Open a connection that is not counted, in autocommit mode. Raises psycopg.OperationalError."""
        began = time.monotonic()
        try:
            connection = Connection.connect(
                "", autocommit=True, prepare_threshold=None, context=_CONTEXT, **self._settings
            )
            try:
                connection.prepare_session()
            except BaseException:
                connection.close()
                raise
            return connection
        except psycopg.OperationalError:
            if time.monotonic() - began > SLOW_SECONDS:
                self.mark_unavailable()
            else:
                self.mark_available()
            raise

    def mark_available(self) -> None:
        """Note that the server has answered, or refused at once, so that asking again costs no time."""
        self._retry_at = None

    def mark_unavailable(self) -> None:
        """Note that the server does not answer, and drop idle connections, which might never answer again."""
        with self._lock:
            self._retry_at = time.monotonic() + AWAY_SECONDS
        self._drop_free()

    def close(self) -> None:
        """Close the pool for good; connections in use are closed when they are given back."""
        self._closed = True
        self._drop_free()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _begin(self, connection: Connection, begin: str) -> Connection:
        try:
            connection.patience = SILENCE_SECONDS
            connection.execute(connection.pinned(begin).encode())
        except BaseException as fault:
            connection.close()
            if isinstance(fault, NoAnswerError):
                self.mark_unavailable()
            raise
        self.mark_available()
        return connection

    def _check_available(self) -> None:
        """Raise if the server is unavailable, unless it is time for one caller to try again."""
        if self._closed:
            raise StoreError("the store is closed")
        with self._lock:
            if self._retry_at is None:
                return
            moment = time.monotonic()
            if moment < self._retry_at:
                raise StoreBusyError("the server does not answer")
            self._retry_at = moment + CONNECT_SECONDS + SILENCE_SECONDS

    def _take(self) -> tuple[Connection, float] | None:
        """Take a free connection, with the time of its last use."""
        with self._lock:
            return self._free.pop() if self._free else None

    def _drop_free(self) -> None:
        while (free := self._take()) is not None:
            free[0].close()


def _has_input(connection: Connection) -> bool:
    """Return whether the server has sent something unasked, or closed the connection."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
