"""What is past its time goes, in small transactions that nobody waits for.

Of what goes in several steps the batch is marked first, so that nobody builds on it; a crash in between leaves a mark
that the next sweep finds. One process sweeps at a time.
"""

from typing import Any

from goodsgate.model import crash
from goodsgate.store.contract import Retention, SweepCounts
from goodsgate.store.postgres.ask import Cursor, do, every, value
from goodsgate.store.postgres.asking import Asking

SWEEP_LOCK = 0x600D5_5EE9
"""Key of the advisory lock that a step of the sweep holds."""
UNHURRIED = "SET LOCAL idle_in_transaction_session_timeout = '10min'"
"""Who holds the lock says nothing for as long as a sweep takes."""
FINDINGS_AT_ONCE = 2_000
PORTIONS_AT_ONCE = 50
GROUPS_AT_ONCE = 500
PIECES_AT_ONCE = 100
ROWS_PER_STEP = 100
"""Answers, tokens and the like that count as one step."""
UPLOAD_IDLE_SECONDS = 3_600.0
"""Longer than any server waits for a body that stands still."""


class Sweeping(Asking):
    """The last part of the contract."""

    def sweep(self, retention: Retention, *, steps_max: int) -> SweepCounts:
        """At most `steps_max` batches or slices of one, of each kind. All zero where another process is at it."""
        now = self.now()

        def before(seconds: float) -> int:
            return now - int(seconds * 1e6)

        with self.server.transaction(every=True, also=UNHURRIED) as db:
            if not value(db, "sweep_alone", {"key": SWEEP_LOCK}):
                return SweepCounts()
            # The lock is held, and nothing else, while the steps are taken by connections of their own.
            return SweepCounts(
                answers=self._sweep_answers(before(retention.answer_seconds), now, steps_max * ROWS_PER_STEP),
                tokens=self._sweep_tokens(now, steps_max * ROWS_PER_STEP),
                resources=self._sweep_resources(now, steps_max * ROWS_PER_STEP),
                messages=self._sweep_messages(before(retention.message_seconds), steps_max * ROWS_PER_STEP),
                stock_orders=self._sweep_stock_orders(before(retention.stock_order_seconds), steps_max * ROWS_PER_STEP),
                payloads=self._sweep_payloads(before(retention.payload_seconds), steps_max),
                reports=self._sweep_reports(before(retention.report_seconds), steps_max),
                batches=self._sweep_batches(before(retention.batch_seconds), steps_max),
                tombstones=self._sweep_tombstones(before(retention.tombstone_seconds), steps_max),
                orphans=self._sweep_uploads(before(UPLOAD_IDLE_SECONDS), steps_max),
            )

    def _sweep_answers(self, before: int, now: int, most: int) -> int:
        with self.server.transaction(every=True) as db:
            return do(db, "drop_answers", {"before": before, "now": now, "limit": most})

    def _sweep_tokens(self, now: int, most: int) -> int:
        with self.server.transaction(every=True) as db:
            return do(db, "drop_tokens", {"now": now, "limit": most})

    def _sweep_resources(self, now: int, most: int) -> int:
        with self.server.transaction(every=True) as db:
            return do(db, "sweep_resources", {"now": now, "limit": most})

    def _sweep_messages(self, before: int, most: int) -> int:
        with self.server.transaction(every=True) as db:
            return do(db, "drop_messages", {"before": before, "limit": most})

    def _sweep_stock_orders(self, before: int, most: int) -> int:
        with self.server.transaction(every=True) as db:
            return do(db, "drop_stock_orders", {"before": before, "limit": most})

    # -- payloads -----------------------------------------------------------------------------------------------------

    def _sweep_payloads(self, before: int, most: int) -> int:
        swept = steps = 0
        for merchant, seq in self._due("payloads_due", before, most):
            done, taken = self._drop_payloads(merchant, seq, most - steps)
            steps += taken
            swept += 1
            if not done:
                break
            crash.point("sweep-halved")
            with self.server.transaction(merchant) as db:
                do(db, "mark_payloads", {"merchant": merchant, "seq": seq, "before": before})
        return swept

    def _drop_payloads(self, merchant: int, seq: int, most: int) -> tuple[bool, int]:
        """Whether nothing of them is left, and how many slices it took to get there."""
        with self.server.transaction(merchant) as db:
            uploads = every(db, "payload_uploads", {"merchant": merchant, "seq": seq})
        steps = 0
        for round, upload in uploads:
            gone = {"merchant": merchant, "upload": upload.hex(), "limit": PIECES_AT_ONCE, "round": round}
            while True:
                if steps >= max(most, 1):
                    return False, steps
                steps += 1
                with self.server.transaction(merchant) as db:
                    if do(db, "drop_some_pieces", gone) < PIECES_AT_ONCE:
                        do(db, "forget_upload", gone)
                        break
        return True, max(steps, 1)

    def _sweep_uploads(self, before: int, most: int) -> int:
        """Uploads that stood still: nobody fills them any more, or he who does is told when he seals."""
        swept = 0
        for merchant, upload in self._due("uploads_due", before, most):
            gone = {"merchant": merchant, "upload": upload.hex(), "before": before, "limit": PIECES_AT_ONCE}
            with self.server.transaction(merchant) as db:
                if not do(db, "mark_upload", gone):
                    continue
            with self.server.transaction(merchant) as db:
                if do(db, "drop_some_pieces", gone) < PIECES_AT_ONCE:
                    do(db, "drop_upload", gone)
            swept += 1
        return swept

    # -- reports and batches ----------------------------------------------------------------------------------------

    def _sweep_reports(self, before: int, most: int) -> int:
        swept = steps = 0
        for merchant, seq in self._due("reports_due", before, most):
            done, taken = self._drop_report(merchant, seq, most - steps)
            steps += taken
            swept += 1
            if not done:
                break
            with self.server.transaction(merchant) as db:
                do(db, "mark_report", {"merchant": merchant, "seq": seq, "before": before})
        return swept

    def _sweep_batches(self, before: int, most: int) -> int:
        swept = steps = 0
        for merchant, seq in self._due("batches_due", before, most):
            batch = {"merchant": merchant, "seq": seq, "before": before}
            with self.server.transaction(merchant) as db:
                if not do(db, "mark_leaving", batch):
                    continue
            crash.point("sweep-halved")
            swept += 1
            done, taken = self._drop_report(merchant, seq, most - steps)
            steps += taken
            if done:
                done, taken = self._drop_payloads(merchant, seq, most - steps)
                steps += taken
            if not done:
                break
            with self.server.transaction(merchant) as db:
                do(db, "drop_rounds", batch)
                do(db, "drop_batch", batch)
        return swept

    def _drop_report(self, merchant: int, seq: int, most: int) -> tuple[bool, int]:
        """Whether nothing of it is left, and how many slices it took to get there."""
        for step in range(1, most + 1):
            with self.server.transaction(merchant) as db:
                if not _drop_slice(db, merchant, seq):
                    return True, step
        return False, most

    # -- tombstones ---------------------------------------------------------------------------------------------------

    def _sweep_tombstones(self, before: int, most: int) -> int:
        swept, limit = 0, most * ROWS_PER_STEP
        for merchant, shelf in self._due("tombstones_due", before, most):
            due = {"merchant": merchant, "shelf": shelf, "before": before, "limit": limit - swept}
            with self.server.transaction(merchant) as db:
                swept += do(db, "drop_tombstones", due)
                do(db, "mark_tombstones", due)
            if swept >= limit:
                break
        return swept

    def _due(self, statement: str, before: int, most: int) -> list[tuple[Any, ...]]:
        with self.server.transaction(every=True) as db:
            return every(db, statement, {"before": before, "limit": most})


def _drop_slice(db: Cursor, merchant: int, batch: int) -> bool:
    """Some of a batch's findings, or else results, or else groups; False if there was nothing left."""
    named = {"merchant": merchant, "batch": batch}
    for statement, limit in (
        ("drop_some_findings", FINDINGS_AT_ONCE), ("drop_some_portions", PORTIONS_AT_ONCE),
        ("drop_some_groups", GROUPS_AT_ONCE),
    ):
        if do(db, statement, {**named, "limit": limit}):
            return True
    return False
