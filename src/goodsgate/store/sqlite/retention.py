"""Removes what is past its retention, in small transactions that nobody waits for.

Of what is in both files, the intake's half is marked first, so that nobody builds on what is being removed. A crash in
between leaves a mark that the next sweep finds.
"""

import orjson

from goodsgate.model import crash
from goodsgate.store.contract import Retention, SweepCounts
from goodsgate.store.shared.audit import sweep_audit
from goodsgate.store.shared.database import Row
from goodsgate.store.shared.feed_days import DAY
from goodsgate.store.shared.findings import sweep_finding_segments
from goodsgate.store.shared.journal import sweep_segments
from goodsgate.store.shared.outbox import sweep_queues
from goodsgate.store.sqlite.database import SqliteDatabase
from goodsgate.store.sqlite.file import SqliteFile
from goodsgate.store.sqlite.progress import read_progress
from goodsgate.store.sqlite.statements import SqliteStatements

FINDINGS_PER_STEP = 2_000
CHUNKS_PER_STEP = 50
GROUPS_PER_STEP = 500
SEGMENTS_PER_STEP = 100
ROWS_PER_STEP = 100
"""Idempotency keys, tokens and the like that count as one step."""


class SqliteRetention:
    """Implements `sweep`; only the process that works sweeps."""

    def __init__(self, database: SqliteDatabase, *, journal: bool) -> None:
        """`journal` is whether changes are written to the journal."""
        self._database = database
        self._must_end_journals = not journal
        self._intake = database.intake
        self._catalogue = database.catalogue
        self._uploads = database.uploads

    def sweep(self, retention: Retention, *, steps_max: int) -> SweepCounts:
        """Remove at most `steps_max` batches, or slices of one, of each kind; nothing if another process works."""
        if not self._database.lock_worker():
            return SweepCounts()
        now, rows = self._database.now(), steps_max * ROWS_PER_STEP

        def before(seconds: float) -> int:
            return now - int(seconds * 1e6)

        intake, catalogue = self._intake, self._catalogue
        if self._must_end_journals:
            self._end_journals(now)
        sweep_queues(intake, now=now, before=before(retention.message_seconds))
        return SweepCounts(
            payloads=self._sweep_payloads(before(retention.payload_seconds), steps_max),
            reports=self._sweep_reports(before(retention.report_seconds), steps_max),
            batches=self._sweep_batches(before(retention.batch_seconds), steps_max),
            answers=_delete(intake, "delete_idempotency_keys", rows, before=before(retention.answer_seconds), now=now),
            changes=self._sweep_journal(before(retention.journal_seconds), steps_max),
            tombstones=self._sweep_tombstones(before(retention.tombstone_seconds), rows),
            tokens=_delete(intake, "delete_tokens", rows, now=now),
            resources=_delete(intake, "delete_resources", rows, now=now),
            messages=_delete(intake, "delete_messages", rows, before=before(retention.message_seconds)),
            stock_orders=_delete(catalogue, "delete_stock_orders", rows, before=before(retention.stock_order_seconds)),
            parents=_delete(catalogue, "delete_group_parents", rows, now=now),
            feed_days=_delete(catalogue, "delete_feed_days", rows, before=before(retention.batch_seconds) // DAY),
            audit_entries=sweep_audit(
                intake, now=now, before=before(retention.audit_seconds), limit=steps_max
            ),
            orphans=self._uploads.remove_orphans(self._is_used, limit=steps_max),
        )

    def _sweep_payloads(self, before: int, limit: int) -> int:
        swept = 0
        for merchant, seq in self._due("payloads_due", before, limit):
            batch = {"merchant": merchant, "seq": seq, "before": before}
            with self._intake.writing() as db:
                marked = db.change("mark_payloads_deleted", batch)
                files = _delete_payloads(db, batch) if marked else []
            crash.point("sweep-halved")
            for file in files:
                self._uploads.remove(file)  # after a crash here the file is an orphan
            swept += marked
        return swept

    def _sweep_reports(self, before: int, limit: int) -> int:
        swept = steps = 0
        for merchant, seq, id in self._due("reports_due", before, limit):
            done, taken = self._delete_report(merchant, id, limit - steps)
            steps += taken
            swept += 1
            if not done:
                break
            with self._intake.writing() as db:
                db.change("mark_report_deleted", {"merchant": merchant, "seq": seq, "before": before})
        return swept

    def _sweep_batches(self, before: int, limit: int) -> int:
        swept = steps = 0
        for merchant, seq, id in self._due("batches_due", before, limit):
            batch = {"merchant": merchant, "seq": seq, "before": before}
            with self._intake.writing() as db:
                if not db.change("mark_deleting", batch):
                    continue
            crash.point("sweep-halved")
            done, taken = self._delete_report(merchant, id, limit - steps)
            steps += taken
            swept += 1
            if not done:
                break
            self._delete_batch(batch, id)
        return swept

    def _delete_batch(self, batch: dict[str, int], id: bytes) -> None:
        with self._catalogue.writing() as db:
            progress = read_progress(db, batch["merchant"], id)
            if progress is not None:
                db.change("delete_progress", {"merchant": batch["merchant"], "seq": progress.seq})
        with self._intake.writing() as db:
            files = _delete_payloads(db, batch)
            db.change("delete_rounds", batch)
            db.change("delete_batch", batch)
        for file in files:
            self._uploads.remove(file)

    def _delete_report(self, merchant: int, id: bytes, limit: int) -> tuple[bool, int]:
        """Delete the report of a batch; return whether nothing of it is left, and the number of slices it took."""
        with self._catalogue.reading() as db:
            progress = read_progress(db, merchant, id)
        if progress is None:
            return True, 1
        numbers = [progress.seq, -progress.seq] if progress.trial else [progress.seq]
        for step in range(1, limit + 1):
            with self._catalogue.writing() as db:
                if not any(_delete_slice(db, merchant, number) for number in numbers):
                    return True, step
        return False, limit

    def _sweep_tombstones(self, before: int, limit: int) -> int:
        swept = 0
        for merchant, collection in self._catalogue.query("tombstones_due", {"before": before}):
            due = {"merchant": merchant, "collection": collection, "before": before, "limit": limit - swept}
            with self._catalogue.writing() as db:
                swept += db.change("delete_tombstones", due)
            if swept >= limit:
                break
        return swept

    def _end_journals(self, now: int) -> None:
        for (merchant,) in self._catalogue.query("journals", {}):
            with self._catalogue.writing() as db:
                db.change("skip_number", {"merchant": merchant, "now": now})
        self._must_end_journals = False

    def _sweep_journal(self, before: int, limit: int) -> int:
        swept = 0
        for (merchant,) in self._catalogue.query("journal_due", {"before": before, "limit": limit}):
            with self._catalogue.writing() as db:
                swept += sweep_segments(db, merchant, before, SEGMENTS_PER_STEP)
        return swept

    def _is_used(self, file: str) -> bool:
        return bool(self._intake.query("file_is_used", {"file": file})[0][0])

    def _due(self, statement: str, before: int, limit: int) -> list[Row]:
        return self._intake.query(statement, {"before": before, "limit": limit})


def _delete(file: SqliteFile, statement: str, limit: int, **values: int) -> int:
    with file.writing() as db:
        return db.change(statement, {**values, "limit": limit})


def _delete_payloads(db: SqliteStatements, batch: dict[str, int]) -> list[str]:
    """Delete small payloads, and return the names of the files of larger ones, which may then be removed."""
    files = [file for (file,) in db.each("payload_files", batch)]
    db.change("delete_payloads", batch)
    db.change("clear_files", batch)
    return files


def _delete_slice(db: SqliteStatements, merchant: int, batch: int) -> bool:
    """Delete some of a batch's findings, or else results, or else groups; return False if nothing was left."""
    named = {"merchant": merchant, "batch": batch}
    ids = [id for (id,) in db.each("delete_some_findings", {**named, "limit": FINDINGS_PER_STEP})]
    if ids:
        db.change("delete_raws", {"merchant": merchant, "ids": orjson.dumps(ids).decode()})
        return True
    for statement, limit in (
        ("delete_some_chunks", CHUNKS_PER_STEP), ("delete_some_chunk_keys", CHUNKS_PER_STEP),
        ("delete_some_issue_groups", GROUPS_PER_STEP), ("delete_some_diff_segments", SEGMENTS_PER_STEP),
    ):
        if db.change(statement, {**named, "limit": limit}):
            return True
    return sweep_finding_segments(db, merchant, batch, SEGMENTS_PER_STEP) or db.change("delete_diff", named) > 0
