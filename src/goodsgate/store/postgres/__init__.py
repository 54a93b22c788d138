"""The store for many machines: one PostgreSQL database, which is all that the hosts share.

Any number of processes on any number of hosts submit, read and work. Every transaction takes the role `goodsgate_app`
and names its merchant, and row-level security limits it to that merchant's rows. Leases run on the clock of the
database. Sessions have no state, so that a connection pool may stand between.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.store.composed import ComposedStore
from goodsgate.store.contract import ItemTerms
from goodsgate.store.objects import Objects
from goodsgate.store.postgres.batches import PostgresBatches
from goodsgate.store.postgres.changes import PostgresChanges
from goodsgate.store.postgres.committer import PostgresCommitter
from goodsgate.store.postgres.database import PostgresDatabase
from goodsgate.store.postgres.intake import PostgresIntake
from goodsgate.store.postgres.lookups import PostgresLookups
from goodsgate.store.postgres.maintenance import PostgresMaintenance
from goodsgate.store.postgres.queue import PostgresQueue
from goodsgate.store.postgres.search import PostgresSearch
from goodsgate.store.postgres.statements import TEXTS
from goodsgate.store.postgres.stock import PostgresStock
from goodsgate.store.postgres.waiting import PostgresWaiting
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

__all__ = ["PostgresStore"]


class PostgresStore(ComposedStore):
    """A store in a PostgreSQL database; see the contract for what each method does."""

    def __init__(self, address: str, *, connections_max: int, small_payload_bytes: int,
                 open_payloads: Callable[[], Objects] | None = None, item_terms: ItemTerms | None = None,
                 journal: bool = True,
                 now: Callable[[], datetime] | None = None) -> None:
        """Connect to nothing yet. Raises StoreError if the address is invalid.

        This process opens at most `connections_max` connections, and one to listen. Payloads up to
        `small_payload_bytes` are sent once, with their batch; larger ones are objects if `open_payloads` opens a
        storage for them. `item_terms` gives the terms of the search index, which is off without it. `journal` is
        whether changes are written to the journal. `now` replaces the server's clock.
        """
        database = PostgresDatabase(
            address, connections_max=connections_max, small_payload_bytes=small_payload_bytes,
            open_payloads=open_payloads, item_terms=item_terms, now=now,
        )
        batches, lookups = PostgresBatches(database), PostgresLookups(database)
        changes = SqlJournal(database, flush=database.flush)
        maintenance = PostgresMaintenance(database, lookups, journal=journal)
        super().__init__(
            merchants=SqlMerchants(database), reference=PostgresReference(database), resources=SqlResources(database),
            outbox=SqlOutbox(database), intake=PostgresIntake(database, batches),
            queue=PostgresQueue(database, batches, lookups), lookups=lookups,
            waiting=PostgresWaiting(database), committer=PostgresCommitter(database, lookups, journal=journal),
            catalogue=SqlCatalogue(database), snapshots=SqlSnapshots(database, changes), journal=changes,
            dry_runs=SqlDryRuns(database, TEXTS), index=SqlIndex(database), search=PostgresSearch(database),
            stock=PostgresStock(database, journal=journal), batches=batches, reports=SqlReports(database),
            processes=SqlProcesses(database), jobs=SqlJobs(database), audit=SqlAudit(database),
            maintenance=maintenance,
            changes=PostgresChanges(database),
        )
        self.prefetch = lookups.prefetch
        self.migrate_with_partitions = maintenance.migrate_with_partitions
        self.isolate = maintenance.isolate
        self.database = database
        """For tests and tools that look inside."""
        self.lookups = lookups
        """For tests that look inside."""


class PostgresReference(SqlReference):
    """Notifies other processes of new reference data."""

    def __init__(self, database: PostgresDatabase) -> None:
        super().__init__(database)
        self._notifications = database.notifications

    def put_reference(self, merchant: str, kind: str, entries: Sequence[ReferenceEntry], *,
                      replace: bool = False) -> int:
        """Add or replace entries, and notify other processes."""
        count = super().put_reference(merchant, kind, entries, replace=replace)
        self._notifications.notify(merchant)
        return count
