"""The protocol of the contract for what the processes of a gate share beside the work itself."""

from datetime import datetime
from typing import Protocol

import msgspec


class QuotaLease(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a quota, granted to one process until its window ends."""

    granted: int
    """At most what was asked for; 0 if too little is left."""
    used: int
    """What all processes have been granted in this window, with this lease."""
    ends_at: datetime
    """When the window ends, and the quota is whole again."""
    seconds_left: float
    """Until then, by the clock of the store."""


class ProcessStore(Protocol):
    """Workers that are alive, and quotas that several processes use up. A power cut may undo either."""

    def note_worker(self, name: str) -> None:
        """Record that a worker is alive. `statistics` counts those of the last minute."""

    def forget_worker(self, name: str) -> None:
        """Record that a worker has ended."""

    def lease_quota(self, merchant: str, quota: str, *, window_seconds: int, least: int, amount: int,
                    limit: int) -> QuotaLease:
        """Take `least` to `amount` of what is left of a merchant's quota, which is `limit` in each window.

        Nothing is granted if less than `least` is left.

        Windows begin at multiples of `window_seconds` since 1970. All leases of a window together are never more than
        the largest `limit` that was named; what a process does not use of a lease is lost with the window.
        """
