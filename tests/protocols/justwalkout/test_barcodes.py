"""Barcodes of every type, valid and invalid, compared with python-stdnum where it knows them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import ean, isbn

from goodsgate.protocols.justwalkout.barcodes import LENGTHS, check_barcode

DIGITS = "0123456789"


@pytest.mark.parametrize(("barcode", "kind"), [
    ("036000291452", "UPC"), ("04252614", "UPC"), ("01234565", "UPC"), ("96385074", "UPC"), ("96385074", "EAN8"),
    ("4006381333931", "EAN"), ("080442957X", "ISBN"), ("0306406152", "ISBN"), ("10614141000415", "GTIN"),
    ("4011", "PLU"), ("4131", "PLU"), ("94011", "PLU"), ("123", "PLU"), ("123456", "PLU"), ("036000291452", None),
    ("96385074", None), ("0306406152", ""), ("4006381333931", "ASIN"), ("10614141000415", None), ("4011", None),
    ("036000291452", "upc"),
])
def test_valid_barcodes(barcode, kind):
    """They match their type; without a known type, the length decides."""
    assert check_barcode(barcode, kind, "/x") is None


@pytest.mark.parametrize(("barcode", "kind", "code", "suggestion"), [
    ("036000291453", "UPC", "gtin_check_digit", "036000291452"), ("03600029145", "UPC", "barcode_form", "036000291452"),
    ("400638133393", "EAN", "barcode_form", "4006381333931"), ("96385075", "EAN8", "gtin_check_digit", "96385074"),
    ("04252614", "EAN8", "gtin_check_digit", "04252610"), ("0306406153", "ISBN", "gtin_check_digit", "0306406152"),
    ("978030640615", "ISBN", "barcode_form", None), ("X306406152", "ISBN", "barcode_form", None),
    ("10614141000416", None, "gtin_check_digit", "10614141000415"), ("12", "PLU", "barcode_form", None),
    ("1234567", "PLU", "barcode_form", None), ("40a1", "PLU", "barcode_form", None), ("x", None, "barcode_form", None),
    ("123456789", None, "barcode_form", None), ("\u0661" * 12, "UPC", "barcode_form", None),
    ("036000291452", "EAN", "barcode_form", None), (" 036000291452", "UPC", "barcode_form", None),
])
def test_invalid_barcodes(barcode, kind, code, suggestion):
    """The issue suggests a correction where one is possible."""
    result = check_barcode(barcode, kind, "/external_product_id")
    assert (result.code, result.suggestion, result.path) == (code, suggestion, "/external_product_id")
    if code == "gtin_check_digit":
        assert check_barcode(suggestion, kind, "/x") is None


@settings(deadline=None)
@given(st.text(DIGITS, min_size=8, max_size=14), st.sampled_from(["EAN8", "EAN", "GTIN"]))
def test_eans_are_checked_as_by_the_library(barcode, kind):
    """This covers lengths and check digits."""
    fits = len(barcode) in LENGTHS[kind] and ean.is_valid(barcode)
    assert (check_barcode(barcode, kind, "/x") is None) == fits


@settings(deadline=None)
@given(st.text(DIGITS + "X", min_size=9, max_size=11))
def test_isbns_are_checked_as_by_the_library(barcode):
    """An ISBN has ten characters, of which the last may be X."""
    assert (check_barcode(barcode, "ISBN", "/x") is None) == (len(barcode) == 10 and isbn.is_valid(barcode))


@settings(deadline=None)
@given(st.text(max_size=20), st.none() | st.text(max_size=6) | st.sampled_from([*LENGTHS]))
def test_any_text_is_handled(barcode, kind):
    """It is valid or has an issue."""
    result = check_barcode(barcode, kind, "/x")
    assert result is None or result.severity == "error"
