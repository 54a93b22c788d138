"""Rounds that are held: not claimed before somebody starts what is held of their collection, and in nobody's way."""

from datetime import timedelta

import pytest

from goodsgate.model.batch import Kind, State
from goodsgate.store.contract import QueueFullError
from tests.store.scene import Record, Scene, chunk_commit


def _settled(scene: Scene, *, works: int = 10) -> list[str]:
    """What the next claim holds, worked to its end."""
    claim = scene.claimed(works=works)
    scene.store.commit(claim, [chunk_commit(work, Record("A"), ends=State.FINISHED) for work in claim.rounds])
    scene.store.release_claim(claim)
    return [work.batch for work in claim.rounds]


def test_a_held_round_waits_until_it_is_released(scene: Scene) -> None:
    """However long; those of other collections go on, and do not count as overtaking."""
    held = [scene.seal(start="held") for _ in range(2)]
    other = scene.seal(collection="other")
    scene.clock.forward(10**6)
    assert _settled(scene) == [other]
    assert scene.claim() is None
    scene.reopen()
    assert [scene.batch(batch).state for batch in held] == [State.QUEUED] * 2
    assert scene.store.release_rounds("acme", Kind.PRODUCT, "products") == 2
    claim = scene.claimed(works=10)
    assert [(work.batch, work.overtakes) for work in claim.rounds] == [(batch, False) for batch in held]


def test_rounds_received_later_stay_held(scene: Scene) -> None:
    """A round that was received at the moment itself, too; nothing is started twice."""
    first = scene.seal(start="held")
    scene.clock.forward(1)
    second = scene.seal(start="held")
    moment = scene.batch(second).received_at
    assert scene.store.release_rounds("acme", Kind.PRODUCT, "products", before=moment) == 1
    assert scene.store.release_rounds("acme", Kind.PRODUCT, "products", before=moment) == 0
    assert _settled(scene) == [first]
    assert scene.store.release_rounds("acme", Kind.PRODUCT, "products", before=moment + timedelta(seconds=1)) == 1
    assert _settled(scene) == [second]


def test_only_what_is_named_is_started(scene: Scene) -> None:
    """Of the merchant, the kind and the collection."""
    scene.seal(start="held")
    for merchant, kind, collection in (
        ("bolt", Kind.PRODUCT, "products"), ("acme", Kind.STOCK, "products"), ("acme", Kind.PRODUCT, "other"),
        ("nobody", Kind.PRODUCT, "products"),
    ):
        assert scene.store.release_rounds(merchant, kind, collection) == 0
    assert scene.claim() is None


def test_a_started_round_keeps_its_place(scene: Scene) -> None:
    """Before those that were sealed behind it and have not been claimed."""
    held, behind = scene.seal(start="held"), scene.seal()
    scene.store.release_rounds("acme", Kind.PRODUCT, "products")
    assert _settled(scene) == [held, behind]


def test_held_rounds_count_in_the_queue(scene: Scene) -> None:
    """So that they do not grow for ever."""
    scene.seal(start="held")
    with pytest.raises(QueueFullError):
        scene.seal(start="held", open_rounds_max=1)


def test_a_held_round_can_be_cancelled(scene: Scene) -> None:
    """Without being started."""
    batch = scene.seal(start="held")
    scene.store.cancel("acme", batch)
    assert [(work.batch, work.cancelling) for work in scene.claimed().rounds] == [(batch, True)]


def test_held_rounds_are_not_overdue(scene: Scene) -> None:
    """The oldest that waits is one that could be worked."""
    scene.seal(start="held")
    scene.clock.forward(100)
    assert scene.store.statistics()["oldest_queued_seconds"] == 0
    assert [lane.waiting_since for lane in scene.store.lanes()] == [None]
    scene.store.release_rounds("acme", Kind.PRODUCT, "products")
    assert scene.store.statistics()["oldest_queued_seconds"] >= 100
