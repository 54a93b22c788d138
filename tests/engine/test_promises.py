"""Fairness, faults of our own, and what happens when the store refuses."""

from collections.abc import Sequence
from typing import Any

import pytest

from goodsgate.app import create_worker
from goodsgate.engine.scheduling import REMOVED_KEYS
from goodsgate.model.batch import Kind, Outcome, State, Verb
from goodsgate.store.contract import BatchFilter, ChunkCommit, Claim, StoreFullError
from tests.engine.conftest import Opens
from tests.factories import product, products
from tests.shop import Shop, ndjson


class Failing:
    """A store whose commits fail; everything else is the real one."""

    def __init__(self, store: Any, *, poison: str = "", full_times: int = 0) -> None:
        self._store = store
        self._poison = poison
        self._full_times = full_times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, claim: Claim, commits: Sequence[ChunkCommit]) -> None:
        """Fail on the poisonous key, as a bug would."""
        if self._full_times:
            self._full_times -= 1
            raise StoreFullError("no room")
        if any(write.key == self._poison for commit in commits for write in commit.writes):
            raise RuntimeError("boom")
        self._store.commit(claim, commits)


def test_a_long_batch_delays_other_merchants_by_at_most_two_chunks(opens: Opens) -> None:
    """20 merchants with small batches are served between two chunks of a long one."""
    small = [f"m{n}" for n in range(20)]
    shop = opens("acme", *small, chunk_records_max=10)
    long = shop.send(products(*range(1000)))
    shop.worker.step()
    done = shop.engine.batch("acme", long).counts.accounted
    sent = {merchant: shop.send(products(1, 2), merchant=merchant) for merchant in small}
    for _ in range(2 * len(small) + 2):
        shop.worker.step()
    assert all(shop.engine.batch(merchant, batch).outcome is Outcome.CLEAN for merchant, batch in sent.items())
    between = shop.engine.batch("acme", long).counts.accounted - done
    assert between <= 10 * (len(small) + 2)
    shop.work()
    assert shop.engine.batch("acme", long).counts.created == 1000


def test_content_price_and_stock_do_not_wait_for_each_other(opens: Opens) -> None:
    """Each kind has a lane of its own."""
    shop = opens("acme", chunk_records_max=10)
    long = shop.send(products(*range(200)))
    stock = shop.send([{"id": "A", "quantity": 1}], kind=Kind.STOCK)
    for _ in range(2):
        shop.worker.step()
    assert shop.engine.batch("acme", stock).outcome is Outcome.CLEAN
    assert shop.engine.batch("acme", long).state is State.WORKING


def test_the_deletions_of_a_full_feed_give_way_and_can_be_cancelled(opens: Opens) -> None:
    """Page by page: another merchant is served between two, and a cancel leaves the rest held."""
    shop = opens("acme", "other")
    shop.run([{"id": f"S-{n}", "title": "T"} for n in range(REMOVED_KEYS + 500)])
    shop.run(products(2), merchant="other")  # so that the other was served last
    full = shop.send([{"id": "S-0", "title": "T"}], mode="full", delete_share_max=1.0)
    other = shop.send(products(1), merchant="other")
    shop.worker.step()
    assert shop.engine.batch("acme", full).counts.deleted == REMOVED_KEYS
    assert shop.engine.batch("acme", full).state is State.WORKING
    shop.worker.step()
    assert shop.engine.batch("other", other).outcome is Outcome.CLEAN
    shop.engine.cancel("acme", full)
    shop.work()
    ended = shop.engine.batch("acme", full)
    assert (ended.state, ended.counts.deleted, ended.total) == (State.CANCELLED, REMOVED_KEYS, REMOVED_KEYS + 1)
    assert len(shop.items()) == 500


def test_a_waiting_batch_knows_its_position(shop: Shop) -> None:
    """Rounds of its lane before it."""
    sent = [shop.send(products(n)) for n in range(3)]
    assert [shop.engine.batch("acme", batch).position for batch in sent] == [0, 1, 2]
    shop.work()
    assert shop.engine.batch("acme", sent[2]).position is None


def test_many_small_batches_are_committed_together(shop: Shop) -> None:
    """One claim, one transaction, each batch with its own counts."""
    sent = [shop.send(products(n, n + 1)) for n in range(30)]
    shop.worker.step()
    batches = [shop.engine.batch("acme", batch) for batch in sent]
    assert all(batch.state is State.FINISHED for batch in batches)
    assert [batch.counts.created for batch in batches] == [2] + [1] * 29
    assert [batch.counts.unchanged for batch in batches] == [0] + [1] * 29


@pytest.mark.parametrize("first", [Verb.UPSERT, Verb.CREATE, Verb.DELETE])
def test_an_update_keeps_its_item_beside_batches_with_another_verb(shop: Shop, first: Verb) -> None:
    """Those that are committed together need not have one policy: the documents are looked up for each."""
    shop.run([{"id": "A", "title": "Cup", "price": "1.00 EUR"}])
    shop.send(ndjson([{"id": "B", "title": "Bowl"}]), verb=first)
    shop.send(ndjson([{"id": "A", "title": "Mug"}]), verb=Verb.UPDATE)
    shop.work()
    assert shop.items()["A"] == {"id": "A", "title": "Mug", "price": "1.00 EUR"}


def test_other_merchants_are_served_between_two_groups(opens: Opens) -> None:
    """The first two rounds of the lane, then the other merchant's, then all the others at once."""
    shop = opens("acme", "other", claim_rounds_max=2)
    mine = [shop.send(products(n)) for n in range(7)]
    theirs = shop.send(products(1), merchant="other")
    ended = []
    for _ in range(3):
        shop.worker.step()
        states = [shop.engine.batch("acme", batch).state for batch in mine]
        ended.append((states.count(State.FINISHED), shop.engine.batch("other", theirs).state is State.FINISHED))
    assert ended == [(2, False), (2, True), (7, True)]


def test_a_batch_is_cancelled_between_two_groups(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for while the first is committed."""
    shop = opens("acme", claim_rounds_max=2)
    sent = [shop.send(products(n)) for n in range(6)]
    commit = shop.store.commit

    def cancel_and_commit(*args: Any, **named: Any) -> None:
        shop.store.cancel("acme", sent[4])
        commit(*args, **named)

    monkeypatch.setattr(shop.store, "commit", cancel_and_commit)
    shop.work()
    states = [shop.engine.batch("acme", batch).state for batch in sent]
    assert states == [State.FINISHED] * 4 + [State.CANCELLED] + [State.FINISHED]


@pytest.mark.parametrize("poison", [0, 1, 2, 5, 6])
def test_a_faulty_group_does_not_delay_others(opens: Opens, poison: int) -> None:
    """Whether it is the first of a claim or one behind; its other batches are worked one by one."""
    shop = opens("acme", claim_rounds_max=2)
    shop.worker = create_worker(Failing(shop.store, poison=f"SKU-{poison:04d}"), shop.config, "worker-1")
    sent = [shop.send(products(n)) for n in range(7)]
    shop.work()
    found = [shop.codes(batch) for batch in sent]
    assert found == [{1: ["internal_fault"]} if n == poison else {} for n in range(7)]
    assert len(shop.items()) == 6


@pytest.mark.parametrize("poison", [0, 7, 24])
@pytest.mark.parametrize("together", [False, True])
def test_a_record_that_causes_a_fault_is_isolated_and_rejected(opens: Opens, poison: int, together: bool) -> None:
    """By bisection; its neighbours are applied and the batch ends."""
    shop = opens("acme")
    shop.worker = create_worker(Failing(shop.store, poison=f"SKU-{poison:04d}"), shop.config, "worker-1")
    batch = shop.send(products(*range(25)))
    other = shop.send(products(50)) if together else None
    shop.work()
    ended = shop.engine.batch("acme", batch)
    assert (ended.counts.created, ended.counts.rejected) == (24, 1)
    assert shop.codes(batch) == {poison + 1: ["internal_fault"]}
    assert shop.store.rejected_records("acme", batch)[0].raw
    if other:
        assert shop.engine.batch("acme", other).outcome is Outcome.CLEAN


def test_a_full_store_stops_the_work_and_loses_nothing(opens: Opens) -> None:
    """The batch stays where it was and goes on when there is room."""
    shop = opens("acme", chunk_records_max=10)
    shop.worker = create_worker(Failing(shop.store, full_times=2), shop.config, "worker-1")
    batch = shop.send(products(*range(30)))
    for _ in range(2):
        with pytest.raises(StoreFullError):
            shop.worker.step()
    assert shop.engine.batch("acme", batch).counts.accounted == 0
    shop.work()
    assert shop.engine.batch("acme", batch).counts.created == 30


def test_a_payload_that_cannot_be_opened_breaks_its_batch_alone(shop: Shop) -> None:
    """Bytes that are no gzip, and the batch behind it."""
    broken = shop.send(b"this is not gzip", content_encoding="gzip")
    fine = shop.send(products(1))
    shop.work()
    assert shop.engine.batch("acme", broken).state is State.BROKEN
    assert shop.codes(broken)[0] == ["payload_corrupt"]
    assert shop.engine.batch("acme", fine).outcome is Outcome.CLEAN


def test_a_file_without_records_is_reported(shop: Shop) -> None:
    """A header alone."""
    batch = shop.run(b"id,title\n", format="csv")
    assert batch.total == 0
    assert shop.codes(batch.id)[0] == ["payload_empty"]
    assert batch.outcome is Outcome.REJECTED
    assert [each.id for each in shop.store.batches("acme", BatchFilter(outcome="rejected"), limit=5).rows] == [batch.id]


def test_wide_and_strange_records_do_not_stop_a_batch(shop: Shop) -> None:
    """Lone surrogates, deep nesting, huge numbers, NUL: each is one rejected record."""
    deep = b'{"id":"D","title":"T","x":' + b"[" * 60 + b"]" * 60 + b"}"
    lines = [
        b'{"id":"\\ud800","title":"T"}', deep, b'{"id":"N","title":"T","version_number":1e400}',
        b'{"id":"Z","title":"a\x00b"}', b"[1,2]", b"null",
    ]
    batch = shop.run(b"\n".join([*lines, b'{"id":"OK","title":"T"}']))
    assert (batch.counts.created, batch.counts.rejected) == (1, len(lines))
    assert list(shop.items()) == ["OK"]
    assert len(shop.report(batch.id).splitlines()) == len(lines)


def test_totals_only_grow(shop: Shop) -> None:
    """Records by result and rounds by outcome, counted in the transaction that commits them, fixes included."""
    batch = shop.run([product(1), product(2, title=None)])
    shop.run(products(3))
    shop.fix(batch.id, b"_row,id,title\n2,SKU-0002,Belt\n", format="csv")
    shop.work()
    figures = shop.store.statistics()
    assert {name: figures[name] for name in figures if name.startswith(("records.", "rounds_ended."))} == {
        "records.created": 3, "records.rejected": 1, "rounds_ended.partial": 1, "rounds_ended.clean": 2,
    }


def test_no_issue_is_lost_when_a_product_is_bad_all_over(shop: Shop) -> None:
    """All issues of one record, in one answer."""
    bad = product(1, id="x" * 99, title="T" * 151, price="12,50", gtin="8.41E+12", link="shop", condition="old")
    batch = shop.run([bad])
    fields = {issue.path for finding in shop.findings(batch.id) for issue in finding.issues}
    assert {"/id", "/title", "/price", "/gtin", "/link", "/condition"} <= fields
