"""Removes what is past its retention, in small transactions that nobody waits for."""

import logging

from goodsgate.model import crash
from goodsgate.store.contract import Retention, StoreError, SweepCounts
from goodsgate.store.postgres.database import PostgresDatabase
from goodsgate.store.postgres.findings import FINDINGS_LOCK
from goodsgate.store.postgres.statements import PostgresStatements
from goodsgate.store.shared.audit import sweep_audit
from goodsgate.store.shared.database import ALL_MERCHANTS, Row
from goodsgate.store.shared.feed_days import DAY
from goodsgate.store.shared.findings import sweep_finding_segments
from goodsgate.store.shared.journal import sweep_segments
from goodsgate.store.shared.outbox import sweep_queues

log = logging.getLogger(__name__)

SWEEP_LOCK = 0x600D5_5EE9
"""Key of the advisory lock that a step of the sweep holds."""
IDLE_TIMEOUT = "SET LOCAL idle_in_transaction_session_timeout = '10min'"
"""The transaction that holds the lock is idle during the whole sweep."""
FINDINGS_PER_STEP = 2_000
CHUNKS_PER_STEP = 50
GROUPS_PER_STEP = 500
SEGMENTS_PER_STEP = 100
PIECES_PER_STEP = 100
ROWS_PER_STEP = 100
"""Idempotency keys, tokens and the like that count as one step."""
UPLOAD_IDLE_SECONDS = 3_600.0
"""Longer than any server waits for the next bytes of a body."""


class PostgresRetention:
    """Implements `sweep`; one process at a time sweeps."""

    def __init__(self, database: PostgresDatabase, *, journal: bool) -> None:
        """`journal` is whether changes are written to the journal."""
        self._database = database
        self._must_end_journals = not journal
        self._server = database.server

    def sweep(self, retention: Retention, *, steps_max: int) -> SweepCounts:
        """Remove at most `steps_max` batches, or slices of one, of each kind; nothing if another process sweeps."""
        now, rows = self._database.now(), steps_max * ROWS_PER_STEP

        def before(seconds: float) -> int:
            return now - int(seconds * 1e6)

        with self._server.transaction(ALL_MERCHANTS, also=IDLE_TIMEOUT) as db:
            if not db.value("lock_sweep", {"key": SWEEP_LOCK}):
                return SweepCounts()
            if self._must_end_journals:
                self._end_journals(now)
            sweep_queues(self._server, now=now, before=before(retention.message_seconds))
            # This transaction holds the lock and nothing else, while the steps use connections of their own.
            return SweepCounts(
                answers=self._delete("delete_idempotency_keys", rows, before=before(retention.answer_seconds), now=now),
                tokens=self._delete("delete_tokens", rows, now=now),
                resources=self._delete("delete_resources", rows, now=now),
                messages=self._delete("delete_messages", rows, before=before(retention.message_seconds)),
                stock_orders=self._delete("delete_stock_orders", rows, before=before(retention.stock_order_seconds)),
                payloads=self._sweep_payloads(before(retention.payload_seconds), steps_max),
                reports=self._sweep_reports(before(retention.report_seconds), steps_max),
                batches=self._sweep_batches(before(retention.batch_seconds), steps_max),
                changes=self._sweep_journal(before(retention.journal_seconds), steps_max),
                tombstones=self._sweep_tombstones(before(retention.tombstone_seconds), steps_max),
                parents=self._delete("delete_group_parents", rows, now=now),
                feed_days=self._delete("delete_feed_days", rows, before=before(retention.batch_seconds) // DAY),
                audit_entries=sweep_audit(
                    self._server, now=now, before=before(retention.audit_seconds), limit=steps_max
                ),
                orphans=self._sweep_uploads(before(UPLOAD_IDLE_SECONDS), steps_max),
            )

    def _delete(self, statement: str, limit: int, **values: int) -> int:
        with self._server.transaction(ALL_MERCHANTS) as db:
            return db.change(statement, {**values, "limit": limit})

    def _sweep_payloads(self, before: int, limit: int) -> int:
        swept = steps = 0
        for merchant, seq in self._due("payloads_due", before, limit):
            done, taken = self._delete_payloads(merchant, seq, limit - steps)
            steps += taken
            swept += 1
            if not done:
                break
            crash.point("sweep-halved")
            with self._server.transaction(merchant) as db:
                db.change("mark_payloads_deleted", {"merchant": merchant, "seq": seq, "before": before})
        return swept

    def _delete_payloads(self, merchant: int, seq: int, limit: int) -> tuple[bool, int]:
        """Delete the payloads of a batch; return whether nothing is left, and the number of slices it took."""
        with self._server.transaction(merchant) as db:
            uploads = db.rows("payload_uploads", {"merchant": merchant, "seq": seq})
        steps = 0
        for round, upload in uploads:
            named = {"merchant": merchant, "upload": upload.hex(), "limit": PIECES_PER_STEP, "round": round}
            while True:
                if steps >= max(limit, 1):
                    return False, steps
                steps += 1
                if not self._delete_objects(merchant, named):
                    return False, steps
                with self._server.transaction(merchant) as db:
                    if db.change("delete_some_pieces", named) < PIECES_PER_STEP:
                        db.change("clear_upload", named)
                        break
        return True, max(steps, 1)

    def _delete_objects(self, merchant: int, named: dict[str, object]) -> bool:
        """Delete the objects of the next pieces of an upload, before their rows; False if the storage fails."""
        with self._server.transaction(merchant) as db:
            pieces = [piece for (piece,) in db.rows("payload_objects", named)]
        try:
            self._database.payload_objects.delete(merchant, str(named["upload"]), pieces)
        except StoreError as fault:
            log.warning("objects of payloads are not deleted: %s", fault)
            return False
        if pieces:
            crash.point("sweep-halved")
        return True

    def _sweep_uploads(self, before: int, limit: int) -> int:
        """Delete idle uploads: no process writes them any more, or the one that does fails when it uses them."""
        swept = 0
        for merchant, upload in self._due("uploads_due", before, limit):
            named = {"merchant": merchant, "upload": upload.hex(), "before": before, "limit": PIECES_PER_STEP}
            with self._server.transaction(merchant) as db:
                if not db.change("expire_upload", named):
                    continue
            if not self._delete_objects(merchant, named):
                break
            with self._server.transaction(merchant) as db:
                if db.change("delete_some_pieces", named) < PIECES_PER_STEP:
                    db.change("delete_upload", named)
            swept += 1
        return swept

    def _sweep_reports(self, before: int, limit: int) -> int:
        swept = steps = 0
        for merchant, seq, trial in self._due("reports_due", before, limit):
            done, taken = self._delete_report(merchant, seq, limit - steps, has_trial=bool(trial))
            steps += taken
            swept += 1
            if not done:
                break
            with self._server.transaction(merchant) as db:
                db.change("mark_report_deleted", {"merchant": merchant, "seq": seq, "before": before})
        return swept

    def _sweep_batches(self, before: int, limit: int) -> int:
        swept = steps = 0
        for merchant, seq, trial in self._due("batches_due", before, limit):
            batch = {"merchant": merchant, "seq": seq, "before": before}
            with self._server.transaction(merchant) as db:
                if not db.change("mark_deleting", batch):
                    continue
            crash.point("sweep-halved")
            swept += 1
            done, taken = self._delete_report(merchant, seq, limit - steps, has_trial=bool(trial))
            steps += taken
            if done:
                done, taken = self._delete_payloads(merchant, seq, limit - steps)
                steps += taken
            if not done:
                break
            with self._server.transaction(merchant) as db:
                db.change("delete_rounds", batch)
                db.change("delete_batch", batch)
        return swept

    def _delete_report(self, merchant: int, seq: int, limit: int, *, has_trial: bool) -> tuple[bool, int]:
        """Delete the report of a batch; return whether nothing of it is left, and the number of slices it took."""
        numbers = [seq, -seq] if has_trial else [seq]
        for step in range(1, limit + 1):
            with self._server.transaction(merchant) as db:
                if not any(_delete_slice(db, merchant, number) for number in numbers):
                    return True, step
        return False, limit

    def _sweep_tombstones(self, before: int, limit: int) -> int:
        swept, rows = 0, limit * ROWS_PER_STEP
        for merchant, collection in self._due("tombstones_due", before, limit):
            due = {"merchant": merchant, "collection": collection, "before": before, "limit": rows - swept}
            with self._server.transaction(merchant) as db:
                swept += db.change("delete_tombstones", due)
                db.change("mark_tombstones_deleted", due)
            if swept >= rows:
                break
        return swept

    def _end_journals(self, now: int) -> None:
        for (merchant,) in self._server.query("journals", {}, ALL_MERCHANTS):
            with self._server.transaction(merchant) as db:
                db.change("skip_number", {"merchant": merchant, "now": now})
        self._must_end_journals = False

    def _sweep_journal(self, before: int, limit: int) -> int:
        swept = 0
        for (merchant,) in self._due("journal_due", before, limit):
            with self._server.transaction(merchant) as db:
                swept += sweep_segments(db, merchant, before, SEGMENTS_PER_STEP)
        return swept

    def _due(self, statement: str, before: int, limit: int) -> list[Row]:
        with self._server.transaction(ALL_MERCHANTS) as db:
            return db.rows(statement, {"before": before, "limit": limit})


def _delete_slice(db: PostgresStatements, merchant: int, batch: int) -> bool:
    """Delete some of a batch's findings, or else results, or else groups; return False if nothing was left."""
    named = {"merchant": merchant, "batch": batch}
    for statement, limit in (
        ("delete_some_findings", FINDINGS_PER_STEP), ("delete_some_chunks", CHUNKS_PER_STEP),
        ("delete_some_issue_groups", GROUPS_PER_STEP), ("delete_some_diff_segments", SEGMENTS_PER_STEP),
    ):
        if db.change(statement, {**named, "limit": limit}):
            return True
    db.first("lock_finding_sweep", {"merchant": merchant, "key": FINDINGS_LOCK})
    return sweep_finding_segments(db, merchant, batch, SEGMENTS_PER_STEP) or db.change("delete_diff", named) > 0
