"""Whole numbers, measures, dates, addresses and choices."""

import csv
import io
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodsgate.model.batch import Kind, Policy, Strictness
from goodsgate.model.versions import plain_version
from goodsgate.rules.timestamps import version
from tests.data import sample_bytes
from tests.invented import sales_lines
from tests.rules.truth import EUROS, document, issues_of, product, rules

QUANTITIES = [
    # Online Retail, Sunrise, Kibo
    ("6", None, None), ("-80995", "number_negative", None), ("80995", None, None), (1000, None, None),
    ("0", None, None),
    (0, None, None), (-1, "number_negative", None), (999_999_999, None, None),
    (1_000_000_000, "number_out_of_range", None), ("1000000000", "number_out_of_range", None),
    (5.5, "number_not_whole", None), (5.0, "number_not_whole", "5"), ("5.00", "number_not_whole", "5"),
    ("1.000", "number_not_whole", None), ("5.0000", "number_not_whole", "5"),
    ("5,5", "number_not_whole", None), ("many", "number_unreadable", None), ("1,000", "number_not_whole", None),
    ("+5", "number_unreadable", "5"), (" 5", "number_unreadable", "5"), ("5 pcs", "number_unreadable", None),
    ("٥", "number_unreadable", None), (1e300, "number_not_whole", None), (2**63, "number_out_of_range", None),
    (True, "field_type", None), ([5], "field_type", None), ("", "field_missing", None), (None, "field_missing", None),
    ("1" * 40, "number_unreadable", None),
]

MEASURES = [
    ("1.5 kg", None, None), ("1.5kg", None, None), ("0.5 lb", None, None), ({"value": 1.5, "unit": "kg"}, None, None),
    # Luma, Spree, Kibo
    ("1", "unit_missing", None), (19.8, "unit_missing", None),
    ({"unit": "lbs", "value": 0.5}, "unit_unknown", "0.5 lb"),
    ("1,5 kg", "measure_unreadable", "1.5 kg"), ("1.5 KG", "unit_unknown", "1.5 kg"),
    ("3 furlongs", "unit_unknown", None),
    ("1.250 kg", None, None), ("1,250 kg", "measure_ambiguous", None),
    ("1.250,5 g", "measure_unreadable", "1250.5 g"), ("1 250 g", "measure_unreadable", "1250 g"),
    ("1.5  kg", "measure_unreadable", "1.5 kg"), ("heavy", "measure_unreadable", None),
    ("-1 kg", "measure_unreadable", None),
    ("2000 kg", None, None), ("2001 kg", "measure_out_of_range", None), ({"unit": "kg"}, "field_type", None),
    ({"value": [1], "unit": "kg"}, "field_type", None), (True, "field_type", None), ("", "text_empty", None),
]

MEASURES_WITH_COMMA = [
    ("1,25 kg", None, None), ("0,5 kg", None, None), ("3 kg", None, None), ("1.25 kg", "measure_unreadable", "1,25 kg"),
    ("1.250 kg", "measure_ambiguous", None), ("1.250,5 g", "measure_unreadable", "1250,5 g"),
    ({"value": 1.5, "unit": "kg"}, None, None), ({"value": 1.25, "unit": "kg"}, None, None),
    ({"value": "1.250", "unit": "kg"}, "measure_ambiguous", None),
]

MOMENTS = [
    ("2026-02-24", None, None), ("2026-02-24T11:07+0100", None, None), ("2026-02-24T11:07:00Z", None, None),
    ("2026-02-24T11:07:00.123456+01:00", None, None), ("2026-02-24T11+01", "date_unreadable", None),
    # Online Retail
    ("2010-12-01 08:26:00", "date_zone_missing", "2010-12-01 08:26:00Z"),
    ("2026-02-30", "date_unreadable", None), ("2026-13-01T00:00:00Z", "date_unreadable", None),
    ("24.02.2026", "date_unreadable", "2026-02-24"), ("24/02/2026", "date_unreadable", "2026-02-24"),
    ("02/24/2026", "date_unreadable", "2026-02-24"), ("02/03/2026", "date_unreadable", None),
    ("1489090279", "date_unreadable", None), (1489090279, "field_type", "1489090279"),
    ("soon", "date_unreadable", None),
    ("2026-02-24T11:07:00+25:00", "date_unreadable", None), ("0000-01-01", "date_unreadable", None),
    ("", "text_empty", None),
    ("2026-02-24T24:00:00Z", "date_unreadable", None), ("٢٠٢٦-02-24", "date_unreadable", None),
]

SPANS = [
    ("2026-02-24T11:07+0100/2026-02-29T23:07+0100", "date_unreadable"), ("2026-02-24/2026-02-25", None),
    ("2026-02-24T11:07Z/2026-02-23T11:07Z", "date_range_reversed"), ("2026-02-24", "date_unreadable"),
    ("2026-02-24T11:07+02:00/2026-02-24T10:07+00:00", None), ("2026-02-24T11:07/2026-02-25T11:07", "date_zone_missing"),
    (5, "field_type"), (" ", "text_empty"),
]

ADDRESSES = [
    ("https://www.example.com/p?id=1&x=2#top", None, None), ("http://example.com", None, None),
    ("HTTPS://EXAMPLE.com:8443/x", None, None), ("http://[::1]:80/x", None, None),
    ("https://example.com?x", None, None),
    # Luma
    ("/m/b/mb01-blue-0.jpg", "url_not_absolute", None),
    # Best Buy
    ("https://cdn-demo.algolia.com/bestbuy-0118/4984700_sb.jpg", None, None),
    ("www.example.com/a.jpg", "url_not_absolute", "https://www.example.com/a.jpg"),
    ("//cdn.example.com/a.jpg", "url_not_absolute", "https://cdn.example.com/a.jpg"),
    ("ftp://example.com/a.jpg", "url_not_absolute", None), ("https://", "url_not_absolute", None),
    ("javascript:alert(1)", "url_not_absolute", None), ("https://exa mple.com/", "url_not_absolute", None),
    ("https://example.com/my image.jpg", "url_blanks", "https://example.com/my%20image.jpg"),
    ("https://example.com/größe", "url_not_ascii", "https://example.com/gr%C3%B6%C3%9Fe"),
    ("https://müller.example/ö", "url_not_ascii", "https://xn--mller-kva.example/%C3%B6"),
    ("https://example.com/?a=1&amp;b=2", "text_entities", "https://example.com/?a=1&b=2"),
    (" https://example.com/", "text_edge_blanks", "https://example.com/"),
    ("https://example.com/" + "x" * 1980, None, None), ("https://example.com/" + "x" * 1981, "text_too_long", None),
    (5, "field_type", "5"), ("", "text_empty", None),
]

CHOICES = [
    ("availability", "in_stock", None, None), ("availability", "in stock", "value_spelling", "in_stock"),
    ("availability", "Out of Stock", "value_spelling", "out_of_stock"),
    ("availability", "maybe", "value_not_allowed", None),
    ("availability", "instock", "value_spelling", "in_stock"), ("condition", "New", "value_spelling", "new"),
    ("condition", "refurbishd", "value_not_allowed", "refurbished"), ("condition", "", "text_empty", None),
    # Sunrise, Luma
    ("gender", "men", "value_not_allowed", None), ("gender", "Men\nWomen", "value_not_allowed", None),
    ("energy_efficiency_class", "A+++", None, None), ("energy_efficiency_class", "a", "value_spelling", "A"),
    ("energy_efficiency_class", "A ++", "value_spelling", "A++"), ("size_type", ["petite", "tall"], None, None),
    ("size_type", "Petite", "value_spelling", "petite"), ("size_type", ["big", "tall", "plus"], "list_too_long", None),
    ("adult", "no", None, None), ("adult", False, None, None), ("is_bundle", "FALSE", "value_spelling", "false"),
    ("adult", "perhaps", "value_not_allowed", None), ("adult", 1, "field_type", "1"),
    ("condition", ["new"], "field_type", None),
]


def only(record, *, kind=Kind.PRODUCT, policy=EUROS):
    """Code and suggestion of the single issue of a record, if it has one."""
    found = issues_of(record, kind=kind, policy=policy)
    assert len(found) <= 1, found
    return (found[0].code, found[0].suggestion) if found else (None, None)


@pytest.mark.parametrize(("value", "code", "suggestion"), QUANTITIES)
def test_a_quantity_is_a_whole_number(value, code, suggestion):
    """0 to 999,999,999; digits as text will do, as tables have nothing else."""
    assert only({"id": "A", "quantity": value}, kind=Kind.STOCK) == (code, suggestion)


@pytest.mark.parametrize(("value", "code", "suggestion"), MEASURES)
def test_a_measure_is_a_number_and_a_unit(value, code, suggestion):
    """Of the field's few units."""
    assert only(product(product_weight=value)) == (code, suggestion)


@pytest.mark.parametrize(("value", "code", "suggestion"), MEASURES_WITH_COMMA)
def test_a_measure_has_the_decimal_mark_of_the_submission(value, code, suggestion):
    """As prices have; the point of a JSON number is none of it."""
    record = product(product_weight=value, price="7,90 EUR")
    assert only(record, policy=Policy(decimal="comma")) == (code, suggestion)


@pytest.mark.parametrize(("value", "code", "suggestion"), MOMENTS)
def test_a_date_is_iso_8601(value, code, suggestion):
    """A day, or a time; a date written backwards is turned where only one reading is possible."""
    assert only(product(availability_date=value)) == (code, suggestion)


@pytest.mark.parametrize(("value", "code"), SPANS)
def test_a_span_has_two_ends_in_order(value, code):
    """With a slash between."""
    found = {one.code for one in issues_of(product(sale_price_effective_date=value))}
    assert found == ({code} if code else set())


@pytest.mark.parametrize(("value", "code", "suggestion"), ADDRESSES)
def test_a_url_is_absolute_and_without_blanks(value, code, suggestion):
    """Of http or https."""
    assert only(product(image_link=value)) == (code, suggestion)


def test_urls_may_be_a_list_if_the_field_is_repeated():
    """Up to ten, each reported by its position."""
    links = ["https://example.com/1", "/2", 3]
    found = [(one.code, one.path) for one in issues_of(product(additional_image_link=links))]
    assert found == [("url_not_absolute", "/additional_image_link/1"), ("field_type", "/additional_image_link/2")]
    assert only(product(additional_image_link=["https://example.com/1"] * 11)) == ("list_too_long", None)
    assert only(product(additional_image_link="https://example.com/1")) == (None, None)
    assert only(product(link=["https://example.com/1"])) == ("field_type", None)


@pytest.mark.parametrize(("field", "value", "code", "suggestion"), CHOICES)
def test_a_choice_is_one_of_the_allowed_values(field, value, code, suggestion):
    """Another spelling is a warning, another value an error."""
    assert only(product(**{field: value})) == (code, suggestion)


@pytest.mark.parametrize(("record", "version"), [
    ({"version_number": 7}, 7), ({"version_number": "7"}, 7), ({"version_number": 2**63 - 1}, 2**63 - 1),
    ({"version_number": 2**63}, None), ({"version_number": -1}, None), ({"version_number": "new"}, None),
    ({"observed_at": "1970-01-01T00:00:01Z"}, 1_000_000), ({"observed_at": "1970-01-01T01:00:00.000001+01:00"}, 1),
    ({"observed_at": "1970-01-01 00:00:01"}, 1_000_000), ({"observed_at": "soon"}, None), ({}, None),
    ({"version_number": 7, "observed_at": "1970-01-01T00:00:01Z"}, 7),
    ({"observed_at": "1969-12-31T23:59:59Z"}, -1_000_000),
])
def test_a_version_is_a_number_or_a_timestamp(record, version):
    """The version number, or else the time it was observed, in microseconds."""
    (actual,) = rules(Kind.STOCK).check([document({"id": "A", "quantity": 1, **record})]).versions
    assert (None if actual is None else plain_version(actual)) == version


@given(st.datetimes(timezones=st.timezones() | st.none()))
def test_a_timestamp_is_parsed_as_python_writes_it(at):
    """Any time of any zone, with or without fractions."""
    text = at.isoformat()
    if len(text) > 19 + 7 + 6:
        return  # offsets with seconds, of the nineteenth century
    read_version = version(text)
    if read_version is not None and at.tzinfo is not None:
        read = plain_version(read_version)
        assert read == round(at.timestamp() * 1_000_000) or abs(read / 1_000_000 - at.timestamp()) < 1e-3


def test_with_references_off_no_unit_is_unknown():
    """A unit is looked up like a brand."""
    off = Policy(currency="EUR", references=Strictness.OFF)
    assert only(product(product_weight="3 stone"), policy=off) == (None, None)
    refuse = Policy(currency="EUR", references=Strictness.REFUSE)
    assert issues_of(product(product_weight="3 stone"), policy=refuse)[0].severity == "error"


def counted(documents):
    """Issues of stock by code."""
    issues = rules(Kind.STOCK).check(list(documents)).issues
    return Counter(one.code for found in issues.values() for one in found)


def test_stock_of_a_clean_file():
    """26,137 rows of the demo's stock feed without an issue."""
    rows = csv.DictReader(io.StringIO(sample_bytes("sunrise-fashion/inventory.csv.gz").decode(), newline=""))
    assert counted(document({"id": row["sku"], "quantity": row["quantityOnStock"]}) for row in rows) == {}


def test_stock_of_sales_lines():
    """Only the negative quantities are wrong."""
    file = sales_lines(20_000)
    rows = csv.DictReader(io.StringIO(file.content.decode(), newline=""))
    found = counted(document({"id": row["StockCode"], "quantity": row["Quantity"]}) for row in rows)
    assert found == {"number_negative": file.negative_quantities}


def test_stock_of_kibo():
    """2,003 pairs of item and location, none of them with an issue."""
    lines = sample_bytes("kibo-sandbox/inventory.jsonl.gz").decode().splitlines()
    rows = [json.loads(line) for line in lines if line]
    records = [document({"id": row["upc"], "location": row["locationCode"], "quantity": row["onHand"]}) for row in rows]
    assert counted(records) == {}
    assert len({*rules(Kind.STOCK).check(records).keys}) == 2_003
