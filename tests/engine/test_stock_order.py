"""Movements in the middle of a feed: whatever comes between, the end is that of some order one by one.

A movement that is committed before a chunk is committed comes before it, one after it behind; so a model that works
them in that order must come to the same. The movements are another process's, put right before each chunk's commit,
where what the chunk was made from is oldest.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodsgate.engine import Refusal
from goodsgate.engine.stock import Stock, StockMovement, StockOperation
from goodsgate.model.batch import Duplicates, Kind, Verb
from goodsgate.store.contract import ChunkCommit, Claim, StockChangedError
from goodsgate.store.strict import StrictStore
from tests import effort
from tests.engine.conftest import Opens
from tests.shop import Shop, open_store

CHUNK_RECORDS = 2
"""Records."""
KEYS = ("A", "B", "C")
ORDERS = ("o1", "o2", "o3")

Document = dict[str, object]


class Model:
    """One thing after the other."""

    def __init__(self) -> None:
        self.items: dict[str, Document] = {}
        self.reserved: dict[tuple[str, str], int] = {}
        self.committed: dict[tuple[str, str], int] = {}

    def record(self, record: Document, verb: Verb) -> None:
        """As the engine works it."""
        key = str(record["id"])
        if verb is Verb.DELETE:
            self.items.pop(key, None)
        elif verb is Verb.UPSERT:
            self.items[key] = {**self.items.get(key, {}), **record}
        elif key in self.items:
            self.items[key] |= record

    def move(self, movement: StockMovement) -> str:
        """Empty, or the refusal."""
        found = {self._stands(movement, key, quantity) for key, quantity in movement.lines.items()} - {""}
        for code in ("stock_unknown", "stock_conflict", "stock_short"):
            if code in found:
                return code
        for key, quantity in movement.lines.items():
            self._moves(movement, key, quantity)
        return ""

    def all_reserved(self, key: str) -> int:
        """By all orders."""
        return sum(amount for (_, one), amount in self.reserved.items() if one == key)

    def _stands(self, movement: StockMovement, key: str, quantity: int) -> str:
        mine = (movement.order, key)
        if movement.verb is StockOperation.RESERVE:
            if key not in self.items:
                return "stock_unknown"
            free = int(str(self.items[key]["quantity"])) - self.all_reserved(key)
            return "stock_short" if quantity > max(0, free) else ""
        bound = self.committed if movement.verb is StockOperation.REFUND else self.reserved
        return "stock_conflict" if quantity > bound.get(mine, 0) else ""

    def _moves(self, movement: StockMovement, key: str, quantity: int) -> None:
        mine, verb = (movement.order, key), movement.verb
        reserved = {
            StockOperation.RESERVE: quantity, StockOperation.CANCEL: -quantity, StockOperation.COMMIT: -quantity,
            StockOperation.REFUND: 0,
        }[verb]
        taken = {StockOperation.COMMIT: quantity, StockOperation.REFUND: -quantity}.get(verb, 0)
        self.reserved[mine] = self.reserved.get(mine, 0) + reserved
        self.committed[mine] = self.committed.get(mine, 0) + taken
        if key in self.items:
            self.items[key]["quantity"] = max(0, int(str(self.items[key]["quantity"])) - taken)


class Between:
    """The store of the shop; whatever is to come before its next commit comes then."""

    def __init__(self, shop: Shop) -> None:
        assert isinstance(shop.store, StrictStore)
        self._store = shop.store.store
        self.before: list[Callable[[], None]] = []
        self.refreshes = 0
        shop.store.store = self  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, claim: Claim, commits: Sequence[ChunkCommit], *,
               refresh: Callable[[], Sequence[ChunkCommit]] | None = None) -> None:
        """With something before it, if it is the first try."""
        if refresh is None and self.before:
            self.before.pop(0)()
        try:
            self._store.commit(claim, commits, refresh=refresh)
        except StockChangedError:
            self.refreshes += 1
            raise


MOVES = st.builds(
    lambda order, verb, lines: StockMovement(order=order, verb=verb, lines=lines), st.sampled_from(ORDERS),
    st.sampled_from(StockOperation), st.dictionaries(st.sampled_from(KEYS), st.integers(1, 4), min_size=1),
)
RECORDS = {
    Verb.UPSERT: st.builds(
        lambda key, quantity: {"id": key, "quantity": quantity}, st.sampled_from(KEYS), st.integers(0, 9)
    ),
    Verb.UPDATE: st.builds(lambda key, note: {"id": key, "note": note}, st.sampled_from(KEYS), st.integers(0, 2)),
    Verb.DELETE: st.builds(lambda key: {"id": key}, st.sampled_from(KEYS)),
}
FEEDS = st.sampled_from([Verb.UPSERT, Verb.UPSERT, Verb.UPDATE, Verb.UPDATE, Verb.DELETE]).flatmap(
    lambda verb: st.tuples(st.just(verb), st.lists(RECORDS[verb], min_size=1, max_size=6))
)
TURNS = st.lists(st.tuples(FEEDS, st.lists(st.lists(MOVES, max_size=3), max_size=4)), min_size=1, max_size=5)


@pytest.fixture
def scene(opens: Opens) -> Iterator[tuple[Shop, Between, Stock]]:
    """A shop with small chunks, what comes between, and the stock as another process sees it."""
    shop = opens("acme", chunk_records_max=CHUNK_RECORDS)
    store = open_store(shop.config)
    yield shop, Between(shop), Stock(store)
    store.close()


_collections = itertools.count()


@settings(max_examples=effort.examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=TURNS)
def test_whatever_comes_between(scene: tuple[Shop, Between, Stock], turns: list[Any]) -> None:
    """Items, levels and refusals are the model's."""
    shop, between, stock = scene
    collection, model, number = f"c{next(_collections)}", Model(), itertools.count()
    shop.run([{"id": key, "quantity": 5} for key in KEYS], kind=Kind.STOCK, collection=collection)
    for key in KEYS:
        model.record({"id": key, "quantity": 5}, Verb.UPSERT)

    def moves(movements: list[StockMovement]) -> None:
        for movement in movements:
            named = msgspec.structs.replace(movement, id=str(next(number)))
            try:
                stock.move("acme", collection, named)
                outcome = ""
            except Refusal as refusal:
                outcome = refusal.code
            assert outcome == model.move(movement)

    for (verb, records), gaps in turns:
        chunks = [records[at : at + CHUNK_RECORDS] for at in range(0, len(records), CHUNK_RECORDS)]

        def before(at: int, *, verb: Verb = verb, chunks: Any = chunks, gaps: Any = gaps) -> None:
            moves(gaps[at] if at < len(gaps) else [])
            for record in chunks[at]:
                model.record(record, verb)

        between.before = [lambda at=at, before=before: before(at) for at in range(len(chunks))]  # type: ignore[misc]
        shop.run(records, kind=Kind.STOCK, collection=collection, verb=verb, duplicates=Duplicates.OFF)
        assert between.before == []
        assert shop.items(collection, kind=Kind.STOCK) == model.items
        for key, level in stock.levels("acme", collection, KEYS).items():
            assert (level.reserved, level.stock) == (model.all_reserved(key), model.items.get(key, {}).get("quantity"))


def test_a_movement_of_two_items_is_never_half_before(scene: tuple[Shop, Between, Stock]) -> None:
    """One that the chunk would find unchanged, one that it changes: taken from both, then set again both."""
    shop, between, stock = scene
    shop.run([{"id": "A", "quantity": 5}, {"id": "B", "quantity": 5}], kind=Kind.STOCK, collection="stock")

    def take() -> None:
        for verb in (StockOperation.RESERVE, StockOperation.COMMIT):
            stock.move("acme", "stock", StockMovement(order="o", verb=verb, lines={"A": 1, "B": 1}))

    between.before = [take]
    batch = shop.run([{"id": "A", "quantity": 5}, {"id": "B", "quantity": 6}], kind=Kind.STOCK, collection="stock")
    assert between.refreshes == 1
    assert batch.counts.updated == 2
    assert shop.items("stock", kind=Kind.STOCK) == {"A": {"id": "A", "quantity": 5}, "B": {"id": "B", "quantity": 6}}


def test_batches_that_are_worked_together_are_made_anew_together(scene: tuple[Shop, Between, Stock]) -> None:
    """Each with what those before it did."""
    shop, between, stock = scene
    shop.run([{"id": "A", "quantity": 5}], kind=Kind.STOCK, collection="stock")

    def take() -> None:
        for verb in (StockOperation.RESERVE, StockOperation.COMMIT):
            stock.move("acme", "stock", StockMovement(order="o", verb=verb, lines={"A": 2}))

    between.before = [take]
    sent = [
        shop.send([{"id": "A", "note": turn}], kind=Kind.STOCK, collection="stock", verb=Verb.UPDATE)
        for turn in range(3)
    ]
    shop.work()
    assert between.refreshes == 1
    assert [shop.engine.batch("acme", one).counts.updated for one in sent] == [1, 1, 1]
    assert shop.items("stock", kind=Kind.STOCK) == {"A": {"id": "A", "quantity": 3, "note": 2}}


def test_what_was_read_ahead_is_not_believed(scene: tuple[Shop, Between, Stock]) -> None:
    """Each chunk was looked up while the one before it was committed, and is outrun right before its own commit."""
    shop, between, stock = scene
    keys = [f"K{n}" for n in range(12)]
    feed = [{"id": key, "quantity": 5} for key in keys]
    shop.run(feed, kind=Kind.STOCK, collection="stock")

    def take(key: str) -> None:
        for verb in (StockOperation.RESERVE, StockOperation.COMMIT):
            stock.move("acme", "stock", StockMovement(order=key, verb=verb, lines={key: 1}))

    between.before = [lambda key=key: take(key) for key in keys[::2]]  # type: ignore[misc]
    batch = shop.run(feed, kind=Kind.STOCK, collection="stock")
    assert between.refreshes == batch.counts.updated == len(keys[::2])
    assert shop.items("stock", kind=Kind.STOCK) == {key: {"id": key, "quantity": 5} for key in keys}


def test_what_is_rejected_is_rejected_once(scene: tuple[Shop, Between, Stock]) -> None:
    """Its neighbour is applied again, and the issues of the first attempt are not reported twice."""
    shop, between, stock = scene
    shop.run([{"id": "A", "quantity": 5}, {"id": "B", "quantity": 5}], kind=Kind.STOCK, collection="stock")

    def take() -> None:
        for verb in (StockOperation.RESERVE, StockOperation.COMMIT):
            stock.move("acme", "stock", StockMovement(order="o", verb=verb, lines={"A": 1}))

    between.before = [take]
    batch = shop.run(
        [{"id": "A", "note": 1}, {"id": "B", "quantity": -1}], kind=Kind.STOCK, collection="stock", verb=Verb.UPDATE
    )
    assert (between.refreshes, batch.counts.updated, batch.counts.rejected) == (1, 1, 1)
    assert shop.codes(batch.id) == {0: ["member_unrecognized"], 2: ["number_negative"]}
    assert shop.items("stock", kind=Kind.STOCK) == {
        "A": {"id": "A", "quantity": 4, "note": 1}, "B": {"id": "B", "quantity": 5}
    }
