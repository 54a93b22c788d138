"""A copy of the folder while the gate runs, of one moment for both files and the payloads.

The two files are read in snapshots that are proved to be of one moment, so the copy is what a power cut at that moment
would have left, and the store knows how to go on from that. Reading in a snapshot hinders nobody; only the logs are not
begun anew before it ends, so they grow by what is written meanwhile.

Payload files never change once a round names them, but they may go. So nearly all are copied before the snapshots are
taken, and should one go that the snapshot still names, a later snapshot is taken, which does not.
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
from goodsgate.store.sqlite.ask import each
from goodsgate.store.sqlite.file import FULL_ERRNOS, is_full
from goodsgate.store.sqlite.folder import MIGRATIONS
from goodsgate.store.sqlite.sweeping import Sweeping
from goodsgate.store.sqlite.uploads import sync_folder

PAGES_AT_ONCE = 4_096
"""16 MB between two looks at whether to go on."""
TRIES_MAX = 1_000
"""To find both files at one moment; each takes a fraction of a millisecond, and one in many meets a commit."""
SNAPSHOTS_MAX = 10
"""Only payloads that are swept as soon as they are worked ask for more than one."""


class Copying(Sweeping):
    """What is beside the contract, because a folder can be copied and a server has tools of its own for it."""

    def back_up(self, to: Path) -> BackupSummary:
        """Copy the store into a folder that is empty or not there; it appears whole and synced, or not at all.

        Holds every batch that was acknowledged before the call, and works as a store. Raises StoreError if the folder
        cannot be used, StoreFullError, StoreBusyError.
        """
        to = to.resolve()
        self._check_target(to)
        to.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._check_room(to.parent)
        unfinished = Path(mkdtemp(prefix=f".{to.name}.unfinished-", dir=to.parent))
        try:
            unfinished.chmod(0o750)
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

    # -- before -----------------------------------------------------------------------------------------------------

    def _check_target(self, to: Path) -> None:
        if not 0 < self.intake.schema_number() <= MIGRATIONS[-1].number:
            raise StoreError(f"there is no store of this version in {self.folder}")
        if to == self.folder.resolve() or self.folder.resolve() in to.parents:
            raise StoreError(f"{to} is in the store itself")
        if to.is_mount():
            raise StoreError(f"{to} is a mount point and cannot appear whole; name a folder in it")
        if to.exists() and (not to.is_dir() or any(to.iterdir())):
            raise StoreError(f"{to} is there and not an empty folder")

    def _check_room(self, place: Path) -> None:
        needed = self.intake.bytes_on_disk() + self.catalogue.bytes_on_disk() + self.uploads.bytes_on_disk()
        room = os.statvfs(place)
        free = room.f_bavail * room.f_frsize
        if free < needed:
            raise StoreFullError(f"{needed:,} bytes are to be copied, {place} has room for {free:,}")

    # -- copying ------------------------------------------------------------------------------------------------------

    def _copy(self, to: Path) -> BackupSummary:
        payloads = to / "payloads"
        payloads.mkdir(mode=0o750)
        copied: set[str] = set()
        with self.intake.reading() as db:
            named = _files_named(db)
        lost = self._copy_payloads(named, payloads, copied)
        for _ in range(SNAPSHOTS_MAX):
            with self._at_one_moment() as (intake, catalogue):
                named = _files_named(intake)
                gone = self._copy_payloads(named, payloads, copied)
                # A sweep forgets the name before it removes the file: one that was gone before, and is named still,
                # is lost whatever we do.
                if gone <= lost:
                    _copy_pages(intake, to / self.intake.path.name)
                    _copy_pages(catalogue, to / self.catalogue.path.name)
                    break
            lost |= gone
        else:
            raise StoreBusyError("payloads are swept faster than they can be copied")
        for name in copied - named:
            (payloads / name).unlink()
        sync_folder(payloads)
        total = sum(path.stat().st_size for path in to.rglob("*") if path.is_file())
        return BackupSummary(bytes=total, payloads=len(named - gone), payloads_lost=len(gone))

    def _copy_payloads(self, named: set[str], to: Path, copied: set[str]) -> set[str]:
        """Those not copied yet, which are then; those that are gone are given back."""
        missing = {name for name in named - copied if not self.uploads.copy(name, to / name)}
        copied |= named - missing
        return missing

    @contextmanager
    def _at_one_moment(self) -> Iterator[tuple[apsw.Connection, apsw.Connection]]:
        """Connections to both files, intake first, in snapshots of one and the same moment.

        The catalogue's is taken first. If nothing was committed to it until the intake's was taken, it is also the
        catalogue as it was at that moment.
        """
        with self.intake.reading() as intake, self.catalogue.reading() as catalogue:
            for _ in range(TRIES_MAX):
                before = self.catalogue.version()
                with _snapshot(catalogue), _snapshot(intake):
                    if self.catalogue.version() == before:
                        yield intake, catalogue
                        return
        raise StoreBusyError("the catalogue was never at rest")


def _files_named(intake: apsw.Connection) -> set[str]:
    return {name for (name,) in each(intake, "payload_files_named")}


@contextmanager
def _snapshot(db: apsw.Connection) -> Iterator[None]:
    """Whatever is read within it is of one moment."""
    db.execute("BEGIN")
    try:
        db.pragma("user_version")  # the first look is the moment
        yield
    finally:
        db.execute("ROLLBACK")


def _copy_pages(source: apsw.Connection, to: Path) -> None:
    """One database as the snapshot of the connection shows it; synced. Raises StoreFullError, StoreError."""
    target = apsw.Connection(str(to))
    try:
        # Nobody sees the copy before it is whole and synced, so it needs no journal of its own.
        target.execute("PRAGMA journal_mode=OFF")
        target.execute("PRAGMA synchronous=OFF")
        with target.backup("main", source, "main") as pages:
            while not pages.done:
                pages.step(PAGES_AT_ONCE)
    except apsw.Error as fault:
        full = isinstance(fault, apsw.FullError) or target.system_errno in FULL_ERRNOS
        raise (StoreFullError if full else StoreError)(f"backup of {to.name}: {fault}") from fault
    finally:
        with suppress(apsw.Error):
            target.close()
    with to.open("rb") as file:
        os.fsync(file.fileno())
