"""Field states at the store, versions of groups and locks: kept with an item as they are written."""

import msgspec

from goodsgate.model.batch import Kind, Result, State
from goodsgate.model.field_state import field_state, lock_of
from goodsgate.store.contract import ChunkCommit, ClaimedRound
from tests.store.scene import Record, Scene, advanced, chunk_commit

DELETED = Result.DELETED


def test_versions_of_groups_are_kept_where_they_differ(scene: Scene) -> None:
    """With new and changed items, among others without; the next write, a deletion and a tombstone remove them."""
    scene.seal()
    scene.seal()
    differing = {"A": '{"price":3}', "C": "{}", "D": '{"price":null}', "E": "{}", "F": "{}"}
    claim = scene.claimed()
    work = claim.rounds[0]

    def written(work: ClaimedRound, *keys: str, groups: dict[str, str], **more: object) -> ChunkCommit:
        committed = chunk_commit(work, *(Record(key, version=5) for key in keys), **more)
        writes = [msgspec.structs.replace(each, field_state=groups.get(each.key)) for each in committed.writes]
        return msgspec.structs.replace(committed, writes=writes)

    def stored(*keys: str, documents: bool) -> dict[str, tuple[int | None, str | None]]:
        items = scene.store.current_items("acme", Kind.PRODUCT, "products", keys, documents=documents)
        return {key: (item.version, item.group_versions) for key, item in items.items()}

    one = written(work, *"ABCDEF", groups=differing)
    scene.store.commit(claim, [one])
    expected = {key: (5, differing.get(key)) for key in "ABCDEF"}
    assert stored(*"ABCDEF", documents=False) == stored(*"ABCDEF", documents=True) == expected
    rows = scene.store.items("acme", Kind.PRODUCT, "products").rows
    assert {item.key: (item.version, item.group_versions) for item in rows} == expected
    assert scene.store.collections("acme") == [(Kind.PRODUCT, "products", 6)]
    two = written(advanced(work, one), *"ABCG", groups={"B": "{}", "C": '{"price":1}', "G": '{"content":2}'})
    deleted = chunk_commit(
        advanced(advanced(work, one), two), Record("D", DELETED), Record("E", DELETED, version=7), ends=State.FINISHED
    )
    scene.store.commit(claim, [two, deleted])
    assert stored(*"ABCDEFG", documents=True) == {
        "A": (5, None), "B": (5, "{}"), "C": (5, '{"price":1}'), "D": (None, None), "E": (7, None), "F": (5, "{}"),
        "G": (5, '{"content":2}'),
    }
    item = scene.store.item("acme", Kind.PRODUCT, "products", "G")
    assert item is not None
    assert item.group_versions == '{"content":2}'
    scene.store.release_claim(claim)
    scene.run([Record("E", version=8)])
    assert stored("E", documents=False) == {"E": (8, None)}
    assert scene.store.collections("acme") == [(Kind.PRODUCT, "products", 6)]


def test_locks_are_kept_with_and_without_versions(scene: Scene) -> None:
    """Beside other items; what was written last counts, and a deletion leaves none."""
    scene.seal()
    claim = scene.claimed()
    work = claim.rounds[0]
    state = field_state('{"price":3}', {"title": lock_of(msgspec.Raw(b'"Cup"')), "brand": lock_of(None)})
    alone = field_state(None, {"title": lock_of(msgspec.Raw(b'"\\u0000 \xc3\xa9"'))})

    def written(work: ClaimedRound, states: dict[str, str | None], **more: object) -> ChunkCommit:
        committed = chunk_commit(work, *(Record(key, version=5 if key == "A" else None) for key in "ABC"), **more)
        writes = [msgspec.structs.replace(each, field_state=states.get(each.key)) for each in committed.writes]
        return msgspec.structs.replace(committed, writes=writes)

    one = written(work, {"A": state, "B": alone})
    scene.store.commit(claim, [one])
    for documents in (False, True):
        items = scene.store.current_items("acme", Kind.PRODUCT, "products", [*"ABC"], documents=documents)
        assert {key: item.field_state for key, item in items.items()} == {"A": state, "B": alone, "C": None}
    assert (items["A"].group_versions, sorted(items["A"].locks)) == ('{"price":3}', ["brand", "title"])
    assert items["A"].locks["title"].supplied == msgspec.Raw(b'"Cup"')
    assert (items["B"].group_versions, *items["B"].locks) == (None, "title")
    two = written(advanced(work, one), {"C": alone})
    deleted = chunk_commit(advanced(advanced(work, one), two), Record("C", DELETED), ends=State.FINISHED)
    scene.store.commit(claim, [two, deleted])
    items = scene.store.current_items("acme", Kind.PRODUCT, "products", [*"ABC"], documents=True)
    assert {key: item.field_state for key, item in items.items()} == {"A": None, "B": None, "C": None}
