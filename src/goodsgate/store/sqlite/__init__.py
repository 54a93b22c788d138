"""The embedded store: one folder, no server.

``intake.db`` contains merchants, keys, reference data, batches, rounds, leases and small payloads; ``payloads/`` one
file per larger one; ``catalogue.db`` items, results, findings and the progress of rounds. Any number of processes may
read and submit, one works: it holds ``worker.lock``, others wait for it. Only the process that works writes
``catalogue.db``, except for stock changes, which are short; and only its transactions are long. So a submission never
waits for a bulk load, and a stock change for no more than a chunk.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from goodsgate.model.batch import now as now_utc
from goodsgate.store.composed import ComposedStore
from goodsgate.store.contract import ItemTerms
from goodsgate.store.shared.audit import SqlAudit
from goodsgate.store.shared.catalogue import SqlCatalogue
from goodsgate.store.shared.dry_run import SqlDryRuns
from goodsgate.store.shared.item_index import SqlIndex
from goodsgate.store.shared.item_snapshot import SqlSnapshots
from goodsgate.store.shared.jobs import SqlJobs
from goodsgate.store.shared.journal import SqlJournal
from goodsgate.store.shared.merchants import SqlMerchants
from goodsgate.store.shared.outbox import SqlOutbox
from goodsgate.store.shared.processes import SqlProcesses
from goodsgate.store.shared.reference import SqlReference
from goodsgate.store.shared.reports import SqlReports
from goodsgate.store.shared.resources import SqlResources
from goodsgate.store.sqlite.backup import SqliteBackup
from goodsgate.store.sqlite.batches import SqliteBatches
from goodsgate.store.sqlite.changes import SqliteChanges
from goodsgate.store.sqlite.committer import SqliteCommitter
from goodsgate.store.sqlite.database import SqliteDatabase
from goodsgate.store.sqlite.intake import SqliteIntake
from goodsgate.store.sqlite.lookups import SqliteLookups
from goodsgate.store.sqlite.maintenance import SqliteMaintenance
from goodsgate.store.sqlite.queue import SqliteQueue
from goodsgate.store.sqlite.search import SqliteSearch
from goodsgate.store.sqlite.statements import SQL
from goodsgate.store.sqlite.stock import SqliteStock
from goodsgate.store.sqlite.waiting import SqliteWaiting

__all__ = ["SqliteStore"]


class SqliteStore(ComposedStore):
    """A store in a folder; see the contract for what each method does."""

    def __init__(self, folder: Path, *, cache_bytes: int, small_payload_bytes: int,
                 item_terms: ItemTerms | None = None, journal: bool = True,
                 now: Callable[[], datetime] = now_utc) -> None:
        """Create the folder, but not the schema (see `migrate`).

        `cache_bytes` are for the catalogue in the working process; payloads up to `small_payload_bytes` are stored in
        the intake file itself. `item_terms` gives the terms of the search index, which is off without it. `journal` is
        whether changes are written to the journal.
        """
        database = SqliteDatabase(
            folder, cache_bytes=cache_bytes, small_payload_bytes=small_payload_bytes, item_terms=item_terms, now=now
        )
        batches, lookups = SqliteBatches(database), SqliteLookups(database)
        queue = SqliteQueue(database, batches, lookups)
        changes = SqlJournal(database)
        super().__init__(
            merchants=SqlMerchants(database), reference=SqlReference(database), resources=SqlResources(database),
            outbox=SqlOutbox(database), intake=SqliteIntake(database, batches), queue=queue, lookups=lookups,
            waiting=SqliteWaiting(database), committer=SqliteCommitter(database, queue, lookups, journal=journal),
            catalogue=SqlCatalogue(database), snapshots=SqlSnapshots(database, changes), journal=changes,
            dry_runs=SqlDryRuns(database, SQL),
            index=SqlIndex(database), search=SqliteSearch(database), stock=SqliteStock(database, journal=journal),
            batches=batches, reports=SqlReports(database), processes=SqlProcesses(database),
            jobs=SqlJobs(database),
            audit=SqlAudit(database), maintenance=SqliteMaintenance(database, journal=journal),
            changes=SqliteChanges(database),
        )
        self.back_up = SqliteBackup(database).back_up
        self.database = database
        """For tests and tools that look inside."""
