"""Inspecting a file before it is submitted."""

from goodsgate.app import create_dry_runner, read_limits
from goodsgate.engine.inspection import RECORDS_MAX, Inspection, inspect_file
from goodsgate.model.batch import Kind, Policy
from tests.shop import Shop


def inspect(shop: Shop, head: bytes, *, is_whole: bool = True, kind: Kind = Kind.PRODUCT, **policy) -> Inspection:
    """Inspect a CSV for the merchant of the shop."""
    return inspect_file(
        create_dry_runner(shop.store, shop.config), head, read_limits(shop.config), is_whole=is_whole, merchant="acme",
        kind=kind, collection="products", policy=Policy(**policy), format="csv", content_encoding="identity",
    )


def test_columns_show_their_field_how_often_they_are_filled_and_examples(shop: Shop) -> None:
    """A column that is not understood has the nearest field as a suggestion."""
    found = inspect(shop, b"sku;Bezeichnung;Titel2\nA;Becher;x\nB;;\n").sample
    columns = {column.name: column for column in found.columns}
    assert columns["sku"].fields == ["id"]
    assert columns["sku"].filled == 1
    assert columns["Bezeichnung"].fields == ["title"]
    assert columns["Bezeichnung"].filled == 0.5
    assert columns["Bezeichnung"].examples == ["Becher"]
    assert columns["Titel2"].fields == []
    assert {decision.what: decision.value for decision in found.reading}["delimiter"] == "semicolon"


def test_fields_that_every_record_needs_and_no_column_fills(shop: Shop) -> None:
    """A mapping fills them."""
    assert inspect(shop, b"a,b\n1,2\n").sample.fields_missing == ["id", "title"]
    assert inspect(shop, b"a,b\n1,2\n", mapping={"a": ["id"], "b": ["title"]}).sample.fields_missing == []
    assert inspect(shop, b"sku,b\n1,2\n", kind=Kind.STOCK).sample.fields_missing == ["quantity"]


def test_records_are_shown_as_they_would_be_held_and_nothing_is_kept(shop: Shop) -> None:
    """Their issues are grouped as those of a batch."""
    found = inspect(shop, b"sku,title,gtin\nA,Cup,4006381333931\nB,Bowl,4006381333932\n")
    assert [item.key for item in found.dry_run.items] == ["A"]
    assert [(group.code, group.count) for group in found.groups] == [("gtin_check_digit", 1)]
    assert shop.items() == {}


def test_a_beginning_of_a_file_is_no_file_that_broke_off(shop: Shop) -> None:
    """Of a long file the first records are checked; a record that is cut off is left out."""
    rows = b"".join(b"S-%d,Cup\n" % number for number in range(RECORDS_MAX * 2))
    found = inspect(shop, b"sku,title\n" + rows + b'S-9999,"Cu', is_whole=False)
    assert found.dry_run.batch.counts.created == RECORDS_MAX
    assert found.groups == []
    assert not found.is_whole
