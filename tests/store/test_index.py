"""Marks, by which items are found, in step with the items whatever becomes of them; and tokens, found by their hash."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Kind, Result, State
from goodsgate.model.catalogue import IndexEntry, Key, Scope, Token
from goodsgate.store.contract import ChunkCommit, IndexFilter, LeaseLostError, Retention, StoreError
from tests import effort
from tests.factories import NOW
from tests.store.scene import Record, Scene, chunk_commit
from tests.stores import KINDS

SHELF = ("acme", Kind.PRODUCT, "products")


def _marked(committed: ChunkCommit, marks: dict[str, tuple[IndexEntry, ...]]) -> ChunkCommit:
    """The chunk with marks for its writes."""
    writes = [msgspec.structs.replace(write, index_entries=marks.get(write.key, ())) for write in committed.writes]
    return msgspec.structs.replace(committed, writes=writes)


def _put(scene: Scene, marks: dict[str, tuple[IndexEntry, ...]], *deleted: str, merchant: str = "acme") -> None:
    scene.seal(merchant)
    claim = scene.claimed()
    records = [Record(key, text=repr(held)) for key, held in marks.items()]
    records += [Record(key, Result.DELETED) for key in deleted]
    scene.store.commit(claim, [_marked(chunk_commit(claim.rounds[0], *records, ends=State.FINISHED), marks)])
    scene.store.release_claim(claim)


def _listed(scene: Scene, name: str, **how: object) -> tuple[int, list[tuple[str, str]]]:
    return scene.store.list_index(*SHELF, name, **how)  # type: ignore[arg-type]


def test_items_are_found_by_their_index_entries(scene: Scene) -> None:
    """Several marks an item, several items a mark; what nobody has is left out."""
    _put(scene, {"a": (("sku", "1"), ("sku", "2"), ("slug", "x")), "b": (("slug", "x"),), "c": ()})
    asked = [("sku", "1"), ("sku", "2"), ("sku", "x"), ("slug", "x"), ("other", "1")]
    assert scene.store.find_by_index(*SHELF, asked) == {("sku", "1"): ["a"], ("sku", "2"): ["a"], ("slug", "x"): ["a",
        "b"]}
    assert scene.store.find_by_index(*SHELF, []) == {}
    held = scene.store.current_items(*SHELF, ["a", "c"], documents=True)
    assert (held["a"].index_entries, held["c"].index_entries) == ((("sku", "1"), ("sku", "2"), ("slug", "x")), ())
    item = scene.store.item(*SHELF, "b")
    assert item is not None
    assert item.index_entries == (("slug", "x"),)


def test_index_entries_change_and_are_deleted_with_their_item(scene: Scene) -> None:
    """A write has all of them; a write without any, as one that knows of none, leaves none; a delete takes them."""
    _put(scene, {key: (("sku", key), ("same", "")) for key in "abcd"})
    _put(scene, {"a": (("sku", "new"), ("same", "")), "b": ()}, "c")
    everything = [("sku", text) for text in ("a", "b", "c", "d", "new")] + [("same", "")]
    assert scene.store.find_by_index(*SHELF, everything) == {
        ("sku", "d"): ["d"], ("sku", "new"): ["a"], ("same", ""): ["a", "d"],
    }
    scene.reopen()
    assert _listed(scene, "same") == (2, [("", "a"), ("", "d")])


def test_index_entries_belong_to_one_collection_of_one_merchant(scene: Scene) -> None:
    """Another merchant's, another kind's and another collection's are others."""
    _put(scene, {"a": (("sku", "1"),)}, merchant="bolt")
    assert scene.store.find_by_index(*SHELF, [("sku", "1")]) == {}
    assert scene.store.find_by_index("bolt", Kind.PRICE, "products", [("sku", "1")]) == {}
    assert scene.store.find_by_index("bolt", Kind.PRODUCT, "others", [("sku", "1")]) == {}
    assert _listed(scene, "sku") == (0, [])
    assert scene.store.find_by_index("bolt", Kind.PRODUCT, "products", [("sku", "1")]) == {("sku", "1"): ["a"]}


def test_a_listing_is_by_value_forwards_or_backwards_and_in_pages(scene: Scene) -> None:
    """With how many there are in all; past the end there is nothing."""
    _put(scene, {key: (("made", made),) for key, made in zip("abcde", "31245", strict=True)})
    assert _listed(scene, "made", limit=2) == (5, [("1", "b"), ("2", "c")])
    assert _listed(scene, "made", offset=4, limit=2) == (5, [("5", "e")])
    assert _listed(scene, "made", backwards=True, offset=1, limit=2) == (5, [("4", "d"), ("3", "a")])
    assert _listed(scene, "made", offset=9) == (5, [])


def test_a_listing_can_be_filtered_by_another_index_entry(scene: Scene) -> None:
    """As it is written, wildcards being letters like any other."""
    names = {"a": "linen shirt", "b": "50% linen", "c": "wool_hat"}
    _put(scene, {key: (("name", name), ("made", key)) for key, name in names.items()})
    assert _listed(scene, "made", filters=[[IndexFilter(name="name", contains="linen")]],
                   ) == (2, [("a", "a"), ("b", "b")])
    assert _listed(scene, "made", filters=[[IndexFilter(name="name", contains="%")]], backwards=True,
                   ) == (1, [("b", "b")])
    assert _listed(scene, "made", filters=[[IndexFilter(name="name", contains="l_h")]]) == (1, [("c", "c")])
    assert _listed(scene, "made", filters=[[IndexFilter(name="made", contains="z")]]) == (0, [])


def test_a_listing_can_have_several_filters(scene: Scene) -> None:
    """Each by one of its ways; an item counts once, however many of its marks do."""
    _put(scene, {key: (("id", key), ("group", group), ("group", "all"), ("made", made)) for key, group, made in (
        ("a", "x", "1"), ("b", "y", "2"), ("c", "z", "3"), ("d", "", "4"),
    )})
    some = [IndexFilter(name="group", minimum=group, maximum=group) for group in ("x", "y", "all")]
    late = IndexFilter(name="made", minimum="2")
    assert _listed(scene, "id", filters=[some]) == (4, [(key, key) for key in "abcd"])
    assert _listed(scene, "id", filters=[some[:2], [late]]) == (1, [("b", "b")])
    assert _listed(scene, "id", filters=[[late], [IndexFilter(name="made", maximum="3")]], limit=1) == (2, [("b", "b")])
    assert _listed(scene, "id", filters=[[IndexFilter(name="group", minimum="", maximum="")]]) == (1, [("d", "d")])
    assert _listed(scene, "id", filters=[[late], []]) == (0, [])


def test_a_replay_changes_no_index_entry(scene: Scene) -> None:
    """A chunk that is committed already is passed over whole."""
    scene.seal()
    claim = scene.claimed()
    committed = _marked(chunk_commit(claim.rounds[0], Record("a"), ends=State.FINISHED), {"a": (("sku", "1"),)})
    scene.store.commit(claim, [committed])
    other = _marked(committed, {"a": (("sku", "2"),)})
    scene.store.commit(claim, [other])
    assert scene.store.find_by_index(*SHELF, [("sku", "1"), ("sku", "2")]) == {("sku", "1"): ["a"]}
    scene.store.release_claim(claim)


def test_a_worker_that_lost_its_lease_changes_no_index_entry(scene: Scene) -> None:
    """Marks are in the transaction that the fence guards."""
    scene.seal()
    claim = scene.claimed(seconds=1)
    scene.clock.forward(5)
    again = scene.claimed(worker="w2")
    with pytest.raises(LeaseLostError):
        scene.store.commit(claim, [_marked(chunk_commit(claim.rounds[0], Record("a")), {"a": (("sku", "1"),)})])
    assert scene.store.find_by_index(*SHELF, [("sku", "1")]) == {}
    scene.store.release_claim(again)


MARKS = st.dictionaries(
    st.sampled_from("abcd"),
    st.lists(st.tuples(st.sampled_from(["x", "y"]), st.text("äZ1", max_size=2)), unique=True, max_size=3).map(tuple),
    min_size=1,
)


@pytest.mark.parametrize("kind_of_store", KINDS)
@settings(deadline=None, max_examples=effort.examples(15))
@given(steps=st.lists(st.tuples(MARKS, st.sets(st.sampled_from("abcd"))), max_size=4))
def test_index_entries_are_those_of_the_last_writes(tmp_path_factory, kind_of_store, steps) -> None:
    """Against a dictionary."""
    held: dict[str, tuple[IndexEntry, ...]] = {}
    with Scene(tmp_path_factory.mktemp("marks"), kind_of_store) as scene:
        for written, deleted in steps:
            gone = sorted(deleted - written.keys())
            _put(scene, written, *gone)
            held = {key: marks for key, marks in {**held, **written}.items() if key not in gone}
        wanted: dict[IndexEntry, list[str]] = {}
        for key in sorted(held):
            for mark in held[key]:
                wanted.setdefault(mark, []).append(key)
        assert scene.store.find_by_index(*SHELF, [*wanted, ("x", "none")]) == wanted
        assert _listed(scene, "x")[0] == sum(len(keys) for mark, keys in wanted.items() if mark[0] == "x")


# -- tokens -----------------------------------------------------------------------------------------------------------


def _key(merchant: str = "acme", **more: object) -> Key:
    return Key(  # type: ignore[arg-type]
        **{"id": "k1", "digest": b"k" * 32, "merchant": merchant, "scopes": frozenset({Scope.READ}), "created_at": NOW,
           **more}
    )


def test_a_token_leads_to_its_key_until_it_is_swept(scene: Scene) -> None:
    """Also after a restart, and after its end, which whoever asks compares."""
    scene.store.add_key(_key(settings={"location": "BLR-01"}))
    token = Token(digest=b"t" * 32, merchant="acme", key="k1", created_at=NOW, expires_at=NOW + timedelta(hours=1))
    scene.store.add_token(token)
    scene.reopen()
    assert scene.store.token(b"t" * 32) == (token, _key(settings={"location": "BLR-01"}))
    assert scene.store.token(b"u" * 32) is None
    assert scene.store.keys("acme") == [_key(settings={"location": "BLR-01"})]


def test_a_token_says_that_its_key_was_revoked(scene: Scene) -> None:
    """The key is given as it is now."""
    scene.store.add_key(_key())
    scene.store.add_token(Token(digest=b"t" * 32, merchant="acme", key="k1", created_at=NOW,
        expires_at=NOW + timedelta(1)))
    assert scene.store.revoke_key("acme", "k1")
    found = scene.store.token(b"t" * 32)
    assert found is not None
    assert found[1].revoked_at is not None


@pytest.mark.parametrize(("merchant", "key"), [("acme", "k2"), ("bolt", "k1")])
def test_a_token_is_of_a_key_of_its_merchant(scene: Scene, merchant: str, key: str) -> None:
    """No other key can be meant."""
    scene.store.add_key(_key())
    token = Token(digest=b"t" * 32, merchant=merchant, key=key, created_at=NOW, expires_at=NOW + timedelta(1))
    with pytest.raises(StoreError):
        scene.store.add_token(token)
    assert scene.store.token(b"t" * 32) is None


def test_a_token_is_dropped(scene: Scene) -> None:
    """At once, and no other one."""
    scene.store.add_key(_key())
    for digest in (b"s" * 32, b"t" * 32):
        scene.store.add_token(Token(digest=digest, merchant="acme", key="k1", created_at=NOW,
            expires_at=NOW + timedelta(1)))
    scene.store.delete_token(b"s" * 32)
    scene.store.delete_token(b"u" * 32)
    assert (scene.store.token(b"s" * 32), scene.store.token(b"t" * 32) is None) == (None, False)


def test_ended_tokens_are_swept(scene: Scene) -> None:
    """Others stay."""
    scene.store.add_key(_key())
    for digest, hours in ((b"s" * 32, 1), (b"t" * 32, 3)):
        token = Token(digest=digest, merchant="acme", key="k1", created_at=NOW, expires_at=NOW + timedelta(hours=hours))
        scene.store.add_token(token)
    scene.seal()
    scene.run([Record("a")])  # who works is who sweeps
    scene.clock.forward(2 * 3600)
    kept = Retention(
        payload_seconds=10**9, report_seconds=10**9, batch_seconds=10**9, answer_seconds=10**9, tombstone_seconds=10**9
    )
    assert scene.store.sweep(kept, steps_max=10).tokens == 1
    assert (scene.store.token(b"s" * 32), scene.store.token(b"t" * 32) is None) == (None, False)
