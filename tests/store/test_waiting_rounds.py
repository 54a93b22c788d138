"""Rounds whose records need products: they wait for the products that the merchant sent before, within bounds."""

from goodsgate.model.batch import Kind, RoundKind, State
from tests.store.scene import Record, Scene, chunk_commit

WAITS = {"products_first_seconds": 60.0}


def _work(scene: Scene, **how: object) -> list[str]:
    """Work all rounds of the next claim to their end; return their batches, none if nothing can be claimed."""
    claim = scene.claim(works=10, **how)  # type: ignore[arg-type]
    if claim is None:
        return []
    scene.store.commit(claim, [chunk_commit(each, Record("A"), ends=State.FINISHED) for each in claim.rounds])
    scene.store.release_claim(claim)
    return [each.batch for each in claim.rounds]


def test_records_that_need_products_wait_for_those_sent_before(scene: Scene) -> None:
    """While the products are queued and while they are worked; what is behind in the lane keeps its place."""
    first, second = scene.seal(body=b"x" * 9_000), scene.seal()
    stock = scene.seal(kind=Kind.STOCK, **WAITS)
    behind = scene.seal(kind=Kind.STOCK)
    claim = scene.claimed()
    assert [each.batch for each in claim.rounds] == [first]
    price = scene.seal(kind=Kind.PRICE)
    assert _work(scene) == [price]
    assert scene.claim("w2") is None
    assert not scene.store.renew_claim(claim, lease_seconds=10).others_waiting
    later = scene.seal()
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record("A"), ends=State.FINISHED)])
    scene.store.release_claim(claim)
    claim = scene.claimed()
    assert [each.batch for each in claim.rounds] == [second]
    assert scene.claim("w2") is None
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record("A"), ends=State.FINISHED)])
    scene.store.release_claim(claim)
    assert sorted(map(tuple, (_work(scene), _work(scene)))) == sorted([(later,), (stock, behind)])


def test_the_wait_is_bounded(scene: Scene) -> None:
    """After it the records are applied to what there is."""
    scene.seal()
    products = scene.claimed(seconds=1000)
    stock = scene.seal(kind=Kind.STOCK, **WAITS)
    scene.clock.forward(59)
    assert _work(scene) == []
    scene.clock.forward(2)
    assert _work(scene) == [stock]
    scene.store.release_claim(products)


def test_only_earlier_products_of_the_collection_are_waited_for(scene: Scene) -> None:
    """Those of other collections and merchants, those that are held and those sent later are not."""
    scene.seal("bolt")
    scene.seal(collection="other")
    scene.seal(start="held")
    stock = scene.seal(kind=Kind.STOCK, **WAITS)
    scene.seal()
    claims = [scene.claimed(seconds=1_000) for _ in range(3)]
    assert [each.batch for claim in claims if claim.kind is Kind.STOCK for each in claim.rounds] == [stock]


def test_a_round_that_waits_can_be_cancelled(scene: Scene) -> None:
    """At once."""
    scene.seal()
    products = scene.claimed()
    stock = scene.seal(kind=Kind.STOCK, **WAITS)
    scene.store.cancel("acme", stock)
    claim = scene.claimed(worker="w2")
    assert [(each.batch, each.cancelling) for each in claim.rounds] == [(stock, True)]
    scene.store.release_claim(claim)
    scene.store.release_claim(products)


def test_a_retry_waits_like_the_submission(scene: Scene) -> None:
    """For the products that were sent before the retry; rounds of one claim end before the first that waits."""
    stock = scene.seal(kind=Kind.STOCK, **WAITS)
    assert _work(scene) == [stock]
    other = scene.seal(kind=Kind.STOCK)
    products = scene.seal()
    scene.again(stock, RoundKind.RETRY)
    assert sorted(map(tuple, (_work(scene), _work(scene)))) == sorted([(other,), (products,)])
    assert _work(scene) == [stock]
