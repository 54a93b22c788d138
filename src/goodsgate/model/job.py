"""Jobs: what workers do for a resource at times, such as to fetch from a source, and the history of their runs."""

from datetime import datetime

import msgspec

RUNS_KEPT = 500
"""Runs of one job that the history has; older ones are deleted."""


class JobTime(msgspec.Struct, frozen=True):
    """When a job is worked next."""

    due_at: datetime | None
    """None: not before somebody asks for it."""
    requested: bool = False
    """Somebody has asked for it, so that it is worked even if its schedule is paused."""


class JobRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a job."""

    number: int
    """1, 2, … within the job."""
    started_at: datetime
    ended_at: datetime | None = None
    body: bytes = b"{}"
    """JSON that only the type of the job reads."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """The job of a resource."""

    merchant: str
    type: str
    """That of the resource."""
    number: int
    """That of the resource."""
    due_at: datetime | None
    requested: bool
    lease_until: datetime | None
    """Set while a worker has it, or had it when it died."""
    attempt: int
    """Fencing token: grows with each claim."""
    alert: str
    """Word for what somebody should look at; empty: nothing."""
    state: bytes
    """JSON that only the type of the job reads."""
    last_run: int
    """Number of the newest run; 0: there is none."""
