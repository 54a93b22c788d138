"""Any interleaving of sending and working ends as working the batches one by one would."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Duplicates, Kind
from tests import effort
from tests.engine.model import BATCH, KEYS, Expected, opened
from tests.shop import ndjson

STEP = st.one_of(BATCH, st.just("work"))
EXAMPLES = [("sqlite", effort.examples(60)), ("postgres", effort.examples(25))]
"""A server takes ten times as long to make a store on."""


@pytest.mark.parametrize(("store", "examples"), EXAMPLES)
def test_lanes_end_as_one_by_one(store: str, examples: int) -> None:
    """Results of every record and the whole catalogue equal the plain model's, for every merchant."""

    @settings(deadline=None, max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(
        steps=st.lists(STEP, min_size=1, max_size=10), chunk_records=st.integers(1, 5), together=st.sampled_from([1, 4,
            64]),
    )
    def interleave(steps: list[object], chunk_records: int, together: int) -> None:
        with opened(store, "acme", "other", chunk_records_max=chunk_records, claim_rounds_max=together) as shop:
            expected = Expected({"acme": {}, "other": {}})
            for step in steps:
                if isinstance(step, tuple):
                    expected.send(shop, step)
                else:
                    shop.worker.step()
            shop.work()
            expected.check(shop)

    interleave()


@pytest.mark.parametrize(("store", "examples"), EXAMPLES)
def test_the_last_stock_wins(store: str, examples: int) -> None:
    """By SKU and location, whatever the chunks."""

    @settings(deadline=None, max_examples=examples // 3, suppress_health_check=list(HealthCheck))
    @given(
        quantities=st.lists(st.tuples(KEYS, st.sampled_from(["", "X", "Y"]), st.integers(0, 3)), max_size=20),
        chunk_records=st.integers(1, 6),
    )
    def send(quantities: list[tuple[str, str, int]], chunk_records: int) -> None:
        with opened(store, "acme", chunk_records_max=chunk_records) as shop:
            last: dict[str, int] = {}
            for sku, location, quantity in quantities:
                last[f"{sku}\x1f{location}" if location else sku] = quantity
            records = [{"id": s, "quantity": q, **({"location": at} if at else {})} for s, at, q in quantities]
            shop.run(ndjson(records) or b"\n", kind=Kind.STOCK, duplicates=Duplicates.OFF)
            items = shop.items(kind=Kind.STOCK)
            assert {key: record["quantity"] for key, record in items.items()} == last  # type: ignore[index]

    send()
