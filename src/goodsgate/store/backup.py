"""A capability of stores that can copy themselves; a database server has tools of its own."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec


class BackupSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup contains."""

    bytes: int
    payloads: int
    """Files of large payloads."""
    payloads_lost: int
    """Files that batches use and the store itself has lost."""


@runtime_checkable
class SupportsBackup(Protocol):
    """A store that can be copied while it is used."""

    def back_up(self, to: Path) -> BackupSummary:
        """Copy the store into an empty or new folder, which appears complete or not at all.

        The copy contains every batch that was acknowledged before the call. Raises StoreError if the folder cannot be
        used, StoreFullError, StoreBusyError.
        """
