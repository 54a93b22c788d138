"""Connections of one process to the server: bounded in number, and in how long they wait for it.

A server that is gone refuses at once, and so do we. One that stands still, or lies behind a cable that was cut, leaves
its connections open and says nothing: who waits for it gives up after a time, and until somebody has heard from it
again all others are refused at once, so that the threads at the door do not all stand and wait.
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

CONNECT_SECONDS = 5
"""A server that does not let us in for this long is away."""
SILENCE_SECONDS = 5.0
"""One that is this late with an answer stands still."""
AWAY_SECONDS = 0.5
"""So long after it was found away nobody asks it."""
SLOW_SECONDS = 1.0
"""A connection that fails after more than this failed for want of an answer."""
TRUSTED_SECONDS = 1.0
"""A connection that was used less than this ago is taken to be one still."""
IDLE_SECONDS_MAX = 60.0
"""A connection that nobody needs for this long is closed."""


class _Bytes(Loader):
    """uuid and json as the bytes they travel in."""

    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


class _Text(_Bytes):
    """json, where it travels as text."""

    format = Format.TEXT


class _Digits(_Text):
    """uuid, where it travels as text."""

    def load(self, data: Buffer) -> bytes:
        return bytes.fromhex(bytes(data).replace(b"-", b"").decode())


class _Context:
    """How values travel."""

    def __init__(self) -> None:
        self.connection = None
        self.adapters = AdaptersMap(psycopg.adapters)
        for name, text in (("uuid", _Digits), ("json", _Text)):
            self.adapters.register_loader(name, _Bytes)
            self.adapters.register_loader(name, text)


_CONTEXT = _Context()


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """One that waits no longer for an answer than it has patience; psycopg's own waits for ever."""

    patience: float | None = SILENCE_SECONDS
    """Seconds from a statement to its answer; None waits for ever."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Drive an exchange with the server. Raises Silent, and the connection is closed, if it takes too long."""
        began = time.monotonic()
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError as fault:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.pgconn.finish()  # what is under way in it cannot be told from what would come next
            raise Silent(f"the server has not answered for {time.monotonic() - began:.0f} s") from fault


class Silent(psycopg.OperationalError):
    """The server was asked and does not answer."""


class Connections:
    """At most so many; the one used last is used next. For any number of threads."""

    def __init__(self, settings: Mapping[str, Any], *, connections_max: int, wait_seconds: float) -> None:
        """`settings` as libpq has them; a free connection is waited for `wait_seconds`."""
        self._settings = dict(settings)
        self._wait_seconds = wait_seconds
        self._room = threading.Semaphore(connections_max)
        self._lock = threading.Lock()
        self._free: list[tuple[Connection, float]] = []
        self._closed = False
        self._ask_at: float | None = None
        """While the server is away: when it may be asked again."""

    def begun(self, begin: str) -> Connection:
        """A connection on which a transaction has begun by these statements; it is to be given back.

        Those that have died meanwhile are thrown away. Raises psycopg.OperationalError, StoreBusyError.
        """
        with self._roomy():
            while (free := self._take()) is not None:
                try:
                    return self._begin(free[0], begin)
                except Silent:
                    raise
                except psycopg.OperationalError:
                    continue
            return self._begin(self.connect(), begin)

    def idle(self) -> Connection:
        """A connection on which nothing is under way, for what may not be said twice; it is to be given back.

        One that the server has said anything on since is thrown away: mostly that was good-bye. One that was not used
        for a while is tried first, with less patience than a statement may need. Raises psycopg.OperationalError,
        StoreBusyError.
        """
        with self._roomy():
            while (free := self._take()) is not None:
                connection, used = free
                if _is_heard(connection):
                    connection.close()
                    continue
                if time.monotonic() - used < TRUSTED_SECONDS:
                    return connection
                try:
                    return self._begin(connection, "SELECT 1")
                except Silent:
                    raise
                except psycopg.OperationalError:
                    continue
            return self.connect()

    @contextmanager
    def _roomy(self) -> Iterator[None]:
        """One more is in use, unless something goes wrong. Raises StoreBusyError: there is no room, or nobody to talk
        to."""
        if not self._room.acquire(timeout=self._wait_seconds):
            raise StoreBusyError(f"no free connection for {self._wait_seconds:.0f} s")
        try:
            self._ask()
            yield
        except BaseException:
            self._room.release()
            raise

    def give_back(self, connection: Connection) -> None:
        """Take it back; closed if it is of no more use, or too many are free."""
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
        """One that is not counted, in autocommit. Raises psycopg.OperationalError."""
        began = time.monotonic()
        try:
            return Connection.connect("", autocommit=True, prepare_threshold=None, context=_CONTEXT, **self._settings)
        except psycopg.OperationalError:
            if time.monotonic() - began > SLOW_SECONDS:
                self.silent()
            else:
                self.heard()
            raise

    def heard(self) -> None:
        """The server is there: it has answered, or refused at once, so that whoever asks next loses no time by it."""
        self._ask_at = None

    def silent(self) -> None:
        """The server is away. Connections from before are of no more use: where the way there has changed, they would
        be silent for ever."""
        with self._lock:
            self._ask_at = time.monotonic() + AWAY_SECONDS
        self._drop_free()

    def close(self) -> None:
        """For good; those in use are closed when they are given back."""
        self._closed = True
        self._drop_free()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _begin(self, connection: Connection, begin: str) -> Connection:
        try:
            connection.patience = SILENCE_SECONDS
            connection.execute(begin.encode())
        except BaseException as fault:
            connection.close()
            if isinstance(fault, Silent):
                self.silent()
            raise
        self.heard()
        return connection

    def _ask(self) -> None:
        """Raise if the server was away just now, or somebody is asking it; who is not refused asks it himself."""
        if self._closed:
            raise StoreError("the store is closed")
        with self._lock:
            if self._ask_at is None:
                return
            moment = time.monotonic()
            if moment < self._ask_at:
                raise StoreBusyError("the server does not answer")
            self._ask_at = moment + CONNECT_SECONDS + SILENCE_SECONDS

    def _take(self) -> tuple[Connection, float] | None:
        """And when it was used last."""
        with self._lock:
            return self._free.pop() if self._free else None

    def _drop_free(self) -> None:
        while (free := self._take()) is not None:
            free[0].close()


def _is_heard(connection: Connection) -> bool:
    """Whether the server has said something unasked, or is gone."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
