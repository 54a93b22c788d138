"""Documents and lists: what pages show, in what order, and how it is filtered."""

import time
from datetime import timedelta
from typing import Any

import pytest

from goodsgate.model.batch import Counts, Kind, Outcome, Result, RoundKind, State, Withheld
from goodsgate.model.issue import issue
from goodsgate.store.contract import BatchFilter, Claim, RecordResult, Store
from goodsgate.store.strict.demands import key_order
from tests.factories import NOW
from tests.store.scene import Record, Scene, advanced, chunk_commit, rejected_record

WAIT_SECONDS = 60


def _ids(scene: Scene, merchant: str = "acme", *, limit: int = 2, **filters: object) -> list[str]:
    """Of all pages."""
    found: list[str] = []
    place = None
    while True:
        page = scene.store.batches(merchant, BatchFilter(**filters), after=place, limit=limit)  # type: ignore[arg-type]
        found += [batch.id for batch in page.rows]
        place = page.next
        if place is None:
            return found


def test_a_batch_tells_its_life(scene: Scene) -> None:
    """Received, started, finished; each document as the listing has it."""
    batch = scene.seal(label="feed.csv")
    scene.clock.forward(5)
    claim = scene.claimed()
    scene.clock.forward(5)
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record("A"), ends=State.FINISHED)])
    scene.clock.forward(5)
    found = scene.batch(batch)
    times = [found.received_at, found.started_at, found.finished_at]
    assert times == [NOW, NOW + timedelta(seconds=5), NOW + timedelta(seconds=10)]
    assert scene.store.batches("acme", BatchFilter()).rows == [found]


def test_batches_are_listed_newest_first(scene: Scene) -> None:
    """Page by page, of one merchant."""
    batches = [scene.seal() for _ in range(5)]
    scene.seal("bolt")
    assert _ids(scene) == batches[::-1]
    assert _ids(scene, limit=5) == batches[::-1]
    assert _ids(scene, "nobody") == []


def test_batches_of_all_merchants_are_listed_newest_first(scene: Scene) -> None:
    """As each merchant's own list has them, page by page, and filtered alike."""
    first, second = scene.seal(protocol="one", label="feed.csv"), scene.seal("bolt", protocol="two")
    third = scene.seal(protocol="two", kind=Kind.STOCK)
    store = scene.store
    rows = store.all_batches(BatchFilter()).rows
    assert [(batch.merchant, batch.id) for batch in rows] == [("acme", third), ("bolt", second), ("acme", first)]
    assert rows[0] == scene.batch(third)
    assert [batch.id for batch in store.all_batches(BatchFilter(protocol="two")).rows] == [third, second]
    assert _ids(scene, protocol="two") == [third]
    scene.run([Record("A"), rejected_record()])
    (finished,) = store.all_batches(BatchFilter(state=State.FINISHED)).rows
    assert finished == scene.batch(finished.id, finished.merchant)
    assert store.all_batches(BatchFilter(outcome="partial")).rows == [finished]
    assert len(store.all_batches(BatchFilter(state=State.QUEUED)).rows) == 2
    page = store.all_batches(BatchFilter(), limit=2)
    assert [batch.id for batch in page.rows + store.all_batches(BatchFilter(), after=page.next, limit=2).rows] == [
        third, second, first,
    ]


def test_lanes_list_their_worker_and_waiting_time(scene: Scene) -> None:
    """Those with work; a lease that ran out is nobody's."""
    assert scene.store.lanes() == []
    scene.seal()
    claim = scene.claimed(seconds=10)
    scene.clock.forward(5)
    scene.seal()
    scene.seal("bolt", kind=Kind.STOCK)
    lanes = {(lane.merchant, lane.kind): lane for lane in scene.store.lanes()}
    assert lanes.keys() == {("acme", Kind.PRODUCT), ("bolt", Kind.STOCK)}
    held, waiting = lanes["acme", Kind.PRODUCT], lanes["bolt", Kind.STOCK]
    assert (held.worker, held.expires_at, held.rounds) == (claim.worker, claim.expires_at, 2)
    assert held.waiting_since == NOW + timedelta(seconds=5)
    assert (waiting.worker, waiting.rounds, waiting.waiting_since) == (None, 1, NOW + timedelta(seconds=5))
    scene.clock.forward(20)
    assert {lane.worker for lane in scene.store.lanes()} == {None}
    assert len(scene.store.lanes(limit=1)) == 1
    assert [lane.merchant for lane in scene.store.lanes(merchant="bolt")] == ["bolt"]
    assert scene.store.lanes(merchant="nobody") == []


def test_what_was_ever_wrong_with_an_item(scene: Scene) -> None:
    """Over all batches, the newest first; keys that begin alike are told apart, however long they are."""
    long = "k" * 5_000
    for _ in range(2):
        scene.seal()
        scene.run([rejected_record("A"), Record("B"), rejected_record(long), rejected_record(long + "x")])
    second, first = (batch.id for batch in scene.store.batches("acme", BatchFilter()).rows)
    found = scene.store.findings_by_key("acme", "A")
    assert [(batch, finding.number, finding.key) for batch, finding in found] == [(second, 1, "A"), (first, 1, "A")]
    assert found[1][1] == scene.store.findings("acme", first, limit=1)[0]
    assert [finding.number for _, finding in scene.store.findings_by_key("acme", long)] == [3, 3]
    assert len(scene.store.findings_by_key("acme", "A", limit=1)) == 1
    assert scene.store.findings_by_key("acme", "B") == scene.store.findings_by_key("bolt", "A") == []
    assert scene.store.findings_by_key("nobody", "A") == []


def test_batches_are_filtered(scene: Scene) -> None:
    """By kind, collection, time, label and the start of the id."""
    first = scene.seal(label="Größen.csv")
    scene.clock.forward(60)
    second = scene.seal(kind=Kind.STOCK, collection="depot")
    assert _ids(scene, kind=Kind.STOCK) == [second]
    assert _ids(scene, collection="products") == [first]
    assert _ids(scene, since=NOW + timedelta(seconds=1)) == [second]
    assert _ids(scene, until=NOW + timedelta(seconds=1)) == [first]
    assert _ids(scene, text="GRÖSSEN") == [first]
    assert _ids(scene, text=second[:31]) in ([second], [second, first])
    assert _ids(scene, text=second) == [second]
    assert _ids(scene, text="%") == []


def test_merged_rows_are_counted_and_are_not_rejected(scene: Scene) -> None:
    """Among the results, in the counts while the batch is open and after its end, and in the outcome."""
    batch = scene.seal()
    records = [Record(None, Result.MERGED), Record("A"), Record("A", Result.MERGED)]
    scene.run(records)
    mixed = scene.seal()
    scene.run([Record(None, Result.MERGED), rejected_record()])
    assert scene.batch(batch).counts == Counts(created=1, merged=2)
    assert scene.store.results("acme", batch, result=Result.MERGED) == [
        RecordResult(number=1, key=None, result=Result.MERGED), RecordResult(number=3, key="A", result=Result.MERGED),
    ]
    assert (_ids(scene, outcome="clean"), _ids(scene, outcome="partial")) == ([batch], [mixed])
    assert _ids(scene, outcome="rejected") == []


def test_batches_are_filtered_by_state_and_outcome(scene: Scene) -> None:
    """As each is at this moment, with or without its end being known everywhere."""
    ends = {
        "clean": ([Record("A")], State.FINISHED), "partial": ([Record("A", Result.UNCHANGED), rejected_record()],
        State.FINISHED),
        "rejected": ([rejected_record()], State.FINISHED), "broken": ([rejected_record()],
        State.BROKEN), "cancelled": ([], State.CANCELLED),
    }
    made = {}
    for name, (records, state) in ends.items():
        made[name] = scene.seal()
        scene.run(records, ends=state)
    made["working"], made["queued"] = scene.seal(), scene.seal()
    claim = scene.claimed()
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record("B"))])
    for outcome in ("clean", "partial", "rejected"):
        assert _ids(scene, outcome=outcome) == [made[outcome]]
    for state in (State.BROKEN, State.CANCELLED, State.WORKING, State.QUEUED):
        assert _ids(scene, state=state) == [made[state.value]]
    assert _ids(scene, state=State.FINISHED, limit=1) == [made["rejected"], made["partial"], made["clean"]]
    assert _ids(scene, state=State.RECEIVING) == []
    scene.again(made["rejected"], RoundKind.RETRY)
    assert _ids(scene, state=State.QUEUED) == [made["queued"], made["rejected"]]
    assert _ids(scene, outcome="rejected") == []


@pytest.mark.parametrize(("records", "commit", "outcome"), [
    ([Record("A")], {}, "clean"),
    ([Record("A")], {"file_issues": [issue("header_unknown", value="x")]}, "clean"),
    ([Record("A")], {"file_issues": [issue("header_key_missing")]}, "partial"),
    ([Record("A")], {"withheld": Withheld(items=9, deletions=8)}, "partial"),
    ([rejected_record()], {"withheld": Withheld(items=9, deletions=8)}, "rejected"),
    ([], {"file_issues": [issue("payload_empty")]}, "rejected"),
])
def test_a_batch_has_one_outcome_wherever_it_is_looked_up(
    scene: Scene, records: list[Record], commit: dict[str, Any], outcome: str
) -> None:
    """Among those of a merchant, and of all merchants; errors of the file and withheld deletions are never clean."""
    batch = scene.seal()
    claim = scene.claimed()
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], *records, ends=State.FINISHED, **commit)])
    assert scene.batch(batch).outcome == outcome
    for each in Outcome:
        expected = [batch] if each == outcome else []
        assert _ids(scene, outcome=each) == expected
        assert [one.id for one in scene.store.all_batches(BatchFilter(outcome=each)).rows] == expected


def test_findings_are_filtered_and_paged(scene: Scene) -> None:
    """By code and severity, each record with all its issues."""
    batch = scene.seal()
    both = Record(None, Result.REJECTED, issues=[issue("line_too_long"), issue("sku_case_twin")])
    warned = Record("A", issues=[issue("sku_case_twin")])
    scene.run([rejected_record(), both, Record("B"), warned])
    store = scene.store
    assert [finding.number for finding in store.findings("acme", batch)] == [1, 2, 4]
    assert [finding.number for finding in store.findings("acme", batch, code="sku_case_twin")] == [2, 4]
    assert [finding.number for finding in store.findings("acme", batch, code="sku")] == []
    assert [finding.number for finding in store.findings("acme", batch, severity="error")] == [1, 2]
    assert [finding.number for finding in store.findings("acme", batch, severity="warning")] == [2, 4]
    assert [finding.number for finding in store.findings("acme", batch, severity="error", code="sku_case_twin")] == [2]
    assert [finding.number for finding in store.findings("acme", batch, after=1, limit=1)] == [2]
    assert store.findings("acme", batch, after=1, limit=1)[0].issues == both.issues
    assert [group.code for group in store.issue_groups("acme", batch, limit=1)] == ["sku_case_twin"]


def test_rejected_records_are_paged(scene: Scene) -> None:
    """With their raw; long ones in shorter pages."""
    batch = scene.seal()
    long = Record("L" * 3_000_000, Result.REJECTED, issues=[issue("line_too_long")])
    scene.run([rejected_record(), Record("A"), *[long] * 4], [rejected_record()])
    numbers: list[int] = []
    while page := scene.store.rejected_records("acme", batch, after=numbers[-1] if numbers else 0):
        numbers += [finding.number for finding in page]
    assert numbers == [1, 3, 4, 5, 6, 7]
    assert [finding.number for finding in scene.store.rejected_records("acme", batch, after=1, limit=2)] == [3, 4]


def test_results_are_paged_across_chunks(scene: Scene) -> None:
    """And filtered by what became of the records."""
    batch = scene.seal()
    claim = scene.claimed()
    work = claim.rounds[0]
    for start in range(0, 30, 6):
        records = [
            rejected_record(f"K{number}") if number % 5 == 0 else Record(f"K{number}")
            for number in range(start, start + 6)
        ]
        committed = chunk_commit(work, *records, ends=State.FINISHED if start == 24 else None)
        scene.store.commit(claim, [committed])
        work = advanced(work, committed)
    rows = scene.store.results("acme", batch, limit=100)
    assert [row.key for row in rows] == [f"K{number}" for number in range(30)]
    assert scene.store.results("acme", batch, after=4, limit=9) == rows[4:13]
    rejected = [row for row in rows if row.result is Result.REJECTED]
    assert scene.store.results("acme", batch, result=Result.REJECTED) == rejected
    assert scene.store.results("acme", batch, result=Result.REJECTED, after=1, limit=3) == rejected[1:4]
    assert scene.store.results("acme", batch, result=Result.DELETED) == []
    assert scene.store.results("acme", batch, after=30) == []


def test_items_are_in_the_order_of_their_keys(scene: Scene) -> None:
    """Without ASCII case, then as they are; each once over all pages."""
    keys = ["b", "A", "a", "B", "ab", "AB", "_", "Z", "0", "ä", "Ä", "ab\x1fx", "a b", "a-b", "🛒"]
    scene.seal()
    scene.run([Record(key) for key in keys])
    for limit in (1, 4, 100):
        found: list[str] = []
        place = None
        while True:
            page = scene.store.items("acme", Kind.PRODUCT, "products", after=place, limit=limit)
            found += [item.key for item in page.rows]
            place = page.next
            if place is None:
                break
        assert found == sorted(keys, key=key_order)


@pytest.mark.parametrize("prefix", ["a", "A", "ab", "ä", "ab\x1f", "zz", "%", "_"])
def test_items_can_be_filtered_by_prefix(scene: Scene, prefix: str) -> None:
    """With its case, page by page."""
    keys = ["b", "A", "a", "B", "ab", "AB", "aB", "_", "Z", "ä", "Ä", "ab\x1fx", "ac"]
    scene.seal()
    scene.run([Record(key) for key in keys])
    found: list[str] = []
    place = None
    while True:
        page = scene.store.items("acme", Kind.PRODUCT, "products", after=place, limit=2, prefix=prefix)
        found += [item.key for item in page.rows]
        place = page.next
        if place is None:
            break
    assert found == sorted((key for key in keys if key.startswith(prefix)), key=key_order)


def _rests(store: Store) -> object:
    """The change token, once nothing that happened before is on its way any more."""
    until = time.monotonic() + WAIT_SECONDS
    seen = store.change_token()
    while time.monotonic() < until:
        time.sleep(0.25)
        before, seen = seen, store.change_token()
        if before == seen:
            return seen
    raise AssertionError("the change token never settles")


def _moves(store: Store, seen: object) -> None:
    """The change token becomes another one than was seen."""
    until = time.monotonic() + WAIT_SECONDS
    while store.change_token() == seen:
        assert time.monotonic() < until, "nothing was noticed"
        time.sleep(0.005)


def test_the_change_token_changes_with_batch_documents(scene: Scene) -> None:
    """By this process or another, and stays while nothing happens."""
    other = scene.open()
    claims: list[Claim] = []
    for happens in (
        scene.seal,
        lambda: claims.append(scene.claimed()),
        lambda: scene.store.commit(claims[0], [chunk_commit(claims[0].rounds[0], Record("A"))]),
    ):
        seen, own = _rests(other), _rests(scene.store)
        happens()
        _moves(scene.store, own)
        _moves(other, seen)
    other.batches("acme", BatchFilter())
    _rests(other)


def test_a_store_tells_how_it_is(scene: Scene) -> None:
    """To a doctor and to metrics."""
    assert all(check.is_ok for check in scene.store.quick_checks())
    scene.seal()
    scene.clock.forward(3)
    figures = scene.store.statistics()
    assert (figures["lanes"], figures["rounds.queued"], figures["oldest_queued_seconds"]) == (1, 1, 3)
    scene.claimed()
    figures = scene.store.statistics()
    assert (figures["rounds.queued"], figures["rounds.working"], figures["oldest_queued_seconds"]) == (0, 1, 0)
    assert sum(value for name, value in figures.items() if name.startswith("bytes.")) > 0
