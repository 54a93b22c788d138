"""Dry runs."""

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodsgate.app import create_dry_runner
from goodsgate.model.batch import Kind, Policy, State, Verb
from goodsgate.model.tracing import NO_ORIGIN, ORIGIN, set_origin_key
from tests import effort
from tests.shop import Shop, ndjson

RECORDS = st.lists(
    st.fixed_dictionaries({
        "id": st.sampled_from(["A", "B", "C", "a", ""]), "title": st.sampled_from(["x", "y", ""]),
        "gtin": st.sampled_from(["4006381333931", "4006381333932"]),
    }), min_size=1, max_size=8,
)


@settings(deadline=None, max_examples=effort.examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(held=RECORDS, records=RECORDS, verb=st.sampled_from(Verb))
def test_a_dry_run_has_the_result_of_the_real_run_and_changes_nothing(shop: Shop, held, records, verb) -> None:
    """Counts and issue groups, against whatever the catalogue holds, with every verb."""
    shop.run(held)
    before = shop.items()
    dry_run = create_dry_runner(shop.store, shop.config).run(
        [ndjson(records)], merchant="acme", kind=Kind.PRODUCT, collection="products", policy=Policy(verb=verb),
        format="ndjson", content_encoding="identity",
    )
    assert shop.items() == before
    batch = shop.run(records, verb=verb)
    assert dry_run.batch.counts == batch.counts
    assert dry_run.groups == shop.engine.groups("acme", batch.id, limit=50)
    assert len(dry_run.rejected) == min(batch.counts.rejected, 5)


def test_a_large_submission_of_a_key_is_worked_without_effect(shop: Shop) -> None:
    """In several chunks, with the key's limits looked up, and with nothing that could pass it."""
    records = [{"id": f"A-{number}", "title": "Mug", "note": "x" * 1_000} for number in range(300)]
    config = msgspec.structs.replace(shop.config, chunk_records_max=100)
    set_origin_key("some-key")
    try:
        dry_run = create_dry_runner(shop.store, config).run(
            [ndjson(records)], merchant="acme", kind=Kind.PRODUCT, collection="products", policy=Policy(),
            format="ndjson", content_encoding="identity",
        )
    finally:
        ORIGIN.set(NO_ORIGIN)
    assert (dry_run.batch.state, dry_run.batch.counts.created) == (State.FINISHED, len(records))
    assert shop.items() == {}
