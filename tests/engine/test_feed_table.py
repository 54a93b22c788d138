"""Each value of a feed is checked by the rule of its column, and what falls short is said."""

from typing import Any

import pytest

from goodsgate.engine.feed_table import FeedTable, check_options, cut_text, text_cell
from goodsgate.engine.refusal import Refusal
from goodsgate.targets import load_target, target_names

ITEM: dict[str, Any] = {
    "id": "A-1", "title": "Shirt", "description": "Light", "link": "https://x.example/a", "brand": "Acme",
    "image_link": "https://x.example/a.jpg", "price": "9.90 EUR", "availability": "in_stock", "condition": "new",
}
SHOP = {
    "seller_name": "Acme", "seller_url": "https://x.example", "return_policy": "https://x.example/r",
    "target_countries": "DE", "store_country": "DE",
}
WRITTEN = [
    ("google", {}, {"availability": "in_stock", "price": "9.90 EUR", "gtin": None}),
    ("google", {"shipping": [{"country": "DE", "price": "4.95 EUR"}]}, {"shipping": "DE:::4.95 EUR"}),
    ("google", {"product_highlight": ["Warm, light", "Dry"]}, {"product_highlight": '["Warm, light","Dry"]'}),
    ("google", {"multipack": 3, "adult": False}, {"multipack": "3", "adult": "false"}),
    ("meta", {"availability": "backorder"}, {"availability": "available for order"}),
    ("meta", {"country_of_origin": "IN"}, {"origin_country": "IN"}),
    ("openai", {"availability": "preorder", "availability_date": "2030-01-31T08:00:00Z"},
     {"availability": "pre_order", "availability_date": "2030-01-31", "item_id": "A-1", "url": "https://x.example/a"}),
    ("openai", {"product_weight": "0.25 kg"}, {"weight": "0.25", "item_weight_unit": "kg"}),
    ("openai", {"product_length": "10 cm", "product_width": "5 cm", "product_height": "2 cm"},
     {"length": "10", "height": "2", "dimensions_unit": "cm"}),
    ("openai", {"sale_price": "8.00 EUR", "sale_price_effective_date": "2026-01-01T00:00:00Z/2026-02-01T00:00:00Z"},
     {"sale_price_start_date": "2026-01-01", "sale_price_end_date": "2026-02-01"}),
    ("openai", {"item_group_id": "A", "color": "Blue", "size": "M"},
     {"group_id": "A", "listing_has_variations": "true", "variant_dict": '{"color":"Blue","size":"M"}'}),
    ("openai", {}, {"is_eligible_search": "true", "listing_has_variations": "false", "seller_name": "Acme"}),
    ("openai", {"seller_name": "Other"}, {"seller_name": "Other"}),
    ("openai", {"product_type": ["A > B", "C"]}, {"product_category": "A > B"}),
]


@pytest.mark.parametrize(("target", "members", "expected"), WRITTEN)
def test_an_item_is_written_as_the_target_wants_it(target: str, members: dict[str, Any], expected: dict[str, Any],
                                                   ) -> None:
    """Names, values, parts of measures and periods, and lists; nothing falls short."""
    table = FeedTable(load_target(target), options=SHOP if target == "openai" else {})
    row = table.row({**ITEM, **members})
    cells = dict(zip(table.header, row.cells, strict=True))
    assert {name: cells[name] if value is None else text_cell(cells[name]) for name, value in expected.items()} \
        == expected
    assert (row.issues, row.is_complete) == ([], True)


SHORT = [
    ("google", {"description": None}, ("description", "field_missing", "error"), None),
    ("google", {"link": "x.example"}, ("link", "url_not_absolute", "error"), None),
    ("google", {"price": "9,90"}, ("price", "price_unreadable", "error"), None),
    ("google", {"availability": "soon"}, ("availability", "value_not_allowed", "error"), None),
    ("google", {"availability": "preorder"}, ("availability_date", "field_missing", "error"), None),
    ("google", {"title": "word " * 40}, ("title", "text_too_long", "warning"), ("word " * 30).strip()),
    ("google", {"sale_price": "10.00 EUR"}, ("sale_price", "sale_price_above_price", "warning"), ""),
    ("google", {"color": "x" * 101}, ("color", "text_too_long", "warning"), ""),
    ("google", {"gtin": "123"}, ("gtin", "gtin_length", "warning"), ""),
    ("google", {"additional_image_link": ["https://x.example/1"] * 11},
     ("additional_image_link", "list_too_long", "warning"), ",".join(["https://x.example/1"] * 10)),
    ("google", {"additional_image_link": ["https://x.example/1", "2.jpg"]},
     ("additional_image_link", "url_not_absolute", "warning"), "https://x.example/1"),
    ("meta", {"brand": None}, ("brand", "field_missing", "error"), None),
    ("meta", {"description": "<b>Light</b>"}, ("description", "text_markup", "warning"), "<b>Light</b>"),
    ("openai", {"brand": "x" * 71}, ("brand", "text_too_long", "error"), None),
    ("openai", {"product_length": "10 cm"}, ("width", "field_missing", "warning"), ""),
    ("openai", {"expiration_date": "soon"}, ("expiration_date", "date_unreadable", "warning"), ""),
]


@pytest.mark.parametrize(("target", "members", "found", "written"), SHORT)
def test_what_falls_short_is_an_issue(target: str, members: dict[str, Any], found: tuple[str, str, str],
                                      written: str | None) -> None:
    """A required value makes the item incomplete; another one is left out, or cut, with a warning."""
    table = FeedTable(load_target(target), options=SHOP if target == "openai" else {})
    record = {name: value for name, value in {**ITEM, **members}.items() if value is not None}
    row = table.row(record)
    assert [(each.path[1:], each.code, each.severity) for each in row.issues] == [found]
    assert row.is_complete == (found[2] == "warning")
    assert row.issues[0].message
    if written is not None:
        assert text_cell(row.cells[table.header.index(found[0])]) == written


def test_what_is_about_the_shop_is_required_of_a_destination_alone() -> None:
    """An export has nobody who could set it."""
    target = load_target("openai")
    assert FeedTable(target).row(ITEM).is_complete
    missing = FeedTable(target, options={}).row(ITEM).issues
    assert {each.path[1:] for each in missing} == SHOP.keys()


@pytest.mark.parametrize(("options", "word"), [
    ({"colour": "x"}, "no column"), ({"seller_url": "x.example"}, "absolute"), ({"is_eligible_search": "on"}, "true"),
])
def test_a_value_that_its_column_cannot_have_is_refused(options: dict[str, str], word: str) -> None:
    """Before any item is written with it."""
    with pytest.raises(Refusal, match=word):
        check_options(load_target("openai"), options)


@pytest.mark.parametrize("name", target_names())
def test_only_some_columns_are_written(name: str) -> None:
    """Those that are wanted, and those that the target requires."""
    target = load_target(name)
    table = FeedTable(target, options=SHOP if name == "openai" else {}, only=["color"])
    assert {*table.header} == {"color", *(each for each, column in target.columns.items() if column.required)}
    assert table.row(ITEM).is_complete


@pytest.mark.parametrize(("text", "cut"), [("ab cd", "ab"), ("abcde", "abcd"), ("abcd e", "abcd"), ("a  bcd", "a")])
def test_a_text_is_cut_at_a_word(text: str, cut: str) -> None:
    """Unless it is one word."""
    assert cut_text(text, 4) == cut
