"""What a store of one folder can do beside the contract; a server has tools of its own for it."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec


class BackupSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds."""

    bytes: int
    payloads: int
    """Files of large payloads."""
    payloads_lost: int
    """Files that batches name and the store itself has lost."""


@runtime_checkable
class SupportsBackup(Protocol):
    """A store that can be copied while it is used."""

    def back_up(self, to: Path) -> BackupSummary:
        """Copy the store, while it is used, into a folder that is empty or not there; it appears whole or not at all.

        Holds every batch that was acknowledged before the call. Raises StoreError if the folder cannot be used,
        StoreFullError, StoreBusyError.
        """
