"""Checks of the folder: whether the files are sound and durable, a worker lives, and there is room to grow."""

import fcntl
import os
import time

import apsw

from goodsgate.store.contract import HealthCheck
from goodsgate.store.sqlite.database import MIGRATIONS, SqliteDatabase
from goodsgate.store.sqlite.file import SqliteFile

FREE_BYTES_MIN = 64 * 1024**2
"""With less free space the store is not healthy."""
PAGE_CHECK_SECONDS_MAX = 5.0
"""A file is checked for this long; a large one is not checked to its end."""
STEPS_PER_LOOK = 10_000
"""Instructions of SQLite's machine between two looks at the clock."""
GROWTH_SHARE = 0.1
"""With less free space than this share of the used space, it is time to add some."""
LATE_SECONDS = 60.0
"""A lease that ended longer ago, while a worker lives, is overdue."""
SYNCHRONOUS_FULL = 2


class SqliteHealth:
    """Implements the checks of MaintenanceStore."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    def quick_checks(self) -> list[HealthCheck]:
        """Check schema, free space and rights; cheap enough for every second."""
        database = self._database
        known = MIGRATIONS[-1].number
        checks = []
        for file in (database.intake, database.catalogue):
            number = file.schema_number()
            checks.append(HealthCheck(f"schema of {file.path.name}", number == known, f"{number} of {known}"))
        free = _free_bytes(database)
        checks.append(HealthCheck("free space", free >= FREE_BYTES_MIN, f"{free // 1024**2:,} MB free"))
        writable = os.access(database.folder, os.W_OK)
        detail = f"{database.folder} is {'' if writable else 'not '}writable"
        return [*checks, HealthCheck("folder", writable, detail)]

    def health_checks(self) -> list[HealthCheck]:
        """Check pages, durability, growth, worker and leases; takes at most twice PAGE_CHECK_SECONDS_MAX."""
        checks = []
        for file in (self._database.intake, self._database.catalogue):
            checks += [_durability(file), _page_check(file)]
        return [*checks, self._growth(), self._worker(), self._leases()]

    def _growth(self) -> HealthCheck:
        database = self._database
        used = database.intake.bytes_on_disk() + database.catalogue.bytes_on_disk() + database.uploads.bytes_on_disk()
        free = _free_bytes(database)
        detail = f"{free // 1024**2:,} MB free, {used // 1024**2:,} MB used"
        return HealthCheck("room to grow", free >= used * GROWTH_SHARE, detail)

    def _worker(self) -> HealthCheck:
        """Report the worker; its absence is no problem in itself: a gate may be stopped, a backup has none."""
        detail = "a worker is running" if self._is_worked() else "no worker is running, so that nothing is processed"
        return HealthCheck("worker", True, detail)

    def _is_worked(self) -> bool:
        try:
            lock = os.open(self._database.folder / "worker.lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def _leases(self) -> HealthCheck:
        before = self._database.now() - int(LATE_SECONDS * 1e6)
        leased, late = self._database.intake.query("leases", {"before": before})[0]
        detail = f"{leased} lanes are leased, {late} leases are overdue"
        return HealthCheck("leases", not late or not self._is_worked(), detail)


def _free_bytes(database: SqliteDatabase) -> int:
    disk = os.statvfs(database.folder)
    return disk.f_bavail * disk.f_frsize


def _durability(file: SqliteFile) -> HealthCheck:
    """Check the journal: on file systems without shared memory SQLite silently uses another one."""
    with file.reading() as db:
        journal = str(db.connection.pragma("journal_mode"))
        synchronous = int(str(db.connection.pragma("synchronous")))
    ok = journal == "wal" and synchronous >= SYNCHRONOUS_FULL
    return HealthCheck(
        f"journal of {file.path.name}", ok, f"{journal}, synchronous {synchronous} of {SYNCHRONOUS_FULL}"
    )


def _page_check(file: SqliteFile) -> HealthCheck:
    name = f"pages of {file.path.name}"
    end = time.monotonic() + PAGE_CHECK_SECONDS_MAX
    with file.reading() as db:
        connection = db.connection
        connection.set_progress_handler(lambda: time.monotonic() > end, STEPS_PER_LOOK)
        try:
            result = "".join(str(line) for (line,) in connection.execute("PRAGMA quick_check(1)"))
        except apsw.InterruptError:
            return HealthCheck(name, True, f"sound as far as checked in {PAGE_CHECK_SECONDS_MAX:g} s")
        finally:
            connection.set_progress_handler(None)
    return HealthCheck(name, result == "ok", "sound" if result == "ok" else result)
