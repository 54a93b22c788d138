"""Checks of the folder: whether the files are complete, sound and durable, a worker lives, and there is room to grow.

Each check is one function in a list; see `store/contract/health.py`.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from itertools import islice

import apsw

from goodsgate.store.contract import HealthCheck, StoreBusyError, StoreError, bad, ok, run_checks, warn
from goodsgate.store.shared.health import judge_deaths, judge_search, judge_worker
from goodsgate.store.sqlite.database import MIGRATIONS, SqliteDatabase
from goodsgate.store.sqlite.file import SqliteFile

FREE_BYTES_MIN = 64 * 1024**2
"""With less free space the store is not healthy."""
LOGS_BYTES_MAX = 512 * 1024**2
"""Room for both write-ahead logs, at most 384 MB and 16 MB, and for a chunk."""
PAGE_CHECK_SECONDS_MAX = 5.0
"""A file is checked for this long; a large one is not checked to its end."""
STEPS_PER_LOOK = 10_000
"""Instructions of SQLite's machine between two looks at the clock."""
GROWTH_SHARE = 0.1
"""With less free space than this share of the used space, it is time to add some."""
LATE_SECONDS = 60.0
"""A lease that ended longer ago, while a worker lives, is overdue."""
SYNCHRONOUS_FULL = 2
OTHERS = 0o077
"""Permissions of everybody but the owner."""
PAYLOADS_LOOKED_AT = 1_000
RESTORE = "stop the gate and restore the store from a backup; see docs/how-to/back-up.md"


class SqliteHealth:
    """Implements the checks of MaintenanceStore."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    def quick_checks(self) -> list[HealthCheck]:
        """Check files, schema, free space and rights; cheap enough for every second."""
        return run_checks(QUICK_CHECKS, self._database)

    def health_checks(self) -> list[HealthCheck]:
        """Check pages, durability, growth, worker and leases; takes at most twice PAGE_CHECK_SECONDS_MAX."""
        return run_checks(THOROUGH_CHECKS, self._database)


def _files(database: SqliteDatabase) -> tuple[SqliteFile, SqliteFile]:
    return database.intake, database.catalogue


# -- quick checks -----------------------------------------------------------------------------------------------------


def check_schema(database: SqliteDatabase) -> Iterator[HealthCheck]:
    """Check that both files have the schema that this version knows."""
    known = MIGRATIONS[-1].number
    for file in _files(database):
        name = f"schema of {file.path.name}"
        try:
            number = file.schema_number()
        except StoreError as fault:
            yield bad(name, str(fault), RESTORE)
            continue
        difference = file.schema_difference(MIGRATIONS) if number == known else None
        if difference is not None:
            remedy = "use the version of Goodsgate that created the store, or restore a backup"
            yield bad(name, f"{number} of {known}, but of another content: {difference}", remedy)
        elif number == known:
            yield ok(name, f"{number} of {known}")
        elif not number:
            remedy = "correct the setting store, or restore a backup; for a new store, run `goodsgate migrate`"
            yield bad(name, f"{number} of {known}", remedy)
        elif number < known:
            yield bad(name, f"{number} of {known}", "run `goodsgate migrate`")
        else:
            yield bad(name, f"{number} of {known}", "install the version of Goodsgate that created the store")


def check_deaths(database: SqliteDatabase) -> Iterator[HealthCheck]:
    """Check that no batch ends the workers that process it."""
    if _has_intake(database):
        yield judge_deaths(database)


def check_free_space(database: SqliteDatabase) -> Iterator[HealthCheck]:
    """Check that the disk is not full, and has room for the write-ahead logs."""
    if not database.folder.exists():
        return
    free = _free_bytes(database)
    detail = f"{free // 1024**2:,} MB free"
    remedy = f"free at least {LOGS_BYTES_MAX // 1024**2} MB on the disk of the store"
    if database.is_full and not database.uploads.can_grow():
        yield bad("free space", f"writing failed for lack of space; {detail}", f"{remedy}, or raise its quota")
        return
    database.is_full = False
    if free < FREE_BYTES_MIN:
        yield bad("free space", detail, remedy)
    elif free < LOGS_BYTES_MAX:
        yield warn("free space", f"{detail}; the write-ahead logs need up to {LOGS_BYTES_MAX // 1024**2} MB", remedy)
    else:
        yield ok("free space", detail)


def check_place(database: SqliteDatabase) -> Iterator[HealthCheck]:
    """Check that the files are where they were when the gate opened them."""
    try:
        for file in _files(database):
            file.check_place()
    except StoreBusyError as fault:
        yield bad("place", str(fault), "put the folder back, or restart the gate")
    else:
        yield ok("place", f"{database.folder}")


def check_identity(database: SqliteDatabase) -> Iterator[HealthCheck]:
    """Check that the files belong to one store, and that none is an older copy."""
    try:
        if database.is_new():
            return
        mismatch = database.identity.mismatch()
    except StoreError:
        return  # a file cannot be read, as the check of its schema says
    if mismatch is None:
        yield ok("identity", "both files are of one store and one time")
    else:
        yield bad("identity", mismatch, RESTORE)


def check_folder(database: SqliteDatabase) -> Iterator[HealthCheck]:
    """Check that this process may write."""
    if not database.folder.exists():
        remedy = "mount the disk of the store, or correct the setting store"
        yield bad("folder", f"{database.folder} does not exist, or may not be seen", remedy)
    elif os.access(database.folder, os.W_OK):
        yield ok("folder", f"{database.folder} is writable")
    else:
        detail = f"{database.folder} is not writable"
        yield bad("folder", detail, "give the folder to the user that runs the gate, and mount its disk for writing")


# -- thorough checks --------------------------------------------------------------------------------------------------


def check_journal(database: SqliteDatabase) -> Iterator[HealthCheck]:
    """Check the journal: on file systems without shared memory SQLite silently uses another one."""
    for file in _files(database):
        with file.reading() as db:
            journal = str(db.connection.pragma("journal_mode"))
            synchronous = int(str(db.connection.pragma("synchronous")))
        name, detail = f"journal of {file.path.name}", f"{journal}, synchronous {synchronous} of {SYNCHRONOUS_FULL}"
        if journal == "wal" and synchronous >= SYNCHRONOUS_FULL:
            yield ok(name, detail)
        else:
            yield bad(name, detail, "move the store to a local disk; network file systems are not safe")


def check_pages(database: SqliteDatabase) -> Iterator[HealthCheck]:
    """Check the structure of the files."""
    for file in _files(database):
        yield _check_pages(file)


def _check_pages(file: SqliteFile) -> HealthCheck:
    name = f"pages of {file.path.name}"
    end = time.monotonic() + PAGE_CHECK_SECONDS_MAX
    with file.reading() as db:
        connection = db.connection
        connection.set_progress_handler(lambda: time.monotonic() > end, STEPS_PER_LOOK)
        try:
            result = "".join(str(line) for (line,) in connection.execute("PRAGMA quick_check(1)"))
        except apsw.InterruptError:
            return ok(name, f"sound as far as checked in {PAGE_CHECK_SECONDS_MAX:g} s")
        finally:
            connection.set_progress_handler(None)
    return ok(name, "sound") if result == "ok" else bad(name, result, RESTORE)


def check_growth(database: SqliteDatabase) -> Iterator[HealthCheck]:
    """Check that the store can grow by a share of its size."""
    used = database.intake.bytes_on_disk() + database.catalogue.bytes_on_disk() + database.uploads.bytes_on_disk()
    free = _free_bytes(database)
    detail = f"{free // 1024**2:,} MB free, {used // 1024**2:,} MB used"
    if free >= used * GROWTH_SHARE:
        yield ok("room to grow", detail)
    else:
        yield bad("room to grow", detail, "add space, or shorten payload_days, report_days or batch_days")


def check_permissions(database: SqliteDatabase) -> Iterator[HealthCheck]:
    """Check that no other user can read the store."""
    folder, payloads = database.folder, database.folder / "payloads"
    paths = [folder, payloads, *folder.glob("*.db*"), *islice(payloads.iterdir(), PAYLOADS_LOOKED_AT)]
    readable = [path for path in paths if path.stat().st_mode & OTHERS]
    if readable:
        names = ", ".join(str(path) for path in readable[:5])
        remedy = f"run `chmod -R go= {folder}`, and create files with no access for others"
        yield bad("permissions", f"other users of this machine have access to {names}", remedy)
    else:
        yield ok("permissions", "only the user of the gate has access")


def check_payloads(database: SqliteDatabase) -> Iterator[HealthCheck]:
    """Check that the payloads of waiting rounds are there, as long as they were received."""
    waiting = database.intake.query("waiting_payloads", {"limit": PAYLOADS_LOOKED_AT})
    lost = [file for file, size in waiting if database.uploads.size(file) != size]
    if lost:
        detail = f"payloads that waiting rounds need and that are missing or not whole: {len(lost):,}"
        yield bad("payloads", detail, f"restore {database.folder / 'payloads'}, or cancel the batches; {RESTORE}")
    else:
        yield ok("payloads", f"payloads that waiting rounds need: {len(waiting):,}, all whole")


def check_worker(database: SqliteDatabase) -> Iterator[HealthCheck]:
    """Check that a worker lives while work waits."""
    if _has_intake(database):
        yield judge_worker(database, is_worked=_is_worked(database))


def check_leases(database: SqliteDatabase) -> Iterator[HealthCheck]:
    """Check that a worker that lives works."""
    before = database.now() - int(LATE_SECONDS * 1e6)
    leased, late = database.intake.query("leases", {"before": before})[0]
    detail = f"{leased} lanes are leased, {late} leases are overdue"
    if not late or not _is_worked(database):
        yield ok("leases", detail)
    else:
        yield bad("leases", detail, "restart the worker; its log says what it waits for")


def check_search(database: SqliteDatabase) -> Iterator[HealthCheck]:
    """Check that the search index has all items."""
    yield judge_search(database)


QUICK_CHECKS = (
    check_schema, check_place, check_identity, check_free_space, check_folder, check_deaths, check_worker
)
THOROUGH_CHECKS = (
    check_journal, check_pages, check_permissions, check_payloads, check_growth, check_leases, check_search
)


def _has_intake(database: SqliteDatabase) -> bool:
    """Return whether the intake can be asked; if it is missing, the check of its schema says so once."""
    try:
        return bool(database.intake.schema_number())
    except StoreError:
        return False


def _is_worked(database: SqliteDatabase) -> bool:
    try:
        lock = os.open(database.folder / "worker.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _free_bytes(database: SqliteDatabase) -> int:
    disk = os.statvfs(database.folder)
    return disk.f_bavail * disk.f_frsize
