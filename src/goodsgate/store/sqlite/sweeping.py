"""What is past its time goes, in small transactions that nobody waits for.

Of what is in both files the intake's half is marked first, so that nobody builds on what is going; a crash in between
leaves a mark that the next sweep finds.
"""

from typing import Any

import apsw
import orjson

from goodsgate.model import crash
from goodsgate.store.contract import Retention, SweepCounts
from goodsgate.store.sqlite.ask import do, each, every, value
from goodsgate.store.sqlite.asking import Asking
from goodsgate.store.sqlite.progress import progress_of

FINDINGS_AT_ONCE = 2_000
PORTIONS_AT_ONCE = 50
GROUPS_AT_ONCE = 500
ROWS_PER_STEP = 100
"""Answers, tokens and the like that count as one step."""


class Sweeping(Asking):
    """The last part of the contract; only the store that works sweeps."""

    def sweep(self, retention: Retention, *, steps_max: int) -> SweepCounts:
        """At most `steps_max` batches or slices of one, of each kind. All zero where another process works."""
        if not self.seated():
            return SweepCounts()
        now = self.now()

        def before(seconds: float) -> int:
            return now - int(seconds * 1e6)

        return SweepCounts(
            payloads=self._sweep_payloads(before(retention.payload_seconds), steps_max),
            reports=self._sweep_reports(before(retention.report_seconds), steps_max),
            batches=self._sweep_batches(before(retention.batch_seconds), steps_max),
            answers=self._sweep_answers(before(retention.answer_seconds), now, steps_max * ROWS_PER_STEP),
            tombstones=self._sweep_tombstones(before(retention.tombstone_seconds), steps_max * ROWS_PER_STEP),
            tokens=self._sweep_tokens(now, steps_max * ROWS_PER_STEP),
            resources=self._sweep_resources(now, steps_max * ROWS_PER_STEP),
            messages=self._sweep_messages(before(retention.message_seconds), steps_max * ROWS_PER_STEP),
            stock_orders=self._sweep_stock_orders(before(retention.stock_order_seconds), steps_max * ROWS_PER_STEP),
            orphans=self.uploads.remove_orphans(self._is_named, most=steps_max),
        )

    # -- payloads -----------------------------------------------------------------------------------------------------

    def _sweep_payloads(self, before: int, most: int) -> int:
        swept = 0
        for merchant, seq in self._due("payloads_due", before, most):
            batch = {"merchant": merchant, "seq": seq, "before": before}
            with self.intake.writing() as db:
                marked = do(db, "mark_payloads", batch)
                files = _forget_payloads(db, batch) if marked else []
            crash.point("sweep-halved")
            for file in files:
                self.uploads.remove(file)  # after a crash here the file is an orphan
            swept += marked
        return swept

    # -- reports and batches ----------------------------------------------------------------------------------------

    def _sweep_reports(self, before: int, most: int) -> int:
        swept = steps = 0
        for merchant, seq, packed in self._due("reports_due", before, most):
            batch = {"merchant": merchant, "seq": seq, "before": before}
            done, taken = self._drop_report(merchant, packed, most - steps)
            steps += taken
            swept += 1
            if not done:
                break
            with self.intake.writing() as db:
                do(db, "mark_report", batch)
        return swept

    def _sweep_batches(self, before: int, most: int) -> int:
        swept = steps = 0
        for merchant, seq, packed in self._due("batches_due", before, most):
            batch = {"merchant": merchant, "seq": seq, "before": before}
            with self.intake.writing() as db:
                if not do(db, "mark_leaving", batch):
                    continue
            crash.point("sweep-halved")
            done, taken = self._drop_report(merchant, packed, most - steps)
            steps += taken
            swept += 1
            if not done:
                break
            self._drop_batch(batch, packed)
        return swept

    def _drop_batch(self, batch: dict[str, int], packed: bytes) -> None:
        with self.catalogue.writing() as db:
            progress = progress_of(db, batch["merchant"], packed)
            if progress is not None:
                do(db, "drop_progress", {"merchant": batch["merchant"], "seq": progress.seq})
        with self.intake.writing() as db:
            files = _forget_payloads(db, batch)
            do(db, "drop_rounds", batch)
            do(db, "drop_batch", batch)
        for file in files:
            self.uploads.remove(file)

    def _drop_report(self, merchant: int, packed: bytes, most: int) -> tuple[bool, int]:
        """Whether nothing of it is left, and how many slices it took to get there."""
        with self.catalogue.reading() as db:
            progress = progress_of(db, merchant, packed)
        if progress is None:
            return True, 1
        for step in range(1, most + 1):
            with self.catalogue.writing() as db:
                if not _drop_slice(db, merchant, progress.seq):
                    return True, step
        return False, most

    # -- answers, tombstones, orphans ---------------------------------------------------------------------------------

    def _sweep_answers(self, before: int, now: int, most: int) -> int:
        with self.intake.writing() as db:
            return do(db, "drop_answers", {"before": before, "now": now, "limit": most})

    def _sweep_tokens(self, now: int, most: int) -> int:
        with self.intake.writing() as db:
            return do(db, "drop_tokens", {"now": now, "limit": most})

    def _sweep_resources(self, now: int, most: int) -> int:
        with self.intake.writing() as db:
            return do(db, "sweep_resources", {"now": now, "limit": most})

    def _sweep_messages(self, before: int, most: int) -> int:
        with self.intake.writing() as db:
            return do(db, "drop_messages", {"before": before, "limit": most})

    def _sweep_stock_orders(self, before: int, most: int) -> int:
        with self.catalogue.writing() as db:
            return do(db, "drop_stock_orders", {"before": before, "limit": most})

    def _sweep_tombstones(self, before: int, most: int) -> int:
        swept = 0
        with self.catalogue.reading() as db:
            shelves = every(db, "tombstones_due", {"before": before})
        for merchant, shelf in shelves:
            due = {"merchant": merchant, "shelf": shelf, "before": before, "limit": most - swept}
            with self.catalogue.writing() as db:
                swept += do(db, "drop_tombstones", due)
            if swept >= most:
                break
        return swept

    def _is_named(self, file: str) -> bool:
        with self.intake.reading() as db:
            return bool(value(db, "file_is_named", {"file": file}))

    def _due(self, statement: str, before: int, most: int) -> list[tuple[Any, ...]]:
        with self.intake.reading() as db:
            return every(db, statement, {"before": before, "limit": most})


def _forget_payloads(db: apsw.Connection, batch: dict[str, int]) -> list[str]:
    """Names of the files that may then be removed."""
    files = [file for (file,) in each(db, "payload_files", batch)]
    do(db, "drop_payloads", batch)
    do(db, "forget_files", batch)
    return files


def _drop_slice(db: apsw.Connection, merchant: int, batch: int) -> bool:
    """Some of a batch's findings, or else results, or else groups; False if there was nothing left."""
    named = {"merchant": merchant, "batch": batch}
    ids = [row for (row,) in each(db, "drop_some_findings", {**named, "limit": FINDINGS_AT_ONCE})]
    if ids:
        do(db, "drop_raws", {"merchant": merchant, "ids": orjson.dumps(ids).decode()})
        return True
    for statement, limit in (
        ("drop_some_portions", PORTIONS_AT_ONCE), ("drop_some_portion_keys", PORTIONS_AT_ONCE),
        ("drop_some_groups", GROUPS_AT_ONCE),
    ):
        if do(db, statement, {**named, "limit": limit}):
            return True
    return False
