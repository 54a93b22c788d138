"""Dry runs of batches: what they say is what then happens, and nothing happens by them."""

import itertools
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Duplicates, Verb
from goodsgate.model.diff import DiffChange
from goodsgate.model.journal import ChangeOperation, ItemChange
from tests import effort
from tests.engine.conftest import Opens

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
POLICIES = st.fixed_dictionaries({
    "verb": st.sampled_from([Verb.UPSERT, *Verb]), "duplicates": st.sampled_from([None, Duplicates.MERGE, Duplicates.LAST, Duplicates.OFF]), "replace": st.booleans(),
    "mode": st.sampled_from(["delta", "full"]), "delete_share_max": st.sampled_from([0.1, 1.0]),
})


def brief(change: DiffChange | ItemChange) -> tuple[Any, ...]:
    """Return what diff and journal say alike of a change."""
    return change.key, change.operation, change.before, change.after, change.record, change.row


def test_the_diff_is_what_then_happens(opens: Opens) -> None:
    """Results, issues, deletions and every change, also of keys that several chunks of the submission have."""
    shop = opens("acme", "other", chunk_records_max=2)
    numbers = itertools.count()

    @settings(deadline=None, max_examples=effort.examples(90), phases=[Phase.generate],
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
