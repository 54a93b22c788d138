"""What becomes of records: verbs, versions, duplicates, and the accounts."""

import pytest

from goodsgate.engine.field_merge import merge
from goodsgate.model.batch import Duplicates, Kind, Outcome, Result, State, Verb
from goodsgate.model.catalogue import item_key
from goodsgate.model.versions import plain_version
from tests.engine.conftest import Opens
from tests.factories import product, products
from tests.shop import Shop, ndjson


def test_a_feed_is_created_then_unchanged_then_updated(shop: Shop) -> None:
    """The three ways of an upsert."""
    first = shop.run(products(1, 2, 3))
    assert first.state is State.FINISHED
    assert first.outcome is Outcome.CLEAN
    assert (first.counts.created, first.total) == (3, 3)
    assert shop.run(products(1, 2, 3)).counts.unchanged == 3
    third = shop.run([*products(1, 2), product(3, title="Another title")])
    assert (third.counts.unchanged, third.counts.updated) == (2, 1)
    assert shop.items()["SKU-0003"] == product(3, title="Another title")


def test_unknown_members_come_back_byte_for_byte(shop: Shop) -> None:
    """What is not ours is kept as it came, spelling of numbers included."""
    line = b'{"id":"A","title":"Shirt","house":{"n": 1.10, "s":"\\u00e9"} }\n'
    shop.run(line)
    item = shop.engine.item("acme", Kind.PRODUCT, "products", "A")
    assert item.document == line.strip()


def test_renamed_members_keep_their_bytes(shop: Shop) -> None:
    """An alias changes the name of a member, not its value."""
    shop.run(b'{"sku":"A","name":"Shirt","n": 1.10}\n')
    item = shop.engine.item("acme", Kind.PRODUCT, "products", "A")
    assert item.document == b'{"id":"A","title":"Shirt","n":1.10}'


def test_columns_may_swap_names(shop: Shop) -> None:
    """A column mapped to a name that another column has, which goes elsewhere."""
    mapping = {"price": ["sale_price", "custom_label_0"], "list": ["price"], "list.eur": ["mpn"], "note": []}
    body = b"id,title,list,price,note,list.eur\nA,Shirt,20.00 EUR,15.00 EUR,x,M-1\n"
    batch = shop.run(body, format="csv", mapping=mapping)
    assert batch.outcome is Outcome.CLEAN, shop.findings(batch.id)
    assert shop.items()["A"] == {
        "id": "A", "title": "Shirt", "price": "20.00 EUR", "sale_price": "15.00 EUR", "custom_label_0": "15.00 EUR",
        "mpn": "M-1", "note": "x",
    }


def test_a_bad_record_harms_nobody_and_gets_every_issue(shop: Shop) -> None:
    """Neighbours are applied; the record's issues are all there."""
    batch = shop.run([product(1), {"id": "x" * 200, "price": "-1 EUR"}, product(3)])
    assert batch.outcome is Outcome.PARTIAL
    assert (batch.counts.created, batch.counts.rejected) == (2, 1)
    assert len(shop.codes(batch.id)[2]) >= 3
    assert [row.result for row in shop.results(batch.id)] == [Result.CREATED, Result.REJECTED, Result.CREATED]


def test_lines_that_cannot_be_read_are_records(shop: Shop) -> None:
    """Broken JSON, a number, a broken last line: each has a number, a result, an issue."""
    batch = shop.run(b'{"id":"A","title":"T"}\n{"id":\n12\n{"id":"B","title":"T"}\n{"id":"C","ti')
    assert [str(row.result) for row in shop.results(batch.id)] == [
        "created", "rejected", "rejected", "created", "rejected",
    ]
    assert batch.counts.accounted == batch.total == 5
    codes = shop.codes(batch.id)
    assert codes[2] == ["line_unreadable"]
    assert codes[3] == ["record_not_object"]
    assert set(codes) == {2, 3, 5}


def test_create_and_update_know_what_is_held(shop: Shop) -> None:
    """Create refuses a held key, update an unknown one."""
    shop.run(products(1))
    create = shop.run(products(1, 2), verb=Verb.CREATE)
    assert shop.codes(create.id) == {1: ["key_held"]}
    update = shop.run([{"id": "SKU-0001", "title": "New"}, {"id": "SKU-0009", "title": "New"}], verb=Verb.UPDATE)
    assert shop.codes(update.id) == {2: ["key_unknown"]}
    assert shop.items()["SKU-0001"] == product(1, title="New")


def test_an_update_is_checked_as_the_whole_it_makes(shop: Shop) -> None:
    """A sale price above the held price is seen."""
    shop.run([product(1, price="10.00 EUR")])
    batch = shop.run([{"id": "SKU-0001", "sale_price": "12.00 EUR"}], verb=Verb.UPDATE)
    assert batch.counts.rejected == 1
    assert "sale_price" not in shop.items()["SKU-0001"]  # type: ignore[operator]


def test_delete_needs_the_key_alone(shop: Shop) -> None:
    """A current item is deleted; an unknown key is reported."""
    shop.run(products(1, 2))
    batch = shop.run([{"id": "SKU-0001"}, {"id": "SKU-0007"}], verb=Verb.DELETE)
    assert (batch.counts.deleted, batch.counts.unchanged) == (1, 1)
    assert shop.codes(batch.id) == {2: ["key_not_held"]}
    assert list(shop.items()) == ["SKU-0002"]


def test_a_record_names_its_own_verb(shop: Shop) -> None:
    """`_verb` wins over the batch's verb, and is no part of the record."""
    shop.run(products(1, 2))
    batch = shop.run([{"_verb": "delete", "id": "SKU-0001"}, product(3)])
    assert (batch.counts.deleted, batch.counts.created) == (1, 1)
    assert sorted(shop.items()) == ["SKU-0002", "SKU-0003"]


def test_older_never_beats_newer(shop: Shop) -> None:
    """A record with an older version is superseded, after a delete as well."""
    shop.run([product(1, version_number=5)])
    older = shop.run([product(1, version_number=4, title="Old")])
    assert older.counts.superseded == 1
    shop.run([{"id": "SKU-0001", "version_number": 9}], verb=Verb.DELETE)
    assert shop.items() == {}
    assert shop.run([product(1, version_number=8)]).counts.superseded == 1
    assert shop.run([product(1, version_number=10)]).counts.created == 1


STAMPED = {"version_number": 5}
OBSERVED = {"observed_at": "2026-01-01T00:00:00Z"}
FRESHNESS = [
    # what the item has, what the record has, title, result, version of the item
    (STAMPED, {"version_number": 4}, "New", "superseded", 5),
    (STAMPED, {"version_number": 5}, "New", "updated", 5),
    (STAMPED, {"version_number": 6}, "New", "updated", 6),
    (STAMPED, {"version_number": 6}, "Old", "unchanged", 6),
    (STAMPED, {}, "New", "updated", 5),
    (STAMPED, {}, "Old", "unchanged", 5),
    ({}, {"version_number": 1}, "Old", "unchanged", 1),
    (STAMPED, {"version_number": 6, "observed_at": "1970-01-01T00:00:00Z"}, "New", "updated", 6),
    (OBSERVED, {"observed_at": "2025-12-31T23:59:59.999999Z"}, "New", "superseded", 1767225600000000),
    (OBSERVED, {"observed_at": "2026-01-01T01:00:00+01:00"}, "New", "updated", 1767225600000000),
    (OBSERVED, {"observed_at": "2026-01-01T00:00:00.000001Z"}, "Old", "unchanged", 1767225600000001),
    (OBSERVED, {}, "New", "updated", 1767225600000000),
    *(
        (before, record, title, "rejected", version) for title in ("Old", "New") for before, record, version in (
            (STAMPED, OBSERVED, 5), (OBSERVED, STAMPED, 1767225600000000),
            (OBSERVED, {"version_number": 2**63 - 1}, 1767225600000000),
            (STAMPED, {"observed_at": "0001-01-01T00:00:00+09:00"}, 5),
        )
    ),
]
"""A number and a time cannot be compared, whatever they are."""


@pytest.mark.parametrize(("before", "record", "title", "result", "version"), FRESHNESS)
def test_which_record_is_newer(shop: Shop, before: dict[str, object], record: dict[str, object], title: str,
                               result: str, version: int) -> None:
    """The same content is unchanged whatever its version, which moves; metadata is no part of the item."""
    shop.run([{"id": "A", "title": "Old", **before}])
    batch = shop.run([{"id": "A", "title": title, **record}])
    assert [str(row.result) for row in shop.results(batch.id)] == [result]
    assert shop.codes(batch.id) == ({1: ["version_kind_differs"]} if result == "rejected" else {})
    item = shop.store.item("acme", Kind.PRODUCT, "products", "A")
    assert item is not None
    assert item.version is not None
    assert plain_version(item.version) == version
    assert shop.items() == {"A": {"id": "A", "title": title if result == "updated" else "Old"}}


@pytest.mark.parametrize(("before", "after"), [(STAMPED, OBSERVED), (OBSERVED, STAMPED)])
def test_the_kind_of_version_is_changed_by_a_replacement_alone(shop: Shop, before: dict[str, object],
                                                               after: dict[str, object]) -> None:
    """Of an item, and of one that was deleted; what cannot be compared is told with both versions."""
    shop.run([product(1, **before)])
    for verb in (Verb.UPDATE, Verb.DELETE):
        batch = shop.run([{"id": "SKU-0001", **after}], verb=verb, replace=True)
        assert batch.counts.rejected == 1
    (finding,) = shop.findings(batch.id)
    (name, value), ((other, held),) = *after.items(), before.items()
    assert finding.issues[0].path == f"/{name}"
    assert finding.issues[0].value == str(value)
    assert finding.issues[0].expected == f"{other} {held}"
    assert shop.run([product(1, **after)], replace=True).counts.unchanged == 1
    assert shop.run([product(1, **before)]).counts.rejected == 1
    shop.run([{"id": "SKU-0001", **after}], verb=Verb.DELETE)
    assert shop.run([product(1, **before)]).counts.rejected == 1
    assert shop.run([product(1, **before)], replace=True).counts.created == 1


@pytest.mark.parametrize(("format", "body"), [
    ("ndjson", b'{"id":"A","title":"New","observed_at":"2071-01-01T00:00:00Z"}\n'),
    ("csv", b"id,title,Observed at\nA,New,2071-01-01\n"),
    ("ndjson", b'{"id":"A","_verb":"delete","observed_at":"2071-01-01T00:00:00Z"}\n'),
])
def test_a_record_of_the_future_wins_nothing(shop: Shop, format: str, body: bytes) -> None:
    """Be it an upsert or a delete; a fix with the right time is applied, however late it comes."""
    shop.run([{"id": "A", "title": "Old"}])
    batch = shop.run(body, format=format)
    assert "observed_in_future" in shop.codes(batch.id)[1]
    assert shop.items() == {"A": {"id": "A", "title": "Old"}}
    shop.engine.retry("acme", batch.id)
    shop.work()
    assert "observed_in_future" in shop.codes(batch.id)[1]
    shop.fix(batch.id, ndjson([{"_row": 1, "id": "A", "title": "Fixed", "observed_at": "2026-01-01"}]), format="ndjson")
    shop.work()
    assert shop.items() == {"A": {"id": "A", "title": "Fixed"}}


def test_a_price_has_a_version_apart_from_its_product(shop: Shop) -> None:
    """The item of a price is another one; the price of a product is in another group than its title."""
    late, early = {"observed_at": "2026-01-01T12:05:00Z"}, {"observed_at": "2026-01-01T12:00:00Z"}
    title = {"id": "SKU-0001", "title": "New", **early}
    shop.run([product(1)])
    shop.run([{"id": "SKU-0001", "price": "9.00 EUR", **late}], kind=Kind.PRICE)
    assert shop.run([title], verb=Verb.UPDATE).counts.updated == 1
    shop.run([{"id": "SKU-0001", "price": "9.00 EUR", **late}], verb=Verb.UPDATE)
    assert shop.run([{**title, "title": "Newer"}], verb=Verb.UPDATE).counts.updated == 1
    assert shop.items() == {"SKU-0001": product(1, title="Newer", price="9.00 EUR")}


def test_observed_at_is_a_version(shop: Shop) -> None:
    """The time of observation orders records as well."""
    shop.run([product(1, observed_at="2026-01-02T00:00:00Z")])
    assert shop.run([product(1, observed_at="2026-01-01T23:59:59Z")]).counts.superseded == 1


@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize(
    ("how", "results", "held"),
    [
        ({"duplicates": Duplicates.OFF}, "created updated unchanged", {"title": "Two", "color": "red", "size": "L"}),
        ({"duplicates": Duplicates.MERGE}, "created updated unchanged", {"title": "Two", "color": "red", "size": "L"}),
        ({"duplicates": Duplicates.LAST}, "created updated unchanged", {"title": "Two", "size": "L"}),
        ({"duplicates": Duplicates.REJECT}, "created rejected rejected", {"title": "One", "color": "red"}),
        ({}, "created rejected rejected", {"title": "One", "color": "red"}),
    ],
)
def test_a_key_with_different_content_in_a_batch(opens: Opens, how: dict[str, Duplicates], results: str,
                                                 held: dict[str, str], size: int) -> None:
    """The policy says what becomes of it, wherever the batch is cut into chunks; nothing wins in silence."""
    records = [{"id": "A", "title": "One", "color": "red"}, *[{"id": "A", "title": "Two", "size": "L"}] * 2]
    shop = opens("acme", chunk_records_max=size)
    batch = shop.run(records, **how)
    assert [str(row.result) for row in shop.results(batch.id)] == results.split()
    expected = {} if how.get("duplicates") is Duplicates.OFF else {n: ["duplicate_in_batch"] for n in (2, 3)}
    assert shop.codes(batch.id) == expected
    messages = [each.message for finding in shop.findings(batch.id) for each in finding.issues]
    if expected:
        first = ["a row before 2", "a row before 3"] if size == 1 else ["row 1", "row 1"]
        assert messages == [f'Key "A" appears more than once in this batch; first in {row}.' for row in first]
    assert shop.items() == {"A": {"id": "A", **held}}


def test_a_key_that_comes_again_with_what_is_held_is_unchanged(shop: Shop) -> None:
    """It is told and harmless."""
    batch = shop.run([product(1), product(1)])
    assert [str(row.result) for row in shop.results(batch.id)] == ["created", "unchanged"]
    assert shop.codes(batch.id) == {2: ["duplicate_in_batch"]}


def test_a_retry_does_not_apply_what_was_rejected_as_a_duplicate(shop: Shop) -> None:
    """Else the second record would win after all."""
    batch = shop.run([product(1), product(1, title="Two")])
    shop.engine.retry("acme", batch.id)
    shop.work()
    assert [str(row.result) for row in shop.results(batch.id)] == ["created", "rejected"]
    assert shop.items()["SKU-0001"] == product(1)


def test_prices_and_stock_are_applied_in_order(shop: Shop) -> None:
    """They are states that follow each other; the last one counts, with a warning."""
    batch = shop.run([{"id": "A", "quantity": 1}, {"id": "A", "quantity": 2}], kind=Kind.STOCK, collection="stock")
    assert [str(row.result) for row in shop.results(batch.id)] == ["created", "updated"]
    assert shop.codes(batch.id) == {2: ["duplicate_in_batch"]}


BRAND = {"keeps": {"brand": "Acme"}, "clears": {}}
MERGES = [
    # verb, options, format, record, what becomes of the brand
    *((verb, {}, "ndjson", b'{"id":"A","title":"New"}', "keeps") for verb in ("upsert", "update")),
    *((verb, {}, "ndjson", b'{"id":"A","title":"New","brand":null}', "clears") for verb in ("upsert", "update")),
    *((verb, {"empty": "clear"}, "ndjson", b'{"id":"A","title":"New"}', "keeps") for verb in ("upsert", "update")),
    *((verb, {}, "csv", b"id,title\nA,New\n", "keeps") for verb in ("upsert", "update")),
    *((verb, {}, "csv", b"id,title,brand\nA,New,\n", "keeps") for verb in ("upsert", "update")),
    *((verb, {}, "csv", b"id,title,brand\nA,New,  \n", "keeps") for verb in ("upsert", "update")),
    *((verb, {"empty": "clear"}, "csv", b"id,title\nA,New\n", "keeps") for verb in ("upsert", "update")),
    *((verb, {"empty": "clear"}, "csv", b"id,title,brand\nA,New,\n", "clears") for verb in ("upsert", "update")),
    ("upsert", {"replace": True}, "ndjson", b'{"id":"A","title":"New"}', "clears"),
    ("upsert", {"replace": True}, "csv", b"id,title,brand\nA,New,\n", "clears"),
    ("update", {"replace": True}, "ndjson", b'{"id":"A","title":"New"}', "keeps"),
]


@pytest.mark.parametrize(("verb", "options", "format", "body", "brand"), MERGES)
def test_what_becomes_of_a_field(shop: Shop, verb: str, options: dict[str, object], format: str, body: bytes,
                                 brand: str) -> None:
    """Absent keeps, null clears, and an empty cell does what the submission says; again it is unchanged."""
    shop.run([{"id": "A", "title": "Cup", "brand": "Acme"}])
    batch = shop.run(body, format=format, verb=Verb(verb), **options)
    assert batch.counts.updated == 1, shop.codes(batch.id)
    assert shop.items() == {"A": {"id": "A", "title": "New", **BRAND[brand]}}
    assert shop.run(body, format=format, verb=Verb(verb), **options).counts.unchanged == 1


def test_an_upsert_is_complete_by_itself(shop: Shop) -> None:
    """Whatever is held; an update need not be."""
    shop.run([{"id": "A", "title": "Cup"}])
    assert shop.run([{"id": "A", "brand": "Acme"}]).counts.rejected == 1
    assert shop.run([{"id": "A", "title": None}]).counts.rejected == 1


def test_a_merged_record_obeys_the_rules(shop: Shop) -> None:
    """An upsert that is right by itself may be wrong with what is held."""
    shop.run([{"id": "A", "title": "Cup", "price": "9.00 EUR", "sale_price": "8.00 EUR"}])
    batch = shop.run([{"id": "A", "title": "Cup", "price": "7.00 EUR"}])
    assert shop.codes(batch.id) == {1: ["sale_price_above_price"]}
    assert batch.counts.rejected == 1


def test_twice_in_a_batch_over_portions(opens: Opens) -> None:
    """A key of an earlier chunk is known, though its record was unchanged."""
    shop = opens("acme", chunk_records_max=2)
    shop.run(products(1, 2, 3, 4, 5))
    batch = shop.run([*products(1, 2, 3, 4), product(2, title="Again")], duplicates=Duplicates.REJECT)
    assert (batch.counts.unchanged, batch.counts.rejected) == (4, 1)
    assert shop.codes(batch.id) == {5: ["duplicate_in_batch"]}


def test_case_twins_are_told(shop: Shop) -> None:
    """A key that differs only by case from a held one, or from one before it in the file."""
    shop.run([product(1, id="Abc")])
    batch = shop.run([product(2, id="ABC"), product(3, id="x-1"), product(4, id="X-1")])
    assert shop.codes(batch.id) == {1: ["sku_case_twin"], 3: ["sku_case_twin"]}
    assert batch.counts.created == 3
    assert batch.warned == 2


def test_prices_and_stock_have_shelves_of_their_own(shop: Shop) -> None:
    """By SKU and location, apart from the products."""
    price = shop.run([{"id": "A", "price": "3.50 EUR"}], kind=Kind.PRICE)
    stock = shop.run([{"id": "A", "location": "B1", "quantity": 3}, {"id": "A", "quantity": 9}], kind=Kind.STOCK)
    assert price.counts.created == 1
    assert stock.counts.created == 2
    assert sorted(shop.items(kind=Kind.STOCK)) == ["A", item_key("A", "B1")]
    assert shop.items() == {}


def test_policy_currency_and_decimal_comma(shop: Shop) -> None:
    """A feed that says so may write prices its own way."""
    rows = b"id;title;price\nA;Shirt;12,50\n"
    assert shop.run(rows, format="csv").counts.rejected == 1
    assert shop.run(rows, format="csv", currency="EUR", decimal="comma").counts.created == 1


@pytest.mark.parametrize(
    ("document", "patch", "merged"),
    [
        (b'{"a":1.10,"b":2}', b'{"b":3}', b'{"a":1.10,"b":3}'),
        (b'{"a":1}', b'{"a":null}', b"{}"),
        (b'{"a":{"x":1,"y":2}}', b'{"a":{"x":null,"z":3}}', b'{"a":{"y":2,"z":3}}'),
        (b'{"a":[1]}', b'{"a":{"b":null,"c":1}}', b'{"a":{"c":1}}'),
        (b'{"a":"b"}', b'{"a":["c"]}', b'{"a":["c"]}'),
    ],
)
def test_merge_is_rfc_7396(document: bytes, patch: bytes, merged: bytes) -> None:
    """Cases of the RFC's appendix, with bytes kept."""
    assert merge(document, patch) == merged
