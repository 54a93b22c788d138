"""Prices and stock of SKUs that no product has: told, refused, or neither."""

from typing import Any

import pytest

from goodsgate.model.batch import Batch, Kind, Strictness
from tests.factories import product
from tests.shop import Shop

WARN, REFUSE, OFF = Strictness.WARN, Strictness.REFUSE, Strictness.OFF
TOLD, REFUSED = ("sku_unknown", "warning"), ("sku_unknown", "error")
RECORDS: list[dict[str, Any]] = [
    {"id": "A", "quantity": 1}, {"id": "A", "location": "B1", "quantity": 2}, {"id": "X", "quantity": 3},
    {"id": "X", "location": "B1", "quantity": 4}, {"id": "a", "quantity": 5}, {"id": "Gone", "quantity": 6},
]


def _products(*skus: str, **members: object) -> list[dict[str, object]]:
    return [product(number, id=sku, **members) for number, sku in enumerate(skus, 1)]


def _found(shop: Shop, batch: Batch | str) -> dict[int, list[tuple[str, str]]]:
    """Codes and severities of the issues about unknown SKUs, by record number."""
    id = batch if isinstance(batch, str) else batch.id
    found = {
        finding.number: [(each.code, each.severity) for each in finding.issues if each.code == "sku_unknown"]
        for finding in shop.findings(id)
    }
    return {number: issues for number, issues in found.items() if issues}


@pytest.mark.parametrize(("references", "told"), [(WARN, TOLD), (REFUSE, REFUSED), (OFF, None)])
def test_skus_that_no_product_has_are_told_or_refused(shop: Shop, references: Strictness,
                                                      told: tuple[str, str] | None) -> None:
    """At every location; case counts, and a deleted product is none."""
    shop.run(_products("A", "Gone"))
    shop.run([{"id": "Gone", "_verb": "delete", "version_number": 5}])
    for kind, values in ((Kind.STOCK, {"quantity": 1}), (Kind.PRICE, {"price": "1.00 EUR"})):
        records = [{name: record[name] for name in ("id", "location") if name in record} | values for record in RECORDS]
        batch = shop.run(records, kind=kind, references=references)
        assert _found(shop, batch) == ({number: [told] for number in range(3, 7)} if told else {})
        assert batch.counts.rejected == (4 if references is REFUSE else 0)
        assert len(shop.items(kind=kind)) == (2 if references is REFUSE else 6)


@pytest.mark.parametrize(("products", "collection"), [
    ([], "products"), (_products("A"), "other"), (_products("A", variants=[{"id": "A-1"}]), "products"),
])
def test_nothing_is_said_without_products_or_beside_variants(shop: Shop, products: list[dict[str, object]],
                                                             collection: str) -> None:
    """A SKU may be that of a variant, whichever it is, also after the variants have gone."""
    if products:
        shop.run(products)
        shop.run(_products("A"), replace=True)
    for references in (WARN, REFUSE):
        batch = shop.run(RECORDS, kind=Kind.STOCK, collection=collection, references=references)
        assert _found(shop, batch) == {}
        assert batch.counts.rejected == 0


def test_an_empty_list_of_variants_is_none(shop: Shop) -> None:
    """Nor is the word in a text."""
    shop.run(_products("A", variants=[], description='The "variants" differ.'))
    assert _found(shop, shop.run(RECORDS[:3], kind=Kind.STOCK)) == {3: [TOLD]}


def test_deletes_and_records_that_name_no_sku_are_told_nothing_more(shop: Shop) -> None:
    """What is to go needs no product."""
    shop.run(_products("A"))
    records = [{"id": "X", "_verb": "delete"}, {"quantity": 1}, {"id": "X ", "quantity": 1}]
    assert _found(shop, shop.run(records, kind=Kind.STOCK)) == {}
    assert _found(shop, shop.run([{"id": "X"}], kind=Kind.STOCK, verb="delete")) == {}
    assert _found(shop, shop.run(b"sku,quantity\nA,1\nTotal,9\n", kind=Kind.STOCK, format="csv")) == {}


def test_a_retry_after_the_product_has_arrived_removes_the_issue(shop: Shop) -> None:
    """The record is checked again, not its issue repeated; so is a fix."""
    shop.run(_products("A"))
    batch = shop.run(RECORDS[:4], kind=Kind.STOCK, references=REFUSE)
    assert [*_found(shop, batch)] == [3, 4]
    shop.fix(batch.id, b"_row,id,quantity\n3,A,7\n", format="csv")
    shop.work()
    assert [*_found(shop, batch)] == [4]
    shop.run(_products("X"))
    shop.engine.retry("acme", batch.id)
    shop.work()
    after = shop.engine.batch("acme", batch.id)
    assert (after.counts.rejected, _found(shop, batch)) == (0, {})


def test_small_batches_that_are_worked_together_are_each_asked_what_they_want(shop: Shop) -> None:
    """One lookup answers for all of them."""
    shop.run(_products("A"))
    batches = [
        shop.send([{"id": f"X{number}", "quantity": 1}, {"id": "A", "quantity": number}], kind=Kind.STOCK,
            references=references)
        for number, references in enumerate((WARN, REFUSE, OFF, WARN))
    ]
    shop.work()
    assert [_found(shop, batch) for batch in batches] == [{1: [TOLD]}, {1: [REFUSED]}, {}, {1: [TOLD]}]


def test_products_that_were_sent_before_are_not_unknown(shop: Shop) -> None:
    """Where it would be refused, the stock waits for them; where it would be told, nothing is."""
    shop.run(_products("A"))
    shop.send(_products("X"), start="held")
    late = shop.run(RECORDS[:3], kind=Kind.STOCK)
    assert _found(shop, late) == {3: [TOLD]}
    shop.send(_products("X"))
    refused = shop.send(RECORDS[:3], kind=Kind.STOCK, references=REFUSE)
    warned = shop.send(RECORDS[:3], kind=Kind.STOCK)
    shop.work()
    assert (_found(shop, refused), _found(shop, warned)) == ({}, {})
