"""The runner of jobs: one process at a time works each, and another goes on after a kill or a stop."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from goodsgate.engine import jobs
from goodsgate.engine.jobs import ClaimedJob, JobRunner, JobSettings
from goodsgate.model.job import Job, JobTime
from goodsgate.store.contract import Store
from tests.shop import Shop

TYPE = "tested/fetch"
GUARD_SECONDS = 60


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store with a job that is due; the runner looks often."""
    monkeypatch.setattr(jobs, "POLL_SECONDS", 0.01)
    with Shop(tmp_path, kind="sqlite") as shop:
        due = JobTime(datetime.now(UTC) - timedelta(seconds=1))
        shop.store.add_resource("acme", TYPE, name="a", body=b"{}", resources_max=9, job=due)
        yield shop.store


class Handler:
    """Calls a function for each job."""

    def __init__(self, work: Callable[[ClaimedJob], None]) -> None:
        self._work = work
        self.called = threading.Event()

    def work(self, claimed: ClaimedJob) -> None:
        """Do the job."""
        try:
            self._work(claimed)
        finally:
            self.called.set()


def _run(store: Store, work: Callable[[ClaimedJob], None], *, lease_seconds: float = 30) -> tuple[JobRunner, Handler]:
    handler = Handler(work)
    settings = JobSettings(threads=2, lease_seconds=lease_seconds, stop_seconds=GUARD_SECONDS)
    runner = JobRunner(store, {TYPE: handler}, settings)
    runner.start()
    return runner, handler


def _job(store: Store) -> Job:
    job = store.job("acme", TYPE, 1)
    assert job is not None
    return job


def test_a_job_is_worked_once_and_given_back(store: Store) -> None:
    """Its state is saved with the time of the next run."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    runner, handler = _run(store, lambda claimed: claimed.save(state=b'{"a":1}', end=JobTime(tomorrow)))
    assert handler.called.wait(GUARD_SECONDS)
    runner.stop()
    assert (_job(store).state, _job(store).due_at, _job(store).attempt) == (b'{"a":1}', tomorrow, 1)


def test_a_job_that_is_stopped_is_due_at_once(store: Store) -> None:
    """Another process goes on where this one has saved."""
    begun = threading.Event()

    def work(claimed: ClaimedJob) -> None:
        claimed.save(state=b'{"at":7}')
        begun.set()
        claimed.wait(GUARD_SECONDS)

    runner, _ = _run(store, work)
    assert begun.wait(GUARD_SECONDS)
    runner.stop()
    again = store.claim_job([TYPE], lease_seconds=10)
    assert again is not None
    assert again.state == b'{"at":7}'


def test_a_lease_is_renewed_while_a_job_runs_and_its_loss_is_noticed(store: Store) -> None:
    """Whoever has lost it stops, and saves nothing."""
    begun = threading.Event()
    first: list[datetime | None] = []

    def work(claimed: ClaimedJob) -> None:
        first.append(claimed.job.lease_until)
        begun.set()
        claimed.wait(GUARD_SECONDS)

    runner, handler = _run(store, work, lease_seconds=1)
    assert begun.wait(GUARD_SECONDS)
    while _job(store).lease_until == first[0]:  # until it is renewed
        threading.Event().wait(0.02)
    store.renew_job(_job(store), lease_seconds=0)
    while store.claim_job([TYPE], lease_seconds=60) is None and not handler.called.is_set():
        pass
    assert handler.called.wait(GUARD_SECONDS)
    runner.stop()


def test_a_job_that_fails_unforeseen_is_tried_later(store: Store) -> None:
    """And the thread goes on with others."""
    def work(_: ClaimedJob) -> None:
        raise ValueError("unforeseen")

    runner, handler = _run(store, work)
    assert handler.called.wait(GUARD_SECONDS)
    runner.stop()
    due_at = _job(store).due_at
    assert due_at is not None
    assert due_at > datetime.now(UTC)
