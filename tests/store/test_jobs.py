"""Jobs of resources: due at times, claimed by one worker at a time, with a history of bounded length."""

from datetime import timedelta

import pytest

from goodsgate.model import job as jobs
from goodsgate.model.catalogue import Resource
from goodsgate.model.job import Job, JobRun, JobTime
from goodsgate.model.message import NewMessage
from goodsgate.store.contract import NameTakenError
from tests.factories import NOW
from tests.store.scene import Scene

TYPE = "tested/fetch"


def _add(scene: Scene, name: str = "a", *, merchant: str = "acme", due_in: float | None = 0) -> Resource:
    due_at = None if due_in is None else scene.clock() + timedelta(seconds=due_in)
    return scene.store.add_resource(
        merchant, TYPE, name=name, body=b"{}", resources_max=9, job=JobTime(due_at)
    )


def _claim(scene: Scene, **how: object) -> Job | None:
    return scene.store.claim_job([TYPE], lease_seconds=10, **how)


def test_a_job_is_claimed_when_it_is_due_by_one_worker(scene: Scene) -> None:
    """The one that has waited longest comes first; one that only waits for a request is never due."""
    _add(scene, "later", due_in=5)
    _add(scene, "never", due_in=None)
    assert _claim(scene) is None
    _add(scene, "earlier", merchant="bolt", due_in=2)
    scene.clock.forward(6)
    first, second = _claim(scene), _claim(scene)
    assert first is not None
    assert second is not None
    assert [(first.merchant, first.number), (second.merchant, second.number)] == [("bolt", 1), ("acme", 1)]
    assert _claim(scene) is None


def test_merchants_and_types_can_be_passed_over(scene: Scene) -> None:
    """A merchant whose job is worked gets no second thread, and a process claims what it can do."""
    _add(scene)
    assert _claim(scene, without=["acme"]) is None
    assert scene.store.claim_job(["tested/other"], lease_seconds=1) is None
    assert _claim(scene) is not None


def test_a_job_whose_worker_died_is_claimed_again(scene: Scene) -> None:
    """The first worker can then neither renew nor save: its effect is fenced off."""
    _add(scene)
    first = _claim(scene)
    assert first is not None
    assert scene.store.save_job(first, state=b'{"at":1}')
    scene.clock.forward(8)
    assert scene.store.renew_job(first, lease_seconds=10)
    scene.clock.forward(8)
    assert _claim(scene) is None
    scene.clock.forward(8)
    second = _claim(scene)
    assert second is not None
    assert (second.attempt, second.state) == (2, b'{"at":1}')
    run = JobRun(number=1, started_at=NOW)
    message = NewMessage(topic="tested/word", subject="a")
    assert not scene.store.renew_job(first, lease_seconds=10)
    assert not scene.store.save_job(first, state=b"{}", run=run, messages=[message], end=JobTime(None))
    assert scene.store.job_runs("acme", TYPE, 1) == scene.store.messages("acme") == []
    assert scene.store.save_job(second, state=b"{}", run=run, messages=[message], end=JobTime(None))
    assert scene.store.job_runs("acme", TYPE, 1) == [run]
    assert len(scene.store.messages("acme")) == 1
    assert not scene.store.save_job(second, state=b"{}")


def test_what_somebody_sets_during_a_run_stays(scene: Scene) -> None:
    """The end of the run does not undo a request for another one."""
    resource = _add(scene)
    claimed = _claim(scene)
    assert claimed is not None
    scene.store.put_resource(resource, job=JobTime(scene.clock(), requested=True))
    scene.store.save_job(claimed, state=b"{}", end=JobTime(scene.clock() + timedelta(days=1)))
    again = _claim(scene)
    assert again is not None
    assert again.requested
    tomorrow = scene.clock() + timedelta(days=1)
    scene.store.save_job(again, state=b"{}", alert="late", end=JobTime(tomorrow))
    kept = scene.store.job("acme", TYPE, 1)
    assert kept is not None
    assert (kept.due_at, kept.requested, kept.alert, kept.lease_until) == (tomorrow, False, "late", None)
    assert scene.store.job_alerts() == {(TYPE, "late"): 1}


def test_the_history_of_a_job_is_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is replaced while it goes on; the numbers go on when old runs are deleted."""
    monkeypatch.setattr("goodsgate.store.shared.jobs.RUNS_KEPT", 3)
    _add(scene)
    claimed = _claim(scene)
    assert claimed is not None
    for number in range(1, 6):
        for ended_at in (None, NOW):
            run = JobRun(number=number, started_at=NOW, ended_at=ended_at, body=b'{"batch":"b"}')
            assert scene.store.save_job(claimed, state=b"{}", run=run)
    assert [run.number for run in scene.store.job_runs("acme", TYPE, 1)] == [5, 4, 3]
    assert [run.number for run in scene.store.job_runs("acme", TYPE, 1, before=5, limit=1)] == [4]
    kept = scene.store.job("acme", TYPE, 1)
    assert kept is not None
    assert kept.last_run == 5
    assert jobs.RUNS_KEPT >= 100


def test_a_job_is_deleted_with_its_resource(scene: Scene) -> None:
    """With its history; and nothing is added for a name that is taken."""
    resource = _add(scene)
    with pytest.raises(NameTakenError):
        _add(scene)
    assert [job.number for job in scene.store.jobs("acme", TYPE)] == [1]
    claimed = _claim(scene)
    assert claimed is not None
    scene.store.save_job(claimed, state=b"{}", run=JobRun(number=1, started_at=NOW))
    scene.store.put_resource(Resource(**{
        name: getattr(resource, name) for name in ("merchant", "type", "number", "version", "name", "body")
    }, expires_at=scene.clock()))
    _add(scene, "b", due_in=None)  # which deletes expired resources of the type
    assert scene.store.job("acme", TYPE, 1) is None
    assert scene.store.job_runs("acme", TYPE, 1) == []
    assert not scene.store.renew_job(claimed, lease_seconds=1)


def test_jobs_of_another_merchant_are_not_seen(scene: Scene) -> None:
    """By number or in a list."""
    _add(scene)
    assert scene.store.job("bolt", TYPE, 1) is None
    assert scene.store.jobs("bolt", TYPE) == scene.store.job_runs("bolt", TYPE, 1) == []
