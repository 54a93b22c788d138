"""Fix, retry, cancel, full feeds: what happens to a batch after its submission."""

import csv
import io
from pathlib import Path

import orjson
import pytest

from goodsgate.engine import Refusal
from goodsgate.model.batch import Duplicates, Kind, Outcome, Policy, State, Strictness
from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.store.contract import BatchFilter
from tests.engine.conftest import Opens
from tests.factories import product, products
from tests.shop import Shop, ndjson

FEED = b"sku,Title,house,price\nA,Shirt,1,1.00 EUR\nB,,2,2.00 EUR\nC,Coat,3,x\n"


def rows_of(report: bytes) -> list[list[str]]:
    """Cells of a CSV report."""
    return list(csv.reader(io.StringIO(report.decode("utf-8-sig"))))


def csv_of(rows: list[list[str]]) -> bytes:
    """CSV of cells."""
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def test_a_report_is_the_submitters_own_file(shop: Shop) -> None:
    """Own columns in own order and format, then ours."""
    batch = shop.run(FEED, format="csv")
    rows = rows_of(shop.report(batch.id))
    assert rows[0] == ["sku", "Title", "house", "price", "_row", "_codes", "_messages"]
    assert [row[:5] for row in rows[1:]] == [["B", "", "2", "2.00 EUR", "2"], ["C", "Coat", "3", "x", "3"]]
    assert all(row[5] and row[6] for row in rows[1:])


def test_a_corrected_report_ends_the_batch_clean(shop: Shop) -> None:
    """Posted back, it runs just those records and merges into the same counts."""
    batch = shop.run(FEED, format="csv")
    assert (batch.counts.created, batch.counts.rejected) == (1, 2)
    rows = rows_of(shop.report(batch.id))
    rows[1][1], rows[2][3] = "Belt", "3.00 EUR"
    shop.fix(batch.id, csv_of(rows), format="csv")
    shop.work()
    after = shop.engine.batch("acme", batch.id)
    assert after.outcome is Outcome.CLEAN
    assert (after.counts.created, after.counts.rejected, after.total, after.rounds) == (3, 0, 3, 2)
    assert shop.findings(batch.id) == [] or all(finding.number == 0 for finding in shop.findings(batch.id))
    assert shop.store.issue_groups("acme", batch.id) == [] or all(g.count for g in shop.store.issue_groups("acme",
        batch.id))
    assert [str(row.result) for row in shop.results(batch.id)] == ["created"] * 3
    assert sorted(shop.items()) == ["A", "B", "C"]


def test_a_fix_may_be_wrong_again(shop: Shop) -> None:
    """It stays rejected with the new issue and the new text in the report."""
    batch = shop.run(FEED, format="csv")
    rows = rows_of(shop.report(batch.id))
    rows[1][1], rows[2][3] = "Belt", "y"
    shop.fix(batch.id, csv_of(rows), format="csv")
    shop.work()
    after = shop.engine.batch("acme", batch.id)
    assert (after.counts.created, after.counts.rejected) == (2, 1)
    again = rows_of(shop.report(batch.id))
    assert again[1][:5] == ["C", "Coat", "3", "y", "3"]
    assert len(again) == 2


def test_fix_rows_that_replace_nothing_are_records_of_their_own(shop: Shop) -> None:
    """A row of an applied record, a number twice, and a new row without one."""
    batch = shop.run(FEED, format="csv")
    rows = [["sku", "Title", "price", "_row"], ["A", "X", "1.00 EUR", "1"], ["B", "Belt", "1.00 EUR", "2"],
            ["B", "Belt", "1.00 EUR", "2"], ["N", "New", "1.00 EUR", ""]]
    shop.fix(batch.id, csv_of(rows), format="csv", new_records=True)
    shop.work()
    after = shop.engine.batch("acme", batch.id)
    assert after.total == 6
    assert (after.counts.created, after.counts.rejected) == (3, 3)
    codes = shop.codes(batch.id)
    assert codes[4] == ["row_not_rejected"]
    assert codes[5][0] == "row_not_rejected"
    assert after.counts.accounted == after.total


@pytest.mark.parametrize("format", ["ndjson", "json", "csv", "tsv", "xlsx"])
@pytest.mark.parametrize("sent", ["csv", "ndjson"])
def test_a_report_in_any_format_can_be_sent_back(shop: Shop, sent: str, format: str) -> None:
    """A batch of tables fixed by JSON and the other way round."""
    records = [product(1), product(2, title=None, custom={"a": 1}), product(3)]
    body = ndjson(records) if sent == "ndjson" else FEED
    batch = shop.run(body, format=sent, duplicates=Duplicates.OFF)
    assert batch.counts.rejected
    report = shop.report(batch.id, format=format)
    if format in ("ndjson", "json"):
        lines = orjson.loads(report) if format == "json" else [orjson.loads(line) for line in report.splitlines()]
        for line in lines:
            line["Title" if sent == "csv" else "title"] = "Mended"
            line["price"] = "1.00 EUR"
        fixed = orjson.dumps(lines) if format == "json" else ndjson(lines)
    else:
        fixed = _mended_table(report, format)
    shop.fix(batch.id, fixed, format=format)
    shop.work()
    after = shop.engine.batch("acme", batch.id)
    assert after.outcome is Outcome.CLEAN, shop.findings(batch.id)
    if sent == "ndjson":
        assert shop.items()["SKU-0002"]["custom"] == {"a": 1}  # type: ignore[index]


def _mended_table(report: bytes, format: str) -> bytes:
    from goodsgate import formats

    reader = formats.open_reader(iter([report]), format=format, content_encoding="identity", limits=formats.Limits())
    rows = [list(row) for chunk in reader.chunks() for row in chunk.rows]
    header = list(reader.header or [])
    title = next((name for name in header if name.casefold() == "title"), None)
    if title is None:
        title = "title"
        header.append(title)
        rows = [[*row, ""] for row in rows]
    for row in rows:
        row[header.index(title)] = "Mended"
        row[header.index("price")] = "1.00 EUR"
    return b"".join(formats.write(iter(rows), format=format, header=header))


def test_retry_after_reference_data_was_mended(shop: Shop) -> None:
    """What was rejected for an unknown brand passes once the brand is there."""
    shop.reference("brand", ReferenceEntry(code="Acme"))
    batch = shop.run([product(1, brand="Nova"), product(2, brand="Acme"), product(3, title=None)],
                     references=Strictness.REFUSE)
    assert (batch.counts.created, batch.counts.rejected) == (1, 2)
    shop.reference("brand", ReferenceEntry(code="Nova"))
    shop.engine.retry("acme", batch.id)
    shop.work()
    after = shop.engine.batch("acme", batch.id)
    assert (after.counts.created, after.counts.rejected, after.total) == (2, 1, 3)
    assert list(shop.codes(batch.id)) == [3]


def test_a_retry_does_not_bring_back_what_a_later_batch_replaced(shop: Shop) -> None:
    """Monday's record waits for a brand; Tuesday's newer one is applied; on Wednesday Monday's batch is retried."""
    shop.reference("brand", ReferenceEntry(code="Acme"))
    monday = shop.run([
        {"id": "A", "title": "Old", "brand": "Nova"}, {"id": "B", "title": "Only on Monday", "brand": "Nova"},
        {"id": "C", "title": "Old", "brand": "Nova", "version_number": 1},
    ], references=Strictness.REFUSE)
    shop.run([{"id": "A", "title": "New", "brand": "Acme"}, {"id": "C", "title": "New", "version_number": 2}])
    shop.reference("brand", ReferenceEntry(code="Nova"))
    shop.engine.retry("acme", monday.id)
    shop.work()
    after = shop.engine.batch("acme", monday.id)
    assert (after.counts.created, after.counts.superseded, after.counts.rejected) == (1, 2, 0)
    assert shop.codes(monday.id) == {1: ["item_newer"]}
    assert {key: item["title"] for key, item in shop.items().items()} == {"A": "New", "B": "Only on Monday", "C": "New"}


def test_a_fix_of_an_old_batch_does_not_replace_what_a_later_batch_wrote(shop: Shop) -> None:
    """What an earlier batch wrote is replaced."""
    shop.run([{"id": "B", "title": "Older"}])
    old = shop.run([{"id": "A", "title": "Old", "price": "x"}, {"id": "B", "title": "Old", "price": "x"}])
    shop.run([{"id": "A", "title": "New"}])
    shop.fix(old.id, ndjson([{"id": key, "title": "Mended", "_row": row} for row, key in enumerate("AB", 1)]),
             format="ndjson")
    shop.work()
    assert {key: item["title"] for key, item in shop.items().items()} == {"A": "New", "B": "Mended"}
    assert shop.codes(old.id)[1] == ["item_newer"]


def test_retry_of_a_table_keeps_its_columns(shop: Shop) -> None:
    """Cells are shaped as they were the first time."""
    shop.reference("brand", ReferenceEntry(code="Acme"))
    body = b"StockCode,Name,Brand\nA,Shirt,Nova\n"
    batch = shop.run(body, format="csv", references=Strictness.REFUSE)
    assert batch.counts.rejected == 1
    shop.reference("brand", ReferenceEntry(code="Nova"))
    shop.engine.retry("acme", batch.id)
    shop.work()
    assert shop.items() == {"A": {"id": "A", "title": "Shirt", "brand": "Nova"}}


def test_a_clean_batch_has_nothing_to_retry(shop: Shop) -> None:
    """Refused, with a code a protocol can word."""
    batch = shop.run(products(1))
    with pytest.raises(Refusal, match="no rejected") as refused:
        shop.engine.retry("acme", batch.id)
    assert refused.value.code == "nothing_rejected"


def test_an_open_batch_takes_no_fix(shop: Shop) -> None:
    """It has to end first."""
    batch = shop.send(products(1))
    with pytest.raises(Refusal) as refused:
        shop.engine.fix("acme", batch, format="csv")
    assert refused.value.code == "batch_open"


def test_cancel_before_work_applies_nothing(shop: Shop) -> None:
    """Every record is accounted for as cancelled."""
    batch = shop.send(products(1, 2, 3))
    shop.engine.cancel("acme", batch)
    shop.work()
    after = shop.engine.batch("acme", batch)
    assert after.state is State.CANCELLED
    assert (after.counts.cancelled, after.total) == (3, 3)
    assert shop.items() == {}


def test_cancel_in_the_middle_says_what_was_applied(opens: Opens) -> None:
    """Portions before it stay; the rest is cancelled."""
    shop = opens("acme", "other", chunk_records_max=10)
    batch = shop.send(products(*range(100)))
    other = shop.send(products(1), merchant="other")
    shop.worker.step()  # gives way after one chunk, because the other merchant waits
    assert shop.engine.batch("acme", batch).counts.created == 10
    shop.engine.cancel("acme", batch)
    shop.work()
    after = shop.engine.batch("acme", batch)
    assert after.state is State.CANCELLED
    assert (after.counts.created, after.counts.cancelled) == (10, 90)
    assert len(shop.items()) == 10
    assert shop.engine.batch("other", other).outcome is Outcome.CLEAN


def test_cancel_after_the_end_changes_nothing(shop: Shop) -> None:
    """A finished batch stays finished."""
    batch = shop.run(products(1))
    assert shop.engine.cancel("acme", batch.id).state is State.FINISHED


def test_a_full_feed_deletes_what_it_lacks(shop: Shop) -> None:
    """Below the share, without being asked; the deletions are records of the batch."""
    shop.run(products(*range(20)))
    shop.run(products(*range(90, 95)), collection="elsewhere")
    batch = shop.run(products(*range(19)), mode="full")
    assert (batch.counts.unchanged, batch.counts.deleted, batch.total) == (19, 1, 20)
    assert len(shop.items()) == 19
    assert len(shop.items("elsewhere")) == 5


@pytest.mark.parametrize(("mapping", "missing"), [
    ({"artnr": ["id"], "text": ["title"]}, []),
    ({"artnr": ["id"], "text": ["title"], "meta.hint": ["description"]}, []),
    ({"artnr": ["id"], "text": ["title"], "farbe": ["color"], "meta.none": ["size"]}, ["farbe", "meta.none"]),
    ({"artnr": ["id"], "text": ["title"], "Late": ["color"]}, ["Late"]),
])
def test_a_mapped_name_that_no_record_has_is_reported(shop: Shop, mapping: dict[str, list[str]],
                                                      missing: list[str]) -> None:
    """At the end of the file, because any record may have it; a second batch of the same records says so, too."""
    records = [{"artnr": f"A{n}", "text": "Cup"} for n in range(300)]
    records += [{"artnr": "Z", "text": "Cup", "late": "red", "meta": {"hint": "x"}}]
    for _ in range(2):
        batch = shop.run(records, mapping=mapping)
        found = [
            each for finding in shop.findings(batch.id) if not finding.number
            for each in finding.issues if each.code != "member_unrecognized"
        ]
        assert [(each.code, each.value) for each in found] == [("map_column_missing", name) for name in missing]
        assert batch.outcome is (Outcome.PARTIAL if missing else Outcome.CLEAN)
    if missing == ["Late"]:
        assert found[0].suggestion == "late"


def test_a_mapped_name_of_an_earlier_turn_is_not_missing(tmp_path: Path) -> None:
    """Two merchants take turns, so that each batch is claimed and opened several times."""
    records = [{"artnr": "A", "title": "Cup", "farbe": "red"}, *({"id": f"B{n}", "title": "Cup"} for n in range(60))]
    with Shop(tmp_path, "acme", "other", chunk_records_max=20) as shop:
        mapping = {"artnr": ["id"], "farbe": ["color"], "nowhere": ["size"]}
        batches = {name: shop.send(records, merchant=name, mapping=mapping) for name in ("acme", "other")}
        shop.work()
        for merchant, batch in batches.items():
            (found,) = shop.findings(batch, merchant=merchant)
            assert [(each.code, each.value) for each in found.issues] == [("map_column_missing", "nowhere")]


def test_a_full_feed_that_lacks_much_waits_for_a_word(shop: Shop) -> None:
    """Deletions above the share are withheld until confirmed by their number."""
    shop.run(products(*range(20)))
    batch = shop.run(products(1, 2), mode="full")
    assert (batch.state, batch.outcome) == (State.FINISHED, Outcome.PARTIAL)
    assert batch.withheld is not None
    assert (batch.withheld.items, batch.withheld.deletions) == (20, 18)
    assert len(shop.items()) == 20
    with pytest.raises(Refusal) as refused:
        shop.engine.confirm("acme", batch.id, 5)
    assert refused.value.code == "confirmation_mismatch"
    shop.run([product(99)])  # newer than the feed: must stay
    shop.engine.confirm("acme", batch.id, 18)
    shop.work()
    after = shop.engine.batch("acme", batch.id)
    assert (after.counts.deleted, after.withheld, after.outcome) == (18, None, Outcome.CLEAN)
    assert sorted(shop.items()) == ["SKU-0001", "SKU-0002", "SKU-0099"]


def test_a_full_feed_keeps_what_it_holds_badly(shop: Shop) -> None:
    """A rejected record is in the feed; its item is not deleted. An unreadable one makes the rest wait."""
    shop.run(products(*range(20)))
    sent = [product(n) if n else product(n, title=None) for n in range(20)]
    assert shop.run(sent, mode="full").counts.deleted == 0
    broken = ndjson(products(*range(19))) + b"{oops\n"
    batch = shop.run(broken, mode="full", delete_share_max=1.0)
    assert batch.counts.deleted == 0
    assert batch.withheld is not None


def test_a_full_feed_that_breaks_off_deletes_nothing(shop: Shop) -> None:
    """A truncated file says nothing about what follows."""
    import gzip

    shop.run(products(*range(50)))
    packed = gzip.compress(ndjson(products(*range(49))))
    batch = shop.run(packed[:-30], content_encoding="gzip", mode="full", delete_share_max=1.0)
    assert batch.state is State.BROKEN
    assert batch.counts.deleted == 0
    assert len(shop.items()) == 50


def test_report_of_everything(shop: Shop) -> None:
    """Each record with its result."""
    batch = shop.run(FEED, format="csv")
    rows = rows_of(shop.report(batch.id, only="all"))
    assert rows[0][4:] == ["_row", "_result", "_codes", "_messages"]
    assert [row[5] for row in rows[1:]] == ["created", "rejected", "rejected"]


def test_idempotency_answers_the_first_answer_again(shop: Shop) -> None:
    """Same key and body: the batch of the first; other body: refused."""
    first = shop.send(products(1), idempotency_key="k-1")
    assert shop.send(products(1), idempotency_key="k-1") == first
    with pytest.raises(Refusal) as refused:
        shop.send(products(2), idempotency_key="k-1")
    assert refused.value.code == "key_reused"
    assert shop.send(products(1), idempotency_key="k-1", merchant="other") != first
    shop.work()
    assert len(shop.store.batches("acme", BatchFilter()).rows) == 1


def test_a_key_whose_body_is_on_its_way_is_in_use(shop: Shop) -> None:
    """And free again once that submission was given up."""
    policy = {"merchant": "acme", "kind": Kind.PRODUCT, "collection": "c", "policy": Policy(), "format": "ndjson"}
    one = shop.engine.submit(**policy, idempotency_key="k", answer=lambda b: b"")  # type: ignore[arg-type]
    one.write(b"{}")
    with pytest.raises(Refusal) as refused:
        shop.engine.submit(**policy, idempotency_key="k", answer=lambda b: b"")  # type: ignore[arg-type]
    assert refused.value.code == "key_in_use"
    one.abort()
    shop.send(products(1), idempotency_key="k")


def test_a_record_is_named_in_the_first_file_and_in_that_of_the_last_fix(opens: Opens) -> None:
    """A fix, a correction, a retry and a new record: each place says which file it belongs to, on every store."""
    shop = opens()

    def places() -> dict[int, tuple[int, int, int, str]]:
        found = [each for each in shop.findings(batch.id) if each.number]
        return {each.number: (each.source_row, each.fix_round, each.fix_row, each.place) for each in found}

    batch = shop.run(FEED, format="csv")
    assert places() == {2: (3, 0, 0, "line 3"), 3: (4, 0, 0, "line 4")}
    fix = csv_of([["sku", "Title", "price", "_row"], ["C", "Coat", "y", "3"], ["N", "", "1.00 EUR", ""]])
    shop.fix(batch.id, fix, format="csv", new_records=True)
    shop.work()
    fixed = {
        2: (3, 0, 0, "line 3"), 3: (4, 2, 2, "line 4 of the first file, line 2 of the file of round 2"),
        4: (0, 2, 3, "line 3 of the file of round 2"),
    }
    assert places() == fixed
    shop.engine.retry("acme", batch.id)
    shop.work()
    assert places() == fixed
    correction = ndjson([{"sku": "C", "Title": "Coat", "price": "z", "_row": 3}])
    shop.engine.submit_correction(shop.engine.batch("acme", batch.id), [correction])
    shop.work()
    assert places() == fixed  # nobody has a file of a correction
    shop.fix(batch.id, csv_of([["sku", "Title", "price", "_row"], ["B", "", "x", "2"]]), format="csv")
    shop.work()
    assert places() == fixed | {2: (3, 5, 2, "line 3 of the first file, line 2 of the file of round 5")}


def test_a_change_by_a_fix_names_the_row_of_the_first_file(shop: Shop) -> None:
    """The journal has one row, that of the submission; a record that a fix adds has none."""
    batch = shop.run(FEED, format="csv")
    fix = csv_of([["sku", "Title", "price", "_row"], ["N", "New", "1.00 EUR", ""], ["C", "Coat", "3.00 EUR", "3"]])
    shop.fix(batch.id, fix, format="csv", new_records=True)
    shop.work()
    places = {}
    for key in ("A", "C", "N"):
        (change,) = shop.store.item_history("acme", Kind.PRODUCT, "products", key, limit=9).changes
        places[key] = change.record, change.row
    assert places == {"A": (1, 2), "C": (3, 4), "N": (4, None)}
