"""Batches from both files: correct at every instant, also between their two commits."""

from operator import itemgetter
from typing import Protocol

import msgspec

from goodsgate.model.batch import Batch, Revision, State
from goodsgate.store.contract import BatchFilter, Page
from goodsgate.store.shared.batch_rows import (
    SEQ_MAX,
    ListSource,
    filter_values,
    list_source,
    make_batch,
    page_start,
)
from goodsgate.store.shared.database import Row
from goodsgate.store.shared.progress import IN_TRIAL
from goodsgate.store.shared.timestamps import id_bytes
from goodsgate.store.sqlite.database import SqliteDatabase
from goodsgate.store.sqlite.progress import read_progress
from goodsgate.store.sqlite.statements import SqliteStatements

SOURCES: dict[ListSource, tuple[str, ...]] = {
    "all": ("batches",), "open": ("open_batches",), "failed": ("failed_batches", "open_batches"),
    "stopped": ("stopped_batches", "open_batches"),
}
"""Statements that list batches, by what is asked for. An open round may have ended already, in the other file."""
SEQ = itemgetter(1)


class SqliteBatchRow(msgspec.Struct):
    """One row of the view `batch_document`, in its order."""

    merchant: int
    seq: int
    id: bytes
    kind: str
    collection: str
    policy: bytes
    format: str
    content_encoding: str
    label: str
    folded: str
    protocol: str
    protocol_data: bytes
    rounds: int
    bytes_total: int
    received_at: int
    started_at: int | None
    state: str | None
    """None while a round is open."""
    finished_at: int | None
    total: int | None
    bytes_done: int
    created: int
    updated: int
    unchanged: int
    deleted: int
    superseded: int
    rejected: int
    cancelled: int
    merged: int
    waiting: int
    warned: int
    file_errors: int
    columns: bytes | None
    withheld: bytes | None
    reading: bytes | None
    roles: bytes | None
    rule_counts: bytes | None
    trial: int
    hold: bytes | None
    open: int
    cancelling: int
    approved: int
    round_started_at: int | None
    position: int

    @property
    def revision(self) -> Revision:
        """What `batch_revisions` returns of the batch."""
        return (self.rounds, self.state, self.open, self.cancelling, self.approved, self.round_started_at)


class ReadPage(Protocol):
    """Reads a page of rows before a batch number, each followed by its merchant."""

    def __call__(self, db: SqliteStatements, before: int) -> list[Row]:
        """Read a page."""


class SqliteBatches:
    """Implements BatchStore."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._intake = database.intake

    def batch(self, merchant: str, batch: str) -> Batch | None:
        """Return a batch; None if it is unknown or another merchant's."""
        id, number = id_bytes(batch), self._database.number(merchant)
        if id is None or number is None:
            return None
        before = None
        while True:
            with self._intake.reading() as db:
                row = batch_row(db, number, id)
            if row is None:
                return None
            found = self.from_row(row, merchant, reread=row == before)
            if found is not None:
                return found
            before = row

    def batches(self, merchant: str, filters: BatchFilter, *, after: str | None = None, limit: int = 50) -> Page[Batch]:
        """Return batches, newest first."""
        number = self._database.number(merchant)
        if number is None:
            return Page([], None)
        values = {**filter_values(filters, limit), "merchant": number}
        statements = SOURCES[list_source(filters)]

        def read(db: SqliteStatements, before: int) -> list[Row]:
            rows = [row for name in statements for row in db.rows(name, {**values, "after": before})]
            if len(statements) > 1:
                rows = sorted(rows, key=SEQ, reverse=True)[: limit + 1]
            return [(*row, merchant) for row in rows]

        return self._page(read, filters, after=after, limit=limit)

    def all_batches(self, filters: BatchFilter, *, after: str | None = None, limit: int = 50) -> Page[Batch]:
        """Return batches of all merchants, newest first."""
        values = filter_values(filters, limit)

        def read(db: SqliteStatements, before: int) -> list[Row]:
            only_open = list_source(filters) == "open"
            oldest = (db.value("oldest_open_of_all") or SEQ_MAX) if only_open else 0
            return db.rows("all_batches", {**values, "after": before, "oldest": oldest})

        return self._page(read, filters, after=after, limit=limit)

    def _page(self, read: ReadPage, filters: BatchFilter, *, after: str | None, limit: int) -> Page[Batch]:
        before = page_start(after)
        found: list[tuple[int, Batch]] = []
        while len(found) <= limit:
            with self._intake.reading() as db:
                rows = read(db, before)
            for *values, merchant in rows:
                row = SqliteBatchRow(*values)
                before = row.seq
                batch = self.from_row(row, merchant) or self.batch(merchant, row.id.hex())
                if batch is not None and _matches(batch, filters):
                    found.append((row.seq, batch))
            if len(rows) <= limit:
                break
        more = len(found) > limit
        return Page([batch for _, batch in found[:limit]], str(found[limit - 1][0]) if more else None)

    def from_row(self, row: SqliteBatchRow, merchant: str, *, reread: bool = False) -> Batch | None:
        """Return the batch of a row; None if another round was begun since the row was read.

        `reread` tells that the row was read twice and has not changed. Then the intake file was restored from a
        backup, and the round has ended.
        """
        if not row.open:
            assert row.state is not None
            return make_batch(
                row, row, merchant, State(row.state), total=row.total, bytes_done=row.bytes_done,
                finished_at=row.finished_at, revision=row.revision,
            )
        with self._database.catalogue.reading() as db:
            progress = read_progress(db, row.merchant, row.id)
        state = State.QUEUED if row.round_started_at is None else State.WORKING
        if progress is None:
            return make_batch(
                row, row, merchant, state, total=row.total, bytes_done=row.bytes_done, finished_at=None,
                revision=row.revision,
            )
        if progress.round > row.rounds - 1 and not reread:
            return None
        revision = (*row.revision, progress.round, progress.chunks, progress.ended, progress.trial)
        if progress.trial == IN_TRIAL and row.approved and row.rounds == 1:
            progress.begin_anew(items_before=0, first_at=0)
        if progress.is_held:
            state = State.HELD
        elif progress.has_ended(row.rounds - 1):
            state = State(progress.ended or State.FINISHED)
        return make_batch(
            row, progress, merchant, state, total=progress.total if progress.fully_read else None,
            bytes_done=progress.bytes_before + progress.bytes_done,
            finished_at=progress.ended_at or progress.first_at, revision=revision,
        )


def batch_row(db: SqliteStatements, merchant: int, batch: bytes) -> SqliteBatchRow | None:
    """Return the row of a batch from the intake file."""
    row = db.first("batch", {"merchant": merchant, "id": batch})
    return SqliteBatchRow(*row) if row is not None else None


def _matches(batch: Batch, filters: BatchFilter) -> bool:
    """Check what the intake file alone cannot decide of an open batch."""
    if filters.view is not None and batch.view is not filters.view:
        return False
    if filters.state is not None and batch.state is not filters.state:
        return False
    return filters.outcome is None or batch.outcome == filters.outcome
