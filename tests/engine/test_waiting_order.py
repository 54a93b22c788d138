"""Batches, loads and waits in any order: the end is that of a run in which everything was there first."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Kind, Strictness
from goodsgate.model.catalogue import Merchant, ReferenceEntry
from tests.effort import examples
from tests.factories import NOW, product
from tests.shop import Shop

BRANDS, CATEGORIES, SKUS = ("Acme", "Bolt"), ("Shoes", "Toys"), 4

_products = st.lists(st.tuples(
    st.integers(1, SKUS), st.sampled_from(BRANDS), st.sampled_from((None, *CATEGORIES)), st.booleans()
), min_size=1, max_size=4, unique_by=lambda record: record[0])
_prices = st.lists(st.tuples(st.integers(1, SKUS), st.integers(1, 9)), min_size=1, max_size=4)
_step = st.one_of(
    st.tuples(st.just("products"), _products), st.tuples(st.just("prices"), _prices),
    st.tuples(st.just("brand"), st.sampled_from(BRANDS)), st.tuples(st.just("category"), st.sampled_from(CATEGORIES)),
    st.tuples(st.just("feed"), _products), st.tuples(st.just("work"), st.none()),
)
Step = tuple[str, Any]
_numbers = count(1)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One store for all examples, each of which has merchants of its own."""
    with Shop(tmp_path_factory.mktemp("order"), chunk_records_max=2) as opened:
        yield opened


def _merchant(shop: Shop) -> str:
    merchant = f"m{next(_numbers)}"
    shop.store.add_merchant(Merchant(id=merchant, name=merchant, created_at=NOW))
    return merchant


def _load_all(shop: Shop, merchant: str) -> None:
    for kind, codes in (("brand", BRANDS), ("category", CATEGORIES)):
        shop.reference(kind, *(ReferenceEntry(code=code) for code in codes), merchant=merchant)


def _send(shop: Shop, merchant: str, step: Step, number: int) -> str | None:
    """Submit the records of a step, the later the higher their numbers; None if it has none."""
    name, records = step
    how: dict[str, Any] = {"references": Strictness.WAIT, "merchant": merchant}
    if name == "prices":
        lines = [{"id": f"SKU-{sku:04d}", "price": f"{amount}.00 EUR"} for sku, amount in records]
        return shop.send(lines, kind=Kind.PRICE, **how)
    if name in ("products", "feed"):
        if name == "feed":
            how |= {"mode": "full", "delete_share_max": 1.0}
        lines = [
            {"id": f"SKU-{sku:04d}", "_verb": "delete"} if is_deleted and name == "products"
            else product(sku, title=f"Title {number}", brand=brand, product_type=category)
            for sku, brand, category, is_deleted in records
        ]
        return shop.send(lines, replace=True, **how)
    return None


def _run(shop: Shop, merchant: str, steps: list[Step]) -> dict[str, Any]:
    """Carry out the steps and then load all that is missing; return the products, and check the accounts of each batch.
    """
    sent = []
    for number, (name, value) in enumerate(steps):
        if name in ("brand", "category"):
            shop.reference(name, ReferenceEntry(code=value), merchant=merchant)
        elif name == "work":
            shop.work()
        elif (batch := _send(shop, merchant, (name, value), number)) is not None:
            sent.append(batch)
    _load_all(shop, merchant)
    shop.work()
    for batch in sent:
        found = shop.engine.batch(merchant, batch)
        results = [str(row.result) for row in shop.results(batch, merchant=merchant)]
        assert found.counts.accounted == found.total == len(results)
        assert results.count("waiting") == found.counts.waiting
        assert found.counts.waiting == sum(each.records for each in shop.store.waiting_for(merchant, batch))
        assert not found.counts.rejected, shop.codes(batch, merchant=merchant)
    return shop.items(merchant=merchant)


@settings(max_examples=examples(24), deadline=None)
@given(steps=st.lists(_step, min_size=2, max_size=8))
def test_the_end_is_that_of_a_run_in_which_everything_was_there_first(shop: Shop, steps: list[Step]) -> None:
    """Products and prices that overwrite and delete each other, full feeds, and loads between them, on SQLite."""
    merchant, first = _merchant(shop), _merchant(shop)
    products = _run(shop, merchant, steps)
    _load_all(shop, first)
    expected = _run(shop, first, [step if step[0] in ("products", "feed") else ("work", None) for step in steps])
    assert products == expected
    last = {
        f"SKU-{sku:04d}": f"{amount}.00 EUR" for name, records in steps if name == "prices" for sku, amount in records
    }
    prices: dict[str, Any] = shop.items(kind=Kind.PRICE, merchant=merchant)
    # The last price of a SKU whose product was deleted meanwhile still waits for it.
    assert {key: prices[key]["price"] for key in last if key in products} == {
        key: price for key, price in last.items() if key in products
    }
