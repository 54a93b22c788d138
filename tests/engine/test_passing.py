"""Small batches that pass a large one of their lane: the end is that of one by one, and what could differ waits."""

import threading
from collections.abc import Iterator
from itertools import groupby

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Duplicates, Kind, State, Verb
from goodsgate.store.contract import LeaseLostError
from tests import effort
from tests.engine.model import BATCH, RECORD, Expected, opened
from tests.shop import Shop
from tests.stores import KINDS

SMALL_BYTES = 150
HOW = {"chunk_records_max": 3, "claim_rounds_max": 10, "claim_bytes_max": 10 * SMALL_BYTES}
EXAMPLES = [("sqlite", effort.examples(18)), ("postgres", effort.examples(9))]
KEYS = st.sampled_from(["A", "a", "B", "C", "D", "e", "E", "F", "G", "H", "I", "J"])
LARGE = st.tuples(
    st.just("acme"), st.sampled_from(list(Verb)), st.sampled_from(list(Duplicates)),
    st.lists(st.builds(lambda record, key: {**record, "id": key}, RECORD, KEYS), min_size=8, max_size=20),
)
SMALL = st.tuples(
    st.just("acme"), st.sampled_from(list(Verb)), st.sampled_from(list(Duplicates)),
    st.lists(st.builds(lambda record, key: {**record, "id": key}, RECORD, KEYS), min_size=1, max_size=2),
)


def products(*keys: str, title: str = "Mug") -> list[dict[str, object]]:
    """Return products with these keys."""
    return [{"id": key, "title": title} for key in keys]


LARGE_KEYS = [f"L{number}" for number in range(12)]


@pytest.fixture(params=KINDS)
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    """A shop whose batches of more than a few records are large."""
    with opened(request.param, "acme", **HOW) as shop:
        yield shop


def order_of_ends(shop: Shop, *batches: str) -> list[int]:
    """Return the places of batches in the order in which they have ended."""
    ended = [shop.engine.batch("acme", batch) for batch in batches]
    assert all(batch.state is State.FINISHED for batch in ended)
    return sorted(range(len(batches)), key=lambda at: ended[at].finished_at)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(("store", "examples"), EXAMPLES)
def test_the_end_is_that_of_one_by_one(store: str, examples: int) -> None:
    """Results of every record, the catalogue, and the changes of every item in order."""

    @settings(deadline=None, max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(batches=st.lists(st.one_of(LARGE, SMALL, SMALL, BATCH), min_size=2, max_size=7))
    def interleave(batches: list[tuple[str, Verb, Duplicates, list[dict[str, object]]]]) -> None:
        changes = []
        for passing in (1_000, 0):
            with opened(store, "acme", "other", passing_records_max=passing, **HOW) as shop:
                expected = Expected({"acme": {}, "other": {}})
                for batch in batches:
                    expected.send(shop, batch)
                shop.work()
                expected.check(shop)
                changes.append(changes_by_key(shop, expected))
        assert changes[0] == changes[1]

    interleave()


def changes_by_key(shop: Shop, expected: Expected) -> dict[str, list[tuple[object, ...]]]:
    """Return what happened to each item, in order."""
    numbers = {batch: at for at, (_, batch, _) in enumerate(expected.sent)}
    found = sorted(shop.store.changes("acme", after=None).changes, key=lambda change: (change.key, change.number))
    return {
        key: [(change.operation, numbers[change.batch or ""], change.record) for change in group]
        for key, group in groupby(found, key=lambda change: change.key)
    }


def test_a_small_batch_passes_between_two_chunks(shop: Shop) -> None:
    """Several do, in order; one that shares a key, in any case, waits, and so does what shares one with it."""
    large = shop.send(products(*LARGE_KEYS))
    passing = [shop.send(products("A")), shop.send(products("A", title="Cup"))]
    waiting = [shop.send(products("B", "l11")), shop.send(products("b", title="Cup"))]
    last = shop.send(products("C"))
    shop.work()
    batches = [large, *passing, *waiting, last]
    assert order_of_ends(shop, *batches) == [1, 2, 5, 0, 3, 4]
    results = [[str(row.result) for row in shop.results(batch)] for batch in batches[1:]]
    assert results == [["created"], ["updated"], ["created", "created"], ["created"], ["created"]]
    assert all(shop.engine.batch("acme", batch).started_at is not None for batch in batches)


def test_what_a_large_batch_has_behind_it_is_in_nobody_s_way(shop: Shop) -> None:
    """Only the records that are left count: those of the first chunk are applied already."""
    large = shop.send(products(*LARGE_KEYS))
    small = shop.send(products("L0", title="Cup"))
    shop.work()
    assert order_of_ends(shop, large, small) == [1, 0]
    assert shop.items()["L0"] == {"id": "L0", "title": "Cup"}


@pytest.mark.parametrize("policy", [
    {"mode": "full"}, {"dry_run": True}, {"hold_if": {"rejected": "50%"}}, {"references": "wait"},
])
def test_what_is_not_certain_never_passes_and_is_never_passed(shop: Shop, policy: dict[str, object]) -> None:
    """Neither as the large batch nor as the small one, nor as one between them."""
    large = shop.send(products(*LARGE_KEYS), **policy)
    small = shop.send(products("A"))
    shop.work()
    plain = shop.send(products(*LARGE_KEYS, title="Cup"))
    special = shop.send(products("B"), **policy)
    behind = shop.send(products("C"))
    shop.work()
    assert order_of_ends(shop, large, small, plain, special, behind) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("format", "head", "line"), [
    ("csv", b"sku,title\n", b"%s,Mug with a handle\n"), ("ndjson", b"", b'{"sku":"%s","title":"Mug"}\n'),
    ("ndjson", b"", b'{"title":"Mug","id":" %s "}\n'),
])
def test_keys_are_known_by_any_name(shop: Shop, format: str, head: bytes, line: bytes) -> None:
    """As the mapping of the batch reads them."""
    large = shop.send(head + b"".join(line % key.encode() for key in LARGE_KEYS), format=format)
    waiting, passing = shop.send(products("l11")), shop.send(products("A"))
    shop.work()
    assert order_of_ends(shop, large, waiting, passing) == [2, 0, 1]


def test_a_batch_passes_several_large_ones(shop: Shop) -> None:
    """If it shares a key with none of them; the second large one does not pass the first."""
    first, second = shop.send(products(*LARGE_KEYS)), shop.send(products(*(f"M{n}" for n in range(12))))
    waiting, passing = shop.send(products("M11")), shop.send(products("A"))
    shop.work()
    assert order_of_ends(shop, first, second, waiting, passing) == [3, 0, 1, 2]


def test_stock_passes_by_its_sku(shop: Shop) -> None:
    """Whatever the location: what shares a SKU waits."""
    records = [{"id": key, "quantity": 1, "location": "north"} for key in LARGE_KEYS]
    large = shop.send(records, kind=Kind.STOCK)
    waiting = shop.send([{"id": "L11", "quantity": 2, "location": "south"}], kind=Kind.STOCK)
    passing = shop.send([{"id": "A", "quantity": 2}], kind=Kind.STOCK)
    shop.work()
    assert order_of_ends(shop, large, waiting, passing) == [2, 0, 1]


def test_no_batch_passes_if_the_setting_says_so() -> None:
    """Nor one with more records than the setting, nor past more keys."""
    for setting in ({"passing_records_max": 0}, {"passing_keys_max": 1}):
        with opened("sqlite", "acme", **setting, **HOW) as shop:
            large, small = shop.send(products(*LARGE_KEYS)), shop.send(products("A"))
            shop.work()
            assert order_of_ends(shop, large, small) == [0, 1]


def test_a_worker_that_has_lost_the_lane_lets_nothing_pass(shop: Shop) -> None:
    """Its commit is refused, and the batch is worked once, by the worker that has the lane."""
    shop.send(products(*LARGE_KEYS))
    small = shop.send(products("A"))
    claim = shop.store.claim("w1", lease_seconds=0.01, rounds_max=1, bytes_max=SMALL_BYTES)
    assert claim is not None
    (behind,) = shop.store.rounds_behind(claim, limit=10)
    assert behind.batch == small
    threading.Event().wait(0.02)
    other = shop.store.claim("w2", lease_seconds=60, rounds_max=1, bytes_max=SMALL_BYTES)
    assert other is not None
    assert shop.store.rounds_behind(claim, limit=10) == []
    shop.store.start_behind(claim, [behind])
    with pytest.raises(LeaseLostError):
        shop.store.renew_claim(claim, lease_seconds=60)
    shop.store.release_claim(other)
    shop.work()
    assert [str(row.result) for row in shop.results(small)] == ["created"]


def test_a_cancelled_batch_passes_nothing(shop: Shop) -> None:
    """It ends as cancelled in its turn."""
    large, small = shop.send(products(*LARGE_KEYS)), shop.send(products("A"))
    shop.store.cancel("acme", small)
    shop.work()
    states = [shop.engine.batch("acme", batch).state for batch in (large, small)]
    assert states == [State.FINISHED, State.CANCELLED]
    assert "A" not in shop.items()
