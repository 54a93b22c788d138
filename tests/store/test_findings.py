"""Findings in segments: they are read as they were written, whatever refers to what, until their report is deleted."""

import random
import tracemalloc
from collections import Counter
from itertools import pairwise
from typing import Any

import apsw
import pytest

from goodsgate.model.batch import Kind, Result, RoundKind, State
from goodsgate.model.finding import Finding
from goodsgate.model.issue import issue
from goodsgate.store.contract import Retention, SweepCounts
from goodsgate.store.shared import findings
from tests import stores
from tests.effort import examples
from tests.store.scene import Record, Scene, advanced, chunk_commit, rejected_record, warned_record

KEPT = Retention(payload_seconds=1, report_seconds=50, batch_seconds=80, answer_seconds=9, tombstone_seconds=999)
CODES = ("text_markup", "text_entities", "price_zero")
TABLES = ("finding", "finding_segment", "finding_place", "issue_group", "chunk")


def _rows(scene: Scene, statement: str) -> list[tuple[Any, ...]]:
    if scene.kind == "postgres":
        with stores.raw(scene.folder) as db:
            return db.execute(statement.replace("length(body)", "octet_length(body)")).fetchall()  # type: ignore[arg-type]
    file = apsw.Connection(str(scene.folder / "store" / "catalogue.db"))
    rows = file.execute(statement).fetchall()
    file.close()
    return rows


def _pages(scene: Scene, batch: str, *, limit: int = 7, **filters: str | None) -> list[Finding]:
    found: list[Finding] = []
    while page := scene.store.findings("acme", batch, after=found[-1].number if found else -1, limit=limit, **filters):
        found += page
    return found


def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make segments so small that some twenty records are many."""
    monkeypatch.setattr(findings, "SEGMENT_FINDINGS_MAX", 5)
    monkeypatch.setattr(findings, "REFERRING_MIN", 3)
    monkeypatch.setattr(findings, "SMALL_SEGMENTS_MAX", 1)
    monkeypatch.setattr(findings, "COMPRESSED_BYTES_MIN", 300)


def _feed(tries: random.Random) -> list[Record]:
    """A feed of which much is as in the one before: in its order, from another place on, or in another order."""
    keys = [f"K{number:02d}" for number in range(20)]
    keys = tries.choice((keys, keys[7:] + keys[:7], tries.sample(keys, 20)))
    records = []
    for key in keys:
        chosen = tries.choices(("same", "other", "none", "rejected"), (12, 2, 1, 1))[0]
        if chosen == "rejected":
            records.append(rejected_record(key))
        elif chosen == "none":
            records.append(Record(key, Result.UNCHANGED))
        else:
            code = CODES[int(key[1:]) % 3]
            value = "same" if chosen == "same" else str(tries.random())
            result = tries.choice((Result.UNCHANGED, Result.UPDATED, Result.CREATED))
            both = [issue(code, "/title", value=value), issue("gtin_length", "/gtin", value="1")][: 1 + (key > "K15")]
            records.append(Record(key, result, issues=both))
    return records


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, examples(30)))])
def test_findings_are_read_as_they_were_written(scene: Scene, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Of many feeds, by number, code, severity and key, while the oldest reports are deleted."""
    _small(monkeypatch)
    tries, written = random.Random(seed), dict[str, list[Finding]]()
    for turn in range(7):
        batch, records = scene.seal(), _feed(tries)
        cut = tries.randrange(1, 20)
        scene.run(records[:cut], records[cut:])
        written[batch] = [
            Finding(number=number, source_row=number, key=each.key, result=each.result, issues=each.issues)
            for number, each in enumerate(records, 1) if each.issues
        ]
        scene.clock.forward(13)
        while scene.store.sweep(KEPT, steps_max=2) != SweepCounts():
            pass
        if turn % 3:
            continue
        kept = [id for id in reversed(written) if scene.store.results("acme", id)]
        for id, all_of_it in written.items():
            expected = all_of_it if id in kept else []
            assert _pages(scene, id) == expected
            for code in ("price_zero", "gtin_length", "line_unreadable"):
                assert _pages(scene, id, limit=3, code=code) == [
                    each for each in expected if any(one.code == code for one in each.issues)
                ]
            for severity in ("error", "warning"):
                assert _pages(scene, id, severity=severity) == [
                    each for each in expected if any(one.severity == severity for one in each.issues)
                ]
            groups = Counter((one.code, one.field) for each in expected for one in each.issues)
            assert {(one.code, one.field): one.count for one in scene.store.issue_groups("acme", id)} == groups
        for key in ("K07", "K19"):
            history = [(id, each) for id in kept for each in written[id] if each.key == key]
            assert scene.store.findings_by_key("acme", key) == history
            assert scene.store.findings_by_key("acme", key, limit=2) == history[:2]
    scene.clock.forward(100)
    while scene.store.sweep(KEPT, steps_max=3) != SweepCounts():
        pass
    assert [_rows(scene, f"SELECT count(*) FROM {table}") for table in TABLES] == [[(0,)]] * len(TABLES)


def test_an_unchanged_record_refers_to_the_finding_that_it_had(scene: Scene) -> None:
    """In at most 20 bytes, however often; whether the feed has another order or a few records more."""
    keys = [f"SKU-{number:06d}" for number in range(2_000)]
    feeds = [keys, keys, [*keys[900:], *keys[:900]], [*keys[:50], *(f"new-{key}" for key in keys[:30]), *keys[50:]]]
    sizes = []
    for at, feed in enumerate(feeds):
        scene.seal()
        result = Result.UNCHANGED if at else Result.CREATED
        scene.run([warned_record(key, f"<b>{key}</b>" * 10, result) for key in feed])
        sizes.append(_rows(
            scene, "SELECT count(*), sum(length(body) + length(codes) + 100) FROM finding_segment"
        )[0])
    added = [after[1] - before[1] for before, after in pairwise(sizes)]
    assert [size < 20 * len(keys) for size in added] == [True] * 3
    assert sizes[-1][0] <= 30
    assert _rows(scene, "SELECT count(*) FROM finding_place") == [(len(keys) + 30,)]
    assert _rows(scene, "SELECT count(*) FROM finding") == [(0,)]


def test_many_records_of_one_key_with_the_same_issues_take_no_more_memory_than_others(scene: Scene) -> None:
    """Each of them has a place to which each of the next feed may refer; only the newest one is read."""
    records = [warned_record("N/A") for _ in range(1_000)]
    peaks = []
    tracemalloc.start()
    try:
        for _ in range(3):
            batch = scene.seal()
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            scene.run(records)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    assert max(peaks[1:]) < 3 * peaks[0]
    assert _rows(scene, "SELECT count(*) FROM finding_place") == [(len(records),)]
    found = scene.store.findings("acme", batch, limit=2_000)
    assert [(each.number, each.key) for each in found] == [(at, "N/A") for at in range(1, 1_001)]
    assert all(each.issues == found[0].issues for each in found)


def test_findings_that_others_refer_to_outlive_their_report(scene: Scene) -> None:
    """They are hidden with it, still referred to, and deleted with the last report that needs them."""
    batches = []
    for at in range(3):
        batches.append(scene.seal())
        scene.run([warned_record("A", result=Result.UNCHANGED if at else Result.CREATED)])
        scene.clock.forward(20)
    scene.store.sweep(KEPT, steps_max=100)
    assert [len(scene.store.findings("acme", batch)) for batch in batches] == [0, 1, 1]
    assert [batch for batch, _ in scene.store.findings_by_key("acme", "A")] == batches[:0:-1]
    scene.clock.forward(25)
    scene.store.sweep(KEPT, steps_max=100)
    assert scene.store.batch("acme", batches[0]) is None
    assert [len(scene.store.findings("acme", batch)) for batch in batches] == [0, 0, 1]
    assert [finding.issues[0].value for finding in scene.store.findings("acme", batches[2])] == ["x"]
    assert _rows(scene, "SELECT count(*) FROM finding_segment") == [(2,)]
    scene.clock.forward(100)
    while scene.store.sweep(KEPT, steps_max=1) != SweepCounts():
        pass
    assert _rows(scene, "SELECT count(*) FROM finding_segment") == _rows(scene, "SELECT count(*) FROM finding_place")


def test_a_record_that_a_fix_has_corrected_may_have_warnings(scene: Scene) -> None:
    """Its finding replaces the old one; those of records that were accepted before stay as they are."""
    batch = scene.seal()
    scene.run([warned_record("A"), rejected_record("B"), warned_record("C")])
    scene.again(batch, RoundKind.FIX)
    claim = scene.claimed()
    fixed, added = warned_record("B", result=Result.CREATED), warned_record("D", result=Result.CREATED)
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], fixed, added, amends=[2], ends=State.FINISHED)])
    assert [(each.number, each.key, each.result) for each in _pages(scene, batch, limit=1)] == [
        (1, "A", "unchanged"), (2, "B", "created"), (3, "C", "unchanged"), (4, "D", "created"),
    ]
    assert [group.count for group in scene.store.issue_groups("acme", batch)] == [4]


def test_findings_of_a_cancelled_trial_say_so(scene: Scene) -> None:
    """All that were not rejected; those that refer to them are of other batches and stay."""
    batch = scene.seal()
    claim = scene.claimed()
    records = warned_record("A", result=Result.CREATED), rejected_record("B")
    first = chunk_commit(claim.rounds[0], *records)
    end = chunk_commit(advanced(claim.rounds[0], first), ends=State.CANCELLED, cancels_results=True)
    scene.store.commit(claim, [first])
    scene.store.commit(claim, [end])
    scene.store.release_claim(claim)
    other = scene.seal()
    scene.run([warned_record("A")])
    assert [each.result for each in scene.store.findings("acme", batch)] == [Result.CANCELLED, Result.REJECTED]
    assert [each.result for each in scene.store.findings("acme", other)] == [Result.UNCHANGED]


def test_keys_that_begin_alike_are_told_apart(scene: Scene) -> None:
    """However long they are, and in whatever kind and collection."""
    long = "k" * 200
    batches = []
    for kind in (Kind.PRODUCT, Kind.STOCK):
        batches.append(scene.seal(kind=kind))
        scene.run([warned_record(long + end, end, Result.CREATED) for end in "xy"])
    found = scene.store.findings_by_key("acme", long + "y")
    assert [(batch, each.number, each.issues[0].value) for batch, each in found] == [
        (batch, 2, "y") for batch in batches[::-1]
    ]
    assert scene.store.findings_by_key("acme", long) == scene.store.findings_by_key("bolt", long + "y") == []
