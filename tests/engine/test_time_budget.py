"""A chunk ends when its time is over: the batch goes on later, with the same effect, and others have their turn."""

import itertools
from types import SimpleNamespace

import pytest

from goodsgate.engine import apply, apply_schema, scheduling, small_batches, validator
from goodsgate.engine.document_merge import merge_mapped
from goodsgate.formats import payload_reader
from goodsgate.model.batch import Duplicates, Verb
from goodsgate.rules import RecordMapping
from tests.engine.model import opened
from tests.shop import Shop, ndjson

CLOCKS = (apply, apply_schema, scheduling, small_batches, validator, payload_reader)
RECORDS = [
    {"id": f"K{number % 70}", "title": "" if number % 9 == 0 else f"T{number}", "_verb": verb}
    for number, verb in zip(range(300), itertools.cycle(["upsert", "update", "update", "delete", "upsert"]))
]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an hour pass between two looks at the clock, so that whatever can end early does."""
    ticks = itertools.count(0, 3600)

    def clock() -> float:
        return float(next(ticks))

    for module in CLOCKS:
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock, thread_time=clock, time_ns=lambda: 0))


def _effect(shop: Shop, batch: str) -> tuple[object, ...]:
    return shop.results(batch), shop.codes(batch), shop.items()


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_a_chunk_that_ends_early_has_the_same_effect(store: str, hasty: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates, deletions and rejected records in pieces, and all at once."""
    with opened(store, "acme") as shop:
        batch = shop.run(ndjson(RECORDS))
        in_pieces = _effect(shop, batch.id)
    monkeypatch.undo()
    with opened(store, "acme") as shop:
        batch = shop.run(ndjson(RECORDS))
        assert _effect(shop, batch.id) == in_pieces
        assert batch.counts.accounted == len(RECORDS)


def test_another_merchant_has_its_turn_after_the_time_of_a_chunk(hasty: None) -> None:
    """The batch that takes long is not finished when the small one is."""
    with opened("sqlite", "acme", "other") as shop:
        long = shop.send([{"id": f"K{number}", "title": "T"} for number in range(500)])
        small = shop.send([{"id": "S", "title": "T"}], merchant="other")
        shop.worker.step()
        shop.worker.step()
        assert shop.engine.batch("other", small).state == "finished"
        assert 0 < shop.engine.batch("acme", long).counts.accounted < 500
        shop.work()
        assert shop.engine.batch("acme", long).counts.created == 500


def test_small_batches_of_updates_end_together_or_one_by_one(hasty: None) -> None:
    """A group stops where its time is over, and the order of the batches stays."""
    with opened("sqlite", "acme") as shop:
        shop.run([{"id": "K", "title": "T"}])
        batches = [shop.send([{"id": "K", "title": f"T{n}"}, {"id": "K", "note": n}], verb=Verb.UPDATE,
                             duplicates=Duplicates.MERGE) for n in range(6)]
        shop.work()
        assert {shop.engine.batch("acme", batch).counts.updated for batch in batches} == {2}
        assert shop.items() == {"K": {"id": "K", "title": "T5", "note": 5}}


def test_an_update_is_merged_with_the_record_before_it(hasty: None) -> None:
    """Also if that one was rejected, or changed nothing."""
    with opened("sqlite", "acme") as shop:
        shop.run([{"id": "K", "title": "T", "extra": {"a": 1}}])
        batch = shop.run([
            {"id": "K", "extra": {"b": 2}}, {"id": "K", "price": "no price"}, {"id": "K", "extra": {"a": None}},
            {"id": "K", "extra": {"b": 2}},
        ], verb=Verb.UPDATE, duplicates=Duplicates.MERGE)
        assert [str(row.result) for row in shop.results(batch.id)] == ["updated", "rejected", "updated", "unchanged"]
        assert shop.items() == {"K": {"id": "K", "title": "T", "extra": {"b": 2}}}


@pytest.mark.parametrize("line", [b'{"id":"D","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"[" * 200_000])
def test_a_record_nested_too_deeply_harms_no_other(line: bytes) -> None:
    """Even if it is the first of the file, from which the members' names are read."""
    with opened("sqlite", "acme") as shop:
        batch = shop.run(line + b"\n" + ndjson([{"id": "A", "title": "T"}]))
        assert (batch.state, batch.counts.rejected, batch.counts.created) == ("finished", 1, 1)


def test_lists_of_any_length_are_merged_in_linear_time() -> None:
    """Entries are found by their ids without a look at all others."""
    mapping = RecordMapping({"key": ["id"], "lists": {"stock": {"id": ["warehouse"]}}})
    entries = [{"warehouse": f"W{number}", "quantity": number} for number in range(20_000)]
    document = ndjson([{"id": "A", "stock": entries}]).strip()
    assert merge_mapped(document, document, mapping) == document
