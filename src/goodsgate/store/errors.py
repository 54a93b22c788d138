"""What a store raises on purpose; part of the contract, from where it is imported."""


class StoreError(Exception):
    """Root of what a store raises on purpose."""


class StoreFullError(StoreError):
    """The disk or the quota is full; nothing of the call remains."""


class StoreBusyError(StoreError):
    """Another writer held the store too long, or its server cannot be reached; calling again may succeed.

    Nothing of the call remains, unless the connection was lost while it was committed: then it may or may not have
    taken effect, and only calling again tells. Nothing of that kind was acknowledged.
    """


class LeaseLostError(StoreError):
    """The claim's lease was taken by somebody else; nothing of the call remains."""


class StockChangedError(StoreError):
    """Stock that was looked up for a portion has been moved since; nothing of the call remains."""


class KeyInUseError(StoreError):
    """The idempotency key belongs to a submission that is still being received."""


class QueueFullError(StoreError):
    """The merchant has as many open rounds as it may have."""


class RoundOpenError(StoreError):
    """The batch has a round that has not ended; another one cannot be queued."""


class NameTakenError(StoreError):
    """Another resource of the sort has the name; nothing of the call remains."""

    def __init__(self, number: int) -> None:
        super().__init__(f"the name is taken by number {number}")
        self.number = number


class ResourcesFullError(StoreError):
    """The merchant has as many resources of the sort as it may have."""
