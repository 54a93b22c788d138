"""Records that wait for brands, categories and products, and what becomes of them when these arrive, or do not."""

import msgspec
import pytest

from goodsgate.engine.refusal import Refusal
from goodsgate.model.batch import Batch, Kind, Outcome, State, Strictness
from goodsgate.model.catalogue import ReferenceEntry
from tests.factories import product
from tests.shop import Shop

WAIT = Strictness.WAIT


def _brands(shop: Shop, *names: str) -> None:
    shop.reference("brand", *(ReferenceEntry(code=name) for name in names))


def _results(shop: Shop, batch: Batch | str) -> list[str]:
    return [str(row.result) for row in shop.results(batch if isinstance(batch, str) else batch.id)]


def _waiting_for(shop: Shop, batch: Batch) -> list[tuple[str, str, int]]:
    return [(each.kind, each.code, each.records) for each in shop.store.waiting_for("acme", batch.id)]


def _again(shop: Shop, batch: Batch) -> Batch:
    shop.work()
    found = shop.store.batch("acme", batch.id)
    assert found is not None
    assert found.counts.accounted == found.total
    return found


def test_a_record_waits_for_its_brand_and_is_applied_when_it_arrives(shop: Shop) -> None:
    """Its neighbours are applied at once; the batch is never clean meanwhile, and says what it waits for."""
    _brands(shop, "Known")
    batch = shop.run([product(1, brand="Known"), product(2, brand="Acme"), product(3, brand="Acme")], references=WAIT)
    assert (batch.state, batch.outcome) == (State.FINISHED, Outcome.PARTIAL)
    assert (batch.counts.created, batch.counts.waiting, batch.total, batch.warned) == (1, 2, 3, 0)
    assert _waiting_for(shop, batch) == [("brand", "Acme", 2)]
    assert batch.policy.waiting_hours == 72
    _brands(shop, "Bolt")
    assert _again(shop, batch).rounds == 1
    _brands(shop, "Acme")
    healed = _again(shop, batch)
    assert (healed.outcome, healed.counts.created, healed.counts.waiting, healed.rounds) == (Outcome.CLEAN, 3, 0, 2)
    assert _waiting_for(shop, healed) == []
    assert shop.findings(batch.id) == []
    assert sorted(shop.items()) == ["SKU-0001", "SKU-0002", "SKU-0003"]


def test_a_record_that_waits_for_two_references_needs_both(shop: Shop) -> None:
    """The batch gets no round before."""
    _brands(shop, "Known")
    shop.reference("category", ReferenceEntry(code="1", name="Shoes"))
    record = product(1, brand="Acme", product_type=["Shoes > Boots"])
    batch = shop.run([record], references=WAIT)
    assert _waiting_for(shop, batch) == [("brand", "Acme", 1), ("category", "Shoes > Boots", 1)]
    _brands(shop, "Acme")
    assert _again(shop, batch).rounds == 1
    shop.reference("category", ReferenceEntry(code="2", name="Boots", parent="1"))
    assert _again(shop, batch).counts.created == 1


@pytest.mark.parametrize(("kind", "values"), [(Kind.STOCK, {"quantity": 1}), (Kind.PRICE, {"price": "1.00 EUR"})])
def test_prices_and_stock_wait_for_products_of_any_batch(shop: Shop, kind: Kind, values: dict[str, object]) -> None:
    """Also if the collection has no product yet; a product in another collection is none."""
    names = [{"id": "SKU-0001"}, {"id": "SKU-0001", "location": "B1"}, {"id": "SKU-0002"}]
    records = [name | values for name in names]
    batch = shop.run(records, kind=kind, references=WAIT)
    assert (batch.counts.waiting, shop.items(kind=kind)) == (3, {})
    shop.run([product(1)], collection="other")
    assert _again(shop, batch).counts.waiting == 3
    shop.run([product(1)])
    assert _results(shop, batch) == ["created", "created", "waiting"]
    shop.run([product(2)])
    assert _again(shop, batch).outcome is Outcome.CLEAN
    assert len(shop.items(kind=kind)) == 3


def test_other_errors_reject_at_once_or_later(shop: Shop) -> None:
    """A record waits only if nothing else is wrong with it; what was applied meanwhile may make it wrong."""
    _brands(shop, "Known")
    wrong = shop.run([product(1, brand="Acme", price="-1 EUR")], references=WAIT)
    assert wrong.counts.rejected == 1
    batch = shop.run([product(2, brand="Acme")], references=WAIT, verb="create")
    _brands(shop, "Acme")
    assert _again(shop, batch).counts.created == 1


def test_what_comes_later_is_not_overwritten(shop: Shop) -> None:
    """A later record of the key, in the batch or another, that writes, deletes or changes nothing overtakes it."""
    _brands(shop, "Known")
    waiting = [product(number, brand="Acme", title="Old") for number in (1, 2, 3)]
    batch = shop.run(waiting, references=WAIT)
    assert shop.run([product(1, brand="Known", title="New")]).counts.created == 1
    assert _results(shop, batch) == ["superseded", "waiting", "waiting"]
    shop.run([{"id": "SKU-0002", "_verb": "delete"}])
    assert shop.codes(batch.id)[2] == ["item_newer"]
    _brands(shop, "Acme")
    assert _again(shop, batch).outcome is Outcome.CLEAN
    assert _results(shop, batch) == ["superseded", "superseded", "created"]
    assert {key: item["title"] for key, item in shop.items().items()} == {"SKU-0001": "New", "SKU-0003": "Old"}  # type: ignore[index]


def test_a_later_record_of_the_same_batch_wins(shop: Shop) -> None:
    """Prices and stock may have a key twice."""
    _brands(shop, "Known")
    records = [product(1, brand="Acme", title="Old"), product(1, brand="Known", title="New")]
    batch = shop.run(records, references=WAIT, duplicates="merge")
    assert _results(shop, batch) == ["superseded", "created"]
    records = [product(2, brand="Known", title="Old"), product(2, brand="Acme", title="New")]
    batch = shop.run(records, references=WAIT, duplicates="merge")
    _brands(shop, "Acme")
    shop.work()
    assert _results(shop, batch) == ["created", "updated"]
    assert {item["title"] for item in shop.items().values()} == {"New"}  # type: ignore[index]


def test_a_full_feed_overtakes_what_it_lacks(shop: Shop) -> None:
    """A waiting record of the feed itself counts as seen."""
    _brands(shop, "Known")
    shop.run([product(1, brand="Known"), product(2, brand="Known")])
    batch = shop.run([product(3, brand="Acme"), product(4, brand="Acme")], references=WAIT)
    feed = [product(1, brand="Known"), product(2, brand="Acme"), product(4, brand="Acme")]
    full = shop.run(feed, references=WAIT, mode="full")
    assert (full.counts.deleted, full.counts.waiting) == (0, 1 + 1)
    assert _results(shop, batch) == ["superseded", "waiting"]
    _brands(shop, "Acme")
    shop.work()
    assert sorted(shop.items()) == ["SKU-0001", "SKU-0002", "SKU-0004"]


def test_a_record_that_waits_too_long_is_rejected(shop: Shop) -> None:
    """With that reason; a retry after the reference has arrived works it again."""
    _brands(shop, "Known")
    batch = shop.run([product(1, brand="Acme"), product(2, brand="Known")], references=WAIT, waiting_hours=1e-9)
    expired = _again(shop, batch)
    assert (expired.outcome, expired.counts.rejected, expired.counts.waiting) == (Outcome.PARTIAL, 1, 0)
    assert shop.codes(batch.id) == {1: ["brand_unknown", "reference_overdue"]}
    _brands(shop, "Acme")
    assert _again(shop, batch).counts.rejected == 1
    shop.engine.retry("acme", batch.id)
    assert _again(shop, batch).outcome is Outcome.CLEAN


def test_a_fix_corrects_a_record_that_waits(shop: Shop) -> None:
    """The report of waiting records is like that of rejected ones."""
    _brands(shop, "Known")
    batch = shop.run([product(1, brand="Knwon"), product(2, brand="Known")], references=WAIT)
    report = shop.report(batch.id, only="waiting")
    shop.fix(batch.id, report.replace(b"Knwon", b"Known"), format="ndjson")
    assert _again(shop, batch).counts.created == 2
    again = shop.run([product(3, brand="Knwon")], references=WAIT)
    shop.fix(again.id, shop.report(again.id, only="waiting"), format="ndjson")
    assert _again(shop, again).counts.waiting == 1


def test_a_cancel_ends_the_wait(shop: Shop) -> None:
    """Nothing of the batch is applied any more, and nothing of it waits."""
    _brands(shop, "Known")
    batch = shop.run([product(1, brand="Acme"), product(2, brand="Known")], references=WAIT)
    shop.engine.cancel("acme", batch.id)
    cancelled = _again(shop, batch)
    assert (cancelled.state, cancelled.counts.cancelled, cancelled.counts.created) == (State.CANCELLED, 1, 1)
    _brands(shop, "Acme")
    assert _again(shop, batch).rounds == 2
    assert _waiting_for(shop, batch) == []


def test_only_rejected_records_are_retried(shop: Shop) -> None:
    """What waits is worked by itself."""
    _brands(shop, "Known")
    batch = shop.run([product(1, brand="Acme")], references=WAIT)
    with pytest.raises(Refusal, match="no rejected records"):
        shop.engine.retry("acme", batch.id)


def test_variants_wait_with_their_parent(shop: Shop) -> None:
    """A brand that stands at the parent row holds its variants, and all are applied together."""
    _brands(shop, "Known")
    body = (
        b"Handle,Title,Vendor,Option1 Name,Option1 Value,Variant SKU,Variant Price\n"
        b"shirt,Shirt,Acme,Size,S,A-S,10.00\nshirt,,,,M,A-M,10.00\ncap,Cap,Known,Size,S,C-S,5.00\n"
    )
    batch = shop.run(body, format="csv", profile="shopify", currency="EUR", references=WAIT)
    assert _results(shop, batch) == ["waiting", "waiting", "created"], shop.codes(batch.id)
    _brands(shop, "Acme")
    assert _again(shop, batch).counts.created == 3
    assert shop.items()["A-M"]["brand"] == "Acme"  # type: ignore[index]


def test_nothing_that_waits_is_swept(shop: Shop) -> None:
    """Report, payload and batch stay until the wait has ended."""
    _brands(shop, "Known")
    batch = shop.run([product(1, brand="Acme")], references=WAIT)
    retention = shop.worker._settings.retention
    gone = msgspec.structs.replace(retention, payload_seconds=-1, report_seconds=-1, batch_seconds=-1)
    shop.store.sweep(gone, steps_max=10)
    _brands(shop, "Acme")
    assert _again(shop, batch).counts.created == 1
    shop.store.sweep(gone, steps_max=10)
    assert shop.store.batch("acme", batch.id) is None


def test_the_first_load_is_awaited_as_well(shop: Shop) -> None:
    """Without a brand or a category, every one is missing; Google's taxonomy need not be loaded."""
    shop.work()
    batch = shop.run([product(1, brand="Acme"), product(2, product_type="Shoes"), product(3)], references=WAIT)
    assert _results(shop, batch) == ["waiting", "waiting", "created"]
    assert shop.run([product(4, google_product_category="Apparel")], references=WAIT).counts.created == 1
    _brands(shop, "Acme")
    shop.reference("category", ReferenceEntry(code="Shoes"))
    assert _again(shop, batch).outcome is Outcome.CLEAN


def test_small_batches_that_are_worked_together_overtake_each_other_in_their_order(shop: Shop) -> None:
    """A delete that is committed with the record which waits still comes after it."""
    _brands(shop, "Known")
    deletion = [{"id": "SKU-0001", "_verb": "delete"}]
    batches = [shop.send([product(1, brand="Acme")], references=WAIT), shop.send(deletion)]
    shop.work()
    assert [_results(shop, batch) for batch in batches] == [["superseded"], ["unchanged"]]
    _brands(shop, "Acme")
    shop.work()
    assert shop.items() == {}
