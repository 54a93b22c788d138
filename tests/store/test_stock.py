"""Movements of stock as the store keeps them: shown, written and remembered in one transaction, beside any commit."""

import threading

import pytest

from goodsgate.model.batch import Kind, Result, State
from goodsgate.store.contract import Retention, StockChange, StockChangedError, StockLevels, StoreError
from tests.store.scene import Record, Scene, advanced, chunk_commit, digest

KEPT = Retention(
    payload_seconds=10**9, report_seconds=10**9, batch_seconds=10**9, answer_seconds=10**9, tombstone_seconds=10**9,
    stock_order_seconds=60,
)


def _held(scene: Scene, *keys: str, merchant: str = "acme") -> None:
    scene.seal(merchant, Kind.STOCK)
    scene.run([Record(key) for key in keys])


def _move(scene: Scene, order: str = "o", merchant: str = "acme", *, text: str = "moved", amount: int = 1,
          ends: bool = False, keys: tuple[str, ...] = ("A",)) -> StockLevels:
    """Give each item another text and another amount; what was shown."""
    shown: list[StockLevels] = []

    def change(standing: StockLevels) -> StockChange:
        shown.append(standing)
        documents = {key: Record(key, text=text).document for key in standing.documents}
        return StockChange(
            documents={key: (document, digest(document)) for key, document in documents.items()},
            reserved=dict.fromkeys(keys, amount), order_state=b'{"text":  "%b"}' % text.encode(), order_closed=ends,
        )

    scene.store.change_stock(merchant, "products", order=order, keys=keys, change=change)
    return shown[0]


def test_a_stock_change_receives_the_levels(scene: Scene) -> None:
    """Items that are held, what is reserved of them by all, and what is kept of the order alone."""
    _held(scene, "A", "B")
    assert _move(scene, keys=("A", "X")) == StockLevels(documents={"A": Record("A").document})
    moved = Record("A", text="moved").document
    assert _move(scene, "p", amount=3) == StockLevels(documents={"A": moved}, reserved={"A": 1})
    scene.reopen()
    assert _move(scene, amount=0, keys=("A", "X")) == StockLevels(
        documents={"A": moved}, reserved={"A": 3, "X": 1}, order_state=b'{"text":  "moved"}'
    )
    assert scene.store.stock_levels("acme", "products", ["A", "B", "X"]) == StockLevels(
        documents={"A": moved, "B": Record("B").document}
    )
    assert scene.store.stock_levels("bolt", "products", ["A"]) == StockLevels()
    assert scene.store.stock_levels("nobody", "products", ["A"]) == StockLevels()


def test_a_movement_that_is_refused_leaves_nothing(scene: Scene) -> None:
    """Of the order, too; and where nothing is held nothing can be moved."""
    _held(scene, "A")

    def refuse(standing: StockLevels) -> StockChange:
        raise KeyError(len(standing.documents))

    for collection, shown in (("products", 1), ("others", 0)):
        with pytest.raises(KeyError) as refused:
            scene.store.change_stock("acme", collection, order="o", keys=["A"], change=refuse)
        assert refused.value.args == (shown,)
    with pytest.raises(StoreError):
        scene.store.change_stock("acme", "others", order="o", keys=["A"],
            change=lambda _: StockChange(order_state=b"{}", order_closed=True))
    assert _move(scene).order_state is None


def test_a_chunk_is_refreshed_after_a_stock_change(scene: Scene) -> None:
    """Of what was looked up, that which it writes and that which it found unchanged; nothing of the first is there."""
    _held(scene, "A", "B")
    scene.seal(kind=Kind.STOCK)
    claim = scene.claimed()
    work = claim.rounds[0]
    scene.store.current_items("acme", Kind.STOCK, "products", ["A", "B"])
    _move(scene)
    first = chunk_commit(work, Record("B", Result.UPDATED, text="fed"), Record("A", Result.UNCHANGED),
        ends=State.FINISHED)
    with pytest.raises(StockChangedError):
        scene.store.commit(claim, [first])
    assert scene.batch(work.batch).state is State.WORKING
    shown = []

    def again() -> list[object]:
        shown.append(scene.store.current_items("acme", Kind.STOCK, "products", ["A", "B"],
            documents=True)["A"].document)
        records = (Record("B", Result.UPDATED, text="fed"), Record("A", Result.UPDATED, text="set"))
        return [chunk_commit(work, *records, ends=State.FINISHED)]

    scene.store.commit(claim, [first], refresh=again)  # type: ignore[arg-type]
    assert shown == [Record("A", text="moved").document]
    assert scene.held(kind=Kind.STOCK) == {
        "A": Record("A", text="set").document, "B": Record("B", text="fed").document
    }


def test_only_stock_that_was_looked_up_is_compared(scene: Scene) -> None:
    """Other items may move, and what was looked up for an earlier commit, or under an earlier claim."""
    _held(scene, "A", "B")
    scene.seal(kind=Kind.STOCK)
    claim = scene.claimed()
    work = claim.rounds[0]
    scene.store.current_items("acme", Kind.STOCK, "products", ["B"])
    _move(scene, "one")
    committed = chunk_commit(work, Record("B", Result.UNCHANGED))
    scene.store.commit(claim, [committed])
    scene.store.current_items("acme", Kind.STOCK, "products", ["A"])
    _move(scene, "two", text="again")
    scene.store.release_claim(claim)
    claim = scene.claimed()
    scene.store.commit(claim, [chunk_commit(advanced(work, committed), Record("A", Result.UPDATED),
        ends=State.FINISHED)])
    assert scene.held(kind=Kind.STOCK)["A"] == Record("A").document


def test_an_order_is_remembered_for_its_time(scene: Scene) -> None:
    """From its last movement; while it has anything reserved, for ever."""
    _held(scene, "A")
    _move(scene, "open", ends=False)
    _move(scene, "done", ends=True)
    scene.clock.forward(50)
    _move(scene, "late", ends=True)
    scene.clock.forward(11)
    assert scene.store.sweep(KEPT, steps_max=10).stock_orders == 1
    assert [_move(scene, order).order_state is None for order in ("open", "done", "late")] == [False, True, False]


def test_movements_of_one_item_wait_for_each_other(scene: Scene) -> None:
    """From several stores, as from several processes: each sees what those before it did."""
    _held(scene, "A")
    stores = [scene.open() for _ in range(4)]
    faults: list[BaseException] = []

    def count(at: int) -> None:
        def one_more(standing: StockLevels) -> StockChange:
            return StockChange(reserved={"A": standing.reserved.get("A", 0) + 1}, order_state=b"{}", order_closed=True)

        try:
            for turn in range(10):
                stores[at].change_stock("acme", "products", order=f"{at}-{turn}", keys=["A"], change=one_more)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=count, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert scene.store.stock_levels("acme", "products", ["A"]).reserved == {"A": 40}
