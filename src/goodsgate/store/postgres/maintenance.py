"""Schema, checks, statistics and retention of the database."""

from collections.abc import Callable

from goodsgate.store.contract import HealthCheck, Retention, StoreError, SweepCounts
from goodsgate.store.postgres import schema
from goodsgate.store.postgres.database import MIGRATIONS, PostgresDatabase
from goodsgate.store.postgres.health import PostgresHealth
from goodsgate.store.postgres.isolation import isolate
from goodsgate.store.postgres.lookups import PostgresLookups
from goodsgate.store.postgres.retention import PostgresRetention
from goodsgate.store.shared.database import ALL_MERCHANTS
from goodsgate.store.shared.maintenance import read_statistics


class PostgresMaintenance:
    """Implements MaintenanceStore."""

    def __init__(self, database: PostgresDatabase, lookups: PostgresLookups, *, journal: bool) -> None:
        self._database = database
        self._lookups = lookups
        self._health = PostgresHealth(database)
        self._retention = PostgresRetention(database, journal=journal)

    def migrate(self) -> list[str]:
        """Apply missing migrations and return their titles. Raises StoreError if the login lacks a privilege."""
        return schema.migrate(self._database.server)

    def migrate_with_partitions(self, partitions: int) -> list[str]:
        """Create the store with this number of partitions. Raises StoreError if it exists already."""
        return schema.migrate(self._database.server, partitions)

    def isolate(self, merchant: str, report: Callable[[str], None]) -> list[str]:
        """Give a merchant partitions of its own; see SupportsPartitions."""
        return isolate(self._database.server, self._database.require_number(merchant), report)

    def is_new(self) -> bool:
        """Return whether there is no schema in the database yet."""
        return not schema.schema_number(self._database.server)

    def require_current(self) -> None:
        """Raise StoreError if there is no schema in the database, or it is not current."""
        number, known = schema.schema_number(self._database.server), MIGRATIONS[-1].number
        if not number:
            raise StoreError(f"there is no store in {self._database.server.display_address}")
        if number != known:
            raise StoreError(f"the database has schema {number}, this version needs {known}: run `goodsgate migrate`")

    def quick_checks(self) -> list[HealthCheck]:
        """Check connection, schema and whether the server is writable."""
        return self._health.quick_checks()

    def health_checks(self) -> list[HealthCheck]:
        """Check version, privileges, settings, clocks and leases."""
        return self._health.health_checks()

    def statistics(self) -> dict[str, float]:
        """Return metrics over all merchants."""
        with self._database.server.reading(ALL_MERCHANTS) as db:
            row = db.cursor.execute("SELECT pg_database_size(current_database())").fetchone()
        return {
            **read_statistics(self._database), "bytes.database": float(row[0]) if row is not None else 0.0,
        }

    def sweep(self, retention: Retention, *, steps_max: int) -> SweepCounts:
        """Remove what is past its retention."""
        return self._retention.sweep(retention, steps_max=steps_max)

    def close(self) -> None:
        """Stop the threads and close all connections."""
        self._lookups.close()
        self._database.close()
