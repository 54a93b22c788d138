"""Hears of changes that other processes commit, and tells them of ours: notifications as a hint, looking as the truth.

One thread listens. Where a pool stands between (PgBouncer in transaction mode) nobody can listen; then it only looks.
Another thread tells: a notification takes a lock that every commit with one queues for, so it is sent on its own, after
the commit, once for all that happened meanwhile.
"""

import contextlib
import logging
import platform
import threading
import time

import psycopg

from goodsgate.store.contract import StoreError
from goodsgate.store.postgres.ask import do
from goodsgate.store.postgres.server import Server

CHANNEL = "goodsgate"
LOOK_SECONDS = 0.02
"""How often the server is asked for what has changed, where it cannot be listened to."""
LISTENING_LOOK_SECONDS = 0.1
"""The same where it can: a hint may be lost with the process that owed it."""
WAIT_SECONDS = 0.2
"""How long a worker waits for a hint before it looks for work itself."""
ASKED_SECONDS = 2.0
"""Nobody has asked for this long: there is no need to look."""
FRESH_SECONDS = 0.3
"""What was seen longer ago than this is not known to be true any more."""
PAUSE_SECONDS = 0.5
"""After the connection was lost."""
HOST_SECONDS = 15.0
"""How often the host is written down."""

log = logging.getLogger("goodsgate.store")


class Watch:
    """What this process knows of changes; threads start when somebody first wants to know."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()
        self._owed = threading.Event()
        self._hint = threading.Event()
        self._listening = False
        self._heard = 0
        self._mine = 0
        self._seen = b""
        self._seen_at = 0.0
        self._asked_at = 0.0

    def change_token(self) -> object:
        """Another value after every change; one that is like no other while nothing is known."""
        self._start()
        moment = time.monotonic()
        self._asked_at = moment
        return (self._heard, self._mine) if moment - self._seen_at < FRESH_SECONDS else object()

    def wait(self, seconds: float, *, left: float | None = None) -> None:
        """Until somebody hints, at most so long, or WAIT_SECONDS where there are hints; of what happens when nothing
        is `left`, there are none."""
        self._start()
        longest = WAIT_SECONDS if left is None else min(WAIT_SECONDS, left)
        if self._hint.wait(max(seconds, longest) if self._listening else seconds):
            self._hint.clear()

    def tell(self) -> None:
        """This process has committed something that others want to know of."""
        self._mine += 1
        self._hint.set()
        self._start()
        self._owed.set()

    def close(self) -> None:
        """End the threads."""
        self._stop.set()
        self._owed.set()
        self._hint.set()
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        if self._threads:
            return
        with self._lock:
            if self._threads or self._stop.is_set():
                return
            self._threads = [
                threading.Thread(target=run, name=f"store-{run.__name__.strip('_')}", daemon=True)
                for run in (self._listen, self._send)
            ]
            for thread in self._threads:
                thread.start()

    # -- telling ------------------------------------------------------------------------------------------------------

    def _send(self) -> None:
        while not self._stop.is_set():
            self._owed.wait()
            self._owed.clear()
            if self._stop.is_set():
                return
            with contextlib.suppress(StoreError):
                self._server.tell(CHANNEL)

    # -- listening ----------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                with contextlib.closing(self._server.connect()) as connection:
                    self._listening = _can_listen(connection)
                    self._hear(connection)
            except (StoreError, psycopg.Error) as fault:
                log.debug("not listening", extra={"fault": repr(fault)})
            self._listening = False
            self._stop.wait(PAUSE_SECONDS)

    def _hear(self, connection: psycopg.Connection) -> None:
        written = 0.0
        while not self._stop.is_set():
            if time.monotonic() - written > HOST_SECONDS:
                self._write_host()
                written = time.monotonic()
            asked = time.monotonic() - self._asked_at < ASKED_SECONDS
            if asked:
                self._look(connection)
            if not self._listening:
                self._stop.wait(LOOK_SECONDS if asked else PAUSE_SECONDS / 10)
                continue
            heard = list(connection.notifies(timeout=LISTENING_LOOK_SECONDS, stop_after=1))
            if heard:
                self._heard += 1
                self._hint.set()

    def _write_host(self) -> None:
        told = {"name": platform.node() or "?", "now": self._server.now(), "ahead": int(self._server.ahead() * 1e6)}
        with self._server.transaction(lazy=True) as db:
            do(db, "put_host", told)

    def _look(self, connection: psycopg.Connection) -> None:
        """The snapshot is another one after every commit, and two transactions with the same one see the same."""
        row = connection.execute("SELECT pg_current_snapshot()::text", binary=True).fetchone()
        snapshot = bytes(str(row[0]), "ascii") if row is not None else b""
        if snapshot != self._seen:
            self._seen = snapshot
            self._heard += 1
        self._seen_at = time.monotonic()


def _can_listen(connection: psycopg.Connection) -> bool:
    """Listen, unless the connection ends at a pool: then the process behind it is not the one that was met."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    if row is None or row[0] != connection.info.backend_pid:
        return False
    connection.execute(f"LISTEN {CHANNEL}")
    return True
