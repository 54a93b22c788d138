"""Schema, checks, statistics and retention of the folder."""

from goodsgate.store.contract import HealthCheck, Retention, StoreError, SweepCounts
from goodsgate.store.shared.maintenance import read_statistics
from goodsgate.store.sqlite.database import MIGRATIONS, SqliteDatabase
from goodsgate.store.sqlite.health import SqliteHealth
from goodsgate.store.sqlite.retention import SqliteRetention


class SqliteMaintenance:
    """Implements MaintenanceStore."""

    def __init__(self, database: SqliteDatabase, *, journal: bool) -> None:
        self._database = database
        self._health = SqliteHealth(database)
        self._retention = SqliteRetention(database, journal=journal)

    def migrate(self) -> list[str]:
        """Apply missing migrations to both files, and return their titles. Raises StoreError if they do not match."""
        database = self._database
        database.create()
        database.identity.require_match()
        applied = database.intake.migrate(MIGRATIONS) | database.catalogue.migrate(MIGRATIONS)
        database.identity.complete()
        return [f"{one.number:04d} {one.title}" for one in MIGRATIONS if one.number in applied]

    def is_new(self) -> bool:
        """Return whether there is no store in the folder yet."""
        return self._database.is_new()

    def require_current(self) -> None:
        """Raise StoreError if the store is new, its schema is not current, or its files do not match."""
        database = self._database
        if database.is_new():
            raise StoreError(f"there is no store in {database.folder}")
        for file in (database.intake, database.catalogue):
            number, known = file.schema_number(), MIGRATIONS[-1].number
            if number and number != known:
                raise StoreError(
                    f"{file.path.name} has schema {number}, this version needs {known}: run `goodsgate migrate`"
                )
        database.identity.require_match()

    def quick_checks(self) -> list[HealthCheck]:
        """Check schema, free space and rights."""
        return self._health.quick_checks()

    def health_checks(self) -> list[HealthCheck]:
        """Check pages, durability, growth, worker and leases."""
        return self._health.health_checks()

    def statistics(self) -> dict[str, float]:
        """Return metrics over all merchants."""
        database = self._database
        return {
            **read_statistics(database),
            "bytes.intake": database.intake.bytes_on_disk(),
            "bytes.catalogue": database.catalogue.bytes_on_disk(),
            "bytes.payloads": database.uploads.bytes_on_disk(),
        }

    def sweep(self, retention: Retention, *, steps_max: int) -> SweepCounts:
        """Remove what is past its retention."""
        return self._retention.sweep(retention, steps_max=steps_max)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()
