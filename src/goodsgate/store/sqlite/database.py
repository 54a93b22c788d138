"""The folder of an embedded store: its two files, its clock, and the lock of the one worker process."""

import fcntl
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from goodsgate.model.batch import now as now_utc
from goodsgate.store.contract import ItemTerms, StoreError
from goodsgate.store.shared.database import MessageSignal
from goodsgate.store.shared.merchant_numbers import MerchantNumbers
from goodsgate.store.shared.statement_files import migrations
from goodsgate.store.shared.timestamps import microseconds
from goodsgate.store.sqlite.checkpoints import Checkpoints
from goodsgate.store.sqlite.file import FILE_MODE, FOLDER_MODE, SqliteFile
from goodsgate.store.sqlite.identity import SqliteIdentity
from goodsgate.store.sqlite.uploads import Uploads

MIGRATIONS = migrations(Path(__file__).parent / "migrations")

INTAKE_CACHE_BYTES = 8 * 1024**2
INTAKE_WAL_PAGES_MAX = 4_096
"""16 MB: an API process copies the intake's log itself only if no worker does."""


class SqliteDatabase:
    """What the parts of the store share; see SqliteStore."""

    def __init__(self, folder: Path, *, cache_bytes: int, small_payload_bytes: int,
                 item_terms: ItemTerms | None = None, now: Callable[[], datetime] = now_utc) -> None:
        """Open and create nothing yet; see SqliteStore."""
        self.folder = folder
        self.item_terms = item_terms
        """Gives the terms of items; None if the search index is off."""
        self.is_full = False
        """Whether a write of this process has failed for lack of space, and none of a check has succeeded since."""
        self.intake = SqliteFile(
            folder / "intake.db", part="intake", writer_cache_bytes=INTAKE_CACHE_BYTES,
            wal_pages_max=INTAKE_WAL_PAGES_MAX, checkpoints_on_close=True, note_full=self._note_full,
        )
        self.catalogue = SqliteFile(
            folder / "catalogue.db", part="catalogue", writer_cache_bytes=cache_bytes, wal_pages_max=0,
            checkpoints_on_close=False, retries_often=True, note_full=self._note_full,
        )
        self.uploads = Uploads(
            folder / "payloads", small_bytes=small_payload_bytes, note_full=self._note_full
        )
        self.checkpoints = Checkpoints(self.intake, self.catalogue)
        self.identity = SqliteIdentity(self.intake, self.catalogue)
        self._clock = now
        self.message_signal = MessageSignal()
        self._numbers = MerchantNumbers(self._read_number)
        self._worker_lock: int | None = None
        self._worker_lock_guard = threading.Lock()

    def _note_full(self) -> None:
        self.is_full = True

    def create(self) -> None:
        """Create the folder and the folder of payloads, which only this user may enter."""
        self.folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        if not any(self.folder.iterdir()):
            with suppress(PermissionError):
                self.folder.chmod(FOLDER_MODE)
        self.uploads.create()

    def is_new(self) -> bool:
        """Return whether there is no store in the folder."""
        return not self.intake.schema_number() and not self.catalogue.schema_number()

    def close(self) -> None:
        """Copy the logs if this process works, and release the worker lock last: the next one finds all at rest."""
        self.checkpoints.stop()
        if self._worker_lock is not None:
            self.checkpoints.empty_logs()
        self.uploads.close()
        self.intake.close()
        self.catalogue.close()
        with self._worker_lock_guard:
            if self._worker_lock is not None:
                os.close(self._worker_lock)
                self._worker_lock = None

    def lock_worker(self) -> bool:
        """Return whether this process is the one that works; take the lock if it is free.

        The lock goes with its process, however that ends, so that its holder knows that no other worker lives.
        """
        if self._worker_lock is not None:
            return True
        with self._worker_lock_guard:
            if self._worker_lock is not None:
                return True
            lock = os.open(self.folder / "worker.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return False
            try:
                # Leases of a dead worker end at once. Their holder stays, so that the next claim fences it off.
                with self.intake.writing() as db:
                    db.change("void_leases")
                    generation = self.identity.raise_generation(db)
                self.identity.end_raising(generation)
            except BaseException:
                os.close(lock)
                raise
            self.checkpoints.start()
            self._worker_lock = lock
            return True

    def now(self) -> int:
        """Return the time in microseconds since 1970."""
        return microseconds(self._clock())

    def number(self, merchant: str) -> int | None:
        """Return the number by which both files refer to the merchant; None if there is no such merchant."""
        return self._numbers.get(merchant)

    def _read_number(self, merchant: str) -> int | None:
        rows = self.intake.query("merchant_number", {"id": merchant})
        return int(rows[0][0]) if rows else None

    def new_number(self) -> int:
        """Return a number that no merchant has or had.

        The catalogue gives it out: an intake file that was restored from a backup does not know all of them.
        """
        last = self.intake.query("last_merchant_number", {})[0][0]
        with self.catalogue.writing() as db:
            return int(db.value("reserve_merchant_number", {"last": last}))

    def require_number(self, merchant: str) -> int:
        """Return the number of the merchant. Raises StoreError if there is no such merchant."""
        number = self.number(merchant)
        if number is None:
            raise StoreError(f"no such merchant: {merchant}")
        return number
