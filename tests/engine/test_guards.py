"""Guards: a batch that looks wrong is held before anything of it is applied, and applied or discarded as somebody says.
"""

import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from goodsgate.engine.refusal import Refusal
from goodsgate.engine.saved_guards import check_guard, parse_conditions, save_guard
from goodsgate.model.batch import Batch, Kind, Result, State, Strictness, Verb
from goodsgate.model.diff import DiffChange, DiffSummary
from goodsgate.model.guard import CONDITIONS, Guard, HoldDecision
from goodsgate.model.journal import ChangeOperation, ItemContent
from tests import effort
from tests.engine.conftest import Opens
from tests.engine.test_dry_run_batches import POLICIES, RECORDS, brief
from tests.shop import Shop

ALWAYS = {"created": "1", "rejected": "1", "deleted": "1", "prices_falling": "1", "prices_rising": "1"}


def prices(*amounts: str) -> list[dict[str, object]]:
    """Return products with these prices."""
    return [{"id": f"P{at}", "title": "Cup", "price": f"{amount} EUR"} for at, amount in enumerate(amounts)]


def reasons(batch: Batch) -> list[str]:
    """Return the conditions that hold a batch."""
    return [reason.condition for reason in batch.hold.reasons] if batch.hold is not None else []


def outcome_of(shop: Shop, batch: str, collection: str) -> tuple[Any, ...]:
    """Return everything that a batch leaves behind."""
    found = shop.engine.batch("acme", batch)
    return (
        found.state, found.outcome, found.counts, found.warned, found.file_errors, found.withheld, found.total,
        found.reading, found.columns, shop.results(batch), shop.findings(batch), shop.engine.groups("acme", batch),
        shop.items(collection), [brief(each) for each in shop.store.batch_changes("acme", batch)],
    )


def test_a_guarded_batch_ends_as_one_without_guards(opens: Opens) -> None:
    """Whether nothing holds it, or it is held and approved; a discarded one changes nothing, and accounts for all."""
    shop = opens("acme", chunk_records_max=2)
    numbers = itertools.count()

    @settings(deadline=None, max_examples=effort.examples(18), phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(held=RECORDS, records=RECORDS, policy=POLICIES)
    def check(held: list[dict[str, object]], records: list[dict[str, object]], policy: dict[str, Any]) -> None:
        if policy["mode"] == "full":
            policy["verb"] = Verb.UPSERT
        number, ends = next(numbers), []
        for name, hold_if in (("plain", {}), ("guarded", {"created": "1000"}), ("held", ALWAYS)):
            collection = f"{name}{number}"
            shop.run(held, collection=collection)
            before, position = shop.items(collection), shop.store.journal_position("acme")
            batch = shop.run(records, collection=collection, hold_if=hold_if, **policy)
            if batch.state is State.HELD:
                assert (shop.items(collection), shop.store.journal_position("acme")) == (before, position)
                assert (batch.is_trial, bool(reasons(batch)), batch.position) == (True, True, 0)
                diff = [brief(each) for each in shop.store.diff("acme", batch.id)]
                results, findings = shop.results(batch.id), shop.findings(batch.id)
                shop.engine.approve("acme", batch.id)
                shop.work()
                after = shop.engine.batch("acme", batch.id)
                assert after.hold is not None
                assert (after.hold.decision, after.hold.changes_since) == (HoldDecision.APPROVED, 0)
                ended = outcome_of(shop, batch.id, collection)
                assert (diff, results, findings) == (ended[-1], ended[9], ended[10])
                assert [brief(each) for each in shop.store.diff("acme", batch.id)] == diff
            ends.append(outcome_of(shop, batch.id, collection))
        assert ends[0] == ends[1] == ends[2]

        collection = f"discarded{number}"
        shop.run(held, collection=collection)
        before, position = shop.items(collection), shop.store.journal_position("acme")
        batch = shop.run(records, collection=collection, hold_if=ALWAYS, **policy)
        if batch.state is State.HELD:
            shop.engine.discard("acme", batch.id)
            shop.work()
            after = shop.engine.batch("acme", batch.id)
            assert after.hold is not None
            assert (after.state, after.hold.decision) == (State.CANCELLED, HoldDecision.DISCARDED)
            assert (shop.items(collection), shop.store.journal_position("acme")) == (before, position)
            assert after.counts.rejected == batch.counts.rejected
            assert after.counts.rejected + after.counts.cancelled == after.total == batch.total
            found = [row.result for row in shop.results(batch.id)]
            assert set(found) <= {Result.REJECTED, Result.CANCELLED}
            assert found.count(Result.REJECTED) == after.counts.rejected

    check()


def test_the_lane_waits_in_order_behind_a_held_batch(opens: Opens) -> None:
    """Other lanes go on; a queued batch says what it waits for; one that may be passed is in nobody's way."""
    shop = opens("acme")
    shop.run(prices("3.00"))
    held = shop.send(prices("0.03"), hold_if={"prices_halved": "50%"})
    behind, stock = shop.send(prices("4.00")), shop.send([{"id": "P0", "quantity": 3}], kind=Kind.STOCK)
    shop.work()
    states = [shop.engine.batch("acme", each).state for each in (held, behind, stock)]
    assert states == [State.HELD, State.QUEUED, State.FINISHED]
    assert (shop.store.blocking_batch("acme", behind), shop.store.blocking_batch("acme", held)) == (held, None)
    assert shop.store.statistics()["rounds.held"] == 1
    shop.engine.approve("acme", held)
    assert shop.engine.batch("acme", held).state is State.QUEUED
    shop.work()
    assert shop.items()["P0"] == {"id": "P0", "title": "Cup", "price": "4.00 EUR"}
    (first,), (second,) = shop.store.batch_changes("acme", held), shop.store.batch_changes("acme", behind)
    assert first.number < second.number
    assert shop.store.blocking_batch("acme", behind) is None
    assert shop.store.statistics()["rounds.held"] == 0

    passed = shop.send(prices("0.04", "1.00"), hold_if={"prices_halved": "1"}, hold="pass")
    later = shop.run(prices("5.00"))
    assert (shop.engine.batch("acme", passed).state, later.state) == (State.HELD, State.FINISHED)
    shop.engine.approve("acme", passed)
    shop.work()
    after = shop.engine.batch("acme", passed)
    assert after.hold is not None
    assert (after.hold.changes_since, after.counts.superseded, after.counts.created) == (1, 1, 1)
    assert shop.items()["P0"] == {"id": "P0", "title": "Cup", "price": "5.00 EUR"}


def test_what_nobody_decides_about_is_discarded(opens: Opens) -> None:
    """After the hours of the guard; its records are accounted for, and the lane goes on."""
    shop = opens("acme")
    save_guard(shop.store, "acme", "new", Guard(hold_if={"created": "50%"}, hold_hours=1e-9))
    held = shop.run(prices("1.00", "2.00"))
    assert (held.state, held.counts.cancelled, shop.items()) == (State.CANCELLED, 2, {})
    assert held.hold is not None
    assert held.hold.decision is HoldDecision.EXPIRED
    assert held.hold.expires_at is not None
    assert held.hold.held_at is not None
    assert held.hold.expires_at - held.hold.held_at < timedelta(seconds=1)
    assert shop.store.statistics()["records.cancelled"] == 2


def test_a_decided_or_unheld_batch_refuses_decisions(opens: Opens) -> None:
    """And of a discarded one, nothing can be corrected, retried or reverted; cancelling a held batch discards it."""
    shop = opens("acme")
    plain = shop.run(prices("1.00"))
    held = shop.run([{"id": "A", "title": "T"}, {"id": "B"}], hold_if={"rejected": "50%"})
    with pytest.raises(Refusal, match="not held"):
        shop.engine.approve("acme", plain.id)
    with pytest.raises(Refusal, match="not finished"):
        shop.engine.retry("acme", held.id)
    shop.engine.cancel("acme", held.id)
    with pytest.raises(Refusal, match="not held"):
        shop.engine.approve("acme", held.id)
    shop.work()
    after = shop.engine.batch("acme", held.id)
    assert (after.state, after.counts.rejected, after.counts.cancelled) == (State.CANCELLED, 1, 1)
    assert b'"B"' in shop.report(held.id)
    for change in (shop.engine.retry, shop.engine.discard, shop.engine.revert):
        with pytest.raises(Refusal):
            change("acme", held.id)


def test_the_next_worker_goes_on_with_a_trial(opens: Opens) -> None:
    """Chunk by chunk, in its trial and after it."""
    shop = opens("acme", "other", chunk_records_max=2)
    records = prices(*(f"{at}.00" for at in range(1, 9)))
    batch = shop.send(records, hold_if={"created": "50%"})
    other = 0
    while shop.engine.batch("acme", batch).state is not State.HELD:
        other += 1
        shop.send([{"id": "X", "title": f"{other}"}], merchant="other")
        shop.worker.step()
    assert other > 2
    shop.engine.approve("acme", batch)
    shop.work()
    assert shop.engine.batch("acme", batch).counts.created == len(shop.items()) == 8


def test_a_retry_of_an_approved_batch_is_not_guarded(opens: Opens) -> None:
    """Rounds that people add are their decision; and the report of the trial is in nobody's way."""
    shop = opens("acme")
    held = shop.run([{"id": "A", "title": "T"}, {"id": "B"}], hold_if={"rejected": "1"})
    shop.engine.approve("acme", held.id)
    shop.work()
    shop.engine.retry("acme", held.id)
    shop.work()
    shop.fix(held.id, b"_row,id,title\n2,B,T\n", format="csv")
    shop.work()
    after = shop.engine.batch("acme", held.id)
    assert (after.state, after.counts.created, after.counts.rejected, after.total) == (State.FINISHED, 2, 0, 2)
    assert [each.result for each in shop.results(held.id)] == [Result.CREATED] * 2


CONDITION_CASES: list[tuple[dict[str, str], Any, tuple[float, float]]] = [
    ({"rejected": "30%"}, [{"id": "P0", "title": "Cup"}, {"id": "B"}], (1, 2)),
    ({"created": "2"}, prices("3.00", "9.00", "1.00", "1.00"), (2, 4)),
    ({"deleted": "30%"}, [{"id": "P0", "_verb": "delete"}], (1, 2)),
    ({"prices_falling": "1"}, prices("2.99", "9.00"), (1, 2)),
    ({"prices_rising": "1"}, prices("3.00", "9.01"), (1, 2)),
    ({"prices_halved": "50%"}, prices("0.03", "9.00"), (1, 2)),
    ({"prices_doubled": "50%"}, prices("300.00", "9.00"), (1, 2)),
    ({"price_fall_median": "10%"}, prices("2.00", "4.50"), (0.5, 1)),
    ({"price_rise_median": "200%"}, prices("300.00", "9.00"), (99, 1)),
    ({"zero_prices": "2"}, prices("0.00", "9.00", "0"), (2, 3)),
    ({"stock_to_zero": "50%"}, [{"id": "P0", "title": "Cup", "availability": "out_of_stock"}], (1, 1)),
    ({"file_errors": "1"}, b'[{"id": "P0", "title": "Cup"}, {"id": "P1", "tit', (1, 0)),
]


def test_conditions(tmp_path: Path) -> None:
    """Each counts what its name says; a batch that does not reach the limit is applied at once."""
    tested = {name for hold_if, _, _ in CONDITION_CASES for name in hold_if}
    assert {*CONDITIONS} - tested == {"fewer_records", "titles_emptied"}
    with Shop(tmp_path) as shop:
        for at, (hold_if, body, found) in enumerate(CONDITION_CASES):
            collection = f"c{at}"
            shop.run(prices("3.00", "9.00"), collection=collection)
            how = {"collection": collection, "format": "json" if isinstance(body, bytes) else "ndjson"}
            held = shop.run(body, hold_if=hold_if, **how)
            ((name, limit),) = hold_if.items()
            assert reasons(held) == [name], held
            assert held.hold is not None
            assert set(held.hold.figures) == set(CONDITIONS)
            figure = held.hold.figures[name]
            assert (figure.count, figure.whole) == pytest.approx(found, rel=0.02), name
            assert limit in held.hold.reasons[0].text
            shop.engine.discard("acme", held.id)
            higher = f"{float(limit[:-1]) * 500:g}%" if limit.endswith("%") else str(int(limit) + 1)
            applied = shop.run(body, hold_if={name: higher}, **how)
            assert (applied.state in (State.FINISHED, State.BROKEN), reasons(applied)) == (True, [])


def test_an_emptied_title_counts() -> None:
    """The schema of a protocol may allow it; a product with Goodsgate's own fields needs its title."""
    def content(title: str) -> ItemContent:
        return ItemContent(b'{"name": "%s"}' % title.encode(), None, None, ())

    summary = DiffSummary()
    summary.add([
        DiffChange(key=f"{at}", operation=ChangeOperation.UPDATED, before=content(before), after=content(after))
        for at, (before, after) in enumerate([("Cup", ""), ("Cup", "Mug"), ("", "Cup")])
    ], Kind.PRODUCT)
    assert summary.titles_emptied == 1


def test_fewer_records_than_usual(opens: Opens) -> None:
    """Against the median of the last batches like it: once there are three, and not against other feeds."""
    shop = opens("acme")
    guard = {"fewer_records": "50%"}
    for count in (10, 1, 8, 9):
        assert shop.run(prices(*["1.00"] * count), hold_if=guard).state is State.FINISHED
    held = shop.run(prices("1.00", "1.00", "1.00"), hold_if=guard)
    assert held.hold is not None
    assert [reason.text for reason in held.hold.reasons] == [
        "5.5 records fewer than usual, 64.71 % of 8.5 usual records; the submission holds a batch from 50% on."
    ]
    shop.engine.discard("acme", held.id)
    assert shop.run(prices("1.00"), hold_if=guard, verb=Verb.UPDATE).state is State.FINISHED


def test_guards_of_the_merchant(opens: Opens) -> None:
    """They are about a kind and a collection, add to what a submission says, and a dry run tells what they would do."""
    shop = opens("acme")
    guards = {
        "prices": Guard(hold_if={"prices_halved": "1%"}, collection="products"),
        "stock": Guard(hold_if={"created": "1"}, kind="stock"),
        "small": Guard(hold_if={"created": "1"}, records_min=3),
    }
    for name, guard in guards.items():
        save_guard(shop.store, "acme", name, guard)
    assert shop.run(prices("3.00")).state is State.FINISHED
    dry = shop.run(prices("0.03"), dry_run=True)
    assert (dry.state, reasons(dry)) == (State.FINISHED, ["prices_halved"])
    held = shop.run(prices("0.03"), hold_if={"prices_falling": "1"})
    assert held.hold is not None
    assert [(each.condition, each.guard) for each in held.hold.reasons] == [
        ("prices_halved", "prices"), ("prices_falling", None)
    ]
    shop.engine.discard("acme", held.id)
    assert shop.run(prices("3.00", "1.00"), collection="other").state is State.FINISHED
    assert shop.run([{"id": "P0", "quantity": 1}], kind=Kind.STOCK).state is State.HELD
    revert = shop.engine.revert("acme", shop.run(prices("3.00", "4.00")).id)
    shop.work()
    assert shop.engine.batch("acme", revert.id).state is State.FINISHED


def test_records_that_wait_do_not_count_as_rejected(opens: Opens) -> None:
    """They wait once the batch is applied; those of a discarded one do not."""
    shop = opens("acme")
    records = [{"id": "A", "title": "T", "brand": "Ort"}]
    waits: dict[str, Any] = {"references": Strictness.WAIT, "hold_if": {"rejected": "1", "created": "1"}}
    applied = shop.run(records, **waits)
    assert (applied.state, applied.counts.waiting, applied.is_trial) == (State.FINISHED, 1, False)
    held = shop.run([*records, {"id": "B", "title": "T"}], **waits)
    assert (held.state, held.counts.waiting, len(shop.store.waiting_for("acme", held.id))) == (State.HELD, 1, 0)
    shop.engine.discard("acme", held.id)
    shop.work()
    assert shop.engine.batch("acme", held.id).counts.cancelled == 2


@pytest.mark.parametrize(("text", "says"), [
    ("price_halved:1%", "did you mean prices_halved?"), ("rejected", "is not condition:limit"),
    ("rejected:0", "is no limit"), ("rejected:1.5", "is no limit"), ("rejected:-1%", "is no limit"),
    ("file_errors:1%", "it has no share"), ("price_fall_median:3", "is a share"), ("xyz:1", "There are: rejected,"),
])
def test_conditions_that_cannot_be_used(text: str, says: str) -> None:
    """Refused with what is wrong and the nearest name, of a submission and of a guard."""
    with pytest.raises(Refusal) as refusal:
        parse_conditions(text)
    assert (refusal.value.code, says in refusal.value.detail) == ("parameter_invalid", True), refusal.value.detail
    name, _, limit = text.partition(":")
    with pytest.raises(Refusal) as refusal:
        check_guard(Guard(hold_if={name: limit}))
    assert refusal.value.code == "guard_invalid"
    assert parse_conditions(" rejected : 10% , zero_prices:1,") == {"rejected": "10%", "zero_prices": "1"}
