"""How a store tells what has changed: revisions, which are the truth, and notifications, which are a hint."""

import queue
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from goodsgate.model.batch import Kind, RoundKind, State
from goodsgate.store.contract import Changes
from goodsgate.store.postgres import notifications
from tests.store.scene import Record, Scene, chunk_commit, rejected_record
from tests.store.test_guards import _hold_next

SECONDS_MAX = 60.0


def _agrees(scene: Scene, *batches: str) -> list[object]:
    """Return the revisions of batches, which are those of their documents."""
    found = scene.store.revisions([("acme", batch) for batch in batches]).batches
    assert found == {batch: scene.batch(batch).revision for batch in batches}
    return [found[batch] for batch in batches]


def test_a_batch_has_another_revision_after_each_change(scene: Scene) -> None:
    """From its acceptance to the end of a second round; another batch keeps its own."""
    batch, other = scene.seal(), scene.seal(kind=Kind.STOCK)
    seen = [_agrees(scene, batch, other)]
    claim = scene.claimed()
    seen.append(_agrees(scene, batch, other))
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record("A"), rejected_record("B"), ends=State.FINISHED)])
    scene.store.release_claim(claim)
    seen.append(_agrees(scene, batch, other))
    scene.again(batch, RoundKind.FIX)
    seen.append(_agrees(scene, batch, other))
    scene.store.cancel("acme", batch)
    seen.append(_agrees(scene, batch, other))
    assert len({revision for revision, _ in seen}) == len(seen)
    assert len({revision for _, revision in seen}) == 1


def test_a_held_batch_has_a_revision_of_its_own(scene: Scene) -> None:
    """And another one once it is approved."""
    batch = scene.seal()
    _hold_next(scene)
    held = _agrees(scene, batch)
    scene.store.approve("acme", batch)
    assert _agrees(scene, batch) != held


def test_what_is_unknown_has_no_revision(scene: Scene) -> None:
    """Neither a batch of another merchant, nor one that never was, nor a merchant."""
    batch = scene.seal()
    asked = [("bolt", batch), ("acme", "0" * 32), ("acme", "?"), ("nobody", batch)]
    found = scene.store.revisions(asked, lanes=["nobody", "bolt"], journals=["nobody", "bolt"])
    assert (found.batches, found.lanes, found.journals) == ({}, {}, {})


def test_lanes_and_journals_have_numbers_that_grow(scene: Scene) -> None:
    """A lane with each claim, a journal with each change."""
    scene.seal()
    before = scene.store.revisions([], lanes=["acme"], journals=["acme"])
    scene.run([Record("A")])
    after = scene.store.revisions([], lanes=["acme"], journals=["acme"])
    assert after.lanes["acme"] > before.lanes["acme"]
    assert (before.journals.get("acme", 0), after.journals["acme"]) == (0, 1)


# -- notifications ----------------------------------------------------------------------------------------------------


@pytest.fixture
def heard(scene: Scene) -> Iterator["queue.Queue[Changes | None]"]:
    """What another process hears, which listens already."""
    scene.only("postgres", "processes that share files do not notify each other")
    listening, heard = scene.open(), queue.Queue[Changes | None]()
    listening.listen_for_changes(heard.put)
    with ExitStack() as ended:
        ended.callback(scene.close)
        while not listening.is_notified():
            heard.get(timeout=SECONDS_MAX)
        yield heard


def _hear(heard: "queue.Queue[Changes | None]", batch: str) -> list[Changes]:
    """Return what is heard until a batch is named."""
    said: list[Changes] = []
    while not said or batch not in said[-1].batches:
        changes = heard.get(timeout=SECONDS_MAX)
        said += [changes] if changes is not None else []
    return said


def test_others_hear_which_batch_has_changed(scene: Scene, heard: "queue.Queue[Changes | None]") -> None:
    """And whose journal has grown; nothing of other batches, and of no journal without a change of an item."""
    batch, other = scene.seal(), scene.seal("bolt")
    claims = [scene.claimed(), scene.claimed()]
    for claim in claims:
        scene.store.release_claim(claim)
    scene.store.cancel("acme", batch)
    _hear(heard, batch)
    scene.store.cancel("bolt", other)
    assert not any(batch in changes.batches or changes.journals for changes in _hear(heard, other)[1:])
    third = scene.seal(kind=Kind.STOCK)
    claim = next(claim for claim in (scene.claimed() for _ in range(3)) if claim.rounds[0].batch == third)
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record("A"), ends=State.FINISHED)])
    while not (said := _hear(heard, third))[-1].journals:
        assert not any(changes.journals for changes in said)
    assert said[-1].journals == {"acme"}


def test_a_notification_that_would_be_too_long_is_empty() -> None:
    """Then anything may have changed."""
    def payload(count: int) -> str:
        return notifications._payload(frozenset({"acme"}), frozenset(f"{n:032x}" for n in range(count)), frozenset())

    few = notifications._changes(payload(200))
    assert few is not None
    assert len(few.batches) == 200
    assert len(payload(200)) <= notifications.PAYLOAD_BYTES_MAX
    assert payload(300) == ""
    assert notifications._changes("") is None
    assert notifications._changes('{"other": "version", "batches": 1}') is None

