"""Which SKUs no product has, and whether that is known yet."""

from datetime import timedelta

import msgspec
import pytest

from goodsgate.model.batch import Kind, Result, State
from tests.factories import NOW
from tests.store.scene import Record, Scene, chunk_commit

LATER = NOW + timedelta(seconds=1)


def _write(scene: Scene, *records: Record, has_variants: bool = False, **batch: object) -> None:
    scene.seal(**batch)  # type: ignore[arg-type]
    claim = scene.claimed()
    committed = chunk_commit(claim.rounds[0], *records, ends=State.FINISHED)
    scene.store.commit(claim, [msgspec.structs.replace(committed, has_variants=has_variants)])
    scene.store.release_claim(claim)


def _unknown(scene: Scene, *skus: str, merchant: str = "acme", collection: str = "products") -> set[str]:
    return scene.store.unknown_skus(merchant, collection, skus)


def test_skus_are_compared_with_live_products(scene: Scene) -> None:
    """Case counts, a tombstone is no product, and another merchant, collection or kind has none that count."""
    assert _unknown(scene, "A") == set()
    _write(scene, Record("A"), Record("Ü"), Record("gone"))
    _write(scene, Record("gone", Result.DELETED, version=5))
    _write(scene, Record("stock"), kind=Kind.STOCK)
    assert _unknown(scene, "A", "a", "Ü", "ü", "gone", "stock", '"') == {"a", "ü", "gone", "stock", '"'}
    assert _unknown(scene) == set()
    assert _unknown(scene, "X", merchant="bolt") == _unknown(scene, "X", collection="other") == set()
    assert _unknown(scene, "X", merchant="nobody") == set()
    _write(scene, Record("A", Result.DELETED), Record("Ü", Result.DELETED))
    assert _unknown(scene, "A") == set()


@pytest.mark.parametrize("later", [False, True])
def test_beside_variants_nothing_is_unknown(scene: Scene, later: bool) -> None:
    """Whether the first products have them or later ones, and for good."""
    if later:
        _write(scene, Record("A"))
        assert _unknown(scene, "X") == {"X"}
    _write(scene, Record("A", Result.UPDATED, text="new") if later else Record("A"), Record("B"), has_variants=True)
    assert _unknown(scene, "X") == set()
    _write(scene, Record("C"))
    _write(scene, Record("A"), collection="other")
    scene.reopen()
    assert _unknown(scene, "X") == set()
    assert _unknown(scene, "X", collection="other") == {"X"}


def test_products_are_open_until_their_round_has_ended(scene: Scene) -> None:
    """Those received before, of the collection, and not held."""
    def is_open(**how: object) -> bool:
        given = {"merchant": "acme", "collection": "products", "before": LATER, **how}
        return scene.store.has_open_products(**given)  # type: ignore[arg-type]

    scene.seal(kind=Kind.STOCK)
    scene.seal(start="held")
    assert not is_open()
    scene.seal()
    assert is_open()
    assert not is_open(before=NOW)
    assert [is_open(merchant="bolt"), is_open(merchant="nobody"), is_open(collection="other")] == [False] * 3
    while (claim := scene.claim()) is not None:
        assert claim.kind is Kind.STOCK or is_open()
        scene.store.commit(claim, [chunk_commit(each, Record("A"), ends=State.FINISHED) for each in claim.rounds])
        scene.store.release_claim(claim)
    assert not is_open()
