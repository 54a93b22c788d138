"""A hint about what will be asked changes nothing of the answers, whatever happens in between."""

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Kind, Result
from tests.store.scene import Record, Scene, after, portion

KEYS = ["a", "A", "b", "B", "c", "ä", "Ä"]
SHELF = ("acme", Kind.PRODUCT, "products")

keys = st.lists(st.sampled_from(KEYS), unique=True, max_size=5)
steps = st.lists(st.tuples(
    st.sampled_from(["foresee", "settle", "delete", "ask", "documents", "other"]), keys
), min_size=3, max_size=12)



@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_what_is_held_is_told_right_whatever_was_foreseen(kind: str) -> None:
    """Against a second store at the same place, which foresees nothing."""
    numbers = itertools.count()

    @settings(max_examples=40, deadline=None)
    @given(steps)
    def walk(taken: list[tuple[str, list[str]]]) -> None:
        collection = f"c{next(numbers)}"
        scene.seal(collection=collection)
        claim = scene.claimed()
        work = claim.works[0]
        shelf = ("acme", Kind.PRODUCT, collection)
        for turn, (what, named) in enumerate(taken):
            if what == "foresee":
                scene.store.foresee(work, named)
            elif what in ("settle", "delete"):
                result = Result.CREATED if what == "settle" else Result.DELETED
                settled = portion(work, *(Record(key, result, f"{turn}") for key in named))
                scene.store.settle(claim, [settled])
                work = after(work, settled)
            elif what == "other":
                scene.store.held("acme", Kind.PRODUCT, "elsewhere", named)
            else:
                documents = what == "documents"
                assert scene.store.held(*shelf, named, documents=documents) == plain.held(
                    *shelf, named, documents=documents
                )
                assert scene.store.twins(*shelf, named) == plain.twins(*shelf, named)
                assert scene.store.seen(work, named) == plain.seen(work, named)
        ends = portion(work, ends="finished")  # type: ignore[arg-type]
        scene.store.settle(claim, [ends])
        scene.store.release(claim)

    with tempfile.TemporaryDirectory() as folder, Scene(Path(folder), kind) as scene:
        plain = scene.open()
        walk()


def test_another_claim_knows_nothing_of_what_was_foreseen(scene: Scene) -> None:
    """Between two claims of one worker another one may have worked the lane."""
    scene.seal()
    first = scene.claimed()
    scene.store.settle(first, [portion(first.works[0], Record("A"))])
    scene.store.foresee(first.works[0], ["B", "C"])
    scene.store.release(first)
    if scene.kind == "postgres":
        other = scene.open()
        second = scene.claimed(worker="w2", store=other)
        work = second.works[0]
        other.settle(second, [portion(work, Record("B"))])
        other.release(second)
    third = scene.claimed()
    held = scene.store.held(*SHELF, ["B", "C"])
    assert set(held) == ({"B"} if scene.kind == "postgres" else set())
    assert third.attempt > first.attempt
