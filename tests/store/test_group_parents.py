"""What a store keeps of the parents of groups, and which variants it marks when one is there."""

from datetime import timedelta

from goodsgate.model.batch import RoundKind, State, Strictness
from goodsgate.store.contract import GroupParent, Retention
from tests.factories import NOW
from tests.store.scene import Record, Scene, chunk_commit, waiting_record

W, V = ("parent", "W"), ("parent", "V")
DAY = timedelta(days=1)


def _commit(scene: Scene, *records: Record, collection: str = "products", merchant: str = "acme",
            parents: tuple[GroupParent, ...] = ()) -> str:
    """Commit a batch of these records and parents, and return its id."""
    batch = scene.seal(merchant, collection=collection, references=Strictness.WAIT)
    claim = scene.claimed()
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], *records, ends=State.FINISHED, parents=parents)])
    scene.store.release_claim(claim)
    return batch


def _parent(*names: str, body: bytes = b'{"a":"\\u0000\xc3\xa9"}', days: int | None = 1) -> GroupParent:
    return GroupParent(names=names, body=body, expires_at=None if days is None else NOW + days * DAY)


def _ready(scene: Scene, batch: str) -> list[int]:
    return [finding.number for finding in scene.store.waiting_records("acme", batch, only_ready=True)]


def _sweep(scene: Scene) -> int:
    always = 10**9
    retention = Retention(payload_seconds=always, report_seconds=always, batch_seconds=always, answer_seconds=always,
                          tombstone_seconds=always)
    return scene.store.sweep(retention, steps_max=10).parents


def test_a_parent_is_kept_under_its_names_and_ends_the_wait_of_its_variants(scene: Scene) -> None:
    """In its collection, of its merchant; a parent that was kept before ends a wait that begins."""
    store = scene.store
    assert not store.awaits_parents("acme", "products")
    batch = _commit(scene, waiting_record("A", W), waiting_record("B", W, V), Record("C"))
    assert [(each.kind, each.code, each.records) for each in store.waiting_for("acme", batch)] == [
        ("parent", "W", 2), ("parent", "V", 1)
    ]
    assert [store.awaits_parents(*of) for of in (("acme", "products"), ("acme", "x"), ("bolt", "products"))] == [
        True, False, False
    ]
    _commit(scene, Record("D"), collection="x", parents=(_parent("W"),))
    _commit(scene, Record("D"), merchant="bolt", parents=(_parent("W"),))
    assert _ready(scene, batch) == []
    _commit(scene, Record("D"), parents=(_parent("W", "id:77"), _parent("W", body=b"{}")))
    assert _ready(scene, batch) == [1]
    assert store.changed_references() == []
    assert store.group_parents("acme", "products", ["id:77", "W", "V"]) == dict.fromkeys(("id:77", "W"), _parent().body)
    later = _commit(scene, waiting_record("E", ("parent", "id:77")))
    assert _ready(scene, later) == [1]
    scene.reopen()
    assert scene.store.group_parents("acme", "products", []) == {}
    assert scene.store.group_parents("acme", "x", ["W"]).keys() == {"W"}


def test_a_later_batch_replaces_a_parent_and_an_older_one_does_not(scene: Scene) -> None:
    """A fix of the older batch comes too late."""
    older, newer = scene.seal("acme"), scene.seal("acme")
    claim = scene.claimed(works=2)
    assert [round.batch for round in claim.rounds] == [older, newer]
    parents = [(_parent("W", body=b"1"),), (_parent("W", body=b"2"),)]
    rounds = claim.rounds
    scene.store.commit(claim, [
        chunk_commit(round, Record("A"), ends=State.FINISHED, parents=of)
        for round, of in zip(rounds, parents, strict=True)
    ])
    scene.store.release_claim(claim)
    scene.again(older, RoundKind.FIX)
    claim = scene.claimed()
    commit = chunk_commit(claim.rounds[0], ends=State.FINISHED, parents=(_parent("W", body=b"3"), _parent("V")))
    scene.store.commit(claim, [commit])
    assert scene.store.group_parents("acme", "products", ["W", "V"]) == {"W": b"2", "V": _parent().body}


def test_a_parent_of_a_feed_that_keeps_none_is_kept_for_who_waits_for_it(scene: Scene) -> None:
    """As long as that may wait; then it is swept, as any other whose time is over."""
    _commit(scene, waiting_record("A", W))
    _commit(scene, Record("D"), parents=(_parent("W", "id:77", days=None), _parent("V", days=1)))
    assert scene.store.group_parents("acme", "products", ["W", "id:77", "V"]).keys() == {"W", "V"}
    scene.clock.forward(3_590)
    assert _sweep(scene) == 0
    scene.clock.forward(20)
    assert _sweep(scene) == 1
    scene.clock.forward(86_400)
    assert _sweep(scene) == 1
    assert scene.store.group_parents("acme", "products", ["W", "V"]) == {}


def test_a_dry_run_keeps_no_parent(scene: Scene) -> None:
    """And marks nothing."""
    batch = _commit(scene, waiting_record("A", W))
    scene.seal("acme", dry_run=True)
    claim = scene.claimed()
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], ends=State.FINISHED, parents=(_parent("W"),))])
    assert (scene.store.group_parents("acme", "products", ["W"]), _ready(scene, batch)) == ({}, [])
