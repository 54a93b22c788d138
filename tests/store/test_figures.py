"""Figures that stay true: of each round of a batch, and of the feeds of a submitter by day."""

from datetime import timedelta

from goodsgate.model.batch import Counts, Kind, Result, RoundKind, State
from goodsgate.model.issue import issue
from goodsgate.model.tracing import set_origin_key
from tests.store.scene import Record, Scene, chunk_commit, rejected_record


def test_figures_of_a_round_stay_when_another_ends(scene: Scene) -> None:
    """A fix has its own time and records; the counts are those of the batch when each round ended."""
    batch = scene.seal()
    assert scene.store.batch_rounds("acme", batch) == []
    claim = scene.claimed()
    scene.store.commit(claim, [
        chunk_commit(claim.rounds[0], Record("A"), rejected_record(), rejected_record(), ends=State.FINISHED)
    ])
    first = scene.store.batch_rounds("acme", batch)
    assert [(each.number, each.kind, each.records, each.counts) for each in first] == [
        (0, RoundKind.SUBMISSION, 3, Counts(created=1, rejected=2)),
    ]
    scene.clock.forward(3600)
    scene.again(batch, RoundKind.RETRY)
    claim = scene.claimed()
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], ends=State.FINISHED)])
    rounds = scene.store.batch_rounds("acme", batch)
    assert rounds[0] == first[0]
    assert (rounds[1].number, rounds[1].kind, rounds[1].records) == (1, RoundKind.RETRY, 0)
    assert rounds[1].ended_at >= rounds[1].started_at > rounds[0].ended_at
    assert rounds[1].counts == rounds[0].counts


def test_feeds_are_counted_by_day_and_submitter_as_they_were_submitted(scene: Scene) -> None:
    """With their issues by code; a retry, a dry run and an edit add nothing."""
    day = scene.clock.now.date()

    def send(key: str, *records: Record, **policy: object) -> str:
        set_origin_key(key)
        batch = scene.seal(**policy)
        set_origin_key("")
        claim = scene.claimed()
        scene.store.commit(claim, [chunk_commit(claim.rounds[0], *records, ends=State.FINISHED)])
        scene.store.release_claim(claim)
        return batch

    warned = Record("B", issues=[issue("sku_case_twin", "/id", value="B")])
    batch = send("key-a", Record("A"), warned, rejected_record(), rejected_record())
    send("key-a", Record("C", Result.UPDATED))
    send("key-b", rejected_record())
    send("key-a", rejected_record(), dry_run=True)
    send("key-a", rejected_record(), edit="lock")
    scene.again(batch, RoundKind.RETRY)
    claim = scene.claimed()
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], ends=State.FINISHED)])
    days = scene.store.feed_days("acme", since=day)
    assert [(each.day, each.submitter, each.kind, each.feeds, each.records, each.rejected) for each in days] == [
        (day, "key-a", Kind.PRODUCT, 2, 5, 2), (day, "key-b", Kind.PRODUCT, 1, 1, 1),
    ]
    assert [(each.submitter, each.code, each.count) for each in scene.store.feed_issues("acme", since=day)] == [
        ("key-a", "line_unreadable", 2), ("key-a", "sku_case_twin", 1), ("key-b", "line_unreadable", 1),
    ]
    assert scene.store.feed_days("acme", since=day + timedelta(days=1)) == []
    assert scene.store.feed_issues("acme", since=day, limit=1)[0].code == "line_unreadable"
