"""Promises 2, 3, 7 and 8 at the store: what a chunk changes, and that it changes it once."""

import pytest

from goodsgate.model.batch import Counts, Kind, Outcome, Result, RoundKind, State, Withheld
from goodsgate.model.catalogue import CurrentItem, Delete, Write
from goodsgate.model.issue import issue
from goodsgate.store.contract import StoreError
from tests.store.scene import Record, Scene, advanced, chunk_commit, digest, rejected_record

UNCHANGED, UPDATED, DELETED = Result.UNCHANGED, Result.UPDATED, Result.DELETED


def test_a_chunk_is_committed_as_a_whole(scene: Scene) -> None:
    """Items, results, findings, groups, counts and progress; the rest of the round later."""
    batch = scene.seal(body=b"x" * 100)
    claim = scene.claimed()
    work = claim.rounds[0]
    warned = Record("B", issues=[issue("sku_case_twin", "/id", value="B")])
    scene.store.commit(claim, [chunk_commit(work, Record("A"), warned, rejected_record(), rejected_record("C", "y"))])
    found = scene.batch(batch)
    assert found.counts == Counts(created=2, rejected=2)
    assert (found.state, found.total, found.warned, found.bytes_done) == (State.WORKING, None, 1, 4)
    assert scene.held() == {"A": Record("A").document, "B": Record("B").document}
    assert [(row.number, row.key, row.result) for row in scene.store.results("acme", batch)] == [
        (1, "A", Result.CREATED), (2, "B", Result.CREATED), (3, None, Result.REJECTED), (4, "C", Result.REJECTED),
    ]
    findings = scene.store.findings("acme", batch)
    assert [(finding.number, finding.issues[0].code) for finding in findings] == [
        (2, "sku_case_twin"), (3, "line_unreadable"), (4, "line_unreadable"),
    ]
    group = scene.store.issue_groups("acme", batch)[0]
    assert (group.code, group.field, group.count, group.top) == ("line_unreadable", "/price", 2, [("x", 1), ("y", 1)])
    assert group.column == "Preis"
    assert [finding.raw for finding in scene.store.rejected_records("acme", batch)] == [rejected_record().document,
        rejected_record("C").document]
    assert scene.store.collections("acme") == [(Kind.PRODUCT, "products", 2)]


def test_a_replay_changes_nothing(scene: Scene) -> None:
    """A chunk that was committed before is passed over, also with others behind it in the same call."""
    batch = scene.seal()
    claim = scene.claimed()
    work = claim.rounds[0]
    first = chunk_commit(work, Record("A"), rejected_record())
    scene.store.commit(claim, [first])
    item = scene.store.item("acme", Kind.PRODUCT, "products", "A")
    scene.clock.forward(1)
    other = chunk_commit(work, Record("Z"), ends=State.FINISHED)
    scene.store.commit(claim, [first])
    scene.store.commit(claim, [other, chunk_commit(advanced(work, first), Record("B"), ends=State.FINISHED)])
    scene.store.commit(claim, [first])
    assert scene.store.item("acme", Kind.PRODUCT, "products", "A") == item
    assert set(scene.held()) == {"A", "B"}
    ended = scene.batch(batch)
    assert (ended.counts, ended.state, ended.total) == (Counts(created=2, rejected=1), State.FINISHED, 3)
    assert scene.store.issue_groups("acme", batch)[0].count == 1


def test_many_keys_are_looked_up_at_once(scene: Scene) -> None:
    """However the store asks for them: each once, with the case variants that differ by case."""
    held, asked = [f"K{number}" for number in range(6_000)], [f"k{number}" for number in range(3_000, 9_000)]
    scene.seal()
    scene.run([Record(key) for key in held])
    collection_args = ("acme", Kind.PRODUCT, "products")
    found = scene.store.current_items(*collection_args, [*held, *asked])
    assert found == {key: CurrentItem(digest(Record(key).document), None) for key in held}
    assert scene.store.case_variants(*collection_args, asked) == {key: key.upper() for key in asked[:3_000]}


def test_a_chunk_out_of_order_is_an_error(scene: Scene) -> None:
    """A gap in chunks or in record numbers would lose records; nothing of the call remains."""
    batch = scene.seal()
    claim = scene.claimed()
    work = claim.rounds[0]
    early = chunk_commit(advanced(work, chunk_commit(work, Record("A"))), Record("B"))
    with pytest.raises(StoreError):
        scene.store.commit(claim, [chunk_commit(work, Record("A")), chunk_commit(work, Record("X"), number=7)])
    with pytest.raises(StoreError):
        scene.store.commit(claim, [early])
    with pytest.raises(StoreError):
        scene.store.commit(claim, [chunk_commit(work, Record("A"), first=5)])
    assert scene.held() == {}
    assert scene.batch(batch).counts == Counts()
    scene.store.commit(claim, [chunk_commit(work, Record("A"), ends=State.FINISHED)])
    with pytest.raises(StoreError):
        scene.store.commit(claim, [early])


def test_outcomes_come_from_the_counts(scene: Scene) -> None:
    """Clean, partial, rejected; a broken or cancelled batch has none."""
    outcomes = []
    for records, ends in (
        ([Record("A")], State.FINISHED), ([Record("A", UNCHANGED), rejected_record()], State.FINISHED),
        ([rejected_record()], State.FINISHED),
        ([Record("A", UNCHANGED)], State.BROKEN),
    ):
        batch = scene.seal()
        scene.run(records, ends=ends)
        outcomes.append(scene.batch(batch).outcome)
    assert outcomes == [Outcome.CLEAN, Outcome.PARTIAL, Outcome.REJECTED, None]


def test_a_round_may_end_without_a_record(scene: Scene) -> None:
    """An empty file has an issue of the file, with record number 0."""
    batch = scene.seal()
    claim = scene.claimed()
    file_issues = [issue("payload_empty")]
    scene.store.commit(claim, [chunk_commit(claim.rounds[0], ends=State.FINISHED, file_issues=file_issues)])
    assert (scene.batch(batch).total, scene.batch(batch).outcome) == (0, Outcome.REJECTED)
    finding = scene.store.findings("acme", batch)[0]
    assert (finding.number, finding.issues, finding.result, finding.key) == (0, file_issues, None, None)


def test_notices_gather(scene: Scene) -> None:
    """What later chunks say of the file comes behind what was said before."""
    batch = scene.seal()
    claim = scene.claimed()
    work = claim.rounds[0]
    first = chunk_commit(work, Record("A"), file_issues=[issue("encoding_guessed", value="cp1252")])
    scene.store.commit(claim, [first])
    truncated = [issue("payload_truncated")]
    scene.store.commit(claim, [chunk_commit(advanced(work, first), ends=State.BROKEN, file_issues=truncated)])
    codes = [found.code for found in scene.store.findings("acme", batch)[0].issues]
    assert codes == ["encoding_guessed", "payload_truncated"]
    assert {group.code: group.count for group in scene.store.issue_groups("acme", batch)} == dict.fromkeys(codes, 1)


# -- items ------------------------------------------------------------------------------------------------------------


def test_current_items_have_hash_version_and_document(scene: Scene) -> None:
    """For exactly the keys that were asked for, whatever their characters."""
    odd = ["ä/ö", "x\x1fberlin", 'quote"', "a b", "🛒", "0"]
    records = [Record(key, version=7 if key == "0" else None) for key in odd]
    scene.seal()
    scene.run(records)
    held = scene.store.current_items("acme", Kind.PRODUCT, "products", [*odd, "none"])
    assert held == {
        record.key: CurrentItem(digest(record.document), record.version) for record in records
    }
    documents = scene.store.current_items("acme", Kind.PRODUCT, "products", ["ä/ö"], documents=True)
    assert documents["ä/ö"].document == records[0].document
    assert scene.store.current_items("acme", Kind.PRICE, "products", odd) == {}
    assert scene.store.current_items("acme", Kind.PRODUCT, "other", odd) == {}
    assert scene.store.current_items("bolt", Kind.PRODUCT, "products", odd) == {}
    assert scene.store.current_items("acme", Kind.PRODUCT, "products", []) == {}


def test_items_that_differ_by_case_are_two(scene: Scene) -> None:
    """Keys that differ by case are reported as variants of each other; beyond ASCII there are none."""
    scene.seal()
    scene.run([Record("abc"), Record("ABC", text="2"), Record("Ä"), Record("x")])
    assert len(scene.held()) == 4
    twins = scene.store.case_variants("acme", Kind.PRODUCT, "products", ["Abc", "abc", "ä", "X", "y"])
    assert twins == {"Abc": "ABC", "abc": "ABC", "X": "x"}
    assert set(scene.store.current_items("acme", Kind.PRODUCT, "products", ["Abc", "abc"])) == {"abc"}
    assert scene.store.case_variants("acme", Kind.PRODUCT, "products", ["aBC"]) == {"aBC": "ABC"}
    assert scene.store.case_variants("bolt", Kind.PRODUCT, "products", ["Abc"]) == {}


def test_lookups_see_commits_in_between(scene: Scene) -> None:
    """However a store remembers what it looked up before."""
    scene.seal()
    scene.seal()
    keys = ["a", "B"]
    assert scene.store.current_items("acme", Kind.PRODUCT, "products", keys) == {}
    scene.run([Record("A"), Record("b")])
    assert scene.store.case_variants("acme", Kind.PRODUCT, "products", keys) == {"a": "A", "B": "b"}
    scene.run([Record("A", DELETED), Record("a")])
    assert scene.store.case_variants("acme", Kind.PRODUCT, "products", keys) == {"B": "b"}
    assert set(scene.store.current_items("acme", Kind.PRODUCT, "products", keys)) == {"a"}


def test_a_delete_with_a_version_leaves_a_tombstone(scene: Scene) -> None:
    """It is held without a hash, is no item, and may be revived; a delete without one leaves a tombstone, too."""
    scene.seal()
    scene.run([Record("A", version=1), Record("B"), Record("C", version=2)])
    scene.seal()
    scene.run([Record("A", DELETED, version=5), Record("B", DELETED)])
    keys = ["A", "B", "C"]
    held = scene.store.current_items("acme", Kind.PRODUCT, "products", keys)
    assert (held["A"], held["B"]) == (CurrentItem(None, 5), CurrentItem(None, None))
    assert list(scene.held()) == ["C"]
    assert scene.store.item("acme", Kind.PRODUCT, "products", "A") is None
    assert scene.store.collections("acme") == [(Kind.PRODUCT, "products", 1)]
    scene.seal()
    scene.run([Record("A", version=6), Record("D", DELETED, version=1), Record("C", UPDATED, "2", version=3)])
    assert set(scene.held()) == {"A", "C"}
    assert scene.store.collections("acme") == [(Kind.PRODUCT, "products", 2)]
    assert scene.store.current_items("acme", Kind.PRODUCT, "products", ["D"]) == {"D": CurrentItem(None, 1)}
    assert scene.store.case_variants("acme", Kind.PRODUCT, "products", ["d"]) == {}


def test_a_delete_without_a_version_leaves_none(scene: Scene) -> None:
    """Not even that of a tombstone that was there: a chunk may have revived it and deleted it again."""
    scene.seal()
    claim = scene.claimed()
    work = claim.rounds[0]
    first = chunk_commit(work, Record("A", DELETED, version=5))
    scene.store.commit(claim, [first])
    assert scene.store.current_items("acme", Kind.PRODUCT, "products", ["A"]) == {"A": CurrentItem(None, 5)}
    scene.store.commit(claim, [chunk_commit(advanced(work, first), ends=State.FINISHED, deletes=[Delete("A", None)])])
    assert scene.store.current_items("acme", Kind.PRODUCT, "products", ["A"]) == {"A": CurrentItem(None, None)}
    assert scene.store.collections("acme") == []


def test_kinds_and_collections_are_apart(scene: Scene) -> None:
    """The same key in each."""
    for kind, collection in ((Kind.PRODUCT, "products"), (Kind.PRODUCT, "spring"), (Kind.PRICE, "products")):
        scene.seal(kind=kind, collection=collection)
        scene.run([Record("A", text=f"{kind} {collection}")])
    assert scene.store.collections("acme") == [
        (Kind.PRICE, "products", 1), (Kind.PRODUCT, "products", 1), (Kind.PRODUCT, "spring", 1),
    ]
    assert b"price products" in scene.held(kind=Kind.PRICE)["A"]
    assert b"product spring" in scene.held(collection="spring")["A"]


def test_later_chunks_of_one_commit_win(scene: Scene) -> None:
    """As if they had been committed one by one."""
    batches = [scene.seal() for _ in range(3)]
    claim = scene.claimed(works=3)
    texts = ["1", "2", "3"]
    results = [Result.CREATED, UPDATED, UPDATED]
    scene.store.commit(claim, [
        chunk_commit(work, Record("A", result, text), ends=State.FINISHED)
        for work, result, text in zip(claim.rounds, results, texts, strict=True)
    ])
    item = scene.store.item("acme", Kind.PRODUCT, "products", "A")
    assert item is not None
    assert (item.document, item.batch) == (Record("A", text="3").document, batches[2])


def test_an_item_names_the_batch_that_wrote_it(scene: Scene) -> None:
    """And when; times never go backwards, though the clock does."""
    first = scene.seal()
    scene.run([Record("A"), Record("B")])
    scene.clock.forward(-3_600)
    second = scene.seal()
    scene.run([Record("A", UPDATED, "2"), Record("B", UNCHANGED)])
    a, b = (scene.store.item("acme", Kind.PRODUCT, "products", key) for key in "AB")
    assert a is not None
    assert b is not None
    assert (a.batch, b.batch) == (second, first)
    assert a.written_at > b.written_at


# -- fixes, retries ---------------------------------------------------------------------------------------------------


def test_a_fix_moves_records_and_replaces_findings(scene: Scene) -> None:
    """A record that was rejected and is now created counts once; keys, results, issues and groups follow."""
    batch = scene.seal()
    scene.run([Record("A"), rejected_record(), rejected_record("C", "y")], [rejected_record("D", "y"), Record("E")])
    scene.again(batch, RoundKind.FIX)
    claim = scene.claimed()
    work = claim.rounds[0]
    assert (work.number, work.round_kind, work.chunks, work.total) == (1, RoundKind.FIX, 0, 5)
    before = scene.store.rejected_by_number("acme", batch, [1, 2, 4, 99])
    assert {number: finding.raw for number, finding in before.items()} == {2: rejected_record().document,
        4: rejected_record("D").document}
    warned = Record("D", issues=[issue("sku_case_twin", "/id")])
    fixed = chunk_commit(work, Record("B"), warned, rejected_record("C", "z", "field_type"), amends=[2, 4,
        3], ends=State.FINISHED)
    scene.store.commit(claim, [fixed])
    scene.store.commit(claim, [fixed])
    ended = scene.batch(batch)
    assert (ended.counts, ended.warned, ended.total) == (Counts(created=4, rejected=1), 1, 5)
    assert (ended.rounds, ended.bytes_done, ended.bytes_total) == (2, 15, 15)
    rows = scene.store.results("acme", batch)
    assert [(row.key, row.result.value) for row in rows] == [
        ("A", "created"), ("B", "created"), ("C", "rejected"), ("D", "created"), ("E", "created"),
    ]
    findings = scene.store.findings("acme", batch)
    assert [(finding.number, finding.issues[0].code) for finding in findings] == [
        (3, "field_type"), (4, "sku_case_twin"),
    ]
    assert [finding.number for finding in scene.store.rejected_records("acme", batch)] == [3]
    assert {group.code: (group.count, group.top) for group in scene.store.issue_groups("acme", batch)} == {
        "field_type": (1, [("z", 1)]), "sku_case_twin": (1, []),
    }


def test_a_fix_may_add_records(scene: Scene) -> None:
    """Numbered behind the batch's last."""
    batch = scene.seal()
    scene.run([rejected_record("A")])
    scene.again(batch, RoundKind.FIX)
    claim = scene.claimed()
    committed = chunk_commit(claim.rounds[0], Record("A"), rejected_record("B"), amends=[1], ends=State.FINISHED)
    scene.store.commit(claim, [committed])
    assert [(row.number, row.key) for row in scene.store.results("acme", batch)] == [(1, "A"), (2, "B")]
    assert (scene.batch(batch).counts, scene.batch(batch).total) == (Counts(created=1, rejected=1), 2)


def test_groups_keep_the_most_frequent_values(scene: Scene) -> None:
    """Of more distinct values than are counted, with counts that never say too much."""
    batch = scene.seal()
    often = [rejected_record(None, "often") for _ in range(30)]
    scene.run(often, [rejected_record(None, f"v{number:03d}") for number in range(200)], often)
    group = scene.store.issue_groups("acme", batch)[0]
    assert (group.count, group.top[0]) == (260, ("often", 60))


# -- full feeds -------------------------------------------------------------------------------------------------------


def test_seen_keys_are_those_of_earlier_chunks(scene: Scene) -> None:
    """Written or not, rejected or deleted again; of this batch alone, also after a restart."""
    scene.seal()
    scene.run([Record("HELD"), Record("SAME"), Record("GONE")])
    scene.seal()
    claim = scene.claimed()
    work = claim.rounds[0]
    keys = ["HELD", "SAME", "NEW", "BAD", "NEXT", "GONE", "BRIEF"]
    assert scene.store.seen_keys(work, keys) == set()
    first = chunk_commit(
        work,
        Record("SAME", UNCHANGED),
        Record("NEW"),
        rejected_record("BAD"),
        rejected_record(),
        Record("GONE", DELETED),
        Record("BRIEF"),
    )
    scene.store.commit(claim, [first])
    assert scene.store.seen_keys(advanced(work, first), keys) == {"SAME", "NEW", "BAD", "GONE", "BRIEF"}
    second = chunk_commit(advanced(work, first), Record("NEXT"), Record("BRIEF", DELETED))
    scene.store.commit(claim, [second])
    assert scene.store.seen_keys(work, keys) == set(keys) - {"HELD"}
    scene.store.release_claim(claim)
    scene.reopen()
    work = scene.claimed().rounds[0]
    assert scene.store.seen_keys(work, ["BRIEF", "HELD", "NEW"]) == {"BRIEF", "NEW"}


def test_absent_items_are_those_that_a_full_feed_lacks(scene: Scene) -> None:
    """Page by page; items that were made since the feed came are not among them."""
    scene.seal()
    scene.run([Record(f"K{number:02d}") for number in range(20)])
    feed = scene.seal(mode="full")
    claim = scene.claimed()
    work = claim.rounds[0]
    first = chunk_commit(
        work, Record("K00", UNCHANGED), Record("K01", UPDATED, "2"), rejected_record("K02"), Record("NEW")
    )
    scene.store.commit(claim, [first])
    work = advanced(work, first)
    lacking = [f"K{number:02d}" for number in range(3, 20)]
    held, missing, keys = scene.store.absent_items(work, after=None, limit=10)
    assert (held, missing, keys) == (20, 17, lacking[:10])
    assert scene.store.absent_items(work, after=keys[-1], limit=10) == (20, 17, lacking[10:])
    withheld = Withheld(items=20, deletions=17)
    scene.store.commit(claim, [chunk_commit(work, ends=State.FINISHED, withheld=withheld)])
    scene.store.release_claim(claim)
    assert scene.batch(feed).withheld == withheld
    scene.seal()
    scene.run([Record("K10", UPDATED, "later"), Record("LATER")])
    scene.again(feed, RoundKind.REMOVAL)
    claim = scene.claimed()
    work = claim.rounds[0]
    lacking.remove("K10")
    while True:
        held, missing, keys = scene.store.absent_items(work, after=None, limit=6)
        assert (held, missing, keys) == (20, len(lacking), lacking[:6])
        committed = chunk_commit(work, *(Record(key, DELETED) for key in keys), ends=None if keys else State.FINISHED)
        scene.store.commit(claim, [committed])
        work = advanced(work, committed)
        if not keys:
            break
        del lacking[:6]
    assert sorted(scene.held()) == ["K00", "K01", "K02", "K10", "LATER", "NEW"]
    assert (scene.batch(feed).withheld, scene.batch(feed).counts.deleted) == (None, 16)


def test_a_key_that_a_fix_corrects_is_not_missing(scene: Scene) -> None:
    """The feed is what it is after its fixes: the wrong key is missing now, the right one is not."""
    scene.seal()
    scene.run([Record("RIGHT"), Record("WRONG"), Record("GONE")])
    feed = scene.seal(mode="full")
    claim = scene.claimed()
    work = claim.rounds[0]
    first = chunk_commit(work, rejected_record("WRONG"), Record("NEW"))
    scene.store.commit(claim, [first])
    assert scene.store.absent_items(advanced(work, first), after=None, limit=10) == (3, 2, ["GONE", "RIGHT"])
    scene.store.commit(claim, [chunk_commit(advanced(work, first), ends=State.FINISHED)])
    scene.store.release_claim(claim)
    scene.again(feed, RoundKind.FIX)
    claim = scene.claimed()
    work = claim.rounds[0]
    assert scene.store.absent_items(work, after=None, limit=10) == (3, 2, ["GONE", "RIGHT"])
    fixed = chunk_commit(work, Record("RIGHT", UNCHANGED), amends=[1])
    scene.store.commit(claim, [fixed])
    assert scene.store.absent_items(advanced(work, fixed), after=None, limit=10) == (3, 2, ["GONE", "WRONG"])


def test_an_empty_full_feed_lacks_everything(scene: Scene) -> None:
    """Which is what the policy's share is there to stop."""
    scene.seal()
    scene.run([Record("A"), Record("B")])
    scene.seal(mode="full")
    work = scene.claimed().rounds[0]
    assert scene.store.absent_items(work, after=None, limit=10) == (2, 2, ["A", "B"])
    assert scene.store.absent_items(work, after="A", limit=10) == (2, 2, ["B"])


def test_a_write_replaces_the_whole_item(scene: Scene) -> None:
    """Hash, version and document."""
    scene.seal()
    claim = scene.claimed()
    work = claim.rounds[0]
    first = chunk_commit(work, Record("A", version=1))
    scene.store.commit(claim, [first])
    second = chunk_commit(advanced(work, first), writes=[Write("A", b"h" * 16, b"{}", None)])
    scene.store.commit(claim, [second])
    held = scene.store.current_items("acme", Kind.PRODUCT, "products", ["A"], documents=True)
    assert held == {"A": CurrentItem(b"h" * 16, None, b"{}")}
