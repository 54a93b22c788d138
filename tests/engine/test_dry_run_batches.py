"""Dry runs of batches: what they say is what then happens, and nothing happens by them."""

import itertools
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from goodsgate.engine.diff import diff_groups
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.scheduling import REMOVED_KEYS
from goodsgate.model.batch import Duplicates, Kind, Strictness, Verb
from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.model.diff import DiffChange
from goodsgate.model.journal import ChangeOperation, ItemChange
from tests import effort
from tests.engine.conftest import Opens
from tests.shop import Shop

RECORDS = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from(["A", "B", "C", "a", "b", "D"]), "title": st.sampled_from(["Cup", "Mug", "Jug"])},
        optional={
            "price": st.sampled_from(["1.00 EUR", "3.00 EUR", "2.00 USD"]),
            "gtin": st.sampled_from(["4006381333931", "4006381333932"]), "version_number": st.integers(1, 3),
            "_verb": st.sampled_from(["upsert", "update", "delete", "create"]), "brand": st.sampled_from(["Ort", "\0"]),
        },
    ), min_size=3, max_size=9,
)
DUPLICATES = [None, Duplicates.MERGE, Duplicates.LAST, Duplicates.OFF]
POLICIES = st.fixed_dictionaries({
    "verb": st.sampled_from([Verb.UPSERT, *Verb]), "duplicates": st.sampled_from(DUPLICATES), "replace": st.booleans(),
    "mode": st.sampled_from(["delta", "full"]), "delete_share_max": st.sampled_from([0.1, 1.0]),
})


def brief(change: DiffChange | ItemChange) -> tuple[Any, ...]:
    """Return what diff and journal say alike of a change."""
    return change.key, change.operation, change.before, change.after, change.record, change.row


def test_the_diff_is_what_then_happens(opens: Opens) -> None:
    """Results, issues, deletions and every change, also of keys that several chunks of the submission have."""
    shop = opens("acme", "other", chunk_records_max=2)
    numbers = itertools.count()

    @settings(deadline=None, max_examples=effort.examples(60), phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(held=RECORDS, records=RECORDS, policy=POLICIES)
    def check(held: list[dict[str, object]], records: list[dict[str, object]], policy: dict[str, Any]) -> None:
        if policy["mode"] == "full":
            policy["verb"] = Verb.UPSERT
        collection = f"c{next(numbers)}"
        shop.run(held, collection=collection)
        before, position = shop.items(collection), shop.store.journal_position("acme")
        dry = shop.run(records, collection=collection, dry_run=True, **policy)
        assert (shop.items(collection), shop.store.journal_position("acme")) == (before, position)
        real = shop.run(records, collection=collection, **policy)
        assert (dry.state, dry.outcome, dry.counts, dry.warned, dry.withheld) == (
            real.state, real.outcome, real.counts, real.warned, real.withheld
        )
        assert shop.results(dry.id) == shop.results(real.id)
        assert shop.findings(dry.id) == shop.findings(real.id)
        assert shop.engine.groups("acme", dry.id) == shop.engine.groups("acme", real.id)
        diff, changes = shop.store.diff("acme", dry.id), shop.store.batch_changes("acme", real.id)
        assert [*map(brief, diff)] == [*map(brief, changes)]
        summary, operations = shop.store.diff_summary("acme", dry.id), Counter(each.operation for each in changes)
        assert (summary.created, summary.updated, summary.deleted) == tuple(operations[one] for one in ChangeOperation)

    check()


def test_a_dry_run_sees_what_is_before_it_and_is_not_seen_by_what_follows(opens: Opens) -> None:
    """Also among small batches that are committed together."""
    shop = opens("acme")
    titles = ("Cup", "Mug", "Jug")
    first, dry, last = (
        shop.send([{"id": "A", "title": title}], dry_run=title == "Mug") for title in titles
    )
    shop.work()
    (change,) = shop.store.diff("acme", dry)
    (real,) = shop.store.batch_changes("acme", last)
    assert change.before == real.before == shop.store.batch_changes("acme", first)[0].after
    assert shop.items() == {"A": {"id": "A", "title": "Jug"}}
    assert shop.store.diff("acme", last) == []


def test_another_worker_goes_on_where_the_first_one_ended(opens: Opens, tmp_path: Path) -> None:
    """It reads what the chunks before would have left from the diff; numbers, results and groups go on."""
    shop = opens("acme", "other", chunk_records_max=2)
    records = [{"id": key, "title": f"T{at}", "price": f"{at + 1}.00 EUR"} for at, key in enumerate("ABCABDBaA")]
    dry = shop.send(records, dry_run=True, duplicates=Duplicates.MERGE)
    with ExitStack() as stack:
        other = 0
        while shop.engine.batch("acme", dry).finished_at is None:
            other += 1
            shop.send([{"id": "X", "title": f"{other}"}], merchant="other")  # so that each claim commits a chunk or two
            shop.worker.step()
            shop.worker.close()
            shop.store.close()
            shop = stack.enter_context(Shop(tmp_path, "acme", "other", chunk_records_max=2))
        real = shop.run(records, duplicates=Duplicates.MERGE)
        assert shop.results(dry) == shop.results(real.id)
        assert shop.codes(dry) == shop.codes(real.id)
        assert [*map(brief, shop.store.diff("acme", dry))] == [*map(brief, shop.store.batch_changes("acme", real.id))]
        assert other > 2


def test_a_dry_run_cannot_be_corrected_retried_or_confirmed(opens: Opens) -> None:
    """Its report is all that there is of it."""
    shop = opens("acme")
    shop.run([{"id": key, "title": "T"} for key in "ABC"])
    dry = shop.run([{"id": "A", "title": "T"}, {"id": "B"}], mode="full", dry_run=True)
    assert (dry.counts.rejected, dry.withheld is not None) == (1, True)
    for change in (
        lambda: shop.engine.retry("acme", dry.id), lambda: shop.engine.revert("acme", dry.id),
        lambda: shop.engine.confirm("acme", dry.id, 1),
        lambda: shop.fix(dry.id, b"_row,id,title\n2,B,T\n", format="csv"),
        lambda: shop.engine.match_fix("acme", dry.id, [b"{}"], format="ndjson"),
    ):
        with pytest.raises(Refusal) as refused:
            change()
        assert refused.value.code == "batch_dry_run"


def test_deletions_of_a_full_feed_are_in_the_diff_once(opens: Opens) -> None:
    """Also if the worker gives way between two pages of them."""
    shop = opens("acme", "other")
    keys = [f"K{at:05}" for at in range(REMOVED_KEYS + 5)]
    shop.run([{"id": key, "title": "T"} for key in keys])
    dry = shop.send([{"id": "K00000", "title": "T"}], mode="full", delete_share_max=1.0, dry_run=True)
    shop.send([{"id": "A", "title": "T"}], merchant="other")
    shop.work()
    assert shop.engine.batch("acme", dry).counts.deleted == len(keys) - 1
    assert shop.store.diff_summary("acme", dry).deleted == len(keys) - 1
    deleted, after = [], 0
    while page := shop.store.diff("acme", dry, after=after, limit=5_000):
        deleted += [change.key for change in page]
        after = page[-1].number
    assert deleted == keys[1:]


def test_groups_say_how_far_prices_move(opens: Opens) -> None:
    """Most frequent first; a price in another currency neither falls nor rises."""
    shop = opens("acme")
    before = ["3.00 EUR", "3.00 EUR", "3.00 EUR", "2.00 EUR", "1.00 EUR"]
    after = ["2.90 EUR", "2.91 EUR", "0.03 EUR", "5.00 EUR", "1.00 USD"]
    for number, prices in enumerate((before, after)):
        batch = shop.run(
            [{"id": f"P{at}", "title": "T", "price": price} for at, price in enumerate(prices)]
            + ([{"id": "N", "title": "T", "brand": "Ort"}] if number else []),
            dry_run=bool(number),
        )
    groups = diff_groups(shop.store.diff_summary("acme", batch.id))
    assert [group.text for group in groups] == [
        "1 item would be created", "5 items would be updated",
        "price falls in 3 items, median −3.4 %; 1 by more than half",
        "price rises in 1 item, by +150 %; 1 to more than double", "price changes in 1 item",
    ]


def test_records_that_would_wait_are_rejected(opens: Opens) -> None:
    """Nothing of a dry run is applied later; and what waits already is not overtaken by it."""
    shop = opens("acme")
    shop.reference("brand", ReferenceEntry(code="Acme"))
    record = {"id": "A", "title": "Cup", "brand": "Ort"}
    waiting = shop.run([record], references=Strictness.WAIT, waiting_hours=1.0)
    dry = shop.run(
        [record, {"id": "A", "title": "Jug"}], references=Strictness.WAIT, waiting_hours=1.0, dry_run=True,
        duplicates=Duplicates.MERGE,
    )
    assert (waiting.counts.waiting, dry.counts.waiting, dry.counts.rejected) == (1, 0, 1)
    shop.reference("brand", ReferenceEntry(code="Ort"))
    shop.work()
    assert shop.items() == {"A": record}


@pytest.mark.parametrize(("batch_kind", "field", "values"), [
    (Kind.PRICE, "price", ["3.00 EUR", "0.03 EUR", "4.00 EUR"]), (Kind.STOCK, "quantity", [5, 0, 7]),
])
def test_prices_and_stock_are_foretold(opens: Opens, batch_kind: Kind, field: str, values: list[Any]) -> None:
    """By location; keys that repeat are compared one after the other, chunk by chunk."""
    shop = opens("acme", chunk_records_max=2)
    shop.run([{"id": "A", "location": "X", field: values[0]}], kind=batch_kind)
    records = [{"id": key, "location": "X", field: value} for key, value in zip("AABAB", values * 2, strict=False)]
    dry, real = (shop.run(records, kind=batch_kind, dry_run=dry) for dry in (True, False))
    assert [*map(brief, shop.store.diff("acme", dry.id))] == [*map(brief, shop.store.batch_changes("acme", real.id))]
    assert dry.counts == real.counts
    summary = shop.store.diff_summary("acme", dry.id)
    assert (summary.fields[field].falls_by_half, summary.fields[field].rises.count) == (2, 1)
