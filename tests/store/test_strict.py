"""The strict store reports a violation of the contract, whichever side breaks it."""

from collections.abc import Callable

import msgspec
import pytest

from goodsgate.model.batch import Batch, Counts, Result, State, Withheld
from goodsgate.model.catalogue import Delete
from goodsgate.store.contract import ChunkCommit
from goodsgate.store.strict.demands import ContractViolationError, check_batch
from tests.store.scene import Record, Scene, chunk_commit, rejected_record

replace = msgspec.structs.replace

BROKEN: dict[str, Callable[[ChunkCommit], ChunkCommit]] = {
    "counts that the results do not say": lambda one: replace(one, counts=Counts(created=5)),
    "a key too few": lambda one: replace(one, keys=one.keys[1:]),
    "a rejected record without an issue": lambda one: replace(one, findings=[]),
    "a rejected record without its raw": lambda one: replace(one, findings=[replace(one.findings[0], raw=None)]),
    "a finding of nobody": lambda one: replace(one, findings=[*one.findings, replace(one.findings[0], number=9)]),
    "a key written and deleted": lambda one: replace(one, deletes=[Delete("A", None)]),
    "a hash too short": lambda one: replace(one, writes=[replace(one.writes[0], hash=b"x")]),
    "more bytes than there are": lambda one: replace(one, bytes_done=10**6),
    "an end that is none": lambda one: replace(one, end_state=State.WORKING),
    "results without numbers": lambda one: replace(one, first=None),
    "an amended record that is new": lambda one: replace(one, amended_results={3: (Result.CREATED, "C")}),
    "more missing than held": lambda one: replace(one, withheld=Withheld(items=1, deletions=2)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_contradictory_chunk_is_not_committed(scene: Scene, name: str) -> None:
    """Nothing reaches the store."""
    batch = scene.seal()
    claim = scene.claimed()
    good = chunk_commit(claim.rounds[0], Record("A"), rejected_record())
    with pytest.raises(ContractViolationError):
        scene.store.commit(claim, [BROKEN[name](good)])
    assert scene.batch(batch).counts == Counts()
    scene.store.commit(claim, [good])


def test_a_chunk_of_another_claim_is_not_committed(scene: Scene) -> None:
    """Each claim settles its own works."""
    scene.seal()
    scene.seal("bolt")
    one, other = scene.claimed(), scene.claimed()
    with pytest.raises(ContractViolationError):
        scene.store.commit(one, [chunk_commit(other.rounds[0], Record("A"))])


def test_arguments_are_checked(scene: Scene) -> None:
    """Before they do harm."""
    for request in (
        lambda: scene.store.append_upload("Acme!", "0" * 32, b""), lambda: scene.store.append_upload("acme", "../x",
            b""),
        lambda: scene.store.claim("", lease_seconds=1, rounds_max=1, bytes_max=1),
        lambda: scene.store.claim("w", lease_seconds=0, rounds_max=1, bytes_max=1),
        lambda: scene.store.reserve_idempotency_key("acme", "", lease_seconds=1),
    ):
        with pytest.raises(ContractViolationError):
            request()


def _ended(scene: Scene) -> Batch:
    batch = scene.seal()
    scene.run([Record("A"), rejected_record()])
    return scene.batch(batch)


@pytest.mark.parametrize("change", [
    {"total": 3}, {"total": 1}, {"total": None}, {"position": 0}, {"finished_at": None}, {"cancelling": True},
    {"warned": 2}, {"bytes_done": 11}, {"state": State.QUEUED}, {"counts": Counts(created=3, rejected=-1)},
])
def test_a_contradictory_batch_is_detected(scene: Scene, change: dict[str, object]) -> None:
    """Promise 2 above all."""
    batch = _ended(scene)
    check_batch(batch)
    with pytest.raises(ContractViolationError):
        check_batch(replace(batch, **change))
