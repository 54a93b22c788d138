"""Values of attributes against their definitions, with the published texts."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.protocols.mircate.pim.configuration import SPECIFIC, ProductAttribute, build_attribute
from goodsgate.protocols.mircate.pim.values import (
    check_options,
    check_values,
    js_text,
    missing_channels,
    parse_time,
    unique_value,
)
from tests import effort


def attribute(type: str = "TEXT", **members: Any) -> ProductAttribute:
    """Return a definition with the code ``a``."""
    return build_attribute({"code": "a", "type": type, "group": "other", **members})


def texts(definition: ProductAttribute, *values: Any) -> list[str]:
    """Return the texts about values without scope and locale."""
    return [text for _, text in check_values(definition, [{"value": value} for value in values])]


WORDS = [
    ("TEXT", {"maxCharacters": 3}, "abcd", "a maximum length should be 3"),
    ("TEXT", {"validationRule": "REGEXP", "validationRegexp": "^[A-Z]+$", "maxCharacters": 9}, "x",
     "a, invalid regex format, 9"),
    ("TEXT", {"validationRule": "REGEXP", "validationRegexp": "^[A-Z]+$"}, "x", "a, invalid regex format, undefined"),
    ("TEXT", {"validationRule": "EMAIL"}, "nobody", "a, invalid regex format, undefined"),
    ("TEXT", {"validationRule": "URL"}, "ftp://x.example", "a, invalid regex format, undefined"),
    ("TEXT", {"validationRule": "REGEXP"}, "x", "Validation regexp is null!"),
    ("TEXT", {}, 5, "a has an invalid value!"),
    ("TEXTAREA", {"maxCharacters": 0}, "x", "a maximum length should be 0"),
    ("IDENTIFIER", {"validationRule": "REGEXP", "validationRegexp": "^([A-Za-z0-9_])*$"}, "a-b",
     "a, invalid regex format, undefined"),
    ("NUMBER", {}, -1, "a should not be negative!"),
    ("NUMBER", {}, 1.5, "a should not be decimal!"),
    ("NUMBER", {"maxNumber": 5}, 6, "a should not be greater than 5!"),
    ("NUMBER", {"minNumber": 2.5, "decimalsAllowed": True}, 2, "a should not be less than 2.5!"),
    ("NUMBER", {}, "5", "a has an invalid value!"),
    ("NUMBER", {}, True, "a has an invalid value!"),
    ("PRICE", {"decimalsAllowed": False}, 1.5, "a should not be decimal!"),
    ("PRICE", {"minNumber": 1}, 0, "a should not be less than 1!"),
    ("IMAGE", {"allowedExtensions": ["png"]}, "x.jpg", "a extension is invalid!"),
    ("IMAGE_LIST", {}, "x.png", "Image list value must be array! (attribute: a)"),
    ("IMAGE_LIST", {"allowedExtensions": ["png"]}, ["x.png", "y.gif"], "a extension is invalid!"),
    ("DATE", {"minDate": "2026-01-02"}, "2026-01-01", "a should not be less than 2026-01-02!"),
    ("DATE", {"maxDate": "2026-01-02"}, "2026-01-02T00:00:01Z", "a should not be greater than 2026-01-02!"),
    ("DATE", {}, "tomorrow", "a is not a date!"),
    ("BOOLEAN", {}, "yes", "a has an invalid value!"),
]


@pytest.mark.parametrize(("type", "members", "value", "text"), WORDS)
def test_problems_have_the_published_texts(type: str, members: dict, value: object, text: str) -> None:
    """Each problem has one text."""
    assert texts(attribute(type, **members), value) == [text]


GOOD = [
    ("TEXT", {"maxCharacters": 3}, "abc"), ("TEXT", {"validationRule": "EMAIL"}, "a.b@x.shop"),
    ("TEXT", {"validationRule": "URL"}, "https://x.shop/x?y=1"), ("NUMBER", {"negativeAllowed": True}, -3),
    ("NUMBER", {"decimalsAllowed": True}, 0.5), ("NUMBER", {}, 5.0), ("PRICE", {}, 9.99), ("BOOLEAN", {}, False),
    ("IMAGE", {}, "x.tiff"), ("IMAGE_LIST", {"allowedExtensions": ["png"]}, ["x.png"]),
    ("DATE", {"minDate": "2026-01-02", "maxDate": "2026-01-02"}, "2026-01-02"), ("SIMPLESELECT", {}, "red"),
]


@pytest.mark.parametrize(("type", "members", "value"), GOOD)
def test_valid_values_pass(type: str, members: dict, value: object) -> None:
    """Bounds are inclusive."""
    assert texts(attribute(type, **members), value) == []


@pytest.mark.parametrize(("scopable", "localizable", "datum", "texts"), [
    (False, False, {"scope": "web"}, ["a is not scopable!"]),
    (True, False, {}, ["a is scopable!"]),
    (False, False, {"locale": "en_US"}, ["a is not localizable!"]),
    (False, True, {}, ["a is localizable!"]),
    (True, True, {"scope": "web", "locale": "en_US"}, []),
])
def test_scopes_and_locales(scopable: bool, localizable: bool, datum: dict, texts: list[str]) -> None:
    """A value has them exactly if its attribute has."""
    definition = attribute(scopable=scopable, localizable=localizable)
    assert [text for _, text in check_values(definition, [{**datum, "value": "x"}])] == texts


def test_an_attribute_may_restrict_locales() -> None:
    """This holds for locale-specific attributes."""
    definition = attribute(localizable=True, isLocaleSpecific=True, availableLocales=["tr_TR"])
    assert [text for _, text in check_values(definition, [{"locale": "en_US", "value": "x"}])] == [
        "a has invalid locale, en_US"
    ]


def test_a_channel_may_require_a_value() -> None:
    """An empty value counts as none."""
    data = [{"scope": "web", "value": ""}, {"scope": "app", "value": "x"}]
    assert [*missing_channels("a", ["web", "app", "shop"], data)] == [
        "a is required in this channel! (web)", "a is required in this channel! (shop)",
    ]


@pytest.mark.parametrize(("data", "text"), [
    ([{"value": "x"}, {"value": "y"}], "Unique attribute data should only have one value!"),
    ([{"value": "x", "scope": "web"}], "Unique attribute should not be scopable or localizable!"),
    ([{"value": 5}], "Unique attribute should be string!"), ([{"value": ""}], None), ([], None),
])
def test_unique_values(data: list, text: str | None) -> None:
    """A unique attribute has one text, without scope and locale."""
    assert unique_value(data) == (None, text)


def test_options() -> None:
    """A select accepts only its options."""
    options = frozenset({"red", "blue"})
    assert [*check_options(attribute("SIMPLESELECT"), "red", options)] == []
    assert [*check_options(attribute("MULTISELECT"), ["red", "pink", 5], options)] == [
        "Illegal option! (code: a, option: pink)", "Illegal option! (code: a, option: 5)",
    ]
    assert [*check_options(attribute("MULTISELECT"), "red", options)] == ["a has an invalid value!"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=6,
)


@settings(deadline=None, max_examples=effort.examples(300))
@given(st.sampled_from(sorted(SPECIFIC)), ANYTHING)
def test_any_value_is_checked(type: str, value: object) -> None:
    """No value causes a fault."""
    for text in texts(attribute(type), value):
        assert text
    assert isinstance(js_text(value), str)
    assert parse_time(value) is None or isinstance(value, str)


@settings(deadline=None, max_examples=effort.examples(200))
@given(
    st.integers(-20, 20), st.none() | st.integers(-10, 10), st.none() | st.integers(-10, 10), st.booleans(),
    st.booleans(),
)
def test_numbers_against_arithmetic(tenths: int, least: int | None, most: int | None, negative: bool,
                                    decimals: bool) -> None:
    """A number passes exactly if it fulfils all conditions."""
    bounds = {name: bound for name, bound in (("minNumber", least), ("maxNumber", most)) if bound is not None}
    definition = attribute("NUMBER", negativeAllowed=negative, decimalsAllowed=decimals, **bounds)
    value = tenths / 2
    good = (negative or value >= 0) and (decimals or value == int(value))
    good = good and (least is None or value >= least) and (most is None or value <= most)
    assert (texts(definition, value) == []) is good


# -- regular expressions ----------------------------------------------------------------------------------------------


def test_an_expression_that_would_backtrack_for_years_is_checked_at_once() -> None:
    """Merchants' expressions take linear time."""
    definition = attribute(validationRule="REGEXP", validationRegexp="^(a+)+$", maxCharacters=255)
    assert texts(definition, "a" * 255) == []
    assert texts(definition, "a" * 254 + "!") == ["a, invalid regex format, 255"]


def test_an_expression_that_cannot_be_used_is_reported() -> None:
    """It was configured before such expressions were refused."""
    definition = attribute(validationRule="REGEXP", validationRegexp="(?=a)b")
    assert texts(definition, "b") == ["a has a validation regexp that cannot be used!"]
