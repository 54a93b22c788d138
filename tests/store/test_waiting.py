"""What a store keeps of records that wait, and how it learns that they wait for nothing any more."""

from collections.abc import Sequence

import msgspec

from goodsgate.model.batch import Kind, Result, RoundKind, State, Strictness
from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.model.references import Reference
from tests.store.scene import Record, Scene, chunk_commit, waiting_record

ACME, BOLT, SHOES = ("brand", "Acme"), ("brand", "Bolt"), ("category", "Shoes")
X, Y = ("product", "X"), ("product", "Y")


def _commit(scene: Scene, *records: Record, kind: Kind = Kind.PRODUCT, collection: str = "products",
            merchant: str = "acme", **more: object) -> str:
    """Commit a batch of these records, and return its id."""
    batch = scene.seal(merchant, kind, collection=collection, references=Strictness.WAIT)
    claim = scene.claimed()
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], *records, ends=State.FINISHED, **more)])  # type: ignore[arg-type]
    scene.store.release_claim(claim)
    return batch


def _work(scene: Scene, batch: str, amends: Sequence[int], *records: Record) -> None:
    """Commit a round that works records of a batch which waited."""
    scene.again(batch, RoundKind.REFERENCES)
    claim = scene.claimed()
    scene.store.commit(claim, [
        chunk_commit(claim.rounds[0], *records, ends=State.FINISHED, amends=amends, waited=len(amends))
    ])
    scene.store.release_claim(claim)


def _ready(scene: Scene, batch: str, merchant: str = "acme") -> list[int]:
    found = scene.store.waiting_records(merchant, batch, only_ready=True)
    assert ((merchant, batch) in scene.store.ready_batches()) == bool(found)
    return [finding.number for finding in found]


def _waiting_for(scene: Scene, batch: str) -> list[tuple[str, str, int]]:
    return [(each.kind, each.code, each.records) for each in scene.store.waiting_for("acme", batch)]


def _mark(scene: Scene, version: int, *arrived: Reference, missing: Sequence[Reference] = ()) -> None:
    scene.store.mark_references("acme", version, arrived=arrived, missing=missing)


def test_a_record_is_ready_once_all_that_it_waits_for_has_arrived(scene: Scene) -> None:
    """What the batch waits for is listed, that of the most records first; results that follow end the wait."""
    batch = _commit(scene, waiting_record("A", ACME, SHOES), waiting_record("B", ACME), Record("C"), version=3)
    assert scene.batch(batch).counts.waiting == 2
    assert _waiting_for(scene, batch) == [("brand", "Acme", 2), ("category", "Shoes", 1)]
    assert [finding.raw is not None for finding in scene.store.waiting_records("acme", batch)] == [True, True]
    assert scene.store.waiting_records("acme", batch, after=1, limit=1)[0].number == 2
    _mark(scene, 4, SHOES, missing=[ACME])
    assert _ready(scene, batch) == []
    _mark(scene, 5, ACME)
    assert _ready(scene, batch) == [1, 2]
    _work(scene, batch, (1, 2), Record("A"), waiting_record("B", BOLT))
    assert (scene.batch(batch).counts.created, _ready(scene, batch)) == (2, [])
    assert _waiting_for(scene, batch) == [("brand", "Bolt", 1)]
    assert scene.store.rejected_by_number("acme", batch, [1, 2]).keys() == {2}
    scene.reopen()
    assert _waiting_for(scene, batch) == [("brand", "Bolt", 1)]


def test_reference_data_is_compared_again_with_each_version(scene: Scene) -> None:
    """Of the merchant whose records wait for it."""
    store = scene.store
    assert store.changed_references() == []
    store.put_reference("acme", "brand", [ReferenceEntry(code="Bolt")])
    version = store.reference_version("acme")
    _commit(scene, waiting_record("A", ACME, SHOES), version=version)
    assert store.changed_references() == []
    store.put_reference("bolt", "brand", [ReferenceEntry(code="Acme")])
    assert store.changed_references() == []
    store.put_reference("acme", "brand", [ReferenceEntry(code="Acme")])
    later = store.reference_version("acme")
    assert store.changed_references() == [("acme", later)]
    assert sorted(store.awaited_references("acme", version=later)) == [ACME, SHOES]
    assert store.awaited_references("acme", version=version) == []
    _mark(scene, later, ACME, missing=[SHOES])
    assert (store.awaited_references("acme", version=later), store.changed_references()) == ([], [])


def test_products_mark_prices_and_stock_that_wait_for_them(scene: Scene) -> None:
    """Of their collection; case counts, and a product with variants marks all."""
    batch = _commit(scene, waiting_record("X", X), waiting_record("X@1", X), waiting_record("Y", Y), kind=Kind.PRICE)
    _commit(scene, Record("x"), Record("Z"))
    _commit(scene, Record("X"), collection="other")
    _commit(scene, Record("X"), merchant="bolt")
    assert _ready(scene, batch) == []
    _commit(scene, Record("X"))
    assert _ready(scene, batch) == [1, 2]
    _commit(scene, Record("V"), has_variants=True)
    assert _ready(scene, batch) == [1, 2, 3]


def test_a_product_that_is_committed_first_is_not_missed(scene: Scene) -> None:
    """Others work at the same time: it was missing when the price was checked, and is there when that is committed."""
    scene.only("postgres", "one process works, one chunk after the other")
    _commit(scene, Record("X"))
    batch = _commit(scene, waiting_record("X", X), waiting_record("Y", Y), kind=Kind.PRICE)
    assert _ready(scene, batch) == [1]


def test_later_records_of_a_key_overtake_those_that_wait(scene: Scene) -> None:
    """In later batches and later in the same one, unless they were rejected or wait themselves."""
    results = (Result.CREATED, Result.UPDATED, Result.UNCHANGED, Result.DELETED, Result.SUPERSEDED, Result.CANCELLED)
    first = _commit(scene, *(waiting_record(str(at), ACME) for at in range(len(results))), waiting_record("w", ACME))
    later = _commit(
        scene, waiting_record("own", ACME), *map(Record, map(str, range(len(results))), results), Record("own"),
        waiting_record("own", ACME), waiting_record("w", ACME),
    )
    marks = scene.store.waiting_marks("acme", first, range(1, 9))
    assert {number for number, mark in marks.items() if mark.is_overtaken} == {1, 2, 3, 4}
    assert _ready(scene, first) == [1, 2, 3, 4]
    assert _ready(scene, later) == [1]
    _commit(scene, Record("w"), collection="other")
    _commit(scene, Record("w"), kind=Kind.PRICE)
    assert _ready(scene, later) == [1]
    _work(scene, first, (7,), Record("w"))
    assert _ready(scene, later) == [1]


def test_a_full_feed_overtakes_the_keys_that_it_lacks(scene: Scene) -> None:
    """Keys of earlier batches are listed in order, each once."""
    first = _commit(scene, waiting_record("B", ACME), waiting_record("A", ACME), waiting_record(None, ACME))
    _commit(scene, waiting_record("B", ACME), waiting_record("C", ACME), collection="other")
    scene.seal(references=Strictness.WAIT, mode="full")
    claim = scene.claimed()
    round = claim.rounds[0]
    scene.store.commit(claim, [chunk_commit(round, waiting_record("A", ACME))])
    assert scene.store.waiting_keys(round, after=None, limit=10) == ["A", "B"]
    assert scene.store.waiting_keys(round, after="A", limit=10) == ["B"]
    round = msgspec.structs.replace(round, chunks=1, total=1)
    ends = msgspec.structs.replace(chunk_commit(round, ends=State.FINISHED), overtaken_keys=["B"])
    scene.store.commit(claim, [ends])
    scene.store.release_claim(claim)
    assert _ready(scene, first) == [1]


def test_a_record_whose_time_is_over_is_ready(scene: Scene) -> None:
    """It keeps its time while it waits for something else."""
    batch = _commit(scene, waiting_record("A", ACME))
    scene.clock.forward(3_000)
    _mark(scene, 1, ACME)
    _work(scene, batch, (1,), waiting_record("A", BOLT))
    assert _ready(scene, batch) == []
    assert not scene.store.waiting_marks("acme", batch, [1])[1].has_expired
    scene.clock.forward(700)
    assert _ready(scene, batch) == [1]
    assert scene.store.waiting_marks("acme", batch, [1])[1].has_expired


def test_a_batch_with_an_open_round_is_left_alone(scene: Scene) -> None:
    """Until that has ended; strangers see nothing of it."""
    batch = _commit(scene, waiting_record("A", ACME))
    _mark(scene, 1, ACME)
    scene.again(batch, RoundKind.REFERENCES)
    assert scene.store.ready_batches() == []
    assert scene.store.waiting_for("bolt", batch) == scene.store.waiting_records("bolt", batch) == []
    assert scene.store.waiting_marks("bolt", batch, [1]) == {}
