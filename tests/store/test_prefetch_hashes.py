"""Items that are held as they are sent need not come back from the server, and nobody can tell."""

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Kind, Result, State
from goodsgate.store.contract import Store, SupportsPrefetch
from goodsgate.store.postgres import PostgresStore
from goodsgate.store.shared.lookup_cache import Lookup
from goodsgate.store.strict import StrictStore
from goodsgate.store.strict.demands import ContractViolationError
from tests import effort
from tests.store.scene import Record, Scene, advanced, chunk_commit, digest

KEYS = ["a", "b", "c", "d", "E", "f\x1fx", "ä", "Ö", "日", '"\\']
STATES = ["plain", "plain", "plain", "plain", "versioned", "buried", "mine", "twin", "both", "none"]
GIVEN = ["same", "same", "same", "other"]

facts = st.lists(
    st.tuples(st.sampled_from(STATES), st.sampled_from(GIVEN), st.sampled_from(["asked", "asked", "asked", "left"])),
    min_size=len(KEYS), max_size=len(KEYS),
)
changes = st.one_of(
    st.lists(st.sampled_from(how), min_size=len(KEYS), max_size=len(KEYS))
    for how in (["write", "version", "delete", "bury", "leave"], ["delete", "leave", "leave"])
)


def _before(key: str, state: str) -> list[Record]:
    """What another batch writes."""
    twin = Record(key.swapcase())
    return {
        "plain": [Record(key)], "versioned": [Record(key, version=3)], "twin": [twin], "both": [Record(key), twin],
        "buried": [Record(key, Result.DELETED, version=3)],
    }.get(state, [])


def _hashes(held: dict[str, str], asked: list[str]) -> list[bytes]:
    return [digest(Record(key, text="" if held[key] == "same" else "new").document) for key in asked]


def _look(store: Store, collection: str, keys: list[str]) -> Lookup | None:
    """What the PostgreSQL store keeps of them."""
    assert isinstance(store, StrictStore)
    inner = store.store
    cache = inner.lookups.cache if isinstance(inner, PostgresStore) else None
    return cache.find(("acme", Kind.PRODUCT, collection), keys) if cache is not None else None


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_prefetching_with_hashes_gives_the_same_answers(kind: str) -> None:
    """Of what is held, of case variants and of what the batch has shown; and what is written then is counted right."""
    numbers = itertools.count()
    alike = 0

    @settings(max_examples=effort.examples(60), deadline=None)
    @given(facts, changes, st.integers(0, len(KEYS)), st.booleans(), st.integers(0, 2))
    def walk(drawn: list[tuple[str, str, str]], changed: list[str], cut: int, both: bool, asking: int) -> None:
        nonlocal alike
        collection_args = ("acme", Kind.PRODUCT, f"c{next(numbers)}")
        scene.seal(collection=collection_args[2])
        stands = dict(zip(KEYS, drawn, strict=True))
        first = scene.run([record for key, (state, *_) in stands.items() for record in _before(key, state)])
        scene.seal(collection=collection_args[2])
        claim = scene.claimed()
        committed = chunk_commit(claim.rounds[0], *(Record(key) for key, (state,
            *_) in stands.items() if state == "mine"))
        scene.store.commit(claim, [committed])
        work = advanced(claim.rounds[0], committed)
        asked = [key for key, (*_, wanted) in stands.items() if wanted == "asked"]
        gives = {key: given for key, (_, given, _) in stands.items()}
        for hint in (asked[:cut], asked[cut:]):
            hashes = _hashes(gives, hint) if both or hint == asked[:cut] else None
            if isinstance(scene.store, SupportsPrefetch):
                scene.store.prefetch(work, hint, hashes=hashes)
        assert scene.store.current_items(*collection_args, asked) == plain.current_items(*collection_args, asked)
        look = _look(scene.store, collection_args[2], asked)
        alike += len(look.same) if look is not None else 0
        assert scene.store.case_variants(*collection_args, asked) == plain.case_variants(*collection_args, asked)
        for one in (work, first)[:asking]:
            assert scene.store.seen_keys(one, asked) == plain.seen_keys(one, asked)

        ends = chunk_commit(work, *(_change(key, how) for key, how in zip(asked, changed, strict=False)),
                       ends=State.FINISHED)
        scene.store.commit(claim, [ends])
        scene.store.release_claim(claim)
        held = scene.held(collection=collection_args[2])
        counts = {name: count for _, name, count in scene.store.collections("acme")}
        assert counts.get(collection_args[2], 0) == len(held)
        for key, how in zip(asked, changed, strict=False):
            assert how == "leave" or held.get(key) == _written(key, how)

    with tempfile.TemporaryDirectory() as folder, Scene(Path(folder), kind) as scene:
        plain = scene.open()
        walk()
    assert (alike > 0) == (kind == "postgres")


def _change(key: str, how: str) -> Record:
    return {
        "write": Record(key, Result.UPDATED, "new"), "version": Record(key, Result.UPDATED, version=9),
        "delete": Record(key, Result.DELETED), "bury": Record(key, Result.DELETED, version=9),
        "leave": Record(key, Result.UNCHANGED),
    }[how]


def _written(key: str, how: str) -> bytes | None:
    return _change(key, how).document if how in ("write", "version") else None


def test_unchanged_items_are_not_sent_by_the_server(scene: Scene) -> None:
    """Nor does it lack anything; of stock every hash does, for it is compared again."""
    scene.only("postgres", "looks up in this process")
    keys = [f"K{number:03}" for number in range(300)]
    for kind, differ in ((Kind.PRODUCT, set()), (Kind.PRODUCT, {"K007", "K100"}), (Kind.STOCK, set(keys))):
        collection = f"{kind}{len(differ)}"
        scene.seal(kind=kind, collection=collection)
        scene.run([Record(key, text="old" if key in differ and kind == Kind.PRODUCT else "") for key in keys])
        scene.seal(kind=kind, collection=collection)
        claim = scene.claimed()
        assert isinstance(scene.store, SupportsPrefetch)
        scene.store.prefetch(claim.rounds[0], keys, hashes=[digest(Record(key).document) for key in keys])
        held = scene.store.current_items("acme", kind, collection, keys)
        assert held == scene.open().current_items("acme", kind, collection, keys)
        assert isinstance(scene.store, StrictStore)
        assert isinstance(scene.store.store, PostgresStore)
        look = scene.store.store.lookups.cache.find(("acme", kind, collection), keys)
        assert look is not None
        assert {row[0] for row in look.rows} == differ
        assert look.same.keys() == {*keys} - differ
        scene.store.release_claim(claim)
        scene.run([])


@pytest.mark.parametrize("hashes", [[b"x" * 16], [b"x" * 16, b"x" * 15], []])
def test_each_prefetched_key_needs_a_hash(scene: Scene, hashes: list[bytes]) -> None:
    """Of sixteen bytes."""
    scene.only("postgres", "prefetches")
    scene.seal()
    claim = scene.claimed()
    assert isinstance(scene.store, SupportsPrefetch)
    with pytest.raises(ContractViolationError):
        scene.store.prefetch(claim.rounds[0], ["A", "B"], hashes=hashes)
