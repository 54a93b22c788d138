"""A chunk that is prepared while the one before it commits has the same effect as one that is prepared after it."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from goodsgate.app import create_worker
from goodsgate.engine import apply, chunk_application
from goodsgate.engine.apply import ChunkChanges
from goodsgate.engine.scheduling import AppliedChunk, PreparedAhead
from goodsgate.engine.validator import CheckedChunk
from goodsgate.model.batch import Duplicates, Kind, Verb
from goodsgate.store.contract import ChunkCommit, Claim, LeaseLostError, Store, StoreBusyError, StoreError
from tests import effort
from tests.engine.model import opened
from tests.shop import Shop, ndjson

KEYS = ["A", "a", "B", "b", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N"]
RECORD = st.fixed_dictionaries(
    {"id": st.sampled_from(KEYS), "title": st.sampled_from(["one", "two", "one", "two", "", "boom"])},
    optional={"version_number": st.integers(1, 3), "price": st.sampled_from(["1.00 EUR", "2.00 EUR"])},
)
ASUNDER = [{"id": key, "title": "one"} for key in KEYS if key.isupper()]
TWINS = [{"id": key, "title": "one"} for key in ("A", "B", "C", "D", "a", "D", "b", "E", "F", "G", "f", "F")]
BATCH = st.tuples(st.sampled_from(list(Duplicates)), st.one_of(
    st.lists(RECORD, min_size=1, max_size=16),
    st.permutations(ASUNDER), st.permutations(TWINS),  # in the first every chunk stands alone
))
TROUBLES = st.dictionaries(st.integers(0, 12), st.sampled_from(["refused", "unheard", "lost"]), max_size=3)

Told = list[list[tuple[int, str | None, str, list[str]]]]


class Rough:
    """A store of which some commits fail, by their number: before they begin, after they are done, or for the lease."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.troubles: Iterator[str | None] = iter(())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, claim: Claim, commits: Sequence[ChunkCommit], *,
               refresh: Callable[[], Sequence[ChunkCommit]] | None = None) -> None:
        """Commit, or fail."""
        trouble = next(self.troubles, None)
        if trouble == "refused":
            raise StoreBusyError("no")
        if trouble == "lost":
            raise LeaseLostError("taken")
        self._store.commit(claim, commits, refresh=refresh)
        if trouble == "unheard":
            raise StoreBusyError("the connection was lost")


@pytest.fixture
def applied_chunks(monkeypatch: pytest.MonkeyPatch) -> list[AppliedChunk]:
    """Return the chunks that are applied ahead; a chunk with a record whose title is boom cannot be applied."""
    seen: list[AppliedChunk] = []
    prepare = PreparedAhead._prepare_next

    def noted(self: PreparedAhead, *args: Any) -> None:
        prepare(self, *args)
        if self._prepared is not None and self._prepared.applied is not None:
            seen.append(self._prepared.applied)

    def faulty(checked: CheckedChunk, *args: Any, **ends: float) -> ChunkChanges:
        if any(b"boom" in document for document in checked.documents):
            raise ZeroDivisionError
        return apply.apply(checked, *args, **ends)

    monkeypatch.setattr(PreparedAhead, "_prepare_next", noted)
    monkeypatch.setattr(chunk_application, "apply", faulty)
    return seen


@contextmanager
def _shops(chunk_records: int) -> Iterator[list[Shop]]:
    """One shop whose commits run in another process, and one that works chunks in sequence."""
    how = {"chunk_records_max": chunk_records, "claim_rounds_max": 1}
    with opened("postgres", "acme", **how) as elsewhere, opened("sqlite", "acme", **how) as here:
        yield [elsewhere, here]


def _told(shop: Shop, rough: Rough, batches: Sequence[tuple[Duplicates, list[dict[str, object]]]], *,
          collection: str, troubles: Mapping[int, str]) -> tuple[Told, dict[str, object]]:
    results: Told = []
    number = itertools.count()
    rough.troubles = iter(lambda: troubles.get(next(number)), "never")
    for duplicates, records in batches:
        batch = shop.send(ndjson(records), collection=collection, duplicates=duplicates, verb=Verb.UPSERT)
        while True:
            try:
                if not shop.worker.step():
                    break
            except StoreError:
                continue
        codes = shop.codes(batch)
        results.append([(row.number, row.key, str(row.result), codes.get(row.number,
            [])) for row in shop.results(batch)])
    return results, shop.items(collection, kind=Kind.PRODUCT)


@pytest.mark.parametrize("chunk_records", [1, 2, 3])
def test_chunks_prepared_ahead_have_the_effect_of_chunks_in_sequence(chunk_records: int,
                                                                     applied_chunks: list[AppliedChunk]) -> None:
    """Results, issues and items are the same, whatever fails on the way."""
    collections = itertools.count()

    @settings(deadline=None, max_examples=effort.examples(25), suppress_health_check=list(HealthCheck))
    @given(batches=st.lists(BATCH, min_size=1, max_size=2), troubles=TROUBLES)
    @example(batches=[(Duplicates.MERGE, [*ASUNDER, *TWINS])], troubles={4: "unheard", 9: "refused", 15: "lost"})
    def walk(batches: list[tuple[Duplicates, list[dict[str, object]]]], troubles: dict[int, str]) -> None:
        collection = f"c{next(collections)}"
        ends = [
            _told(shop, store, batches, collection=collection, troubles=troubles if at == 0 else {})
            for at, (shop, store) in enumerate(zip(shops, rough, strict=True))
        ]
        assert ends[0] == ends[1]

    with _shops(chunk_records) as shops:
        rough = [Rough(shop.store) for shop in shops]
        for shop, store in zip(shops, rough, strict=True):
            shop.worker = create_worker(store, shop.config, "rough")  # type: ignore[arg-type]
        walk()
    assert len(applied_chunks) > 10


@pytest.mark.parametrize(("kind", "policy"), [(Kind.STOCK, {}), (Kind.PRODUCT, {"verb": Verb.UPDATE})])
def test_stock_and_updates_are_not_applied_ahead(kind: Kind, policy: dict[str, Any],
                                                 applied_chunks: list[AppliedChunk]) -> None:
    """Orders change stock, and updates depend on current items."""
    with opened("postgres", "acme", chunk_records_max=2) as shop:
        shop.run(ASUNDER)
        before = len(applied_chunks)
        values = {"quantity": 3} if kind is Kind.STOCK else {"title": "new"}
        shop.run([{"id": record["id"], **values} for record in ASUNDER], kind=kind, **policy)
        assert before == len(applied_chunks)
        assert before > 0
