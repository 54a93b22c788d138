"""The folder of an embedded store: its two files, its clock, and the lock of the one worker process."""

import fcntl
import os
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from goodsgate.model.batch import now as now_utc
from goodsgate.store.contract import StoreError
from goodsgate.store.shared.statement_files import migrations
from goodsgate.store.shared.timestamps import microseconds
from goodsgate.store.sqlite.checkpoints import Checkpoints
from goodsgate.store.sqlite.file import SqliteFile
from goodsgate.store.sqlite.uploads import Uploads

MIGRATIONS = migrations(Path(__file__).parent / "migrations")

INTAKE_CACHE_BYTES = 8 * 1024**2
INTAKE_WAL_PAGES_MAX = 4_096
"""16 MB: an API process copies the intake's log itself only if no worker does."""


class SqliteDatabase:
    """What the parts of the store share; see SqliteStore."""

    def __init__(self, folder: Path, *, cache_bytes: int, small_payload_bytes: int,
                 now: Callable[[], datetime] = now_utc) -> None:
        """Create the folder, but not the schema; see SqliteStore."""
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        self.folder = folder
        self.intake = SqliteFile(
            folder / "intake.db", part="intake", writer_cache_bytes=INTAKE_CACHE_BYTES,
            wal_pages_max=INTAKE_WAL_PAGES_MAX, checkpoints_on_close=True,
        )
        self.catalogue = SqliteFile(
            folder / "catalogue.db", part="catalogue", writer_cache_bytes=cache_bytes, wal_pages_max=0,
            checkpoints_on_close=False, retries_often=True,
        )
        self.uploads = Uploads(folder / "payloads", small_bytes=small_payload_bytes)
        self.checkpoints = Checkpoints(self.intake, self.catalogue)
        self._clock = now
        self._numbers: dict[str, int] = {}
        self._worker_lock: int | None = None
        self._worker_lock_guard = threading.Lock()

    def close(self) -> None:
        """Release the worker lock last, so that the next worker finds everything at rest."""
        self.checkpoints.stop()
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
            lock = os.open(self.folder / "worker.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return False
            try:
                # Leases of a dead worker end at once. Their holder stays, so that the next claim fences it off.
                with self.intake.writing() as db:
                    db.change("void_leases")
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
        number = self._numbers.get(merchant)
        if number is not None:
            return number
        rows = self.intake.query("merchant_number", {"id": merchant})
        if not rows:
            return None
        self._numbers[merchant] = int(rows[0][0])  # cached for good: merchants stay, numbers are not reused
        return int(rows[0][0])

    def require_number(self, merchant: str) -> int:
        """Return the number of the merchant. Raises StoreError if there is no such merchant."""
        number = self.number(merchant)
        if number is None:
            raise StoreError(f"no such merchant: {merchant}")
        return number
