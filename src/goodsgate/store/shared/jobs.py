"""Jobs of resources, claimed with a lease; see `contract/jobs.py`."""

from collections.abc import Iterable, Sequence

import msgspec
import orjson

from goodsgate.model.job import RUNS_KEPT, Job, JobRun, JobTime
from goodsgate.model.message import NewMessage
from goodsgate.store.shared.database import ALL_MERCHANTS, Database, Row, Statements
from goodsgate.store.shared.outbox import NUMBER_MAX, add_messages
from goodsgate.store.shared.timestamps import (
    microseconds,
    microseconds_or_none,
    timestamp,
    timestamp_or_none,
)


class SqlJobs:
    """Implements JobStore."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._intake = database.intake

    def claim_job(self, types: Sequence[str], *, lease_seconds: float, without: Iterable[str] = ()) -> Job | None:
        """Claim the job that has waited longest."""
        now = self._database.now()
        numbers = [self._database.number(merchant) for merchant in without]
        due = {
            "now": now, "types": orjson.dumps([*types]).decode(),
            "without": orjson.dumps([number for number in numbers if number is not None]).decode(),
        }
        if not self._intake.query("has_due_job", due, ALL_MERCHANTS):
            return None
        with self._intake.writing(ALL_MERCHANTS) as db:
            row = db.first("due_job", due)
            if row is None:
                return None
            owner, merchant, type, *rest = row
            job = _job(merchant, type, tuple(rest))
            until = now + int(lease_seconds * 1e6)
            db.change("claim_job", {"merchant": owner, "type": type, "number": job.number, "until": until})
        return msgspec.structs.replace(job, attempt=job.attempt + 1, lease_until=timestamp(until))

    def renew_job(self, job: Job, *, lease_seconds: float) -> bool:
        """Extend the lease of a job."""
        until = self._database.now() + int(lease_seconds * 1e6)
        owner, named = self._named(job)
        with self._intake.writing(owner) as db:
            return bool(db.change("renew_job", {**named, "until": until}))

    def save_job(self, job: Job, *, state: bytes, alert: str = "", run: JobRun | None = None,
                 messages: Sequence[NewMessage] = (), end: JobTime | None = None) -> bool:
        """Save what a claimed job has done."""
        owner, named = self._named(job)
        with self._intake.writing(owner) as db:
            if owner is None or not db.change("save_job", {**named, "state": state.decode(), "alert": alert}):
                return False
            if end is not None:
                due_at = microseconds_or_none(end.due_at)
                db.change("end_job", {**named, "due_at": due_at, "requested": end.requested})
            if run is not None:
                _save_run(db, {"merchant": owner, "type": job.type, "number": job.number}, run)
            add_messages(db, owner, self._database.now(), messages)
        if messages:
            self._database.message_signal.send()
        return True

    def job(self, merchant: str, type: str, number: int) -> Job | None:
        """Return the job of a resource."""
        return next(iter(self._jobs(merchant, type, number)), None)

    def jobs(self, merchant: str, type: str) -> list[Job]:
        """Return the jobs of a type."""
        return self._jobs(merchant, type, None)

    def job_runs(self, merchant: str, type: str, number: int, *, before: int | None = None, limit: int = 100,
                 ) -> list[JobRun]:
        """Return runs of a job, the newest first."""
        owner = self._database.number(merchant)
        values = {
            "merchant": owner, "type": type, "number": number, "before": NUMBER_MAX if before is None else before,
            "limit": limit,
        }
        return [
            JobRun(number=run, started_at=timestamp(started), ended_at=timestamp_or_none(ended), body=bytes(body))
            for run, started, ended, body in self._intake.query("job_runs", values, owner)
        ]

    def job_alerts(self) -> dict[tuple[str, str], int]:
        """Count jobs with an alert."""
        return {(type, alert): count for type, alert, count in self._intake.query("job_alerts", {}, ALL_MERCHANTS)}

    def _jobs(self, merchant: str, type: str, number: int | None) -> list[Job]:
        owner = self._database.number(merchant)
        rows = self._intake.query("jobs", {"merchant": owner, "type": type, "number": number}, owner)
        return [_job(merchant, type, row) for row in rows]

    def _named(self, job: Job) -> tuple[int | None, dict[str, object]]:
        owner = self._database.number(job.merchant)
        return owner, {"merchant": owner, "type": job.type, "number": job.number, "attempt": job.attempt}


def set_job(db: Statements, row: dict[str, object], job: JobTime) -> None:
    """Set when the job of a resource is due, inside a transaction; add it if there is none."""
    named = {name: row[name] for name in ("merchant", "type", "number")}
    db.change("set_job", {**named, "due_at": microseconds_or_none(job.due_at), "requested": job.requested})


def _save_run(db: Statements, named: dict[str, object], run: JobRun) -> None:
    db.change("save_run", {
        **named, "run": run.number, "started_at": microseconds(run.started_at),
        "ended_at": microseconds_or_none(run.ended_at), "body": run.body.decode(),
    })
    db.change("count_run", {**named, "run": run.number})
    db.change("delete_old_runs", {**named, "until": run.number - RUNS_KEPT})


def _job(merchant: str, type: str, row: Row) -> Job:
    number, due_at, requested, lease_until, attempt, alert, state, last_run = row
    return Job(
        merchant=merchant, type=type, number=number, due_at=timestamp_or_none(due_at), requested=bool(requested),
        lease_until=timestamp_or_none(lease_until), attempt=attempt, alert=alert, state=bytes(state), last_run=last_run,
    )
