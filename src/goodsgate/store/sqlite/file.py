"""One database file: connections for reading, one for writing, and SQLite's errors as those of the contract."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from goodsgate.store.contract import StoreBusyError, StoreError, StoreFullError
from goodsgate.store.shared.database import ConstraintError, Merchants, Row, Values
from goodsgate.store.shared.statement_files import Migration
from goodsgate.store.sqlite.fingerprint import schema_difference
from goodsgate.store.sqlite.statements import SqliteStatements

BUSY_MILLISECONDS = 10_000
"""How long to wait for a transaction of another process."""
RETRY_SECONDS = 0.0001
READER_CACHE_BYTES = 2 * 1024**2
STATEMENT_CACHE_SIZE = 200
FREE_BYTES_MIN = 256 * 1024
"""With less free space on the disk, an I/O error counts as a full disk."""
FILE_MODE = 0o600
FOLDER_MODE = 0o700
"""Submissions and secrets are nobody else's business."""
FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class SqliteFile:
    """A database file that any number of threads read, and one at a time writes, without polling for its turn."""

    def __init__(self, path: Path, *, part: str, writer_cache_bytes: int, wal_pages_max: int,
                 checkpoints_on_close: bool, retries_often: bool = False,
                 note_full: Callable[[], None] = lambda: None) -> None:
        """Open nothing yet.

        With `retries_often`, a waiting writer retries every 0.1 ms. SQLite itself retries less and less often, and
        might never get in between short transactions. `note_full` is called when a write fails for lack of space.
        """
        self.path = path
        self.part = part
        self._writer_cache_bytes = writer_cache_bytes
        self._wal_pages_max = wal_pages_max
        self._checkpoints_on_close = checkpoints_on_close
        self._retries_often = retries_often
        self._note_full = note_full
        self._idle: list[SqliteStatements] = []
        self._all: set[apsw.Connection] = set()
        self._lock = threading.RLock()
        self._writer: SqliteStatements | None = None
        self._is_lazy = False
        """Whether the connection that writes does not sync its commits."""
        self._watch_lock = threading.Lock()
        self._watcher: apsw.Connection | None = None
        self._closed = False
        self._inode: tuple[int, int] | None = None
        """Device and inode of the file when it was first opened."""
        self.log_pages = 0
        """Pages in the log after the last commit of this process."""

    @property
    def wal_bytes(self) -> int:
        """Bytes of the write-ahead log."""
        try:
            return os.stat(f"{self.path}-wal").st_size
        except FileNotFoundError:
            return 0

    @property
    def wal_changed(self) -> float:
        """When the write-ahead log was last written to, in seconds since 1970."""
        try:
            return os.stat(f"{self.path}-wal").st_mtime
        except FileNotFoundError:
            return 0.0

    def bytes_on_disk(self) -> int:
        """Return the size of the file and its log."""
        return (os.stat(self.path).st_size if self.path.exists() else 0) + self.wal_bytes

    def open(self, *, cache_bytes: int = READER_CACHE_BYTES, writes: bool = False) -> apsw.Connection:
        """Open a connection to the file, which must exist; `close` closes it too."""
        if self._closed:
            raise StoreError("the store is closed")
        self.check_place()
        db = apsw.Connection(
            str(self.path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=STATEMENT_CACHE_SIZE
        )
        if writes and self._retries_often:
            db.set_busy_handler(_retry_often())
        else:
            db.set_busy_timeout(BUSY_MILLISECONDS)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA foreign_keys=ON")
        db.execute("PRAGMA temp_store=FILE")
        db.execute(f"PRAGMA cache_size=-{cache_bytes // 1024}")
        db.execute(f"PRAGMA wal_autocheckpoint={self._wal_pages_max if writes else 0}")
        if not writes and not self._checkpoints_on_close:
            # The last reader to close would otherwise copy the whole log before its process can end.
            db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        # A statement keeps its plan: SQLite would otherwise compile it again whenever other values are bound to it.
        db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        if self._inode is None:
            self._inode = _inode_of(self.path)
        self._all.add(db)
        return db

    @staticmethod
    def create_at(path: Path) -> None:
        """Create an empty file that only this user can read, unless the file exists."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            if not os.fstat(descriptor).st_size:
                os.fchmod(descriptor, FILE_MODE)  # whatever the umask; SQLite gives its logs the same mode
        finally:
            os.close(descriptor)

    def check_place(self) -> None:
        """Raise StoreBusyError if the file was moved, deleted or replaced since it was first opened."""
        if self._inode is not None and _inode_of(self.path) != self._inode:
            raise StoreBusyError(
                f"{self.path} was moved, deleted or replaced while the gate uses it: put it back, or restart the gate"
            )

    def close(self) -> None:
        """Close all connections, the writer last."""
        self._closed = True
        self._idle.clear()
        writer, self._writer, self._watcher = self._writer, None, None
        last = {writer.connection} if writer is not None else set()
        for connection in [*(self._all - last), *last]:
            with suppress(apsw.Error):
                connection.close()
        self._all.clear()

    @contextmanager
    def reading(self, _merchants: Merchants = None, /) -> Iterator[SqliteStatements]:
        """Lend a connection for reading; each statement sees what was committed when it began."""
        with self._translate_errors():
            try:
                db = self._idle.pop()
            except IndexError:
                db = SqliteStatements(self.open())
            try:
                yield db
            finally:
                if self._closed:
                    db.connection.close()
                else:
                    self._idle.append(db)

    @contextmanager
    def snapshot(self, _merchants: Merchants = None, /) -> Iterator[SqliteStatements]:
        """Lend a connection for reading; all statements see what was committed when the first one began."""
        with self.reading() as db:
            db.connection.execute("BEGIN")
            try:
                yield db
            finally:
                db.connection.execute("ROLLBACK")

    def query(self, name: str, values: Values, _merchants: Merchants = None, /) -> list[Row]:
        """Run one statement that reads, and return all rows."""
        with self.reading() as db:
            return db.rows(name, values)

    @contextmanager
    def writer(self) -> Iterator[SqliteStatements]:
        """Lend the connection that writes, with the large cache, outside of a transaction."""
        with self._lock, self._translate_errors():
            if self._writer is None:
                connection = self.open(cache_bytes=self._writer_cache_bytes, writes=True)
                self._writer = SqliteStatements(connection)
                if not self._wal_pages_max:
                    connection.set_wal_hook(self._note_log)
            yield self._writer

    @contextmanager
    def writing(self, _merchants: Merchants = None, /, *, lazy: bool = False) -> Iterator[SqliteStatements]:
        """Open a transaction: committed and synced at the end, rolled back if anything is raised.

        A `lazy` one is not synced by itself. It survives the death of every process; a power cut may undo it, together
        with lazy ones after it, as long as no other transaction of the file follows.
        """
        with self.writer() as db:
            if not lazy:  # nothing is acknowledged by a lazy one
                self.check_place()
            connection = db.connection
            if lazy != self._is_lazy:
                connection.execute("PRAGMA synchronous=NORMAL" if lazy else "PRAGMA synchronous=FULL")
                self._is_lazy = lazy
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield db
                connection.execute("COMMIT")
            except BaseException:
                if not connection.get_autocommit():
                    with suppress(apsw.Error):
                        connection.execute("ROLLBACK")
                raise

    def _note_log(self, *arguments: object) -> int:
        *_, pages = arguments
        assert isinstance(pages, int)
        self.log_pages = pages
        return apsw.SQLITE_OK

    def version(self) -> int:
        """Return a number that changes with every commit by anybody; only to be compared with itself."""
        with self._watch_lock, self._translate_errors():
            if self._watcher is None:
                self._watcher = self.open()
            return int(self._watcher.pragma("data_version"))

    def schema_number(self) -> int:
        """Return the number of the last migration applied; 0 if the file is missing or empty."""
        if self._inode is None and not (self.path.exists() and self.path.stat().st_size):
            return 0
        with self.reading() as db:
            return int(db.connection.pragma("user_version"))

    def schema_difference(self, migrations: list[Migration]) -> str | None:
        """Return how the schema differs from the one that the migrations create; None if it does not."""
        with self.reading() as db:
            return schema_difference(db.connection, migrations, self.part)

    def migrate(self, migrations: list[Migration]) -> set[int]:
        """Create the file, apply missing migrations and return their numbers. Raises StoreError on a newer schema."""
        self.create_at(self.path)
        applied: set[int] = set()
        last = migrations[-1].number if migrations else 0
        if self.schema_number() == last:
            difference = self.schema_difference(migrations)
            if difference is not None:
                raise StoreError(
                    f"{self.path.name} has schema {last}, but of another version of Goodsgate ({difference}); use the "
                    "version that created it, or another store"
                )
            return applied
        for migration in migrations:
            with self.writing() as db:
                # Read inside the transaction: another process may have migrated meanwhile.
                current = int(db.connection.pragma("user_version"))
                if current > last:
                    raise StoreError(
                        f"{self.path.name} was created by a newer Goodsgate (schema {current}, known {last})"
                    )
                if current >= migration.number:
                    continue
                db.connection.execute(migration.parts.get(self.part, ""))
                db.connection.execute(f"PRAGMA user_version={migration.number}")
                applied.add(migration.number)
        return applied

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (apsw.BusyError, apsw.LockedError) as fault:
            raise StoreBusyError(f"{self.path.name}: {fault}") from fault
        except apsw.FullError as fault:
            self._note_full()
            raise StoreFullError(f"{self.path.name}: {fault}") from fault
        except apsw.ConstraintError as fault:
            raise ConstraintError(f"{self.path.name}: {fault}") from fault
        except (apsw.CorruptError, apsw.NotADBError) as fault:
            # No record is to blame, and no batch.
            raise StoreError(f"{self.path.name} is corrupt: {fault}") from fault
        except (apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError) as fault:
            if self._is_full(fault):
                self._note_full()
                raise StoreFullError(f"{self.path.name}: {fault}") from fault
            raise StoreBusyError(self._reason(fault)) from fault

    def _is_full(self, fault: apsw.Error) -> bool:
        """Return whether the disk is full; SQLite distinguishes that from a broken disk only in some places."""
        numbers = {self._writer.connection.system_errno} if self._writer is not None else set()
        if numbers & FULL_ERRNOS or getattr(fault, "errno", None) in FULL_ERRNOS:
            return True
        try:
            room = os.statvfs(self.path.parent)
        except OSError:
            return False
        return room.f_bavail * room.f_frsize < FREE_BYTES_MIN

    def _reason(self, fault: apsw.Error) -> str:
        """Return in a sentence why the file cannot be used."""
        folder = self.path.parent
        if not self.path.exists():
            return f"{self.path} does not exist, or its folder cannot be read by this user"
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            return f"{folder} is on a file system that is mounted read-only"
        for path in (folder, self.path):
            if not os.access(path, os.R_OK | os.W_OK):
                return f"{path} cannot be read and written by this user (uid {os.geteuid()})"
        return f"{self.path.name}: {fault}"


def _inode_of(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a file; None if it cannot be found."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _retry_often() -> Callable[[int], bool]:
    """Return a busy handler, which returns True to retry."""
    began = 0.0

    def retry(attempts: int) -> bool:
        nonlocal began
        if not attempts:
            began = time.monotonic()
        time.sleep(RETRY_SECONDS)
        return time.monotonic() - began < BUSY_MILLISECONDS / 1000

    return retry


def is_full(fault: OSError) -> bool:
    """Return whether writing failed for lack of space."""
    return fault.errno in FULL_ERRNOS
