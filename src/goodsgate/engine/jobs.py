"""Jobs beside the work of a worker: what is to be done for a resource at times, such as to fetch from a source.

A job is claimed with a lease, which a thread renews. If the process dies, the lease runs out and another worker goes on
from the state that was saved last. Every save is fenced by the claim, so that a worker that was cut off, and comes back
late, changes nothing. Merchants take turns: each has one job at a time in a process.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Protocol

import msgspec

from goodsgate.engine.outage import StoreOutage
from goodsgate.model.background import BackgroundThread, run_once
from goodsgate.model.batch import now
from goodsgate.model.job import Job, JobRun, JobTime
from goodsgate.model.message import NewMessage
from goodsgate.store.contract import Store, StoreError

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""Pause between two looks for jobs that are due."""
FAULT_PAUSE = timedelta(minutes=5)
"""When a job is tried again after an unforeseen error."""


class JobSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a process works jobs."""

    threads: int
    """Jobs at once."""
    lease_seconds: float
    stop_seconds: float
    """Time that running jobs have to stop with the process."""


class JobStoppedError(Exception):
    """The job was claimed by another worker or deleted, or the process stops; nothing more is to be done for it."""


class ClaimedJob:
    """A job while this process works it; for one thread, and the one that renews the lease."""

    def __init__(self, store: Store, job: Job) -> None:
        self.job = job
        self._store = store
        self._stopped = threading.Event()
        self.has_ended = False
        """Whether it was given back."""

    @property
    def is_stopped(self) -> bool:
        """Whether to stop at the next occasion."""
        return self._stopped.is_set()

    def check(self) -> None:
        """Raise JobStoppedError if nothing more is to be done; cheap enough for every piece of a file."""
        if self._stopped.is_set():
            raise JobStoppedError

    def wait(self, seconds: float) -> None:
        """Sleep. Raises JobStoppedError as soon as nothing more is to be done."""
        if self._stopped.wait(seconds):
            raise JobStoppedError

    def save(self, *, state: bytes, alert: str = "", run: JobRun | None = None, messages: Sequence[NewMessage] = (),
             end: JobTime | None = None) -> None:
        """Save what was done so far; see `JobStore.save_job`. Raises JobStoppedError if the claim is lost."""
        if not self._store.save_job(self.job, state=state, alert=alert, run=run, messages=messages, end=end):
            self.stop()
            raise JobStoppedError
        self.has_ended = self.has_ended or end is not None

    def renew(self, lease_seconds: float) -> None:
        """Extend the lease; stop the job if it is lost."""
        if not self._store.renew_job(self.job, lease_seconds=lease_seconds):
            self.stop()

    def stop(self) -> None:
        """Let the job stop at its next occasion."""
        self._stopped.set()


class JobHandler(Protocol):
    """Does the jobs of one type; called by several threads at once."""

    def work(self, claimed: ClaimedJob) -> None:
        """Do a job and give it back by `save` with `end`. May raise JobStoppedError, StoreError.

        What was saved before is in `claimed.job.state`: the process of an earlier claim may have died at any point.
        """


class JobRunner:
    """Claims jobs and works them in threads of its own; any number of processes may do so at once."""

    def __init__(self, store: Store, handlers: Mapping[str, JobHandler], settings: JobSettings) -> None:
        """Take the handlers by type of job; do nothing before `start`, or if there are none."""
        self._store = store
        self._handlers = handlers
        self._settings = settings
        self._stop = threading.Event()
        self._changed = threading.Condition()
        """Notified when a job has ended."""
        self._running: dict[str, ClaimedJob] = {}
        """By merchant."""
        self._claims = BackgroundThread("jobs", self._claim, self._stop)
        self._renewals = BackgroundThread("job leases", self._renew, self._stop)

    def start(self) -> None:
        """Start to claim jobs; nothing without threads."""
        if self._handlers and self._settings.threads:
            self._claims.start()
            self._renewals.start()

    def stop(self) -> None:
        """Claim no more jobs, tell those that run to stop, and wait for them as long as the settings say."""
        self._stop.set()
        with self._changed:
            for claimed in self._running.values():
                claimed.stop()
            self._changed.notify_all()
        self._claims.join()
        self._renewals.join()
        with self._changed:
            self._changed.wait_for(lambda: not self._running, self._settings.stop_seconds)

    def _claim(self) -> None:
        outage = StoreOutage("the runner of jobs")
        while not self._stop.is_set():
            try:
                while self._claim_one():
                    pass
            except StoreError as fault:
                outage.wait(fault, self._stop)
                continue
            outage.end()
            self._stop.wait(POLL_SECONDS)

    def _claim_one(self) -> bool:
        """Start a job in a thread; return False if none is due, or no thread is free."""
        with self._changed:
            busy = [*self._running]
        if len(busy) >= self._settings.threads or self._stop.is_set():
            return False
        job = self._store.claim_job([*self._handlers], lease_seconds=self._settings.lease_seconds, without=busy)
        if job is None:
            return False
        claimed = ClaimedJob(self._store, job)
        with self._changed:
            self._running[job.merchant] = claimed
            if self._stop.is_set():
                claimed.stop()
        run_once("job", partial(self._work, claimed))
        return True

    def _work(self, claimed: ClaimedJob) -> None:
        fields = {"merchant": claimed.job.merchant, "job": f"{claimed.job.type}/{claimed.job.number}"}
        try:
            self._handlers[claimed.job.type].work(claimed)
        except JobStoppedError:
            self._give_back(claimed)
        except StoreError as fault:  # the lease runs out, and the job is claimed again
            log.warning("a job could not be saved: %s", fault, extra=fields)
        except Exception:  # nobody else would notice
            log.exception("a job failed", extra=fields)
            self._store.save_job(claimed.job, state=claimed.job.state, end=JobTime(now() + FAULT_PAUSE))
        finally:
            with self._changed:
                self._running.pop(claimed.job.merchant, None)
                self._changed.notify_all()

    def _give_back(self, claimed: ClaimedJob) -> None:
        """Let another worker go on at once with a job that stops with this process; no effect if the claim is lost."""
        job = claimed.job
        if not claimed.has_ended:
            self._store.renew_job(job, lease_seconds=0)

    def _renew(self) -> None:
        outage = StoreOutage("the leases of jobs")
        while not self._stop.wait(self._settings.lease_seconds / 3):
            with self._changed:
                running = [*self._running.values()]
            try:
                for claimed in running:
                    claimed.renew(self._settings.lease_seconds)
            except StoreError as fault:
                outage.wait(fault, self._stop)
                continue
            outage.end()
