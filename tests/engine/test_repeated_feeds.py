"""A feed that is sent again has the same result, whether the store or the worker compares its items."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import msgspec
import pytest

from goodsgate.app import create_worker
from goodsgate.model.batch import Duplicates, Kind, Result, Verb
from goodsgate.store.contract import ClaimedRound, Store, SupportsPrefetch
from goodsgate.store.postgres import PostgresStore
from goodsgate.store.strict import StrictStore
from tests.engine.model import opened
from tests.factories import products
from tests.shop import Shop

COUNT = 4_000
CHUNK = 2_048
Sent = tuple[list[dict[str, object]], dict[str, Any]]


class Watched:
    """A store that counts the items reported as equal, or that gets no hashes."""

    def __init__(self, store: Store, *, hashes: bool) -> None:
        self._store = store
        self._hashes = hashes
        self.alike = 0
        if isinstance(store, SupportsPrefetch):
            self.prefetch = self._prefetch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _prefetch(self, round: ClaimedRound, keys: Sequence[str], *,
                  hashes: Sequence[bytes] | None = None) -> None:
        assert isinstance(self._store, SupportsPrefetch)
        self._store.prefetch(round, keys, hashes=hashes if self._hashes else None)

    def current_items(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str], *,
                      documents: bool = False) -> Any:
        """And what is known of them."""
        held = self._store.current_items(merchant, kind, collection, keys, documents=documents)
        assert isinstance(self._store, StrictStore)
        inner = self._store.store
        cache = inner.lookups.cache if isinstance(inner, PostgresStore) else None
        lookup = cache.find((merchant, kind, collection), keys) if cache is not None else None
        self.alike += len(lookup.same) if lookup is not None else 0
        return held


@pytest.fixture
def shops() -> Iterator[dict[str, tuple[Shop, Watched]]]:
    """One that compares, one that does not, and one whose items are here."""
    with ExitStack() as stack:
        made = {}
        for name in ("compares", "reads", "here"):
            kind = "sqlite" if name == "here" else "postgres"
            shop = stack.enter_context(opened(kind, "acme", claim_rounds_max=1, chunk_records_max=CHUNK))
            watched = Watched(shop.store, hashes=name != "reads")
            shop.worker = create_worker(watched, shop.config, "watched")  # type: ignore[arg-type]
            made[name] = shop, watched
        yield made


def _sent() -> Iterator[Sent]:
    """One feed after the other."""
    first = products(*range(COUNT), title="one")
    yield first, {}
    yield first, {"mode": "full"}
    changed = [{**record, "title": "two"} if at % 100 == 0 else record for at, record in enumerate(first)]
    yield changed, {"mode": "full"}
    shouted = [{**record, "id": str(record["id"]).lower()} if at % 90 == 5 else record
               for at, record in enumerate(changed)]
    yield shouted, {"duplicates": Duplicates.REJECT}
    twice = [*shouted[:2000], *shouted[1500:1600], *changed[5:400:90], *shouted[2000:]]
    yield twice, {}
    yield twice[::-1], {}
    again = [{**record, "title": "three"} for record in changed[:CHUNK]]
    yield [*again, *products(*range(COUNT, COUNT + CHUNK)), *again], {"duplicates": Duplicates.REJECT}
    for version in (7, 7, 6):
        numbered = {"version_number": version}
        yield [record if at % 5 else {**record, **numbered} for at, record in enumerate(shouted)], {}
    yield [record for at, record in enumerate(shouted) if at % 40], {"mode": "full"}
    yield changed, {"mode": "full"}
    gone = [{**record, "_verb": "delete"} if at % 7 == 0 else record for at, record in enumerate(changed)]
    yield gone, {}
    yield gone, {}
    yield changed, {"verb": Verb.CREATE}


def test_repeated_feeds_have_the_same_result_on_both_stores(shops: dict[str, tuple[Shop, Watched]]) -> None:
    """Results, findings, counts and the whole catalogue."""
    reports: dict[str, list[object]] = {name: [] for name in shops}
    for records, policy in _sent():
        for name, (shop, _) in shops.items():
            batch = shop.run(records, **policy)
            results = [(row.number, row.key, row.result) for row in shop.results(batch.id)]
            reports[name].append((
                msgspec.to_builtins(batch.counts), batch.outcome, results, shop.codes(batch.id), shop.items(),
                shop.store.collections("acme"),
            ))
        for name in ("reads", "here"):
            assert reports[name][-1] == reports["compares"][-1], (name, len(reports[name]), policy)
    assert shops["reads"][1].alike == shops["here"][1].alike == 0
    assert shops["compares"][1].alike > 5 * COUNT // 2
    results = {result for entry in reports["here"] for _, _, result in entry[2]}  # type: ignore[index]
    assert results >= {*Result} - {Result.CANCELLED, Result.MERGED, Result.WAITING}
