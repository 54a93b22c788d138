"""One database file: connections to read with, one to write with, and SQLite's faults in the contract's words."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from goodsgate.store.contract import StoreBusyError, StoreError, StoreFullError
from goodsgate.store.sql import Migration

BUSY_MILLISECONDS = 10_000
"""Another process's transaction is waited for this long."""
ASKING_SECONDS = 0.0001
READER_CACHE_BYTES = 2 * 1024**2
STATEMENTS_KEPT = 200
ROOM_BYTES_MIN = 256 * 1024
"""With less left on the disk, an input or output error is taken for a full disk."""
FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class SqliteFile:
    """Any number of threads may read; one at a time writes, others of this process wait their turn without polling."""

    def __init__(self, path: Path, *, part: str, writer_cache_bytes: int, wal_pages_max: int,
                 checkpoints_on_close: bool, asks_often: bool = False) -> None:
        """`asks_often`: who waits to write asks every millisecond, not less and less often as SQLite does, where it
        would never come between those whose transactions are short."""
        self.path = path
        self.part = part
        self._writer_cache_bytes = writer_cache_bytes
        self._wal_pages_max = wal_pages_max
        self._checkpoints_on_close = checkpoints_on_close
        self._asks_often = asks_often
        self._idle: list[apsw.Connection] = []
        self._all: set[apsw.Connection] = set()
        self._lock = threading.RLock()
        self._writer: apsw.Connection | None = None
        self._watch_lock = threading.Lock()
        self._watcher: apsw.Connection | None = None
        self._closed = False
        self.log_pages = 0
        """Pages in the log after the last commit of this process; the log is longer only on disk."""

    @property
    def wal_bytes(self) -> int:
        """Length of the write-ahead log."""
        try:
            return os.stat(f"{self.path}-wal").st_size
        except FileNotFoundError:
            return 0

    @property
    def wal_changed(self) -> float:
        """When the write-ahead log was last written to."""
        try:
            return os.stat(f"{self.path}-wal").st_mtime
        except FileNotFoundError:
            return 0.0

    def bytes_on_disk(self) -> int:
        """The file and its log."""
        return (os.stat(self.path).st_size if self.path.exists() else 0) + self.wal_bytes

    def open(self, *, cache_bytes: int = READER_CACHE_BYTES, writes: bool = False) -> apsw.Connection:
        """A connection of its own; `close` closes it too."""
        if self._closed:
            raise StoreError("the store is closed")
        db = apsw.Connection(str(self.path), statementcachesize=STATEMENTS_KEPT)
        if writes and self._asks_often:
            db.set_busy_handler(_asking())
        else:
            db.set_busy_timeout(BUSY_MILLISECONDS)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA foreign_keys=ON")
        db.execute("PRAGMA temp_store=FILE")
        db.execute(f"PRAGMA cache_size=-{cache_bytes // 1024}")
        db.execute(f"PRAGMA wal_autocheckpoint={self._wal_pages_max if writes else 0}")
        if not writes and not self._checkpoints_on_close:
            # A reader that is the last to leave would otherwise copy the whole log before its process may end.
            db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self._all.add(db)
        return db

    def close(self) -> None:
        """Let go of all connections, the writer last."""
        self._closed = True
        self._idle.clear()
        writer, self._writer, self._watcher = self._writer, None, None
        for db in [*(self._all - {writer}), *([writer] if writer else [])]:
            with suppress(apsw.Error):
                db.close()
        self._all.clear()

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """A connection for statements that read; each sees what was committed when it began."""
        with self._translated():
            try:
                db = self._idle.pop()
            except IndexError:
                db = self.open()
            try:
                yield db
            finally:
                if self._closed:
                    db.close()
                else:
                    self._idle.append(db)

    @contextmanager
    def at_desk(self) -> Iterator[apsw.Connection]:
        """The one connection that writes, with the large cache; outside of a transaction."""
        with self._lock, self._translated():
            if self._writer is None:
                self._writer = self.open(cache_bytes=self._writer_cache_bytes, writes=True)
                if not self._wal_pages_max:
                    self._writer.set_wal_hook(self._note_log)
            yield self._writer

    @contextmanager
    def writing(self) -> Iterator[apsw.Connection]:
        """One transaction: committed and synced at the end, rolled back if anything is raised."""
        with self.at_desk() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if not db.get_autocommit():
                    with suppress(apsw.Error):
                        db.execute("ROLLBACK")
                raise

    def _note_log(self, *told: object) -> int:
        *_, pages = told
        assert isinstance(pages, int)
        self.log_pages = pages
        return apsw.SQLITE_OK

    def version(self) -> int:
        """A number that is another one after any commit by anybody; only to be compared with itself."""
        with self._watch_lock, self._translated():
            if self._watcher is None:
                self._watcher = self.open()
            return int(self._watcher.pragma("data_version"))

    def schema_number(self) -> int:
        """Number of the last migration applied."""
        with self.reading() as db:
            return int(db.pragma("user_version"))

    def migrate(self, migrations: list[Migration]) -> set[int]:
        """Apply what is missing, each in a transaction; their numbers. Raises StoreError on a newer schema."""
        applied: set[int] = set()
        last = migrations[-1].number if migrations else 0
        if self.schema_number() == last:
            return applied
        for migration in migrations:
            with self.writing() as db:
                # Read inside the transaction: another process may have come first.
                there = int(db.pragma("user_version"))
                if there > last:
                    raise StoreError(f"{self.path.name} was made by a newer Goodsgate (schema {there}, known {last})")
                if there >= migration.number:
                    continue
                db.execute(migration.parts.get(self.part, ""))
                db.execute(f"PRAGMA user_version={migration.number}")
                applied.add(migration.number)
        return applied

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (apsw.BusyError, apsw.LockedError) as fault:
            raise StoreBusyError(f"{self.path.name}: {fault}") from fault
        except apsw.FullError as fault:
            raise StoreFullError(f"{self.path.name}: {fault}") from fault
        except (apsw.CorruptError, apsw.NotADBError) as fault:
            # No record is to blame, and no batch.
            raise StoreError(f"{self.path.name} is broken: {fault}") from fault
        except (apsw.IOError, apsw.CantOpenError) as fault:
            if not self._is_full(fault):
                raise
            raise StoreFullError(f"{self.path.name}: {fault}") from fault

    def _is_full(self, fault: apsw.Error) -> bool:
        """SQLite tells a full disk from a broken one in some places only."""
        numbers = {db.system_errno for db in (self._writer,) if db is not None}
        if numbers & FULL_ERRNOS or getattr(fault, "errno", None) in FULL_ERRNOS:
            return True
        room = os.statvfs(self.path.parent)
        return room.f_bavail * room.f_frsize < ROOM_BYTES_MIN


def _asking() -> Callable[[int], bool]:
    """A busy handler: True to ask again."""
    began = 0.0

    def again(asked: int) -> bool:
        nonlocal began
        if not asked:
            began = time.monotonic()
        time.sleep(ASKING_SECONDS)
        return time.monotonic() - began < BUSY_MILLISECONDS / 1000

    return again


def is_full(fault: OSError) -> bool:
    """Whether writing failed for want of room."""
    return fault.errno in FULL_ERRNOS
