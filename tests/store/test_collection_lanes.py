"""Lanes of the collections of one merchant: worked apart, in order each, with the turns of one merchant."""

from goodsgate.model.batch import Kind, State
from goodsgate.store.contract import Claim
from tests.store.scene import Record, Scene, chunk_commit


def _finish(scene: Scene, claim: Claim) -> None:
    """Commit all rounds of a claim, and release it."""
    scene.store.commit(claim, [chunk_commit(work, Record("A"), ends=State.FINISHED) for work in claim.rounds])
    scene.store.release_claim(claim)


def test_collections_do_not_wait_for_each_other(scene: Scene) -> None:
    """Each is a lane with positions, a claim and a fence of its own."""
    first, other, behind = scene.seal(), scene.seal(collection="other"), scene.seal()
    assert [scene.batch(batch).position for batch in (first, other, behind)] == [0, 0, 1]
    claims = [scene.claimed(), scene.claimed(worker="w2")]
    assert {(claim.collection, claim.rounds[0].batch) for claim in claims} == {("products", first), ("other", other)}
    assert scene.claim("w3") is None
    lanes = scene.store.lanes(merchant="acme")
    assert {(lane.collection, lane.rounds) for lane in lanes} == {("products", 2), ("other", 1)}
    for claim in reversed(claims):
        _finish(scene, claim)
    assert scene.claimed().rounds[0].batch == behind
    assert len(scene.held()) == len(scene.held(collection="other")) == 1


def test_a_lost_lease_concerns_its_collection_alone(scene: Scene) -> None:
    """The claim on another collection of the merchant stays what it was."""
    scene.seal()
    stale = scene.claimed(seconds=5)
    scene.clock.forward(6)
    scene.seal(collection="other")
    claims = {claim.collection: claim for claim in (scene.claimed(worker="w2"), scene.claimed(worker="w3"))}
    assert claims["products"].rounds[0].batch == stale.rounds[0].batch
    _finish(scene, claims["other"])
    _finish(scene, claims["products"])


def test_merchants_take_turns_however_many_collections_they_have(scene: Scene) -> None:
    """A merchant with many collections is served as often as one with a single one; its collections take turns."""
    collections = ["one", "two", "three", "four"]
    for _ in range(2):
        for collection in collections:
            scene.seal(collection=collection)
    for _ in range(4):
        scene.seal("bolt")
    served = []
    while (claim := scene.claim()) is not None:
        served.append((claim.merchant, claim.collection))
        _finish(scene, claim)
        scene.clock.forward(1)
    merchants = [merchant for merchant, _ in served]
    assert merchants[:8].count("bolt") == 4
    assert sorted(name for merchant, name in served if merchant == "acme")[:4] == ["four", "four", "one", "one"]
    first = [name for merchant, name in served if merchant == "acme"][:4]
    assert sorted(first) == sorted(collections)


def test_a_new_collection_does_not_jump_the_queue(scene: Scene) -> None:
    """A merchant that sends each batch to another collection waits for its turn as any other."""
    scene.seal(collection="one")
    scene.seal("bolt")
    _finish(scene, scene.claimed())
    scene.clock.forward(1)
    _finish(scene, scene.claimed())
    scene.clock.forward(1)
    scene.seal(collection="one")
    claim = scene.claimed()
    assert claim.merchant == "acme"
    scene.clock.forward(1)
    scene.seal("bolt")
    scene.seal(collection="two")
    _finish(scene, claim)
    assert scene.claimed().merchant == "bolt"


def test_a_held_batch_stops_its_collection_alone(scene: Scene) -> None:
    """A deferred round, too, is in the way of no other collection."""
    scene.seal()
    claim = scene.claimed()
    scene.store.defer(claim, claim.rounds[0], seconds=600)
    scene.store.release_claim(claim)
    scene.seal(kind=Kind.PRODUCT, collection="other")
    claim = scene.claimed()
    assert (claim.collection, claim.rounds[0].overtakes) == ("other", False)
