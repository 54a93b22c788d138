"""Records that wait for references: they are in the catalogue file, the rounds that work them in the intake file."""

from collections.abc import Sequence

from goodsgate.model.references import Reference
from goodsgate.store.shared.waiting import SqlWaiting
from goodsgate.store.sqlite.database import SqliteDatabase


class SqliteWaiting(SqlWaiting):
    """Implements WaitingStore; only the process that works finds or marks what has arrived."""

    def __init__(self, database: SqliteDatabase) -> None:
        super().__init__(database)
        self._files = database

    def changed_references(self, *, limit: int = 100) -> list[tuple[str, int]]:
        """Return merchants with records that wait for reference data of an earlier version, and the current one."""
        if not self._files.lock_worker():
            return []
        changed = []
        for number, waiting_version in self._files.catalogue.query("changed_references", {}):
            row = self._files.intake.query("merchant_version", {"merchant": number})
            if row and row[0][1] > waiting_version:
                changed.append((row[0][0], row[0][1]))
                if len(changed) == limit:
                    break
        return changed

    def mark_references(self, merchant: str, version: int, *, arrived: Sequence[Reference],
                        missing: Sequence[Reference]) -> None:
        """Record what has arrived, and what has not; no effect while another process works."""
        if self._files.lock_worker():
            super().mark_references(merchant, version, arrived=arrived, missing=missing)

    def ready_batches(self, *, limit: int = 100) -> list[tuple[str, str]]:
        """Return batches with waiting records that are ready and no open round."""
        if not self._files.lock_worker():
            return []
        ready = []
        for number, batch in self._files.catalogue.query("ready_batches", {"now": self._files.now()}):
            row = self._files.intake.query("quiet_batch", {"merchant": number, "id": batch})
            if row:
                ready.append((row[0][0], batch.hex()))
                if len(ready) == limit:
                    break
        return ready
