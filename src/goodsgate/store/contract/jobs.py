"""The protocol of the contract for jobs, which workers do at times."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from goodsgate.model.job import Job, JobRun, JobTime
from goodsgate.model.message import NewMessage


class JobStore(Protocol):
    """Jobs of resources. `add_resource` and `put_resource` set when one is due; it is deleted with its resource."""

    def claim_job(self, types: Sequence[str], *, lease_seconds: float, without: Iterable[str] = ()) -> Job | None:
        """Claim the job of one of the types that has waited longest, until the lease ends; None if none is due.

        Jobs of merchants in `without` are passed over. A job whose lease has ended is due. The returned job is as it
        was before the claim, except for its attempt and lease.
        """

    def renew_job(self, job: Job, *, lease_seconds: float) -> bool:
        """Extend the lease of a claimed job; return False if it was claimed again or deleted."""

    def save_job(self, job: Job, *, state: bytes, alert: str = "", run: JobRun | None = None,
                 messages: Sequence[NewMessage] = (), end: JobTime | None = None) -> bool:
        """Save state and alert of a claimed job, and add or replace a run; return False, unsaved, as `renew_job`.

        `end` gives the job back, and sets when it is due, unless somebody has set that since the claim. The newest
        `RUNS_KEPT` runs of each job are kept.
        """

    def job(self, merchant: str, type: str, number: int) -> Job | None:
        """Return the job of a resource."""

    def jobs(self, merchant: str, type: str) -> list[Job]:
        """Return the jobs of a type by number."""

    def job_runs(self, merchant: str, type: str, number: int, *, before: int | None = None, limit: int = 100,
                 ) -> list[JobRun]:
        """Return runs of a job, the newest first; with `before`, those with lower numbers."""

    def job_alerts(self) -> dict[tuple[str, str], int]:
        """Return, by type and alert, the number of jobs of all merchants with an alert."""
