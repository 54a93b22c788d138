"""The folder of an embedded store: its two files, its clock, and the seat of the one worker."""

import fcntl
import os
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import apsw

from goodsgate.model.batch import now as now_utc
from goodsgate.store.contract import StoreError
from goodsgate.store.moments import microseconds
from goodsgate.store.sql import migrations
from goodsgate.store.sqlite.ask import do, one
from goodsgate.store.sqlite.checkpoints import Checkpoints
from goodsgate.store.sqlite.file import SqliteFile
from goodsgate.store.sqlite.uploads import Uploads

MIGRATIONS = migrations(Path(__file__).parent / "migrations")

INTAKE_CACHE_BYTES = 8 * 1024**2
INTAKE_WAL_PAGES_MAX = 4_096
"""16 MB: an API process copies the intake's log itself only if no worker does."""
SCRATCH_CACHE_BYTES = 8 * 1024**2


class Folder:
    """What the parts of the store share; see SqliteStore."""

    def __init__(self, folder: Path, *, cache_bytes: int, small_payload_bytes: int,
                 now: Callable[[], datetime] = now_utc) -> None:
        """`cache_bytes` of the catalogue in the working process; payloads up to `small_payload_bytes` are kept in the
        intake file itself. Makes the folder, not the schema (see migrate)."""
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        self.folder = folder
        self.clock = now
        self.intake = SqliteFile(
            folder / "intake.db", part="intake", writer_cache_bytes=INTAKE_CACHE_BYTES,
            wal_pages_max=INTAKE_WAL_PAGES_MAX, checkpoints_on_close=True,
        )
        self.catalogue = SqliteFile(
            folder / "catalogue.db", part="catalogue", writer_cache_bytes=cache_bytes, wal_pages_max=0,
            checkpoints_on_close=False, asks_often=True,
        )
        self.uploads = Uploads(folder / "payloads", small_bytes=small_payload_bytes)
        self.checkpoints = Checkpoints(self.intake, self.catalogue)
        self._numbers: dict[str, int] = {}
        self._seat: int | None = None
        self._seat_lock = threading.Lock()

    # -- life -----------------------------------------------------------------------------------------------------

    def migrate(self) -> list[str]:
        """Titles of the migrations that were applied to either file."""
        applied = self.intake.migrate(MIGRATIONS) | self.catalogue.migrate(MIGRATIONS)
        return [f"{one.number:04d} {one.title}" for one in MIGRATIONS if one.number in applied]

    def change_token(self) -> tuple[int, int]:
        """Changes with every commit to either file, by whatever process."""
        return self.intake.version(), self.catalogue.version()

    def close(self) -> None:
        """Leave the seat last: the next worker finds everything at rest."""
        self.checkpoints.stop()
        self.uploads.close()
        self.intake.close()
        self.catalogue.close()
        with self._seat_lock:
            if self._seat is not None:
                os.close(self._seat)
                self._seat = None

    # -- the seat ---------------------------------------------------------------------------------------------------

    def seated(self) -> bool:
        """Whether this store is the one that works; takes the seat if it is free.

        The lock goes with its process, however that ends, so whoever gets it knows that no other worker lives.
        """
        if self._seat is not None:
            return True
        with self._seat_lock:
            if self._seat is not None:
                return True
            seat = os.open(self.folder / "worker.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                fcntl.flock(seat, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(seat)
                return False
            try:
                self._void_leases()
            except BaseException:
                os.close(seat)
                raise
            self.checkpoints.start()
            self._seat = seat
            return True

    def _void_leases(self) -> None:
        """What a dead worker held is free at once. The holder stays: the next claim sees it must fence him off."""
        with self.intake.writing() as db:
            do(db, "void_leases")

    # -- time, numbers ------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """Microseconds since 1970."""
        return microseconds(self.clock())

    def number(self, merchant: str) -> int | None:
        """The number both files know the merchant by; None if there is no such merchant."""
        number = self._numbers.get(merchant)
        if number is not None:
            return number
        with self.intake.reading() as db:
            number = number_of(db, merchant)
        if number is not None:
            self._numbers[merchant] = number  # for good: merchants do not go, and numbers are not used twice
        return number

    def known(self, merchant: str) -> int:
        """The number; raises StoreError if there is no such merchant."""
        number = self.number(merchant)
        if number is None:
            raise StoreError(f"no such merchant: {merchant}")
        return number


def number_of(db: apsw.Connection, merchant: str) -> int | None:
    """The merchant's number, from an intake connection."""
    row = one(db, "merchant_number", {"id": merchant})
    return int(row[0]) if row is not None else None
