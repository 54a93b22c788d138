"""Prices: every form real feeds write them in."""

import csv
import io
from collections import Counter
from decimal import Decimal

import pytest
from babel.numbers import get_currency_precision
from hypothesis import given
from hypothesis import strategies as st

from goodsgate.model.batch import Kind, Policy
from goodsgate.rules.currencies import DECIMALS, ISO_DECIMALS
from goodsgate.rules.prices import read_number
from tests.data import sample
from tests.invented import offers, sales_lines
from tests.rules.truth import EUROS, codes, document, issues_of, product, rules

DOLLARS = Policy(currency="USD")
POUNDS = Policy(currency="GBP")
NONE = Policy()
COMMA = Policy(currency="EUR", decimal="comma")

PRICES = [
    # Google's form
    ("15.99 EUR", NONE, {}), ("15 EUR", NONE, {}), ("15.9 EUR", NONE, {}), ("1500 JPY", NONE, {}),
    ("1.234 KWD", NONE, {}),
    # Abt and Buy of the Leipzig set
    ("$1,099.00", DOLLARS, {"price_currency_form": "1099.00 USD", "price_thousands": "1099.00 USD"}),
    ("$399.00", DOLLARS, {"price_currency_form": "399.00 USD"}),
    # Amazon: bare numbers, 0 for unknown
    ("0", DOLLARS, {"price_zero": None}), ("49.99", DOLLARS, {}), ("49.99", NONE, {"currency_missing": None}),
    # Google: pounds among dollars
    ("10.25 gbp", DOLLARS, {"price_currency_form": "10.25 GBP"}),
    ("47.8 gbp", DOLLARS, {"price_currency_form": "47.8 GBP"}),
    # Online Retail
    ("2.55", POUNDS, {}), ("0.0", POUNDS, {"price_zero": None}), ("-11062.06", POUNDS, {"price_negative": None}),
    ("0.001", POUNDS, {"price_decimals": None}),
    # Sunrise: several currencies, minor units
    ("EUR 34375;US-USD 34375;DE-EUR 27500", NONE, {"price_unreadable": None}),
    # Saleor and Kibo
    ("10.000", Policy(currency="PLN"), {"price_decimals": None}), (222, DOLLARS, {}), (19.5, DOLLARS, {}),
    # decimal comma and thousands, where a point was agreed
    ("15,99 EUR", NONE, {"price_decimal_mark": "15.99 EUR"}), ("15,9", EUROS, {"price_decimal_mark": "15.9"}),
    ("0,099 KWD", NONE, {"price_decimal_mark": "0.099 KWD"}),
    ("1,099", EUROS, {"price_ambiguous": None}), ("1,099 EUR", NONE, {"price_ambiguous": None}),
    ("1.099,00 EUR", NONE, {"price_thousands": "1099.00 EUR", "price_decimal_mark": "1099.00 EUR"}),
    ("1,234,567", EUROS, {"price_thousands": "1234567"}), ("1.234.567", EUROS, {"price_thousands": "1234567"}),
    ("1 099.00 EUR", NONE, {"price_thousands": "1099.00 EUR"}),
    ("12'000.50 CHF", NONE, {"price_thousands": "12000.50 CHF"}),
    ("1,09,00", EUROS, {"price_unreadable": None}), ("1.2.3", EUROS, {"price_unreadable": None}),
    # where a comma was agreed
    ("15,99 EUR", COMMA, {}), ("15,99", COMMA, {}), ("15", COMMA, {}),
    ("15.99", COMMA, {"price_decimal_mark": "15,99"}),
    ("1.099", COMMA, {"price_ambiguous": None}), ("1.099,00", COMMA, {"price_thousands": "1099,00"}),
    (15.99, COMMA, {}),
    # currency in the cell
    ("€15.99", NONE, {"price_currency_form": "15.99 EUR"}), ("EUR 15.99", NONE, {"price_currency_form": "15.99 EUR"}),
    ("15.99€", NONE, {"price_currency_form": "15.99 EUR"}), ("15.99EUR", NONE, {"price_currency_form": "15.99 EUR"}),
    ("$5", Policy(currency="CAD"), {"price_currency_form": "5 CAD"}), ("5 kr", Policy(currency="SEK"),
                                                                      {"price_currency_form": "5 SEK"}),
    ("15.99 XXQ", NONE, {"currency_unknown": None}), ("15.99 Eurodollars", EUROS, {"price_unreadable": None}),
    # amounts
    ("(5.00)", EUROS, {"price_negative": None}), ("-5 EUR", NONE, {"price_negative": None}),
    (-1, EUROS, {"price_negative": None}),
    ("-0", EUROS, {"price_zero": None}), (0, EUROS, {"price_zero": None}),
    ("15.999 EUR", NONE, {"price_decimals": None}), ("15.990 EUR", NONE, {"price_decimals": None}),
    # zeros beyond the cents, as shop systems export them; three may be thousands
    ("1500.00 JPY", NONE, {}), ("34.000000", EUROS, {}), ("113.8900000000 USD", NONE, {}), ("0.990", EUROS, {}),
    ("1500.000 JPY", NONE, {}), ("150.000 JPY", NONE, {"price_decimals": None}),
    ("4.5454", EUROS, {"price_decimals": None}),
    ("34,0000", COMMA, {}), (0.1 + 0.2, EUROS, {"price_decimals": None}),
    ("999999999999.99 EUR", NONE, {}), ("1000000000000 EUR", NONE, {"price_too_large": None}),
    (1e30, EUROS, {"price_too_large": None}), ("x" * 500, EUROS, {"price_unreadable": None}),
    (".99", EUROS, {"price_unreadable": "0.99"}), ("1e3", EUROS, {"price_unreadable": None}),
    ("on request", EUROS, {"price_unreadable": None}), ("10-20", EUROS, {"price_unreadable": None}),
    (" 15.99 EUR", NONE, {"text_edge_blanks": "15.99 EUR"}), ("", EUROS, {"text_empty": None}),
    (True, EUROS, {"field_type": None}), ([15], EUROS, {"field_type": None}),
]

OBJECTS = [
    ({"value": "15.99", "currency": "EUR"}, {}), ({"amount": 15.99, "currency_code": "EUR"}, {}),
    ({"value": "15.99"}, {("currency_missing", "/price/value"): None}),
    ({"value": "15,99", "currency": "EUR"}, {("price_decimal_mark", "/price/value"): "15.99"}),
    ({"value": 5, "currency": "eur"}, {("currency_unknown", "/price/currency"): "EUR"}),
    ({"value": 5, "currency": "ERU"}, {("currency_unknown", "/price/currency"): "ERN"}),
    ({"value": 5, "currency": 978}, {("field_type", "/price/currency"): "978"}),
    ({"currency": "EUR"}, {("field_missing", "/price/value"): None}),
    ({"amount": [5], "currency": "EUR"}, {("field_type", "/price/amount"): None}),
    ({"value": -5, "currency": "EUR"}, {("price_negative", "/price/value"): None}),
    # Kibo
    ({"isoCurrencyCode": "USD", "price": 222, "salePrice": 199}, {("field_missing", "/price/value"): None}),
]


@pytest.mark.parametrize(("value", "policy", "expected"), PRICES)
def test_every_defect_of_a_price_is_reported(value, policy, expected):
    """With what it should have been, where that can be known; the value itself is never changed."""
    found = issues_of(product(price=value), policy=policy)
    assert {one.code: one.suggestion for one in found} == expected
    assert {one.path for one in found} <= {"/price"}


@pytest.mark.parametrize(("value", "expected"), OBJECTS)
def test_a_price_may_be_an_object(value, expected):
    """The path says which member."""
    found = issues_of(product(price=value), policy=NONE)
    assert {(one.code, one.path): one.suggestion for one in found} == expected


@pytest.mark.parametrize(("price", "sale", "code"), [
    ("20 EUR", "15 EUR", None), ("20 EUR", "20 EUR", None), ("20 EUR", "20.01 EUR", "sale_price_above_price"),
    ("9 EUR", "10 EUR", "sale_price_above_price"), (9, {"value": "10", "currency": "EUR"}, "sale_price_above_price"),
    ("20 EUR", "15 USD", "sale_price_currency"), ("bad", "15 EUR", "price_unreadable"), (None, "15 EUR", None),
])
def test_a_sale_price_is_not_above_the_price(price, sale, code):
    """Compared as numbers, in one currency, and only where both can be read."""
    found = codes({"id": "A", "title": "x", "price": price, "sale_price": sale})
    assert [name for name, _ in found] == ([code] if code else [])


def test_a_variant_without_a_price_has_that_of_the_product():
    """Its sale price is compared with that."""
    variants = [{"id": "1", "sale_price": "25 EUR"}, {"id": "2", "price": "30 EUR", "sale_price": "25 EUR"}]
    assert codes(product(price="20 EUR", variants=variants)) == [("sale_price_above_price", "/variants/0/sale_price")]


def test_an_invalid_price_is_reported_for_every_variant():
    """What was said of the one before is said again."""
    variants = [{"id": "1", "price": "0 EUR"}, {"id": "2", "price": "0 EUR"}, {"id": "3", "price": "5 EUR"}]
    assert codes(product(variants=variants)) == [("price_zero", "/variants/0/price"),
        ("price_zero", "/variants/1/price")]


def test_the_currency_of_a_record_overrides_that_of_the_submission():
    """Spree sends it in a column of its own."""
    assert codes(product(price="1500.50", currency="JPY")) == [("price_decimals", "/price")]
    assert codes(product(price="879.99", currency="USD"), policy=NONE) == []
    assert [one.suggestion for one in issues_of(product(price="5", currency="usd"), policy=EUROS)] == ["USD"]


def test_prices_need_a_price_and_their_location_is_in_the_key():
    """The kind of record that carries nothing else."""
    assert codes({"id": "A"}, kind=Kind.PRICE) == [("field_missing", "/price")]
    assert codes({"id": "A", "price": " "}, kind=Kind.PRICE) == [("field_missing", "/price")]
    assert codes({"id": "A", "price": "5", "sale_price": 6, "cost_of_goods_sold": "bad"}, kind=Kind.PRICE) == [
        ("sale_price_above_price", "/sale_price")
    ]
    assert rules(Kind.PRICE).check([document({"id": "A", "location": "ALB", "price": 5})]).keys == ["A\x1fALB"]


@given(st.decimals("0.01", 999_999, places=2), st.booleans(), st.booleans())
def test_grouped_numbers_read_as_the_number(number, comma, grouped):
    """However its thousands and decimals are marked, once that is agreed or plain to see."""
    text = f"{number:,.2f}" if grouped else f"{number:.2f}"
    if comma:
        text = text.translate(str.maketrans(",.", ".,"))
    for agreed in (False, True):
        reading = read_number(text, comma=agreed)
        assert reading.plain is not None
        assert Decimal(reading.plain) == number


@given(st.text("0123456789.,' \u00a0", min_size=1, max_size=14))
def test_reading_a_number_never_invents_digits(text):
    """What is read has the digits that were there, in their order."""
    for comma in (False, True):
        reading = read_number(text, comma=comma)
        if reading.plain is not None:
            assert reading.plain.replace(".", "").lstrip("0") == "".join(filter(str.isdigit, text)).lstrip("0")


@given(st.text(max_size=20) | st.from_regex(r"[-($€ ]{0,2}[0-9.,' ]{1,9} ?([A-Za-z]{3}|€)?", fullmatch=True))
def test_a_suggested_price_is_valid(text):
    """Taking it leaves nothing to say about its form."""
    for one in issues_of(product(price=text), policy=EUROS):
        if one.suggestion and one.code != "text_edge_blanks":
            again = {code for code, _ in codes(product(price=one.suggestion), policy=EUROS)}
            assert again <= {"price_zero", "price_decimals", "price_too_large"}


@pytest.mark.parametrize(("price", "policy", "severity"), [
    ("1.299,00", COMMA, "warning"), ("1,299.00", EUROS, "warning"), ("1 299,00 €", COMMA, "warning"),
    ("1,234,567", EUROS, "warning"), ("12'000.50 CHF", NONE, "warning"), ("$1,099.00", DOLLARS, "warning"),
    ("12,50 €", COMMA, "warning"), ("€12.50", NONE, "warning"), ("12.50 gbp", DOLLARS, "warning"),
    # another decimal mark than was agreed, irregular groups, a symbol of several currencies
    ("1.299,00", EUROS, "error"), ("1.234.567", EUROS, "error"), ("12 34.50", EUROS, "error"),
    ("1 299'000.00", EUROS, "error"), ("$5", NONE, "error"), ("5 kr", EUROS, "error"),
])
def test_a_price_that_can_mean_one_thing_only_is_accepted(price, policy, severity):
    """Its unusual notation is a warning."""
    assert {one.severity for one in issues_of(product(price=price), policy=policy)} == {severity}


def test_decimals_are_those_of_iso_4217():
    """CLDR's, but for currencies whose minor unit is no longer minted; the list beside the data has the last word."""
    assert all(get_currency_precision(code) == 0 for code in ISO_DECIMALS)
    rows = csv.DictReader(io.StringIO(sample("reference/currency-codes.csv").read_text("utf-8")))
    minor = {row["AlphabeticCode"]: row["MinorUnit"] for row in rows if not row["WithdrawalDate"]}
    assert {code for code in DECIMALS if code not in minor} <= {"BGN"}  # withdrawn in 2026
    assert all(minor[code] == str(decimals) for code, decimals in DECIMALS.items() if code in minor)


@pytest.mark.parametrize("dialect", ["dollar", "zero", "mixed"])
def test_prices_of_shop_offers(dialect):
    """Currency signs and thousands separators, 0 for an unknown price, and another currency behind the number."""
    file = offers(dialect)
    rows = csv.DictReader(io.StringIO(file.content.decode(), newline=""))
    documents = [document({"id": "A", "price": row["price"]}) for row in rows if row["price"]]
    issues = rules(Kind.PRICE, Policy(currency="USD")).check(documents).issues
    counts = Counter(issue.code for record in issues.values() for issue in record)
    assert counts == {
        "dollar": {"price_currency_form": file.priced, "price_thousands": file.thousands},
        "zero": {"price_zero": file.zero_prices},
        "mixed": {"price_currency_form": file.foreign_prices},
    }[dialect]


def test_prices_of_sales_lines():
    """Zero, negative and with three decimals, among prices that are good."""
    file = sales_lines(20_000)
    rows = csv.DictReader(io.StringIO(file.content.decode(), newline=""))
    documents = [document({"id": "A", "price": row["UnitPrice"]}) for row in rows]
    issues = rules(Kind.PRICE, Policy(currency="GBP")).check(documents).issues
    assert Counter(issue.code for record in issues.values() for issue in record) == {
        "price_zero": file.zero_prices, "price_decimals": file.three_decimals, "price_negative": file.negative_prices
    }
