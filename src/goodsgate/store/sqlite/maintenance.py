"""Schema, checks, statistics and retention of the folder."""

from goodsgate.store.contract import HealthCheck, Retention, SweepCounts
from goodsgate.store.shared.maintenance import read_statistics
from goodsgate.store.sqlite.database import MIGRATIONS, SqliteDatabase
from goodsgate.store.sqlite.health import SqliteHealth
from goodsgate.store.sqlite.retention import SqliteRetention


class SqliteMaintenance:
    """Implements MaintenanceStore."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._health = SqliteHealth(database)
        self._retention = SqliteRetention(database)

    def migrate(self) -> list[str]:
        """Apply missing migrations to both files, and return their titles."""
        applied = self._database.intake.migrate(MIGRATIONS) | self._database.catalogue.migrate(MIGRATIONS)
        return [f"{one.number:04d} {one.title}" for one in MIGRATIONS if one.number in applied]

    def quick_checks(self) -> list[HealthCheck]:
        """Check schema, free space and rights."""
        return self._health.quick_checks()

    def health_checks(self) -> list[HealthCheck]:
        """Check pages, durability, growth, worker and leases."""
        return self._health.health_checks()

    def change_token(self) -> tuple[int, int]:
        """Return a value that changes with every commit to either file, by any process."""
        return self._database.intake.version(), self._database.catalogue.version()

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
