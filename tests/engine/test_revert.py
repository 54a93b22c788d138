"""Reverts: a batch is taken back, and nothing that came later is lost."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodsgate.engine import Refusal
from goodsgate.engine import revert as revert_module
from goodsgate.engine.revert import KeptItem, RevertPreview
from goodsgate.engine.stock import StockMovement, StockOperation
from goodsgate.model.batch import Batch, Kind, State, Verb
from goodsgate.model.journal import JOURNAL_START
from goodsgate.store.contract import Retention
from tests import effort
from tests.engine.conftest import Opens
from tests.shop import Shop

KEYS = "ABCD"


def _products(*values: tuple[str, object]) -> list[dict[str, object]]:
    return [{"id": key, "title": f"Product {value}", "price": "1.00 EUR"} for key, value in values]


def _titles(shop: Shop) -> dict[str, str]:
    return {key: str(item["title"])[8:] for key, item in shop.items().items()}  # type: ignore[index]


def _revert(shop: Shop, batch: Batch) -> Batch:
    reverting = shop.engine.revert("acme", batch.id)
    shop.work()
    return shop.engine.batch("acme", reverting.id)


def _counts(batch: Batch) -> dict[str, int]:
    counts = {name: getattr(batch.counts, name) for name in batch.counts.__struct_fields__}
    return {name: count for name, count in counts.items() if count}


def test_a_bad_batch_is_taken_back(shop: Shop) -> None:
    """Changed items are as before, new ones are gone, deleted ones are back; the preview has said so."""
    shop.run(_products(("A", 1), ("B", 1), ("C", 1), ("D", 1)))
    bad = shop.run(_products(("A", 2), ("B", 1), ("D", 2), ("E", 1)), mode="full", delete_share_max=1)
    shop.run(_products(("D", 3)))
    preview = shop.engine.preview_revert("acme", bad.id)
    assert preview == RevertPreview(
        restored=1, removed=1, recreated=1, kept=1, kept_items=[KeptItem("D", "changed_since")]
    )
    reverted = _revert(shop, bad)
    assert _titles(shop) == {"A": "1", "B": "1", "C": "1", "D": "3"}
    assert (reverted.state, reverted.total) == (State.FINISHED, 4)
    assert _counts(reverted) == {"created": 1, "updated": 1, "deleted": 1, "superseded": 1}
    assert [issue.code for each in shop.findings(reverted.id) for issue in each.issues] == ["changed_since"]
    assert reverted.policy.reverts == bad.id


def test_a_revert_can_be_reverted(shop: Shop) -> None:
    """And the result of that, too: each is a batch like any other, and in the journal."""
    shop.run(_products(("A", 1)))
    bad = shop.run(_products(("A", 2), ("B", 1)))
    first = _revert(shop, bad)
    assert _titles(shop) == {"A": "1"}
    second = _revert(shop, first)
    assert _titles(shop) == {"A": "2", "B": "1"}
    _revert(shop, second)
    assert _titles(shop) == {"A": "1"}
    changes = shop.store.changes("acme", after=JOURNAL_START).changes
    assert [change.batch for change in changes][3:5] == [first.id, first.id]


def test_several_changes_by_one_batch_are_one(shop: Shop) -> None:
    """Those of its chunks and of its fix; but what another batch has written between them stays."""
    shop.run(_products(("A", 1), ("B", 1)))
    records = [*_products(("A", 2), ("B", 2)), *({**each, "price": "x"} for each in _products(("C", 2)))]
    batch = shop.run(records)
    shop.run(_products(("B", 3)))
    shop.fix(batch.id, orjson.dumps({"_row": 3, **_products(("C", 4))[0]}), format="ndjson")
    shop.work()
    assert _titles(shop) == {"A": "2", "B": "3", "C": "4"}
    assert _counts(_revert(shop, batch)) == {"updated": 1, "deleted": 1, "superseded": 1}
    assert _titles(shop) == {"A": "1", "B": "3"}


def test_prices_changed_twice_in_a_file_go_back_to_the_first(opens: Opens) -> None:
    """However many chunks they are read in."""
    shop = opens(chunk_records_max=1)
    prices = [{"id": "A", "price": f"{price}.00 EUR"} for price in (1, 2, 3, 4)]
    shop.run(prices[:1], kind=Kind.PRICE)
    batch = shop.run(prices[1:], kind=Kind.PRICE)
    assert len(shop.store.batch_changes("acme", batch.id)) == 3
    assert _counts(_revert(shop, batch)) == {"updated": 1}
    assert shop.items(kind=Kind.PRICE)["A"] == {"id": "A", "price": "1.00 EUR"}


def test_versions_go_back_too(shop: Shop) -> None:
    """So that the mended feed of the same day is newer than what is there; a later stamp alone stays."""
    def stamped(title: int, version: int) -> list[dict[str, object]]:
        return [{**_products(("A", title))[0], "version_number": version}]

    shop.run(stamped(1, 1))
    bad = shop.run(stamped(2, 5))
    _revert(shop, bad)
    assert _counts(shop.run(stamped(3, 5))) == {"updated": 1}
    bad = shop.run(stamped(4, 6))
    shop.run(stamped(4, 9))
    assert _counts(_revert(shop, bad)) == {"updated": 1}
    assert _titles(shop) == {"A": "3"}
    assert _counts(shop.run(stamped(5, 8))) == {"superseded": 1}


def test_stock_that_orders_have_moved_stays(shop: Shop) -> None:
    """And is told apart from what batches have changed."""
    shop.run([{"id": "A", "quantity": 10}, {"id": "B", "quantity": 10}], kind=Kind.STOCK)
    bad = shop.run([{"id": "A", "quantity": 100}, {"id": "B", "quantity": 100}], kind=Kind.STOCK)
    for verb in (StockOperation.RESERVE, StockOperation.COMMIT):
        shop.engine.stock.move("acme", "products", StockMovement(order="o", verb=verb, lines={"A": 1}))
    preview = shop.engine.preview_revert("acme", bad.id)
    assert (preview.restored, preview.kept, preview.stock_moved) == (1, 1, 1)
    reverted = _revert(shop, bad)
    assert shop.items(kind=Kind.STOCK) == {"A": {"id": "A", "quantity": 99}, "B": {"id": "B", "quantity": 10}}
    assert shop.codes(reverted.id) == {1: ["stock_moved_since"]}


def test_a_revert_is_worked_in_chunks_and_goes_on_where_it_stopped(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another worker, too."""
    monkeypatch.setattr(revert_module, "CHANGES_PER_CHUNK", 3)
    bad = shop.run(_products(*((f"K{at}", 1) for at in range(20))))
    shop.engine.revert("acme", bad.id)
    other = shop.send(_products(("Z", 1)), merchant="acme", kind=Kind.PRODUCT, collection="other")
    steps = 0
    while shop.worker.step():
        steps += 1
        shop.worker._open.clear()
    assert shop.items() == {}
    assert shop.engine.batch("acme", other).state is State.FINISHED


def test_what_cannot_be_reverted_is_refused(shop: Shop) -> None:
    """With the reason."""
    def refused(batch: str) -> str:
        with pytest.raises(Refusal) as preview:
            shop.engine.preview_revert("acme", batch)
        with pytest.raises(Refusal) as revert:
            shop.engine.revert("acme", batch)
        assert preview.value.code == revert.value.code
        return revert.value.code

    assert refused("0" * 32) == "batch_unknown"
    first = shop.send(_products(("A", 1)))
    assert refused(first) == "batch_open"
    shop.work()
    same = shop.run(_products(("A", 1)))
    assert refused(same.id) == "nothing_changed"
    day = 86_400
    shop.store.sweep(Retention(
        payload_seconds=day, report_seconds=day, batch_seconds=day, answer_seconds=day, tombstone_seconds=day,
        journal_seconds=0,
    ), steps_max=10)
    assert refused(first) == "journal_gone"


def test_the_report_of_a_revert_lists_its_items(shop: Shop) -> None:
    """With results and issues."""
    bad = shop.run(_products(("A", 1), ("B", 1)))
    shop.run(_products(("B", 2)))
    reverted = _revert(shop, bad)
    lines = [orjson.loads(line) for line in shop.report(reverted.id, only="all").splitlines()]
    assert [(line["key"], line["_result"], line["_codes"]) for line in lines] == [
        ("A", "deleted", []), ("B", "superseded", ["changed_since"]),
    ]


Step = tuple[str, Any]
VALUES = st.dictionaries(st.sampled_from(KEYS), st.integers(1, 3), min_size=1)
STEPS = st.one_of(
    st.tuples(st.just("write"), VALUES), st.tuples(st.just("delete"), st.sets(st.sampled_from(KEYS), min_size=1)),
    st.tuples(st.just("full"), VALUES), st.tuples(st.just("revert"), st.integers(0, 9)),
)


class Model:
    """What reverts mean: each item has a history, and a batch takes back its own last changes in a row."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.history: dict[str, list[tuple[int, int | None]]] = {key: [] for key in KEYS}
        """By key: the batch that made a change, and what was before."""

    def change(self, batch: int, key: str, value: int | None) -> None:
        """Change one item, if that is a change."""
        before = self.values.get(key)
        if before == value:
            return
        self.history[key].append((batch, before))
        if value is None:
            del self.values[key]
        else:
            self.values[key] = value

    def revert(self, batch: int, reverted: int) -> None:
        """Take a batch back."""
        for key, history in self.history.items():
            own = list(_last_in_a_row(history, reverted))
            if own:
                self.change(batch, key, own[-1])


def _last_in_a_row(history: list[tuple[int, int | None]], batch: int) -> Iterator[int | None]:
    for by, before in reversed(history):
        if by != batch:
            return
        yield before


def test_batches_and_reverts_in_any_order_equal_a_model(opens: Opens) -> None:
    """Also reverts of reverts, again and again."""
    with opens() as shop:
        numbers = iter(range(10**6))

        @settings(max_examples=effort.examples(25), deadline=None, suppress_health_check=[*HealthCheck])
        @given(st.lists(STEPS, min_size=2, max_size=9))
        def walk(steps: list[Step]) -> None:
            collection, model, batches = f"c{next(numbers)}", Model(), list[str]()
            for what, how in steps:
                number = len(batches)
                if what == "revert":
                    if not batches:
                        continue
                    reverted = how % len(batches)
                    model.revert(number, reverted)
                    try:
                        batches.append(shop.engine.revert("acme", batches[reverted]).id)
                    except Refusal as refusal:
                        assert refusal.code == "nothing_changed"  # noqa: PT017 - most reverts are not refused
                        batches.append(batches[reverted])
                        continue
                elif what == "delete":
                    for key in how:
                        model.change(number, key, None)
                    batches.append(shop.send([{"id": key} for key in how], collection=collection, verb=Verb.DELETE))
                else:
                    for key in set(KEYS) - how.keys() if what == "full" else ():
                        model.change(number, key, None)
                    for key, value in how.items():
                        model.change(number, key, value)
                    mode = {"mode": "full", "delete_share_max": 1} if what == "full" else {}
                    batches.append(shop.send(_products(*how.items()), collection=collection, **mode))
                shop.work()
                titles = {key: str(item["title"])[8:] for key, item in shop.items(collection).items()}  # type: ignore[index]
                assert titles == {key: str(value) for key, value in model.values.items()}

        walk()
