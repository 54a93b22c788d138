"""Dry runs: the diff that every store keeps in place of changes, and what later chunks read from it."""

import msgspec
import pytest

from goodsgate.model.batch import Kind, Result, State
from goodsgate.model.catalogue import CurrentItem, item_digest
from goodsgate.model.diff import DiffChange, DiffSummary
from goodsgate.model.journal import ChangeOperation, ItemContent
from goodsgate.store.contract import ChunkCommit, ClaimedRound, Retention, SweepCounts
from goodsgate.store.shared import journal
from tests.store.scene import Record, Scene, advanced, chunk_commit

CREATED, UPDATED, DELETED = ChangeOperation
DAY = 86_400
RETENTION = Retention(
    payload_seconds=9 * DAY, report_seconds=DAY, batch_seconds=9 * DAY, answer_seconds=9 * DAY,
    tombstone_seconds=9 * DAY,
)


def content(text: str, **more: object) -> ItemContent:
    """Return what makes an item."""
    return ItemContent(b'{"id":"%s"}' % text.encode(), **more)  # type: ignore[arg-type]


def change(key: str, operation: ChangeOperation | None = CREATED, after: ItemContent | None = None,
           before: ItemContent | None = None, **more: object) -> DiffChange:
    """Return a change as the engine makes it."""
    if after is None and operation is not DELETED and more.get("tombstone_version") is None:
        after = content(key)
    return DiffChange(key=key, operation=operation, before=before, after=after, **more)  # type: ignore[arg-type]


def dry_commit(round: ClaimedRound, *changes: DiffChange, ends: State | None = None) -> ChunkCommit:
    """Return a chunk of a dry run with a record for each change."""
    commit = chunk_commit(round, *(Record(each.key, Result.UNCHANGED) for each in changes), ends=ends)
    summary = DiffSummary()
    summary.add(changes, Kind.PRODUCT)
    return msgspec.structs.replace(commit, diff=sorted(changes, key=lambda each: each.key), diff_summary=summary)


def numbered(*changes: DiffChange, first: int = 1) -> list[DiffChange]:
    """Return changes as the store returns them."""
    return [msgspec.structs.replace(each, number=number) for number, each in enumerate(changes, first)]


def test_a_diff_is_read_in_pages_and_in_numbers(scene: Scene) -> None:
    """In the order of the chunks; what changes only a version is not shown, and a replay adds nothing."""
    batch = scene.seal(dry_run=True)
    claim = scene.claimed()
    first = dry_commit(claim.rounds[0], change("A", record=1, row=2), change("B", None, content("B", version=2)))
    second = dry_commit(
        advanced(claim.rounds[0], first), change("A", UPDATED, content("2"), content("A")),
        change("C", DELETED, before=content("C", field_state="{}", index_entries=(("slug", "c"),))),
        ends=State.FINISHED,
    )
    for commit in (first, first, second):
        scene.store.commit(claim, [commit])
    a, _, again, deleted = numbered(*first.diff, *second.diff)
    assert scene.store.diff("acme", batch) == [a, again, deleted]
    assert scene.store.diff("acme", batch, after=1, limit=1) == [again]
    assert scene.store.diff("acme", batch, after=4) == scene.store.diff("bolt", batch) == []
    summary = scene.store.diff_summary("acme", batch)
    assert (summary.created, summary.updated, summary.deleted, summary.fields["id"].changed) == (1, 1, 1, 1)
    assert scene.store.diff_summary("acme", scene.seal()) == DiffSummary()
    assert scene.held() == {}
    assert scene.store.collections("acme") == []
    assert not any(name.startswith("records.") for name in scene.store.statistics())


def test_later_chunks_read_what_earlier_ones_would_leave(scene: Scene) -> None:
    """The last change of each key, tombstones with their version, case variants that are live; also by another process.
    """
    scene.seal(dry_run=True)
    claim = scene.claimed()
    round = claim.rounds[0]
    assert scene.store.dry_run_items(round, ["A"]).items == {}
    entries = (("slug", "a"),)
    for changes in (
        (change("A"), change("b"), change("z", DELETED, before=content("z"), tombstone_version=0)),
        (change("A", UPDATED, content("2", version=7, index_entries=entries), content("A")),
         change("t", None, tombstone_version=-5), change("u", DELETED, before=content("u"))),
    ):
        commit = dry_commit(round, *changes)
        scene.store.commit(claim, [commit])
        round = advanced(round, commit)
    document = content("2").document
    expected = {
        "A": CurrentItem(item_digest(document, {}), 7, document, None, entries),
        "z": CurrentItem(None, 0), "t": CurrentItem(None, -5), "u": CurrentItem(None, None),
    }
    for store in (scene.store, scene.open()):
        found = store.dry_run_items(round, ["A", "B", "Z", "a", "z", "t", "u", "X"])
        assert found.items == expected
        assert found.case_variants == {"a": "A", "B": "b"}


def test_keys_of_lost_chunks_are_forgotten(scene: Scene) -> None:
    """A server that crashes may lose chunks that it has committed."""
    scene.seal(dry_run=True)
    claim = scene.claimed()
    begun = claim.rounds[0]
    commit = dry_commit(begun, change("A"))
    scene.store.commit(claim, [commit])
    after = advanced(begun, commit)
    ahead = msgspec.structs.replace(after, chunks=5)
    assert "A" in scene.store.dry_run_items(ahead, ["A"]).items
    assert "A" in scene.store.dry_run_items(after, ["A"]).items


def test_large_diffs_are_split_into_segments(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Items are found in each of them."""
    monkeypatch.setattr(journal, "SEGMENT_CHANGES_MAX", 3)
    batch = scene.seal(dry_run=True)
    claim = scene.claimed()
    keys = [f"K{at:02}" for at in range(20)]
    commit = dry_commit(claim.rounds[0], *map(change, keys))
    scene.store.commit(claim, [commit])
    assert [each.key for each in scene.store.diff("acme", batch, after=4, limit=9)] == keys[4:13]
    found = scene.store.dry_run_items(advanced(claim.rounds[0], commit), [*reversed(keys)])
    assert {key: item.document for key, item in found.items.items()} == {key: content(key).document for key in keys}


def test_a_diff_goes_with_the_report(scene: Scene) -> None:
    """Segment by segment, and its numbers last."""
    batch = scene.seal(dry_run=True)
    claim = scene.claimed()
    scene.store.commit(claim, [dry_commit(claim.rounds[0], change("A"), ends=State.FINISHED)])
    scene.clock.forward(DAY - 1)
    assert scene.store.sweep(RETENTION, steps_max=50) == SweepCounts()
    scene.clock.forward(2)
    while scene.store.sweep(RETENTION, steps_max=1) != SweepCounts():
        pass
    assert scene.store.diff("acme", batch) == []
    assert scene.store.diff_summary("acme", batch) == DiffSummary()


def test_a_full_dry_run_lacks_what_it_does_not_contain(scene: Scene) -> None:
    """Records that would change an item are seen, too, though the item does not name the batch."""
    scene.seal()
    scene.run([Record(key) for key in "ABC"])
    scene.seal(dry_run=True, mode="full")
    claim = scene.claimed()
    round = claim.rounds[0]
    commit = chunk_commit(round, Record("A", Result.UPDATED), Record("D"))
    commit = msgspec.structs.replace(commit, writes=[], diff=[change("A", UPDATED, content("2"), content("A"))])
    scene.store.commit(claim, [commit])
    round = advanced(round, commit)
    assert scene.store.seen_keys(round, ["A", "B", "D"]) == {"A", "D"}
    assert scene.store.absent_items(round, after=None, limit=9) == (3, 2, ["B", "C"])
