"""Errors that a store raises on purpose."""

from typing import Literal


class StoreError(Exception):
    """Base of all errors that a store raises on purpose."""


class StoreFullError(StoreError):
    """The disk or the quota is full; nothing of the call remains."""


class StoreBusyError(StoreError):
    """Another writer held the store too long, or its server cannot be reached; calling again may succeed.

    Nothing of the call remains, unless the connection was lost during the commit: then it may or may not have taken
    effect, and only calling again can show which. Nothing of that kind was acknowledged.
    """


class LeaseLostError(StoreError):
    """Another worker took over the claim; nothing of the call remains."""


class StockChangedError(StoreError):
    """Stock that was looked up for a chunk has changed since; nothing of the call remains."""


class KeyInUseError(StoreError):
    """The idempotency key belongs to a submission that is still being received."""


class QueueFullError(StoreError):
    """The merchant has as many open rounds as it may have."""


class RoundOpenError(StoreError):
    """The batch has a round that has not ended; another one cannot be queued."""


class RoundAddedError(RoundOpenError):
    """The batch has more rounds than when the caller read the records that the new one corrects."""


class JournalPositionError(StoreError):
    """A position from which the journal cannot be read; the caller has to begin with the items as they are."""

    def __init__(self, reason: Literal["expired", "unknown"]) -> None:
        """`expired`: changes behind it were removed. `unknown`: it is not one of this journal, or a backup's."""
        super().__init__(f"the position of the journal is {reason}")
        self.reason = reason


class NameTakenError(StoreError):
    """Another resource of the type has the name; nothing of the call remains."""

    def __init__(self, number: int) -> None:
        super().__init__(f"the name is taken by number {number}")
        self.number = number


class ResourcesFullError(StoreError):
    """The merchant has as many resources of the type as it may have."""
