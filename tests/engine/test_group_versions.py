"""Versions of groups of fields: a title of 12:00 is not lost to a price of 12:05."""

from collections.abc import Sequence
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Duplicates, Kind, Verb
from goodsgate.model.versions import CONTENT, FIELD_GROUPS, GROUPS, groups_of, plain_group_versions, plain_version
from tests.engine.model import opened
from tests.shop import Shop, ndjson

Fields = dict[str, object]

EARLY, LATE, OBSERVED = {"version_number": 3}, {"version_number": 5}, {"observed_at": "2026-01-01T00:00:00Z"}
CUP, NINE, HERE = {"title": "Cup"}, {"price": "9.00 EUR"}, {"availability": "in_stock"}
MUG, TEN, GONE = {"title": "Mug"}, {"price": "10.00 EUR"}, {"availability": "out_of_stock"}
UPDATE, DELETE, REPLACE = {"_verb": "update"}, {"_verb": "delete"}, {"replace": True}
NEW_PRICE = [{**CUP, **NINE, **HERE}, {**UPDATE, **TEN, **LATE}]
"""An item without a version, of which the price has 5."""
FIVE = [{**CUP, **NINE, **LATE}]
"""An item of which all has the version 5."""
PER_GROUP = [
    # records before; the last one; its result; what the item has; its versions; fields that were left out
    (NEW_PRICE, {**UPDATE, **MUG, **EARLY}, "updated", {**MUG, **TEN, **HERE}, (5, None, 3), ""),
    (NEW_PRICE, {**UPDATE, **NINE, **EARLY}, "superseded", {**CUP, **TEN, **HERE}, (5, None, None), ""),
    (NEW_PRICE, {**UPDATE, **MUG, **NINE, **EARLY}, "updated", {**MUG, **TEN, **HERE}, (5, None, 3), "price"),
    (NEW_PRICE, {**MUG, **NINE, **HERE, **EARLY}, "updated", {**MUG, **TEN, **HERE}, (5, 3, 3), "price"),
    (NEW_PRICE, {**MUG, **TEN, **HERE, **EARLY}, "updated", {**MUG, **TEN, **HERE}, (5, 3, 3), ""),
    (NEW_PRICE, {**CUP, **TEN, **HERE, **EARLY}, "unchanged", {**CUP, **TEN, **HERE}, (5, 3, 3), ""),
    (NEW_PRICE, {**CUP, **NINE, **EARLY}, "superseded", {**CUP, **TEN, **HERE}, (5, None, 3), ""),
    (NEW_PRICE, {**CUP, **TEN, **HERE, **LATE}, "unchanged", {**CUP, **TEN, **HERE}, 5, ""),
    (NEW_PRICE, {**MUG, **TEN, **HERE, **LATE}, "updated", {**MUG, **TEN, **HERE}, 5, ""),
    (NEW_PRICE, {**UPDATE, **MUG, **NINE}, "updated", {**MUG, **NINE, **HERE}, (5, None, None), ""),
    (NEW_PRICE, {**UPDATE, **EARLY}, "superseded", {**CUP, **TEN, **HERE}, (5, None, None), ""),
    (NEW_PRICE, {**DELETE, **EARLY}, "superseded", {**CUP, **TEN, **HERE}, (5, None, None), ""),
    (NEW_PRICE, {**DELETE, **LATE}, "deleted", None, None, ""),
    (NEW_PRICE, {"_verb": "create", **CUP, **EARLY}, "superseded", {**CUP, **TEN, **HERE}, (5, None, None), ""),
    (NEW_PRICE, {**UPDATE, **MUG, **OBSERVED}, "rejected", {**CUP, **TEN, **HERE}, (5, None, None), ""),
    # a group of which the item has no field has no version, unless the field was removed
    (FIVE, {**UPDATE, **HERE, **EARLY}, "updated", {**CUP, **NINE, **HERE}, (5, 3, 5), ""),
    (FIVE, {**MUG, **TEN, **HERE, **EARLY}, "updated", {**CUP, **NINE, **HERE}, (5, 3, 5), "title, price"),
    (FIVE, {**UPDATE, **HERE}, "updated", {**CUP, **NINE, **HERE}, (5, None, 5), ""),
    (FIVE, {**MUG, **TEN, **EARLY}, "superseded", {**CUP, **NINE}, 5, ""),
    ([*FIVE, {**UPDATE, "price": None, **LATE}], {**UPDATE, **TEN, **EARLY}, "superseded", CUP, (5, None, 5), ""),
    ([*FIVE, {**UPDATE, "price": None}], {**UPDATE, **TEN, **EARLY}, "superseded", CUP, (5, None, 5), ""),
    ([*FIVE, {**DELETE, **LATE}, {**CUP, "version_number": 6}], {**UPDATE, **TEN, **LATE}, "updated", {**CUP, **TEN},
     (5, 5, 6), ""),
    ([*FIVE, {**DELETE, **LATE}, {**CUP, "version_number": 6}], {**UPDATE, **TEN, **EARLY}, "superseded", CUP,
     (5, 5, 6), ""),
    ([*FIVE, {**DELETE, **LATE}], {**CUP, **EARLY}, "superseded", None, None, ""),
    # a replacement is about every group
    (NEW_PRICE, {**REPLACE, **MUG, **EARLY}, "updated", {**MUG, **TEN}, (5, 3, 3), ""),
    (NEW_PRICE, {**REPLACE, **MUG, **NINE, **EARLY}, "updated", {**TEN, **MUG}, (5, 3, 3), "price"),
    (NEW_PRICE, {**REPLACE, **MUG, **LATE}, "updated", MUG, 5, ""),
    (NEW_PRICE, {**REPLACE, **MUG}, "updated", MUG, (5, None, None), ""),
    (FIVE, {**REPLACE, **MUG, **TEN, **EARLY}, "superseded", {**CUP, **NINE}, (5, 3, 5), ""),
    (FIVE, {**REPLACE, **MUG, **TEN, **HERE, **EARLY}, "updated", {**CUP, **NINE, **HERE}, (5, 3, 5), "title, price"),
    (FIVE, {**REPLACE, **MUG}, "updated", MUG, (5, None, 5), ""),
    ([{**REPLACE, **CUP, **LATE}], {**UPDATE, **TEN, **EARLY}, "superseded", CUP, 5, ""),
    ([{**REPLACE, **CUP, **LATE}], {**UPDATE, **TEN}, "updated", {**CUP, **TEN}, 5, ""),
    (NEW_PRICE, {**REPLACE, **MUG, **OBSERVED}, "updated", MUG, 1767225600000000, ""),
]


def _send(shop: Shop, sent: Sequence[tuple[str, Fields]]) -> list[tuple[str, Any]]:
    """Result and issues of each record, by key, in two batches: `replace` is an option of a submission."""
    results: list[tuple[str, Any]] = []
    for replace in (False, True):
        records = [{"id": key, **fields} for key, fields in sent if fields.get("replace", False) is replace]
        for record in records:
            record.pop("replace", None)
        if records:
            batch = shop.run(records, replace=replace)
            issues = {finding.number: finding.issues for finding in shop.findings(batch.id)}
            rows = shop.results(batch.id)
            results += [(row.key or "", (str(row.result), issues.get(row.number, ()))) for row in rows]
    return results


def _versions(shop: Shop, key: str) -> Any:
    item = shop.store.item("acme", Kind.PRODUCT, "products", key)
    if item is None:
        return None
    groups = plain_group_versions(item.version, item.group_versions)
    return tuple(groups.values()) if groups is not None else item.version and plain_version(item.version)


def test_versions_are_compared_group_by_group(shop: Shop) -> None:
    """What is older than its group is left out and told; the rest is applied and moves the version of its group."""
    cases = {f"K{number}": case for number, case in enumerate(PER_GROUP)}
    for step in range(max(len(before) for before, *_ in PER_GROUP)):
        for key, (result, issues) in _send(shop, [(k, b[step]) for k, (b, *_) in cases.items() if step < len(b)]):
            assert result != "rejected", (key, issues)
    results = dict(_send(shop, [(key, case[1]) for key, case in cases.items()]))
    items = shop.items()
    for key, (before, record, result, held, versions, left_out) in cases.items():
        found, issues = results[key]
        item = items.get(key)
        told = [each.expected for each in issues if each.code == "fields_newer"]
        expected = None if held is None else {"id": key, **held}
        assert (found, item, _versions(shop, key), told) == (
            result, expected, versions, [left_out] if left_out else []
        ), (before, record)
    (finding,) = [each for each in results["K2"][1] if each.code == "fields_newer"]
    assert (finding.severity, finding.path, finding.value) == ("warning", "/version_number", "3")


def test_a_price_and_a_title_of_two_times_are_both_applied(shop: Shop) -> None:
    """By columns of a table, too; again they are superseded, and nothing is written."""
    shop.run([{"id": "A", **CUP, **NINE, "observed_at": "2026-01-01T11:00:00Z"}])
    price = b"id;price;observed at\nA;12.00 EUR;2026-01-01T12:05:00Z\n"
    title = b"id;title;brand;observed at\nA;Mug;Acme;2026-01-01T12:00:00Z\n"
    for body in (price, title):
        assert shop.run(body, format="csv", verb=Verb.UPDATE).counts.updated == 1
    assert shop.items() == {"A": {"id": "A", "title": "Mug", "price": "12.00 EUR", "brand": "Acme"}}
    written = shop.store.item("acme", Kind.PRODUCT, "products", "A")
    assert shop.run(title, format="csv", verb=Verb.UPDATE).counts.unchanged == 1
    assert shop.run(price.replace(b"05", b"04"), format="csv", verb=Verb.UPDATE).counts.superseded == 1
    assert shop.store.item("acme", Kind.PRODUCT, "products", "A") == written


def test_a_fix_of_an_old_batch_is_compared_group_by_group(shop: Shop) -> None:
    """The price that came meanwhile stays, and the title is applied."""
    shop.run([{"id": "A", **CUP, **NINE}])
    batch = shop.run([{"id": "A", **MUG, "price": "cheap", **EARLY}])
    assert batch.counts.rejected == 1
    shop.run([{"id": "A", **TEN, **LATE}], verb=Verb.UPDATE)
    shop.fix(batch.id, ndjson([{"_row": 1, "id": "A", **MUG, **NINE, **EARLY}]), format="ndjson")
    shop.work()
    assert shop.codes(batch.id) == {1: ["fields_newer"]}
    assert shop.items() == {"A": {"id": "A", **MUG, **TEN}}


@pytest.mark.parametrize("duplicates", list(Duplicates))
def test_a_key_that_comes_again_in_a_batch(shop: Shop, duplicates: Duplicates) -> None:
    """With an older version of some fields: the policy decides about what is left."""
    shop.run([{"id": "A", **CUP, **NINE}])
    records = [{"id": "A", **UPDATE, **TEN, **LATE}, {"id": "A", **MUG, **NINE, **EARLY}]
    batch = shop.run(records, duplicates=duplicates)
    is_rejected = duplicates is Duplicates.REJECT
    assert [str(row.result) for row in shop.results(batch.id)] == ["updated", "rejected" if is_rejected else "updated"]
    assert shop.items() == {"A": {"id": "A", **(CUP if is_rejected else MUG), **TEN}}
    assert _versions(shop, "A") == (5, None, None) if is_rejected else (5, 3, 3)


def test_items_with_one_version_have_no_others_stored(shop: Shop) -> None:
    """Be they created, changed, or confirmed by complete records, in any of the groups they have."""
    full = [{"id": f"K{n}", **CUP, **(NINE if n % 2 else {}), **(HERE if n % 3 else {})} for n in range(6)]
    for version, more in enumerate([{}, {}, {"brand": "Acme"}, {"brand": "Acme"}]):
        shop.run([{**record, **more, "version_number": version} for record in full])
        items = shop.store.items("acme", Kind.PRODUCT, "products").rows
        assert [(item.version, item.group_versions) for item in items] == [(version, None)] * 6


FIELDS_OF = {
    "price": lambda value: {"price": f"{value}.50 EUR", "cost_of_goods_sold": f"{value}.00 EUR"},
    "availability": lambda value: {"availability": ["in_stock", "out_of_stock", "backorder"][value % 3]},
    CONTENT: lambda value: {"title": f"Title {value}", "brand": f"Brand {value % 2}"},
}
KEYS = [f"K{number}" for number in range(16)]
WRITES = st.lists(
    st.tuples(st.sampled_from(KEYS), st.sets(st.sampled_from(GROUPS), min_size=1), st.booleans()), min_size=40,
    max_size=90,
)


@pytest.mark.parametrize(("store", "examples"), [("sqlite", 6), ("postgres", 3)])
def test_partial_records_in_any_order_end_as_in_the_order_of_their_versions(store: str, examples: int) -> None:
    """However they are cut into batches and chunks: each group has the values of its newest record."""
    numbers = count()

    @settings(deadline=None, max_examples=examples, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(writes=WRITES, shuffled=st.randoms(use_true_random=False), cuts=st.sets(st.integers(1, 90), max_size=4))
    def check(writes: list[tuple[str, set[str], bool]], shuffled: Any, cuts: set[int]) -> None:
        collection = f"c{next(numbers)}"
        items: dict[str, Fields] = {key: {"id": key, "title": "First"} for key in KEYS}
        shop.run([*items.values()], collection=collection)
        records = []
        for version, (key, groups, is_upsert) in enumerate(writes):
            verb = "upsert" if is_upsert and CONTENT in groups else "update"
            fields = {name: value for group in groups for name, value in FIELDS_OF[group](version).items()}
            items[key].update(fields)
            records.append({"_verb": verb, "id": key, **fields, "version_number": version})
        shuffled.shuffle(records)
        edges = [0, *sorted(cut for cut in cuts if cut < len(records)), len(records)]
        for low, high in pairwise(edges):
            shop.send(ndjson(records[low:high]), collection=collection, duplicates=Duplicates.MERGE)
        shop.work()
        assert shop.items(collection=collection) == items

    with opened(store, "acme", chunk_records_max=9, claim_rounds_max=3) as shop:
        check()


def test_every_member_of_a_record_is_in_one_group() -> None:
    """The key is in none, and what nobody knows is content."""
    assert groups_of({"id": 1, "location": 2}) == set()
    assert groups_of(["id", "prices", "house"]) == {"price", CONTENT}
    names = [name for fields in FIELD_GROUPS.values() for name in fields]
    assert len(names) == len(set(names))
    assert GROUPS == ("price", "availability", "content")
