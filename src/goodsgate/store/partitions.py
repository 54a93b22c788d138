"""A capability of stores whose large tables are partitioned."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable


@runtime_checkable
class SupportsPartitions(Protocol):
    """A store whose large tables are partitioned by the merchant."""

    def migrate_with_partitions(self, partitions: int) -> list[str]:
        """Create the store with this number of partitions of each large table; return the titles of the migrations.

        Raises StoreError if the store exists already.
        """

    def isolate(self, merchant: str, report: Callable[[str], None]) -> list[str]:
        """Give a merchant partitions of its own while the store is used; return the tables that were split.

        It may be killed at any time and run again. `report` gets sentences about the progress. Raises StoreError if
        there is no such merchant or another process isolates one, StoreBusyError if a table is in use for too long.
        """
