"""Batches: one row each, correct in every snapshot."""

import msgspec

from goodsgate.model.batch import Batch, Revision, State
from goodsgate.store.contract import BatchFilter, Page
from goodsgate.store.postgres.database import PostgresDatabase
from goodsgate.store.postgres.statements import PostgresStatements
from goodsgate.store.shared.batch_rows import filter_values, make_batch, page_start
from goodsgate.store.shared.database import ALL_MERCHANTS
from goodsgate.store.shared.progress import AFTER_TRIAL, IN_TRIAL, Progress
from goodsgate.store.shared.timestamps import id_bytes

SERIAL = "SET LOCAL max_parallel_workers_per_gather = 0"
"""A page takes milliseconds, and to start processes for it takes longer."""


class PostgresBatchRow(msgspec.Struct):
    """One row of the statement `batch`, in its order."""

    seq: int
    id: bytes
    kind: str
    collection: str
    policy: bytes
    format: str
    content_encoding: str
    label: str
    protocol: str
    protocol_data: bytes
    rounds: int
    bytes_total: int
    received_at: int
    started_at: int | None
    finished_at: int | None
    round: int | None
    chunks: int
    total: int
    bytes_done: int
    """Of all rounds."""
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
    ended: str | None
    open: int
    cancelling: int
    approved: int
    round_started_at: int | None
    position: int

    @property
    def state(self) -> State:
        """The state of the batch."""
        if not self.open or (self.ended == State.HELD and not self.approved):
            return State(self.ended or State.FINISHED)
        return State.QUEUED if self.round_started_at is None else State.WORKING

    @property
    def revision(self) -> Revision:
        """What `batch_revisions` returns of the batch."""
        return (
            self.rounds, self.round, self.chunks, self.ended, self.trial, self.open, self.cancelling, self.approved,
            self.round_started_at,
        )

    @property
    def fully_read(self) -> bool:
        """Whether the submission was read to its end, so that the number of its records is known."""
        return self.ended is not None or (self.round or 0) > 0


class PostgresBatches:
    """Implements BatchStore."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._server = database.server

    def batch(self, merchant: str, batch: str) -> Batch | None:
        """Return a batch; None if it is unknown or another merchant's."""
        if id_bytes(batch) is None:
            return None
        number = self._database.number(merchant)
        if number is None:
            return None
        rows = self._server.query("batch", {"merchant": number, "id": batch}, number)
        return batch_from_row(PostgresBatchRow(*rows[0]), merchant) if rows else None

    def batches(self, merchant: str, filters: BatchFilter, *, after: str | None = None, limit: int = 50) -> Page[Batch]:
        """Return batches, newest first."""
        number = self._database.number(merchant)
        values = {**filter_values(filters, limit), "merchant": number, "after": page_start(after)}
        with self._server.transaction(number, also=SERIAL) as db:
            rows = [PostgresBatchRow(*row) for row in db.rows("batches", values)]
        batches = [batch_from_row(row, merchant) for row in rows[:limit]]
        return Page(batches, str(rows[limit - 1].seq) if len(rows) > limit else None)

    def all_batches(self, filters: BatchFilter, *, after: str | None = None, limit: int = 50) -> Page[Batch]:
        """Return batches of all merchants by number, which is the order of acceptance in each lane, newest first."""
        values = {**filter_values(filters, limit), "after": page_start(after)}
        with self._server.reading(ALL_MERCHANTS) as db:
            rows = [(PostgresBatchRow(*row), merchant) for *row, merchant in db.rows("all_batches", values)]
        batches = [batch_from_row(row, merchant) for row, merchant in rows[:limit]]
        return Page(batches, str(rows[limit - 1][0].seq) if len(rows) > limit else None)


def batch_row(db: PostgresStatements, merchant: int, batch: str) -> PostgresBatchRow | None:
    """Return the row of a batch inside a transaction."""
    row = db.first("batch", {"merchant": merchant, "id": batch})
    return PostgresBatchRow(*row) if row is not None else None


def batch_from_row(row: PostgresBatchRow, merchant: str) -> Batch:
    """Return the batch of a row."""
    if row.trial == IN_TRIAL and row.open and row.approved:
        anew = Progress(seq=row.seq, round=0, items_before=0, first_at=0, trial=AFTER_TRIAL, hold=row.hold)
        return make_batch(row, anew, merchant, row.state, total=None, bytes_done=0, finished_at=None,
                          revision=row.revision)
    return make_batch(
        row, row, merchant, row.state, total=row.total if row.fully_read else None, bytes_done=row.bytes_done,
        finished_at=row.finished_at, revision=row.revision,
    )
