"""Whatever rests and is overtaken: in the end all is as if the batches had been worked one by one, in their order."""

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Kind
from tests import effort, stores
from tests.shop import Shop

SKUS = "ABC"
_collections = itertools.count(1)

upserts = st.lists(st.tuples(st.sampled_from(SKUS), st.integers(0, 3)), min_size=1, max_size=4)
batches = st.lists(
    st.tuples(
        st.one_of(upserts, st.lists(st.tuples(st.sampled_from(SKUS), st.none()), min_size=1, max_size=2)),
        st.sampled_from([0.0, 0.0, 0.002, 0.02]), st.integers(0, 3),
    ),
    min_size=2, max_size=6,
)
"""Records (no stock: a deletion), seconds between them, and how often the worker steps before the next comes."""


@pytest.fixture(scope="module", params=stores.KINDS)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One for all examples, which take collections of their own."""
    folder = tmp_path_factory.mktemp("pace")
    with Shop(folder, kind=request.param) as made:
        yield made
    stores.drop(folder)


def _send(shop: Shop, collection: str, records: list[tuple[str, int | None]], pace: float) -> str:
    removal = records[0][1] is None
    units: list[dict[str, Any]] = [
        {"sku": sku, "channel": "web", **({} if removal else {"stock": stock})} for sku, stock in records
    ]
    return shop.send(
        units, kind=Kind.STOCK, collection=collection, pace_seconds=pace, duplicates="off",
        schema="mircate/UnitRemoval" if removal else "mircate/StockUnit", verb="delete" if removal else "upsert",
    )


@settings(max_examples=effort.examples(20), deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(sent=batches)
def test_the_end_is_that_of_the_order_of_acceptance(shop: Shop, sent: list[Any]) -> None:
    """Numbers, and what is held at all."""
    collection = f"c{next(_collections)}"
    ids, wanted = [], {}
    for records, pace, steps in sent:
        ids.append(_send(shop, collection, records, pace))
        for sku, stock in records:
            wanted[sku] = stock
        for _ in range(steps):
            shop.worker.step()
    until = time.monotonic() + 60
    while any(shop.engine.batch("acme", id).finished_at is None for id in ids):
        assert time.monotonic() < until
        shop.work()
        shop.store.wait_for_work(0.002)
    held = {unit["sku"]: unit["stock"] for unit in shop.items(collection,
        kind=Kind.STOCK).values()}  # type: ignore[index]
    assert held == {sku: stock for sku, stock in wanted.items() if stock is not None}
    for id, (records, _, _) in zip(ids, sent, strict=True):
        assert shop.engine.batch("acme", id).counts.accounted == len(records)
