"""Suggestions taken in a record as it was received."""

import csv
import io

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.engine import suggestions
from goodsgate.engine.received_records import ReceivedRecord, fix_of_records, member_name, received_record
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.suggestions import SuggestedChange, SuggestedFix
from goodsgate.model.issue import Issue, issue
from tests import effort
from tests.shop import Shop

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def suggested(path: str, value: str | None, suggestion: str | None, *, column: str | None = None) -> Issue:
    """A suggestion in place of a value."""
    return msgspec.structs.replace(issue("gtin_check_digit", path, value=value, suggestion=suggestion), column=column)


def taken(record: object, *issues: Issue, columns: list[str] | None = None) -> object:
    """The record as it is sent back, without its number; None if nothing of it can be corrected."""
    received = received_record(orjson.dumps(record), columns)
    assert received is not None
    found = received.with_suggestions(issues)
    if found is None:
        return None
    fix = b"".join(fix_of_records([(7, found)], columns))
    if columns is not None:
        row = [*csv.reader(io.StringIO(fix.decode()))][-1]
        assert row.pop(len(columns)) == "7"
        return row
    line = orjson.loads(fix)
    assert line.pop("_row") == 7
    return line


@pytest.mark.parametrize(("record", "one", "expected"), [
    ({"gtin": "1"}, suggested("/gtin", "1", "2"), {"gtin": "2"}),
    ({"ean": "1", "x": 1.50}, suggested("/gtin", "1", "2", column="ean"), {"ean": "2", "x": 1.5}),
    ({"price": {"value": "1,5", "currency": "EUR"}}, suggested("/price", "1,5", "1.5"),
     {"price": {"value": "1.5", "currency": "EUR"}}),
    ({"variants": [{"gtin": "1"}, {"gtin": "9"}]}, suggested("/variants/0/gtin", "1", "2"),
     {"variants": [{"gtin": "2"}, {"gtin": "9"}]}),
    ({"sizes": ["S", "m"]}, suggested("/sizes/1", "m", "M"), {"sizes": ["S", "M"]}),
    ({"gtin": 1}, suggested("/gtin", "1", "0001"), {"gtin": "0001"}),
    ({"title": "x"}, suggested("/gtin", None, "2"), None),
    ({"gtin": "1"}, suggested("", "1", "2"), None),
    ({"gtin": "1"}, suggested("/gtin", "1", None), None),
    ({"gtin": "2"}, suggested("/gtin", "1", "2"), None),
    ({"a/b": "1"}, suggested("/a~1b", "1", "2"), {"a/b": "2"}),
])
def test_a_suggestion_goes_where_the_value_stood(record: object, one: Issue, expected: object) -> None:
    """In objects and lists, under other names; where there is nothing to put it, nothing is changed."""
    assert taken(record, one) == expected


def test_in_a_cell_that_holds_more_the_rest_stays() -> None:
    """A list of values in one cell of a table."""
    columns = ["sku", "size"]
    assert taken(["A", "S, m, L"], suggested("/size/1", "m", "M"), columns=columns) == ["A", "S, M, L"]
    assert taken(["A", "mm"], suggested("/size", "mm", "M"), columns=columns) == ["A", "M"]


@pytest.mark.parametrize(("cells", "one", "expected"), [
    (["A", "1", "9"], suggested("/gtin", "1", "2", column="ean"), ["A", "2", "9"]),
    (["A", "9", "1"], suggested("/gtin", "1", "2", column="ean"), ["A", "9", "2"]),
    (["A", "", "1"], suggested("/gtin", "1", "2", column="ean"), ["A", "", "2"]),
    (["A", "9", "x; 1"], suggested("/gtin", "1", "2", column="ean"), ["A", "9", "x; 2"]),
    (["A", "", "9"], suggested("/gtin", None, "2", column="ean"), ["A", "", "2"]),
    (["A"], suggested("/gtin", None, "2", column="ean"), ["A", "2", ""]),
    (["A", "1", "9", "more", ""], suggested("/gtin", "1", "2", column="ean"), ["A", "2", "9", "more", ""]),
])
def test_of_columns_with_one_name_the_one_with_the_value_is_changed(cells: list[str], one: Issue,
                                                                   expected: list[str]) -> None:
    """The others stay, as do further cells of a row."""
    assert taken(cells, one, columns=["sku", "ean", "ean"]) == expected


def test_what_is_no_record_has_no_members() -> None:
    """Lines that are broken, and values that are none."""
    for raw in (b"{", b"[1]", b"\xff", b"", b"1"):
        assert received_record(raw, None) is None
    assert received_record(b"{}", ["a"]) is None
    assert received_record(b'["1","2","3"]', ["a", "a"]) == ReceivedRecord(["a", "a", "column 3"], ["1", "2", "3"])


@settings(deadline=None, max_examples=effort.examples(150))
@given(st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=5), TEXTS, st.data())
def test_only_what_was_refused_is_changed(record: dict[str, str], suggestion: str, data: st.DataObject) -> None:
    """Whatever the names and values are."""
    name = data.draw(st.sampled_from(sorted(record)))
    one = suggested("/" + name.replace("~", "~0").replace("/", "~1"), record[name], suggestion)
    received = received_record(orjson.dumps(record), None)
    assert received is not None
    if member_name(one, received.names) != name:
        return
    found = received.with_suggestions([one])
    expected = {**record, name: suggestion}
    assert (found is None) == (expected == record)
    if found is not None:
        assert orjson.loads(msgspec.json.encode(dict(zip(found.names, found.values, strict=True)))) == expected


def test_every_record_of_a_group_is_mended_and_no_other(shop: Shop) -> None:
    """More of them than are read at once; a second time nothing is left to be taken."""
    good, bad = "4006381333931", "4006381333932"
    records = [{"id": f"A{n}", "title": "x", "gtin": bad} for n in range(2_500)]
    records += [{"id": "B1", "title": "", "gtin": good}, {"id": "B2", "title": "x", "gtin": good}]
    batch = shop.run(records)
    assert batch.counts.rejected == 2_501
    shop.engine.apply_suggestions("acme", batch.id, code="gtin_check_digit", field="/gtin")
    shop.work()
    counts = shop.engine.batch("acme", batch.id).counts
    assert (counts.created, counts.rejected) == (2_501, 1)
    with pytest.raises(Refusal) as refused:
        shop.engine.apply_suggestions("acme", batch.id, code="gtin_check_digit", field="/gtin")
    assert refused.value.code == "nothing_suggested"


def test_the_records_that_a_suggestion_changes_are_counted_before_it_is_applied(shop: Shop) -> None:
    """A group without a suggestion is not listed; what is counted is what is sent back, of this group alone."""
    bad = "4006381333932"
    records = [{"id": f"A{n}", "title": "x", "gtin": bad, "price": "1,5" if n == 0 else "1.5 EUR"} for n in range(3)]
    batch = shop.run([*records, {"id": "B", "price": "ask"}, {"id": "C", "title": " ", "price": "2,5 EUR"}])
    preview = shop.engine.suggestions("acme", batch.id)
    counted = {(group.code, group.field): group.records for group in preview.groups}
    assert preview.complete
    assert counted["gtin_check_digit", "/gtin"] == 3
    assert ("field_missing", "/title") not in counted
    assert ("price_unreadable", "/price") not in counted
    first = next(group for group in preview.groups if group.code == "gtin_check_digit")
    assert first.changes == [SuggestedChange(before=bad, after="4006381333931", records=3)]
    ended = shop.engine.batch("acme", batch.id)
    for (code, field), count in counted.items():
        lines = b"".join(SuggestedFix(shop.store, ended, code=code, field=field)).splitlines()
        assert len(lines) == count
        assert all(orjson.loads(line)["_row"] for line in lines)
    assert shop.engine.suggestions("acme", batch.id, code="price_unreadable", field="/price").groups == []


def test_suggestions_of_all_fields_of_a_code_are_applied_at_once(shop: Shop) -> None:
    """A record with two of them counts once, and is corrected in both."""
    both = {"id": "A", "title": "x", "price": "1,5 EUR", "sale_price": "1,2 EUR"}
    batch = shop.run([both, {**both, "id": "B", "sale_price": "1.20 EUR"}])
    preview = shop.engine.suggestions("acme", batch.id, code="price_decimal_mark")
    assert (preview.records, [(group.field, group.records) for group in preview.groups]) == (
        2, [("/price", 2), ("/sale_price", 1)]
    )
    _, match = shop.engine.apply_suggestions("acme", batch.id, code="price_decimal_mark")
    shop.work()
    assert (match.records, match.replacing) == (2, 2)
    assert shop.items()["A"] == {"id": "A", "title": "x", "price": "1.50 EUR", "sale_price": "1.20 EUR"}


def test_a_preview_of_a_large_batch_is_bounded(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads so many records and counts so many distinct changes; what is applied is not bounded."""
    monkeypatch.setattr(suggestions, "RECORDS_AT_ONCE", 20)
    monkeypatch.setattr(suggestions, "COUNTED_RECORDS_MAX", 60)
    monkeypatch.setattr(suggestions, "CHANGES_COUNTED", 10)
    prices = [f"{n % 15},5 EUR" for n in range(100)]
    batch = shop.run([{"id": f"A{n}", "title": "x", "price": price} for n, price in enumerate(prices)])
    preview = shop.engine.suggestions("acme", batch.id, code="price_decimal_mark", field="/price")
    (group,) = preview.groups
    assert (preview.records, preview.complete, group.records, len(group.changes)) == (60, False, 60, 10)
    assert group.records_left + sum(change.records for change in group.changes) == 60
    assert group.changes[0] == SuggestedChange(before="0,5 EUR", after="0.5 EUR", records=4)
    _, match = shop.engine.apply_suggestions("acme", batch.id, code="price_decimal_mark", field="/price")
    shop.work()
    assert (match.records, shop.engine.batch("acme", batch.id).counts.created) == (100, 100)


def test_applied_suggestions_keep_columns_with_one_name_and_further_cells(shop: Shop) -> None:
    """The key stands in the second column of its name, and stays there."""
    table = b"SKU;SKU;Titel;EAN\n;A1;Schuh;4006381333932\nA2;;Zelt;4006381333932\n"
    batch = shop.run(table, format="csv")
    shop.engine.apply_suggestions("acme", batch.id, code="gtin_check_digit")
    shop.work()
    assert {key: item["gtin"] for key, item in shop.items().items()} == dict.fromkeys(("A1", "A2"), "4006381333931")
