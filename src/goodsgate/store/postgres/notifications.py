"""Notifications between processes about commits: notifications are a hint, polling is the truth.

One thread listens. Behind a pool (PgBouncer in transaction mode) nobody can listen; then it only polls. Another thread
sends: a notification takes a lock that every commit with one queues for, so it is sent separately, after the commit,
once for all that happened meanwhile. A notification says what has changed, so that only those wake up who wait for it.
"""

import contextlib
import logging
import platform
import select
import socket
import threading
import time
from collections.abc import Iterable

import msgspec
import psycopg

from goodsgate.model.background import BackgroundThread
from goodsgate.store.contract import ChangeListener, Changes, StoreError
from goodsgate.store.postgres.server import Server

CHANNEL = "goodsgate"
POLL_SECONDS = 0.02
"""How often the server is polled for changes, if it cannot be listened to."""
LISTENING_POLL_SECONDS = 0.1
"""The same if it can: a notification may be lost with the process that owed it."""
WAIT_SECONDS = 0.2
"""How long a worker waits for a notification before it looks for work itself."""
ASKED_SECONDS = 2.0
"""Without a question for this long there is no need to poll."""
FRESH_SECONDS = 0.3
"""A poll longer ago than this is out of date."""
PAUSE_SECONDS = 0.5
"""Pause after the connection was lost."""
HOST_SECONDS = 15.0
"""How often the host is recorded."""
PAYLOAD_BYTES_MAX = 7_900
"""Size of a notification; the server accepts 8,000. One that is larger is sent empty: anything may have changed."""

encode = msgspec.json.Encoder(order="sorted").encode
decode = msgspec.json.Decoder(Changes).decode
log = logging.getLogger("goodsgate.store")


class Notifications:
    """Changes that this process knows of; its threads start when they are first needed."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._threads: list[BackgroundThread] = []
        self._stop = threading.Event()
        self._owed = threading.Event()
        self._pending: tuple[set[str], set[str], set[str]] = (set(), set(), set())
        """Merchants, batches and journals of the next notification."""
        self._listeners: list[ChangeListener] = []
        self._notified = threading.Event()
        self._listening = False
        self._changes = 0
        self._own_changes = 0
        self._snapshot = b""
        self._polled_at = 0.0
        self._last_question_at = 0.0

    def change_token(self) -> object:
        """Return a value that changes with every change; a unique one while nothing is known."""
        self._start()
        moment = time.monotonic()
        self._last_question_at = moment
        return (self._changes, self._own_changes) if moment - self._polled_at < FRESH_SECONDS else object()

    def wait(self, seconds: float, *, left: float | None = None) -> None:
        """Wait for a notification, at most `seconds`, or WAIT_SECONDS if there are notifications.

        Nobody notifies of what happens in `left` seconds.
        """
        self._start()
        longest = WAIT_SECONDS if left is None else min(WAIT_SECONDS, left)
        if self._notified.wait(max(seconds, longest) if self._listening else seconds):
            self._notified.clear()

    def listen(self, listener: ChangeListener) -> None:
        """Call `listener` for each notification, in the thread that listens."""
        self._listeners.append(listener)

    def is_listening(self) -> bool:
        """Return whether notifications arrive."""
        self._start()
        return self._listening

    def notify(self, merchant: str, *, batches: Iterable[str] = (), journal: bool = False) -> None:
        """Tell other processes that this one has changed batches of a merchant, and its journal."""
        self.note(merchant, batches=batches, journal=journal)
        self._own_changes += 1
        self._notified.set()
        self._start()
        self._owed.set()

    def note(self, merchant: str, *, batches: Iterable[str] = (), journal: bool = False) -> None:
        """Say so in the next notification, which is expected soon."""
        with self._lock:
            merchants, changed, journals = self._pending
            merchants.add(merchant)
            changed.update(batches)
            if journal:
                journals.add(merchant)

    def close(self) -> None:
        """Stop the threads."""
        self._stop.set()
        self._owed.set()
        self._notified.set()
        with self._lock:
            threads = self._threads
        if threads:
            self._stop_sender.close()
            for thread in threads:
                thread.join()
            self._stop_receiver.close()

    def _start(self) -> None:
        if self._threads:
            return
        with self._lock:
            if self._threads or self._stop.is_set():
                return
            # When the one is closed, the thread that waits for the other and for the server wakes up.
            self._stop_receiver, self._stop_sender = socket.socketpair()
            self._threads = [
                BackgroundThread("store-listen", self._listen, self._stop),
                BackgroundThread("store-send", self._send, self._stop),
            ]
            for thread in self._threads:
                thread.start()

    # -- sending ------------------------------------------------------------------------------------------------------

    def _send(self) -> None:
        while not self._stop.is_set():
            self._owed.wait()
            self._owed.clear()
            if self._stop.is_set():
                return
            with self._lock:
                pending, self._pending = self._pending, (set(), set(), set())
            with contextlib.suppress(StoreError):
                self._server.notify(CHANNEL, _payload(*map(frozenset, pending)))

    # -- listening ----------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                with contextlib.closing(self._server.connect()) as connection:
                    self._listening = _can_listen(connection)
                    self._tell(None)
                    self._receive(connection)
            except (StoreError, psycopg.Error) as fault:
                log.debug("not listening", extra={"fault": repr(fault)})
            self._listening = False
            self._tell(None)
            self._stop.wait(PAUSE_SECONDS)

    def _receive(self, connection: psycopg.Connection) -> None:
        written = 0.0
        poller = select.poll()
        for waited in (connection, self._stop_receiver):
            poller.register(waited.fileno(), select.POLLIN)
        while not self._stop.is_set():
            if time.monotonic() - written > HOST_SECONDS:
                self._record_host()
                written = time.monotonic()
            asked = time.monotonic() - self._last_question_at < ASKED_SECONDS
            if asked:
                self._poll(connection)
            if not self._listening:
                self._stop.wait(POLL_SECONDS if asked else PAUSE_SECONDS / 10)
                continue
            heard = list(connection.notifies(timeout=0))
            if not heard and poller.poll(LISTENING_POLL_SECONDS * 1000):
                heard = list(connection.notifies(timeout=0))
            if heard:
                self._changes += 1
                self._notified.set()
                for notification in heard:
                    self._tell(_changes(notification.payload))

    def _tell(self, changes: Changes | None) -> None:
        for listener in self._listeners:
            listener(changes)

    def _record_host(self) -> None:
        host = {"name": platform.node() or "?", "now": self._server.now(), "ahead": int(self._server.ahead() * 1e6)}
        with self._server.transaction(lazy=True) as db:
            db.change("put_host", host)

    def _poll(self, connection: psycopg.Connection) -> None:
        """Compare snapshots: they differ after every commit, and two transactions with the same one see the same."""
        row = connection.execute("SELECT pg_current_snapshot()::text", binary=True).fetchone()
        snapshot = bytes(str(row[0]), "ascii") if row is not None else b""
        if snapshot != self._snapshot:
            self._snapshot = snapshot
            self._changes += 1
        self._polled_at = time.monotonic()


def _can_listen(connection: psycopg.Connection) -> bool:
    """Listen and return True, unless a pool stands between: then another server process answers."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    if row is None or row[0] != connection.info.backend_pid:
        return False
    connection.execute(f"LISTEN {CHANNEL}")
    return True


def _payload(merchants: frozenset[str], batches: frozenset[str], journals: frozenset[str]) -> str:
    payload = encode(Changes(merchants=merchants, batches=batches, journals=journals))
    return payload.decode() if len(payload) <= PAYLOAD_BYTES_MAX else ""


def _changes(payload: str) -> Changes | None:
    """Return what a notification tells; None if it does not say, or is one of another version."""
    try:
        return decode(payload)
    except msgspec.MsgspecError:
        return None
