"""Copies the write-ahead logs into their files beside the worker, so that nobody waits for that in a commit."""

import threading
from contextlib import suppress

import apsw

from goodsgate.model.background import BackgroundThread
from goodsgate.store.contract import StoreError
from goodsgate.store.sqlite.file import SqliteFile

CHECK_SECONDS = 0.1
INTAKE_SECONDS = 1.0
"""Between copies of the intake's log: it is short, and API processes copy it in a commit where no worker does."""
CATALOGUE_PAGES = 32 * 1024
"""128 MB: longer logs are copied. A page that several chunks changed is copied once, so that a longer log is faster at
a million items."""
CATALOGUE_PAGES_MAX = 96 * 1024
"""384 MB: with a longer log the worker waits for the copy."""
IDLE_SECONDS = 10.0
"""After this long without a commit the logs are truncated."""


class Checkpoints:
    """A thread of the working process that copies the logs, with connections of its own."""

    def __init__(self, intake: SqliteFile, catalogue: SqliteFile) -> None:
        self._intake = intake
        self._catalogue = catalogue
        self._stop = threading.Event()
        self._copying = threading.Lock()
        self._connections: dict[SqliteFile, apsw.Connection] = {}
        self._thread = BackgroundThread("checkpoints", self._run, self._stop)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the current copy."""
        self._stop.set()
        self._thread.join()

    def empty_logs(self) -> None:
        """Copy both logs whole and empty them, so that the files are complete without them."""
        for file in (self._intake, self._catalogue):
            self._copy(file, apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def limit_log(self) -> None:
        """Wait for a copy of the catalogue's log if it has become too long; called between two chunks."""
        if self._catalogue.log_pages >= CATALOGUE_PAGES_MAX:
            self._copy_whole(self._catalogue, CATALOGUE_PAGES_MAX)

    def _run(self) -> None:
        since_intake = quiet = 0.0
        state = self._state()
        while not self._stop.wait(CHECK_SECONDS):
            since_intake += CHECK_SECONDS
            quiet += CHECK_SECONDS
            if self._catalogue.log_pages >= CATALOGUE_PAGES:
                self._copy_whole(self._catalogue, CATALOGUE_PAGES)
            if since_intake >= INTAKE_SECONDS:
                since_intake = 0.0
                before, state = state, self._state()
                if state[0] != before[0]:
                    self._copy(self._intake, apsw.SQLITE_CHECKPOINT_PASSIVE)
                if state != before:
                    quiet = 0.0
            if quiet >= IDLE_SECONDS:
                quiet = 0.0
                for file in (self._intake, self._catalogue):
                    if file.wal_bytes:
                        self._copy(file, apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def _state(self) -> tuple[float, float]:
        return self._intake.wal_changed, self._catalogue.wal_changed

    def _copy_whole(self, file: SqliteFile, pages_min: int) -> None:
        """Copy most of the log while the worker goes on, then block it for a moment and copy the rest.

        Only a log that was copied to its end is restarted: under a constant load it would grow for ever.
        """
        with self._copying:
            if file.log_pages < pages_min or self._copy(file, apsw.SQLITE_CHECKPOINT_PASSIVE):
                return
            with suppress(StoreError), file.writer():
                self._copy(file, apsw.SQLITE_CHECKPOINT_PASSIVE)
                file.log_pages = 0

    def _copy(self, file: SqliteFile, mode: int) -> bool:
        """Copy what is possible; return whether nothing is left."""
        # Busy: readers still need the log. Full, or closed meanwhile: it is tried again, nothing is lost.
        with suppress(apsw.Error, StoreError):
            if file not in self._connections:
                self._connections[file] = file.open()
                self._connections[file].set_busy_timeout(0)
            pages, copied = self._connections[file].wal_checkpoint(mode=mode)
            return pages == copied
        return False
