"""What a trial foretells is what then happens, and it changes nothing."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodsgate.config import Config
from goodsgate.engine.trial import Foretold, foretell
from goodsgate.model.batch import Kind, Policy, Verb
from goodsgate.store.sqlite import SqliteStore
from tests.shop import Shop, ndjson

RECORDS = st.lists(
    st.fixed_dictionaries({
        "id": st.sampled_from(["A", "B", "C", "a", ""]), "title": st.sampled_from(["x", "y", ""]),
        "gtin": st.sampled_from(["4006381333931", "4006381333932"]),
    }), min_size=1, max_size=8,
)


def foretold(shop: Shop, folder: Path, records: list[object], policy: Policy) -> Foretold:
    """By a store that is thrown away."""
    scratch = SqliteStore(folder, cache_bytes=1024**2, small_payload_bytes=1024)
    scratch.migrate()
    try:
        return foretell(
            shop.store, scratch, Config(store=str(folder)), [ndjson(records)], merchant="acme", kind=Kind.PRODUCT,
            collection="products", policy=policy, format="ndjson", content_encoding="identity",
        )
    finally:
        scratch.close()


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(held=RECORDS, records=RECORDS, verb=st.sampled_from(Verb))
def test_a_trial_tells_what_then_happens(shop: Shop, tmp_path_factory, held, records, verb) -> None:
    """Counts and groups, against whatever is held, with every verb."""
    shop.run(held)
    before = shop.items()
    told = foretold(shop, tmp_path_factory.mktemp("scratch"), records, Policy(verb=verb))
    assert shop.items() == before
    batch = shop.run(records, verb=verb)
    assert told.batch.counts == batch.counts
    assert told.groups == shop.engine.groups("acme", batch.id, limit=50)
    assert len(told.rejected) == min(batch.counts.rejected, 5)
