"""The journal: what every store writes of the changes of its items."""

import msgspec
import pytest

from goodsgate.model.batch import Kind, Result, State
from goodsgate.model.catalogue import Delete
from goodsgate.model.journal import JOURNAL_START, ChangeOperation, ItemChange, JournalPosition
from goodsgate.store.contract import (
    INDEX_VALUE_MAX,
    JournalPositionError,
    Retention,
    StockChange,
    StockLevels,
)
from goodsgate.store.shared import journal
from tests.store.scene import Record, Scene, advanced, chunk_commit, digest

UPDATED, UNCHANGED, DELETED = Result.UPDATED, Result.UNCHANGED, Result.DELETED
DAY = 86_400
RETENTION = Retention(
    payload_seconds=DAY, report_seconds=DAY, batch_seconds=DAY, answer_seconds=DAY, tombstone_seconds=DAY,
    journal_seconds=DAY,
)


def brief(change: ItemChange) -> tuple[str, str, object, object]:
    """Return key, operation and the texts before and after."""
    before, after = (each.document if each is not None else None for each in (change.before, change.after))
    return change.key, change.operation.value, before, after


def text(value: str, key: str = "A") -> bytes:
    """Return the document of a record."""
    return Record(key, text=value).document


def test_every_change_is_in_the_journal_once(scene: Scene) -> None:
    """With what was before, in the order of the commits; what is unchanged is not."""
    first = scene.seal()
    scene.run([Record("B", text="1"), Record("A", text="1")], [Record("C", text="1")])
    second = scene.seal()
    scene.run([Record("A", UPDATED, "2"), Record("B", UNCHANGED, "1"), Record("C", DELETED)])
    page = scene.store.changes("acme", after=JOURNAL_START)
    assert [brief(change) for change in page.changes] == [
        ("A", "created", None, text("1")), ("B", "created", None, text("1", "B")),
        ("C", "created", None, text("1", "C")), ("A", "updated", text("1"), text("2")),
        ("C", "deleted", text("1", "C"), None),
    ]
    assert [change.number for change in page.changes] == [1, 2, 3, 4, 5]
    assert [change.batch for change in page.changes] == [first] * 3 + [second] * 2
    assert (page.is_last, page.position) == (True, scene.store.journal_position("acme"))
    assert scene.store.journal_position("bolt") == JOURNAL_START
    assert scene.store.changes("bolt", after=JOURNAL_START).changes == []


def test_a_page_goes_on_where_the_last_one_ended(scene: Scene) -> None:
    """Also in the middle of a segment, and past what other collections have changed."""
    scene.seal()
    scene.run([Record(f"K{at}", text="1") for at in range(7)])
    scene.seal(collection="spring")
    scene.run([Record("S", text="1")])
    scene.seal(kind=Kind.PRICE)
    scene.run([Record("P", text="1")])
    position, keys = JOURNAL_START, []
    while True:
        page = scene.store.changes("acme", after=position, limit=3)
        keys += [change.key for change in page.changes]
        position = page.position
        if page.is_last:
            break
    assert keys == [*(f"K{at}" for at in range(7)), "S", "P"]
    spring = scene.store.changes("acme", after=JOURNAL_START, kind=Kind.PRODUCT, collection="spring")
    assert ([change.key for change in spring.changes], spring.position) == (["S"], position)
    nothing = scene.store.changes("acme", after=JOURNAL_START, collection="autumn")
    assert (nothing.changes, nothing.position, nothing.is_last) == ([], position, True)


def test_chunks_of_one_commit_see_each_other(scene: Scene) -> None:
    """As if they had been committed one by one."""
    batches = [scene.seal() for _ in range(3)]
    claim = scene.claimed(works=3)
    results = [Result.CREATED, UPDATED, DELETED]
    commits = [
        chunk_commit(work, Record("A", result, value), ends=State.FINISHED)
        for work, result, value in zip(claim.rounds, results, "123", strict=True)
    ]
    scene.store.commit(claim, commits)
    page = scene.store.changes("acme", after=JOURNAL_START)
    assert [brief(change)[1:] for change in page.changes] == [
        ("created", None, text("1")), ("updated", text("1"), text("2")), ("deleted", text("2"), None),
    ]
    assert [change.batch for change in page.changes] == batches
    newest = scene.store.item_history("acme", Kind.PRODUCT, "products", "A").changes
    assert [change.number for change in newest] == [3, 2, 1]


def test_a_change_names_record_and_row(scene: Scene) -> None:
    """Of the record that made it."""
    scene.seal()
    claim = scene.claimed()
    commit = chunk_commit(claim.rounds[0], Record("A"), Record("B"), ends=State.FINISHED)
    scene.store.commit(claim, [msgspec.structs.replace(commit, origins={"A": (1, 2), "B": (2, 7)})])
    changes = scene.store.changes("acme", after=JOURNAL_START).changes
    assert [(change.record, change.row) for change in changes] == [(1, 2), (2, 7)]


def test_a_new_version_alone_is_no_change(scene: Scene) -> None:
    """The item keeps the batch and the time of its last change."""
    first = scene.seal()
    scene.run([Record("A", version=1)])
    before = scene.store.item("acme", Kind.PRODUCT, "products", "A")
    scene.seal()
    scene.run([Record("A", UPDATED, version=2)])
    item = scene.store.item("acme", Kind.PRODUCT, "products", "A")
    assert before is not None
    assert item is not None
    assert (item.version, item.batch, item.written_at) == (2, first, before.written_at)
    assert scene.store.journal_position("acme").number == 1


def test_versions_and_index_entries_are_kept(scene: Scene) -> None:
    """So that a change can be undone."""
    scene.seal()
    claim = scene.claimed()
    commit = chunk_commit(claim.rounds[0], Record("A", version=5), ends=State.FINISHED)
    entries = (("slug", "a"), ("slug", INDEX_VALUE_MAX))
    writes = [msgspec.structs.replace(write, index_entries=entries, field_state="{}") for write in commit.writes]
    scene.store.commit(claim, [msgspec.structs.replace(commit, writes=writes)])
    scene.store.release_claim(claim)
    scene.seal()
    scene.run([Record("A", DELETED, version=6)])
    created, deleted = scene.store.changes("acme", after=JOURNAL_START).changes
    assert created.after is not None
    assert deleted.before is not None
    for content in (created.after, deleted.before):
        assert (content.version, content.field_state, content.index_entries) == (5, "{}", entries)


def test_a_reader_may_begin_with_the_oldest_change(scene: Scene) -> None:
    """Also when older ones were removed, and all of them."""
    assert scene.store.changes("acme", after=None).position == JOURNAL_START
    scene.seal()
    scene.run([Record("A"), Record("B")])
    position = scene.store.journal_position("acme")
    scene.clock.forward(2 * DAY)
    scene.seal()
    scene.run([Record("C")])
    assert [change.key for change in scene.store.changes("acme", after=None).changes] == ["A", "B", "C"]
    scene.store.sweep(RETENTION, steps_max=10)
    assert [change.key for change in scene.store.changes("acme", after=None).changes] == ["C"]
    assert [change.key for change in scene.store.changes("acme", after=position).changes] == ["C"]
    scene.clock.forward(2 * DAY)
    scene.store.sweep(RETENTION, steps_max=10)
    page = scene.store.changes("acme", after=None)
    assert (page.changes, page.position) == ([], scene.store.journal_position("acme"))
    scene.seal()
    scene.run([Record("D")])
    assert [change.key for change in scene.store.changes("acme", after=page.position).changes] == ["D"]


def test_a_snapshot_and_the_changes_behind_it_are_the_items(scene: Scene) -> None:
    """However much is written while the snapshot is read: it is one state, and misses and repeats nothing."""
    scene.seal()
    scene.run([Record(key, text="1") for key in ("A", "a", "B", "C", "D")])
    items: dict[str, bytes] = {}
    with scene.store.item_snapshot("acme", Kind.PRODUCT, "products", page_items=2) as snapshot:
        for page in snapshot.pages:
            items.update((item.key, item.document) for item in page)
            scene.seal()
            scene.run([Record("A", UPDATED, f"2 {len(items)}"), Record(f"D{len(items)}"), Record(f"A{len(items)}")])
    assert items == {key: text("1", key) for key in ("A", "a", "B", "C", "D")}
    for change in scene.store.changes("acme", after=snapshot.position).changes:
        if change.operation is ChangeOperation.CREATED:
            assert change.key not in items
        else:
            assert change.before is not None
            assert items[change.key] == change.before.document
        assert change.after is not None
        items[change.key] = change.after.document
    page = scene.store.items("acme", Kind.PRODUCT, "products")
    assert items == {item.key: item.document for item in page.rows}
    assert len(items) == 5 + 2 * 3


@pytest.mark.parametrize("merchant", ["acme", "nobody"])
def test_a_snapshot_of_nothing_is_empty(scene: Scene, merchant: str) -> None:
    """Of a collection that does not exist, and of a merchant."""
    with scene.store.item_snapshot(merchant, Kind.STOCK, "none", page_items=2) as snapshot:
        assert [*snapshot.pages] == []
    assert snapshot.position == JOURNAL_START


def test_the_history_of_an_item_goes_back_page_by_page(scene: Scene) -> None:
    """Through a deletion, too; other items have their own."""
    for value in "123":
        scene.seal()
        scene.run([Record("A", text=value), Record("a", text=value)])
    scene.seal()
    scene.run([Record("A", DELETED)])
    scene.seal()
    scene.run([Record("A", text="4")])
    operations, at = [], None
    while at != 0:
        history = scene.store.item_history("acme", Kind.PRODUCT, "products", "A", at=at, limit=2)
        operations += [brief(change)[1] for change in history.changes]
        at = history.next
    assert operations == ["created", "deleted", "updated", "updated", "created"]
    assert scene.store.item_history("acme", Kind.PRODUCT, "products", "B").changes == []
    assert scene.store.item_history("acme", Kind.PRICE, "products", "A").changes == []
    assert scene.store.item_history("bolt", Kind.PRODUCT, "products", "A").changes == []


def test_the_changes_of_a_batch_are_found(scene: Scene) -> None:
    """Page by page, with the times at which they were written."""
    first = scene.seal()
    scene.run([Record("A"), Record("B")], [Record("C")])
    scene.seal()
    scene.run([Record("D")])
    assert [change.key for change in scene.store.batch_changes("acme", first)] == ["A", "B", "C"]
    assert [change.key for change in scene.store.batch_changes("acme", first, after=1, limit=1)] == ["B"]
    assert scene.store.batch_changes("bolt", first) == []
    found = scene.store.batch_journal("acme", first)
    times = {change.written_at for change in scene.store.batch_changes("acme", first)}
    assert (found.changes, found.written_at, found.swept_at) == (3, times, 0)
    assert len(times) == 2
    assert scene.store.batch_journal("acme", "nothing").changes == 0


def test_many_and_long_changes_are_split_into_segments(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sees where one segment ends."""
    monkeypatch.setattr(journal, "SEGMENT_CHANGES_MAX", 3)
    monkeypatch.setattr(journal, "SEGMENT_BYTES_MAX", 2_000)
    batch = scene.seal()
    records = [Record(f"K{at:02}", text="x" * (at * 100 + 1)) for at in range(20)]
    scene.run(records[:10], records[10:])
    scene.seal()
    scene.run([Record(f"K{at:02}", UPDATED, "y" * (at * 100 + 1)) for at in range(20)])
    changes = scene.store.changes("acme", after=JOURNAL_START, limit=100).changes
    assert [change.key for change in changes] == [record.key for record in records] * 2
    assert [change.number for change in changes] == [*range(1, 41)]
    assert [change.key for change in scene.store.batch_changes("acme", batch)] == [record.key for record in records]
    for record in records:
        assert record.key is not None
        history = scene.store.item_history("acme", Kind.PRODUCT, "products", record.key)
        assert [change.operation for change in history.changes] == [ChangeOperation.UPDATED, ChangeOperation.CREATED]


def test_a_position_that_the_journal_does_not_have_is_refused(scene: Scene) -> None:
    """One past its end, one of another time line, and one whose changes were removed."""
    scene.seal()
    scene.run([Record("A"), Record("B")])
    position = scene.store.journal_position("acme")
    for other in (JournalPosition(3, position.written_at), JournalPosition(1, position.written_at - 1)):
        with pytest.raises(JournalPositionError) as unknown:
            scene.store.changes("acme", after=other)
        assert unknown.value.reason == "unknown"
    scene.clock.forward(2 * DAY)
    scene.seal()
    scene.run([Record("C")])
    assert scene.store.sweep(RETENTION, steps_max=10).changes == 1
    with pytest.raises(JournalPositionError) as expired:
        scene.store.changes("acme", after=JOURNAL_START)
    assert expired.value.reason == "expired"
    assert [change.key for change in scene.store.changes("acme", after=position).changes] == ["C"]
    assert scene.store.sweep(RETENTION, steps_max=10).changes == 0
    assert scene.store.batch_journal("acme", "0" * 32).swept_at == position.written_at
    history = scene.store.item_history("acme", Kind.PRODUCT, "products", "A")
    assert (history.changes, history.next) == ([], 0)


def test_no_cursor_leads_over_a_time_without_a_journal(scene: Scene) -> None:
    """What has changed meanwhile is in no journal, so that a consumer has to begin again."""
    scene.seal()
    scene.run([Record("A")])
    position = scene.store.journal_position("acme")
    scene.close()
    scene.store = scene.open(journal=False)
    scene.store.sweep(RETENTION, steps_max=10)
    scene.seal()
    scene.run([Record("B")])
    scene.reopen()
    with pytest.raises(JournalPositionError) as expired:
        scene.store.changes("acme", after=position)
    assert expired.value.reason == "expired"
    later = scene.store.journal_position("acme")
    scene.seal()
    scene.run([Record("C")])
    for after in (None, later):
        assert [change.key for change in scene.store.changes("acme", after=after).changes] == ["C"]
    scene.clock.forward(2 * DAY)
    scene.store.sweep(RETENTION, steps_max=10)
    assert scene.store.changes("acme", after=None).changes == []


def test_orders_that_move_stock_are_in_the_journal(scene: Scene) -> None:
    """With the order instead of a batch, between the feeds of the item."""
    scene.seal(kind=Kind.STOCK)
    scene.run([Record("A", text="1"), Record("B", text="1")])

    def change(levels: StockLevels) -> StockChange:
        after = levels.documents["A"] + b" "
        return StockChange(documents={"A": (after, digest(after))}, order_state=b"{}", order_closed=True)

    scene.store.change_stock("acme", "products", order="order 7", keys=["A", "B"], change=change)
    scene.seal(kind=Kind.STOCK)
    scene.run([Record("A", UPDATED, "2")])
    changes = scene.store.changes("acme", after=scene.store.changes("acme", after=JOURNAL_START, limit=2).position)
    assert [(each.key, each.order) for each in changes.changes] == [("A", "order 7"), ("A", None)]
    history = scene.store.item_history("acme", Kind.STOCK, "products", "A").changes
    assert [each.number for each in history] == [4, 3, 1]


def test_a_chunk_that_is_committed_twice_is_written_once(scene: Scene) -> None:
    """And a delete of what is not there is no change."""
    scene.seal()
    claim = scene.claimed()
    first = chunk_commit(claim.rounds[0], Record("A"))
    scene.store.commit(claim, [first])
    scene.store.commit(claim, [first])
    last = chunk_commit(
        advanced(claim.rounds[0], first), ends=State.FINISHED, deletes=[Delete("X", None), Delete("Y", 5)]
    )
    scene.store.commit(claim, [last])
    assert scene.store.journal_position("acme").number == 1
