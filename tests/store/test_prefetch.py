"""Prefetching changes no answer, whatever happens in between; nor do lookups during a commit."""

import itertools
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Kind, Result, State
from goodsgate.store.contract import SupportsPrefetch
from tests import effort
from tests.store.scene import Record, Scene, advanced, chunk_commit

KEYS = ["a", "A", "b", "B", "c", "ä", "Ä"]
SHELF = ("acme", Kind.PRODUCT, "products")

keys = st.lists(st.sampled_from(KEYS), unique=True, max_size=5)
steps = st.lists(st.tuples(
    st.sampled_from(["foresee", "commit", "delete", "ask", "foresee", "beside", "ask", "documents", "other"]), keys
), min_size=4, max_size=20)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_current_items_are_right_whatever_was_prefetched(kind: str) -> None:
    """Against a second store at the same place, which foresees nothing."""
    numbers = itertools.count()

    @settings(max_examples=effort.examples(80), deadline=None)
    @given(steps)
    def walk(taken: list[tuple[str, list[str]]]) -> None:
        collection = f"c{next(numbers)}"
        scene.seal(collection=collection)
        claim = scene.claimed()
        work, foreseen = claim.rounds[0], KEYS
        collection = ("acme", Kind.PRODUCT, collection)
        committed = chunk_commit(work, Record("b"))
        scene.store.commit(claim, [committed])
        try:
            for turn, (what, named) in enumerate(taken):
                work = advanced(work, committed) if work.chunks < committed.number + 1 else work
                if what == "foresee":
                    foreseen = [*named, *(key for key in ["c"] if key not in named)]
                    held = plain.current_items(*collection, foreseen)
                    for hint in (foreseen[:turn % 3], foreseen[turn % 3 :]):
                        hashes = [(held[key].hash if key in held else None) or b"x" * 16 for key in hint]
                        if isinstance(scene.store, SupportsPrefetch):
                            scene.store.prefetch(work, hint, hashes=hashes if turn % 4 else None)
                elif what in ("commit", "delete"):
                    result = Result.CREATED if what == "commit" else Result.DELETED
                    committed = chunk_commit(work, *(Record(key, result, f"{turn}") for key in named))
                    scene.store.commit(claim, [committed])
                elif what == "beside":
                    shades = {key.lower() for key in named}
                    asked = [key for key in foreseen if key.lower() not in shades]
                    committed = chunk_commit(work, *(Record(key, Result.CREATED, f"{turn}") for key in named))
                    future = settling.submit(scene.store.commit, claim, [committed])
                    if not isinstance(scene.store, SupportsPrefetch):
                        future.result()
                    held = scene.store.current_items(*collection, asked)
                    variants, seen = scene.store.case_variants(*collection, asked), scene.store.seen_keys(work,
                        asked)
                    future.result()
                    assert held == plain.current_items(*collection, asked)
                    assert variants == plain.case_variants(*collection, asked)
                    assert seen == plain.seen_keys(advanced(work, committed), asked)
                elif what == "other":
                    scene.store.current_items("acme", Kind.PRODUCT, "elsewhere", named)
                else:
                    asked, documents = foreseen, what == "documents"
                    held = scene.store.current_items(*collection, asked, documents=documents)
                    assert held == plain.current_items(*collection, asked, documents=documents)
                    assert scene.store.case_variants(*collection, asked) == plain.case_variants(*collection, asked)
                    assert scene.store.seen_keys(work, asked) == plain.seen_keys(work, asked)
        finally:
            work = advanced(work, committed) if work.chunks < committed.number + 1 else work
            scene.store.commit(claim, [chunk_commit(work, ends=State.FINISHED)])
            scene.store.release_claim(claim)

    with (
        tempfile.TemporaryDirectory() as folder, Scene(Path(folder), kind) as scene, ThreadPoolExecutor(1) as settling,
    ):
        plain = scene.open()
        walk()


def test_prefetched_items_are_forgotten_by_the_next_claim(scene: Scene) -> None:
    """Between two claims of one worker another one may have worked the lane."""
    scene.seal()
    first = scene.claimed()
    scene.store.commit(first, [chunk_commit(first.rounds[0], Record("A"))])
    if isinstance(scene.store, SupportsPrefetch):
        scene.store.prefetch(first.rounds[0], ["B", "C"])
    scene.store.release_claim(first)
    if scene.kind == "postgres":
        other = scene.open()
        second = scene.claimed(worker="w2", store=other)
        work = second.rounds[0]
        other.commit(second, [chunk_commit(work, Record("B"))])
        other.release_claim(second)
    third = scene.claimed()
    held = scene.store.current_items(*SHELF, ["B", "C"])
    assert set(held) == ({"B"} if scene.kind == "postgres" else set())
    assert third.attempt > first.attempt
