"""Copies the write-ahead logs into their files beside the worker, so that it never waits for that."""

import threading
from collections.abc import Sequence
from contextlib import suppress

import apsw

from goodsgate.store.contract import StoreBusy, StoreError
from goodsgate.store.sqlite.file import SqliteFile

LOOK_SECONDS = 0.1
IDLE_SECONDS = 10.0
"""After this long without a checkpoint, what is left of the logs is copied and they are cut to nothing."""


class Checkpoints:
    """A thread of the working process with connections of its own."""

    def __init__(self, files: Sequence[tuple[SqliteFile, int]]) -> None:
        """Of each file, the bytes of log from which on it is copied."""
        self._files = files
        self._copying = threading.Lock()
        self._stop = threading.Event()
        self._connections: dict[SqliteFile, apsw.Connection] = {}
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the copy in hand."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def copy_now(self, file: SqliteFile) -> None:
        """Copy in the caller's time, behind a copy that is under way."""
        # Busy: a reader of long ago still needs the log; it is tried again before the next portion.
        with self._copying, suppress(StoreBusy), file.at_desk() as db:
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _run(self) -> None:
        quiet = 0.0
        while not self._stop.wait(LOOK_SECONDS):
            quiet += LOOK_SECONDS
            for file, bytes_min in self._files:
                if file.wal_bytes >= bytes_min:
                    quiet = 0.0
                    self._copy(file, apsw.SQLITE_CHECKPOINT_PASSIVE)
            if quiet >= IDLE_SECONDS:
                quiet = 0.0
                for file, _ in self._files:
                    if file.wal_bytes:
                        self._copy(file, apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def _copy(self, file: SqliteFile, mode: int) -> None:
        # Busy: readers still need the log. Full, or closed meanwhile: it is tried again, nothing is lost.
        with self._copying, suppress(apsw.Error, StoreError):
            if file not in self._connections:
                self._connections[file] = file.open()
                self._connections[file].set_busy_timeout(0)
            self._connections[file].wal_checkpoint(mode=mode)
