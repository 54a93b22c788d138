"""What the processes of a gate tell each other: which workers are alive, and how much of a quota each may use."""

from goodsgate.store.contract import QuotaLease
from goodsgate.store.shared.database import ALL_MERCHANTS, Database
from goodsgate.store.shared.timestamps import timestamp

WORKER_SECONDS = 60.0
"""A worker that was heard of within this time is alive."""
FORGET_SECONDS = 86_400
"""A worker that was not heard of for this long is forgotten."""


class SqlProcesses:
    """Implements ProcessStore."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._intake = database.intake

    def note_worker(self, name: str) -> None:
        """Record that a worker is alive."""
        now = self._database.now()
        with self._intake.writing(ALL_MERCHANTS, lazy=True) as db:
            db.change("note_worker", {"name": name, "now": now})
            db.change("forget_workers", {"before": now - int(FORGET_SECONDS * 1e6)})

    def forget_worker(self, name: str) -> None:
        """Record that a worker has ended."""
        with self._intake.writing(ALL_MERCHANTS, lazy=True) as db:
            db.change("forget_worker", {"name": name})

    def lease_quota(self, merchant: str, quota: str, *, window_seconds: int, least: int, amount: int,
                    limit: int) -> QuotaLease:
        """Take a part of what is left of a quota."""
        number = self._database.require_number(merchant)
        window = window_seconds * 1_000_000
        with self._intake.writing(number, lazy=True) as db:
            starts_at = self._database.now() // window * window
            named = {"merchant": number, "quota": quota}
            db.change("open_quota", {**named, "starts_at": starts_at})
            window_of_row, used = db.rows("quota", named)[0]
            # A host whose clock is behind belongs to the window that has begun.
            starts_at, used = max(starts_at, window_of_row), used if window_of_row >= starts_at else 0
            granted = min(amount, limit - used) if limit - used >= least else 0
            if granted or window_of_row < starts_at:
                db.change("set_quota", {**named, "starts_at": starts_at, "used": used + granted})
            left = max(0.0, (starts_at + window - self._database.now()) / 1e6)
        return QuotaLease(
            granted=granted, used=used + granted, ends_at=timestamp(starts_at + window), seconds_left=left
        )
