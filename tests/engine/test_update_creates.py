"""Updates that create missing items, and observers of a body while it is received."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodsgate.engine.refusal import Refusal
from goodsgate.model.batch import Batch, Duplicates, Kind, Policy, Verb
from goodsgate.store.contract import BatchFilter
from tests import effort
from tests.shop import Shop, ndjson

MAKING = Policy(verb=Verb.UPDATE, schema="productsup/Product", update_creates=True, duplicates=Duplicates.OFF)
RECORDS = st.builds(
    lambda id, members: {"id": id, **members}, st.sampled_from(["a", "b", 7]),
    st.dictionaries(st.sampled_from("xyz"), st.sampled_from([None, 1, "", "t", [1], {"n": None}]), max_size=3),
)


class Watching:
    """Counts bytes; may refuse."""

    def __init__(self, most: int = 10**9) -> None:
        self._bytes = 0
        self._most = most

    def write(self, chunk: bytes) -> None:
        """Raises past the bound."""
        self._bytes += len(chunk)
        if self._bytes > self._most:
            raise Refusal("payload_too_large")

    def protocol_data(self) -> dict[str, str]:
        """What was counted."""
        return {"seen": str(self._bytes)}


def _send(shop: Shop, *pieces: bytes, watcher: Watching | None = None) -> Batch:
    submission = shop.engine.submit(
        merchant="acme", kind=Kind.PRODUCT, collection="made", policy=MAKING, format="ndjson", watcher=watcher,
        protocol_data={"from": "test"},
    )
    try:
        for piece in pieces:
            submission.write(piece)
        batch = submission.finish().batch
    except Refusal:
        submission.abort()
        raise
    assert batch is not None
    return batch


@settings(deadline=None, max_examples=effort.examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(RECORDS, min_size=1, max_size=6), min_size=1, max_size=4))
def test_members_are_merged_in_order(tmp_path_factory: pytest.TempPathFactory, sent: list[list[dict]]) -> None:
    """However the records are cut into batches: named members replace, null clears, everything else stays."""
    expected: dict[str, dict[str, object]] = {}
    with Shop(tmp_path_factory.mktemp("making")) as shop:
        for records in sent:
            _send(shop, ndjson(records))
            for record in records:
                held = expected.setdefault(str(record["id"]), {})
                held.update(record)
                for name in [name for name, value in held.items() if value is None]:
                    del held[name]
        shop.work()
        assert shop.items("made") == expected


def test_data_of_a_body_watcher_is_stored_with_the_batch(tmp_path: Path) -> None:
    """Beside the facts that were given before."""
    with Shop(tmp_path) as shop:
        batch = _send(shop, b'{"id":"1"}\n', b'{"id":"2"}\n', watcher=Watching())
        assert batch.protocol_data == {"from": "test", "seen": "22"}
        shop.work()
        assert shop.engine.batch("acme", batch.id).protocol_data == batch.protocol_data


def test_a_body_watcher_can_refuse_a_submission(tmp_path: Path) -> None:
    """Nothing of it is left."""
    with Shop(tmp_path) as shop:
        with pytest.raises(Refusal):
            _send(shop, b'{"id":"1"}\n', b'{"id":"2"}\n', watcher=Watching(15))
        assert shop.store.batches("acme", BatchFilter()).rows == []
