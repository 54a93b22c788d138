"""SKUs and GTINs: what a feed sends, and which issues it gets."""

import csv
import io
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from stdnum import ean

from goodsgate.rules.gtin import GTIN_LENGTHS, check_digit, is_gtin
from tests.data import sample_bytes
from tests.rules.truth import codes, document, issues_of, product, rules

SKUS = [
    # of Online Retail
    ("85123A", None, None), ("BANK CHARGES", None, None), ("gift_0001_20", None, None), ("15056BL", None, None),
    # of Open Food Facts, after a spreadsheet
    ("8.41E+12", "sku_rounded", None), ("2.02E+11", "sku_rounded", None), ("4E+12", "sku_rounded", None),
    ("1.23457e+12", "sku_rounded", None), ("1,23457E+12", "sku_rounded", None),
    ("1.23456789012346e+16", "sku_rounded", None), ("12E4", None, None), ("1.5E12", None, None),
    ("651511016", None, None),
    # of the Google offers of the Leipzig set: 69 characters
    ("http://www.google.com/base/feeds/snippets/11125907881740407428", "sku_too_long", None),
    ("x" * 50, None, None), ("x" * 51, "sku_too_long", None), ("é" * 50, None, None),
    ("", "sku_missing", None), ("   ", "sku_missing", None), (None, "sku_missing", None),
    (" 85123A", "sku_edge_blanks", "85123A"), ("85123A\u00a0", "sku_edge_blanks", "85123A"),
    ("85\x07123A", "sku_characters", "85123A"), ("85123A\u200b", "sku_characters", "85123A"),
    ("85123\ufffd", "sku_characters", "85123"), ("\ue001", "sku_characters", None), ("a\x1fb", "sku_characters", "ab"),
    (552, "field_type", "552"), (True, "field_type", None), (["a"], "field_type", None),
]

GTINS = [
    # of Open Food Facts, 2020: opened in a spreadsheet and saved
    ("0000000000000", "value_placeholder", None), ("00000000", "value_placeholder", None), ("000", "gtin_length", None),
    ("8.41E+12", "gtin_rounded", None), ("2.20E+11", "gtin_rounded", None), ("8,41E+12", "gtin_rounded", None),
    ("4e12", "gtin_rounded", None), ("4006380000000", "gtin_rounded", None), ("4006381300000", "gtin_rounded", None),
    ("651511016", "gtin_zeros_lost", "000651511016"),
    ("2000001186", "gtin_zeros_lost", "002000001186"), ("3400000149", "gtin_length", None),
    ("19425835", "gtin_check_digit", "19425832"),
    # of Open Food Facts, 2026
    ("00002220", "gtin_check_digit", "00002226"), ("00012444", "gtin_check_digit", "00012447"),
    # of the Kibo sandbox, in a field named upc
    ("CampStove_001", "gtin_characters", None), ("", "text_empty", None),
    # by length: GTIN-8, -12, -13, -14
    ("96385074", None, None), ("614141007349", None, None), ("4006381333931", None, None),
    ("10614141007346", None, None),
    ("4006381333932", "gtin_check_digit", "4006381333931"), ("1061414100734", "gtin_check_digit", "1061414100730"),
    ("4006381-333931", "gtin_characters", "4006381333931"), ("4 006381 333931", "gtin_characters", "4006381333931"),
    (" 4006381333931", "gtin_characters", "4006381333931"), ("400638133393X", "gtin_characters", None),
    ("٤٠٠٦٣٨١٣٣٣٩٣١", "gtin_characters", None), ("12345", "gtin_length", None), ("1" * 15, "gtin_length", None),
    (4006381333931, "field_type", "4006381333931"), (None, None, None),
]


@pytest.mark.parametrize(("value", "code", "suggestion"), SKUS)
def test_every_defect_of_a_sku_is_reported(value, code, suggestion):
    """Google's bound of 50 characters, nothing invisible, no damage by a spreadsheet."""
    found = issues_of({**product(), "id": value})
    assert [(one.code, one.path, one.suggestion) for one in found] == ([(code, "/id", suggestion)] if code else [])


@pytest.mark.parametrize(("value", "code", "suggestion"), GTINS)
def test_every_defect_of_a_gtin_is_reported(value, code, suggestion):
    """A rounded number is never expanded, lost zeros are put back where the check digit proves them."""
    found = issues_of(product(gtin=value))
    assert [(one.code, one.path, one.suggestion) for one in found] == ([(code, "/gtin", suggestion)] if code else [])


@pytest.mark.parametrize("value", ["85123A", "a" * 50, " 85123A"])
def test_a_readable_sku_is_the_key_even_of_an_invalid_record(value):
    """So that the report can name it."""
    checked = rules().check([document({"id": value})])
    assert checked.keys == [value]
    assert checked.issues


@pytest.mark.parametrize("value", ["", "x" * 51, "a\x1fb", 5, None, "\ud800"])
def test_a_record_without_a_usable_key_has_none(value):
    """Nothing that could be taken for another key, or that cannot be written, gets through."""
    raw = document({**product(), "id": value}) if value != "\ud800" else b'{"id": "\\ud800", "title": "x"}'
    checked = rules().check([raw])
    assert checked.keys == [None]
    assert checked.issues[0]


@given(st.integers(0, 10**13 - 1), st.sampled_from(GTIN_LENGTHS))
@example(0, 8)
def test_the_table_agrees_with_stdnum_on_good_numbers(number, length):
    """python-stdnum knows EAN-8, UPC-A, EAN-13 and GTIN-14."""
    body = str(number).zfill(13)[-(length - 1) :]
    good = body + check_digit(body)
    assert check_digit(body) == ean.calc_check_digit(body)
    assert is_gtin(good)
    assert ean.is_valid(good)


@given(st.text("0123456789", max_size=16) | st.text("0123456789 -X٣²E", max_size=14))
def test_the_table_agrees_with_stdnum_on_anything(text):
    """No text passes that is not all digits, of one of the four lengths, with the right check digit."""
    assert is_gtin(text) == (text.isascii() and text.isdigit() and len(text) in GTIN_LENGTHS and ean.is_valid(text))


@pytest.mark.parametrize(("path", "delimiter", "expected"), [
    ("openfoodfacts/products-2020-spreadsheet.csv.gz", ",",
     {"gtin_rounded": 106, "gtin_zeros_lost": 10, "gtin_length": 1, "gtin_check_digit": 1}),
    ("openfoodfacts/products-2026-export.tsv.gz", "\t", {"gtin_check_digit": 4}),
])
def test_barcodes_of_open_food_facts(path, delimiter, expected):
    """Whole files: every damaged barcode is reported with its cause (counts as measured beside the data)."""
    reader = csv.DictReader(io.StringIO(sample_bytes(path).decode("utf-8-sig"), newline=""), delimiter=delimiter)
    documents = [document(product(id=f"row-{at}", gtin=row["code"] or None)) for at, row in enumerate(reader)]
    checked = rules().check(documents)
    assert Counter(one.code for issues in checked.issues.values() for one in issues) == expected


def test_variants_are_identified_like_products():
    """A path says which; their ids are unique within the record."""
    variants = [{"id": "A-1-S", "gtin": "96385074"}, {"id": "A-1-S"}, {"size": "M"}, {"id": 5}, 7,
        {"id": "x", "gtin": "1"}]
    assert codes(product(variants=variants)) == [
        ("variant_repeated", "/variants/1/id"), ("sku_missing", "/variants/2/id"), ("field_type", "/variants/3/id"),
        ("field_type", "/variants/4"), ("gtin_length", "/variants/5/gtin"),
    ]
    assert codes(product(variants={"id": "A"})) == [("field_type", "/variants")]
