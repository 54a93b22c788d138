"""Versions that move while nothing else changes: they are the item's, however they are stored."""

import random

import msgspec
import pytest

from goodsgate.model.batch import Kind, Result, State
from goodsgate.store.contract import ChunkCommit
from tests.effort import examples
from tests.store.scene import Record, Scene, advanced, chunk_commit

KEYS = [f"K{number}" for number in range(6)]
Known = dict[str, tuple[str | None, int | None, str | None]]
"""Key → text, version and field state of an item; a tombstone has no text."""


def _choose(tries: random.Random, known: Known) -> list[tuple[Record, str | None]]:
    """Records of one chunk, with field states, mostly such that only move a version."""
    chosen = []
    for key in tries.sample(KEYS, tries.randrange(1, 6)):
        text, version, state = known.get(key, (None, None, None))
        newer = tries.choice((version, (version or 0) + tries.randrange(1, 5), tries.randrange(50)))
        what = tries.choices(("version", "text", "state", "delete"), (6, 2, 1, 1))[0]
        if what == "delete" and text is not None:
            chosen.append((Record(key, Result.DELETED, version=newer), None))
            known[key] = (None, newer, None)
            continue
        text = text if what != "text" and text is not None else str(tries.random())
        state = '{"price":3}' if what == "state" and newer is not None else None
        chosen.append((Record(key, Result.UPDATED, text=text, version=newer), state))
        known[key] = (text, newer, state)
    return chosen


def _with_states(commit: ChunkCommit, chosen: list[tuple[Record, str | None]]) -> ChunkCommit:
    states = {record.key: state for record, state in chosen}
    writes = [msgspec.structs.replace(write, field_state=states[write.key]) for write in commit.writes]
    return msgspec.structs.replace(commit, writes=writes)


def _check(scene: Scene, known: Known) -> None:
    store, where = scene.store, ("acme", Kind.PRODUCT, "products")
    current = store.current_items(*where, KEYS)
    assert {key: (item.version, item.field_state) for key, item in current.items()} == {
        key: (version, state) for key, (_, version, state) in known.items()
    }
    live = {key: version for key, (text, version, _) in known.items() if text is not None}
    assert {item.key: item.version for item in store.items(*where).rows} == live
    assert {item.key: item.version for item in store.items(*where, prefix="K").rows} == live
    for key in live:
        item = store.item(*where, key)
        assert item is not None
        assert item.version == live[key]
    stored = store.stored_items(*where, KEYS)
    assert {key: item.content.version for key, item in stored.items() if item.content is not None} == live
    full = store.current_items(*where, KEYS, documents=True)
    assert {key: full[key].version for key in full} == {key: current[key].version for key in current}


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, examples(60)))])
def test_an_item_has_the_version_that_was_written_last(scene: Scene, seed: int) -> None:
    """Alone or with its document, by one chunk or two at once, looked up before or not, after deletions and swept."""
    tries, known = random.Random(seed), Known()
    for turn in range(25):
        scene.seal()
        claim = scene.claimed()
        round, commits = claim.rounds[0], []
        if tries.random() < 0.8:
            scene.store.current_items("acme", Kind.PRODUCT, "products", KEYS)
        chunks = tries.choice((1, 1, 1, 2))
        for at in range(chunks):
            chosen = _choose(tries, known)
            ends = State.FINISHED if at == chunks - 1 else None
            commits.append(_with_states(chunk_commit(round, *(record for record, _ in chosen), ends=ends), chosen))
            round = advanced(round, commits[-1])
        scene.store.commit(claim, commits)
        scene.store.release_claim(claim)
        if turn % 6 == 0:
            _check(scene, known)
        if turn == 15:
            scene.reopen()
    _check(scene, known)


def test_a_newer_version_alone_is_no_change(scene: Scene) -> None:
    """The item keeps its time and its batch, and the journal is told of none; a version that is written counts."""
    where = ("acme", Kind.PRODUCT, "products")
    first = scene.seal()
    scene.run([Record("A", version=1), Record("B")])
    before = scene.store.item(*where, "A")
    for version in (2, 7):
        scene.seal()
        scene.store.current_items(*where, ["A", "B"])
        claim = scene.claimed()
        scene.store.current_items(*where, ["A", "B"])
        newer = Record("A", Result.UPDATED, version=version)
        scene.store.commit(claim, [chunk_commit(claim.rounds[0], newer, ends=State.FINISHED)])
        scene.store.release_claim(claim)
    after = scene.store.item(*where, "A")
    assert before is not None
    assert after == msgspec.structs.replace(before, version=7)
    assert after.batch == first
    assert len(scene.store.item_history(*where, "A").changes) == 1
    assert len(scene.store.changes("acme", after=None).changes) == 2
