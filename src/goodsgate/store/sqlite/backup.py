"""Copies the folder while the gate runs, as of one moment for both files and the payloads.

The two files are read in snapshots that are proved to be of one moment, so that the copy is what a power cut at that
moment would have left, and the store knows how to go on from that. Reading in a snapshot blocks nobody; only the logs
are not restarted before it ends, so that they grow by what is written meanwhile.

Payload files never change once a round uses them, but they may be removed. So nearly all are copied before the
snapshots are taken. If one is removed that the snapshot still uses, a later snapshot is taken, which does not.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

import apsw

from goodsgate.store.backup import BackupSummary
from goodsgate.store.contract import StoreBusyError, StoreError, StoreFullError
from goodsgate.store.sqlite.database import MIGRATIONS, SqliteDatabase
from goodsgate.store.sqlite.file import FOLDER_MODE, FULL_ERRNOS, SqliteFile, is_full
from goodsgate.store.sqlite.statements import SqliteStatements
from goodsgate.store.sqlite.uploads import sync_folder

PAGES_PER_STEP = 4_096
"""16 MB."""
TRIES_MAX = 1_000
"""To read both files at one moment; each takes a fraction of a millisecond, and few meet a commit."""
SNAPSHOTS_MAX = 10
"""More than one is needed only if payloads are removed as soon as they are processed."""


class SqliteBackup:
    """Implements SupportsBackup."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._folder = database.folder
        self._intake = database.intake
        self._catalogue = database.catalogue
        self._uploads = database.uploads

    def back_up(self, to: Path) -> BackupSummary:
        """Copy the store into an empty or new folder, which appears complete and synced, or not at all.

        The copy contains every batch that was acknowledged before the call, and works as a store. Raises StoreError if
        the folder cannot be used, StoreFullError, StoreBusyError.
        """
        to = to.resolve()
        self._check_target(to)
        to.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self._check_room(to.parent)
        unfinished = Path(mkdtemp(prefix=f".{to.name}.unfinished-", dir=to.parent))
        try:
            copied = self._copy(unfinished)
            sync_folder(unfinished)
            unfinished.rename(to)
            sync_folder(to.parent)
        except OSError as fault:
            if is_full(fault):
                raise StoreFullError(f"backup: {fault.strerror}") from fault
            raise StoreError(f"{fault.filename or to}: {fault.strerror}") from fault
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return copied

    def _check_target(self, to: Path) -> None:
        if not 0 < self._intake.schema_number() <= MIGRATIONS[-1].number:
            raise StoreError(f"no store of this version exists in {self._folder}")
        if to == self._folder.resolve() or self._folder.resolve() in to.parents:
            raise StoreError(f"{to} is inside the store")
        if to.is_mount():
            raise StoreError(f"{to} is a mount point and cannot be created at once; use a folder in it")
        if to.exists() and (not to.is_dir() or any(to.iterdir())):
            raise StoreError(f"{to} exists and is not an empty folder")

    def _check_room(self, folder: Path) -> None:
        needed = self._intake.bytes_on_disk() + self._catalogue.bytes_on_disk() + self._uploads.bytes_on_disk()
        room = os.statvfs(folder)
        free = room.f_bavail * room.f_frsize
        if free < needed:
            raise StoreFullError(f"{needed:,} bytes are needed, {folder} has {free:,} bytes free")

    def _copy(self, to: Path) -> BackupSummary:
        payloads = to / "payloads"
        payloads.mkdir(mode=FOLDER_MODE)
        copied: set[str] = set()
        with self._intake.reading() as db:
            named = _used_files(db)
        lost = self._copy_payloads(named, payloads, copied)
        for _ in range(SNAPSHOTS_MAX):
            with self._at_one_moment() as (intake, catalogue):
                named = _used_files(intake)
                gone = self._copy_payloads(named, payloads, copied)
                # A sweep clears the name before it removes the file: a file that was missing before, and is still
                # used, is lost in the store itself.
                if gone <= lost:
                    _copy_pages(intake.connection, to / self._intake.path.name)
                    _copy_pages(catalogue.connection, to / self._catalogue.path.name)
                    break
            lost |= gone
        else:
            raise StoreBusyError("payloads are removed faster than they can be copied")
        for name in copied - named:
            (payloads / name).unlink()
        sync_folder(payloads)
        total = sum(path.stat().st_size for path in to.rglob("*") if path.is_file())
        return BackupSummary(bytes=total, payloads=len(named - gone), payloads_lost=len(gone))

    def _copy_payloads(self, named: set[str], to: Path, copied: set[str]) -> set[str]:
        """Copy files that are not copied yet; return those that are missing."""
        missing = {name for name in named - copied if not self._uploads.copy(name, to / name)}
        copied |= named - missing
        return missing

    @contextmanager
    def _at_one_moment(self) -> Iterator[tuple[SqliteStatements, SqliteStatements]]:
        """Lend connections to both files, intake first, in snapshots of the same moment.

        The catalogue's is taken first. If nothing was committed to it until the intake's was taken, it is also the
        catalogue as it was at that moment.
        """
        with self._intake.reading() as intake, self._catalogue.reading() as catalogue:
            for _ in range(TRIES_MAX):
                before = self._catalogue.version()
                with _snapshot(catalogue), _snapshot(intake):
                    if self._catalogue.version() == before:
                        yield intake, catalogue
                        return
        raise StoreBusyError("the catalogue was never idle")


def _used_files(intake: SqliteStatements) -> set[str]:
    return {name for (name,) in intake.each("all_payload_files")}


@contextmanager
def _snapshot(db: SqliteStatements) -> Iterator[None]:
    """Read everything within as of one moment."""
    db.connection.execute("BEGIN")
    try:
        db.connection.pragma("user_version")  # the first read is the moment
        yield
    finally:
        db.connection.execute("ROLLBACK")


def _copy_pages(source: apsw.Connection, to: Path) -> None:
    """Copy the database as the connection's snapshot shows it, and sync the copy. Raises StoreFullError, StoreError."""
    SqliteFile.create_at(to)
    target = apsw.Connection(str(to))
    try:
        # Nobody sees the copy before it is whole and synced, so it needs no journal of its own.
        target.execute("PRAGMA journal_mode=OFF")
        target.execute("PRAGMA synchronous=OFF")
        with target.backup("main", source, "main") as pages:
            while not pages.done:
                pages.step(PAGES_PER_STEP)
    except apsw.Error as fault:
        full = isinstance(fault, apsw.FullError) or target.system_errno in FULL_ERRNOS
        raise (StoreFullError if full else StoreError)(f"backup of {to.name}: {fault}") from fault
    finally:
        with suppress(apsw.Error):
            target.close()
    with to.open("rb") as file:
        os.fsync(file.fileno())
