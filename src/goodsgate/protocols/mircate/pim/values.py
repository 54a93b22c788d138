"""Values of a product against their attribute, with the published error texts.

The texts and their order are those of the ancestor of this interface. Errors for which the ancestor has no text (such
as a number instead of a text) have one of ours, `unpublished.VALUE`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from msgspec import UNSET, UnsetType

from goodsgate.model.json_text import Number, is_number
from goodsgate.protocols.mircate.pim.configuration import ProductAttribute
from goodsgate.protocols.mircate.pim.unpublished import NO_DATE, NO_EXPRESSION, VALUE
from goodsgate.rules.numbers import exact_number, whole_number
from goodsgate.rules.patterns import PatternError, compile_pattern

ValueProblem = tuple[str, str]
"""A path below the attribute, and the error text."""

EMAIL = r"^[\w.-]+@([\w-]+\.)+[\w-]{2,4}\Z"
URL = r"^https?://[-a-zA-Z0-9@:%._+~#=]{1,256}\.[a-zA-Z0-9()]{1,6}\b[-a-zA-Z0-9()@:%_+.~#?&/=]*\Z"
SAFE_INTEGER = 2**53 - 1
RULES = {"EMAIL": re.compile(EMAIL, re.ASCII).match, "URL": re.compile(URL, re.ASCII).match}
RULE_CHARACTERS_MAX = 2_000
PATTERN_TEXT_CHARACTERS_MAX = 500
"""A longer text matches no expression; attributes that have one take at most 255 characters."""

Datum = Mapping[str, Any]


def check_values(attribute: ProductAttribute, data: Sequence[Datum]) -> Iterator[ValueProblem]:
    """Yield all problems of a product's values of an attribute."""
    yield from _check_scopes(attribute, data)
    check = CHECKS.get(attribute.type)
    if check is None:
        return
    for at, datum in enumerate(data):
        value = datum.get("value")
        if value is not None and value != "":  # an empty value counts as no value
            for text in check(attribute, value):
                yield f"/data/{at}/value", text


def _check_scopes(attribute: ProductAttribute, data: Sequence[Datum]) -> Iterator[ValueProblem]:
    """Check scopes and locales."""
    code = attribute.code
    for at, datum in enumerate(data):
        scope, locale = datum.get("scope"), datum.get("locale")
        if bool(scope) != attribute.scopable:
            yield f"/data/{at}/scope", f"{code} is scopable!" if attribute.scopable else f"{code} is not scopable!"
        if bool(locale) != attribute.localizable:
            text = f"{code} is localizable!" if attribute.localizable else f"{code} is not localizable!"
            yield f"/data/{at}/locale", text
        elif attribute.is_locale_specific and locale not in attribute.available_locales:
            yield f"/data/{at}/locale", f"{code} has invalid locale, {js_text(locale)}"


def missing_channels(attribute: str, channels: list[str], data: Sequence[Datum]) -> Iterator[str]:
    """Yield a text for each channel that requires a value and has none."""
    for channel in channels:
        value = next((datum.get("value") for datum in data if datum.get("scope") == channel), None)
        if value is None or value == "":
            yield f"{attribute} is required in this channel! ({channel})"


def unique_value(data: Sequence[Datum]) -> tuple[str | None, str | None]:
    """Return the value of a unique attribute, or its problem; neither if there is no value."""
    if len(data) > 1:
        return None, "Unique attribute data should only have one value!"
    if not data or data[0].get("value") in (None, ""):
        return None, None
    if data[0].get("scope") or data[0].get("locale"):
        return None, "Unique attribute should not be scopable or localizable!"
    value = data[0]["value"]
    return (value, None) if isinstance(value, str) else (None, "Unique attribute should be string!")


# -- texts ------------------------------------------------------------------------------------------------------------


def _check_text(attribute: ProductAttribute, value: object) -> Iterator[str]:
    if not isinstance(value, str):
        yield VALUE.format(attribute.code)
        return
    if not isinstance(attribute.max_characters, UnsetType) and len(value) > attribute.max_characters:
        yield f"{attribute.code} maximum length should be {attribute.max_characters}"
    if attribute.validation_rule is UNSET:
        return
    matches: Callable[[str], object] | None = RULES.get(attribute.validation_rule)
    if matches is None and attribute.validation_regexp is UNSET:
        yield "Validation regexp is null!"
        return
    characters_max = RULE_CHARACTERS_MAX
    if matches is None:
        try:
            matches = compile_pattern(str(attribute.validation_regexp)).search
        except PatternError:  # configured before such expressions were refused
            yield NO_EXPRESSION.format(attribute.code)
            return
        characters_max = PATTERN_TEXT_CHARACTERS_MAX
    if len(value) > characters_max or not matches(value):
        yield f"{attribute.code}, invalid regex format, {js_text(attribute.max_characters)}"


# -- numbers ----------------------------------------------------------------------------------------------------------


def _check_number(attribute: ProductAttribute, value: object) -> Iterator[str]:
    if not is_number(value):
        yield VALUE.format(attribute.code)
        return
    if attribute.negative_allowed is False and value < 0:
        yield f"{attribute.code} should not be negative!"
    yield from _check_range(attribute, value)
    yield from _check_decimals(attribute, value)


def _check_price(attribute: ProductAttribute, value: object) -> Iterator[str]:
    if not is_number(value):
        yield VALUE.format(attribute.code)
        return
    yield from _check_decimals(attribute, value)
    yield from _check_range(attribute, value)


def _check_decimals(attribute: ProductAttribute, value: Any) -> Iterator[str]:
    if attribute.decimals_allowed is False and (abs(value) > SAFE_INTEGER or whole_number(value) is None):
        yield f"{attribute.code} should not be decimal!"


def _check_range(attribute: ProductAttribute, value: Any) -> Iterator[str]:
    highest, lowest = exact_number(attribute.max_number), exact_number(attribute.min_number)
    if highest is not None and value > highest:
        yield f"{attribute.code} should not be greater than {js_text(attribute.max_number)}!"
    if lowest is not None and value < lowest:
        yield f"{attribute.code} should not be less than {js_text(attribute.min_number)}!"


# -- dates, booleans, images ------------------------------------------------------------------------------------------


def _check_date(attribute: ProductAttribute, value: object) -> Iterator[str]:
    time = parse_time(value)
    if time is None:
        yield NO_DATE.format(attribute.code)
        return
    earliest, latest = parse_time(attribute.min_date), parse_time(attribute.max_date)
    if earliest is not None and time < earliest:
        yield f"{attribute.code} should not be less than {attribute.min_date}!"
    if latest is not None and time > latest:
        yield f"{attribute.code} should not be greater than {attribute.max_date}!"


def parse_time(value: object) -> datetime | None:
    """Return the time of a day or a timestamp; days begin at midnight, and UTC is the default."""
    if not isinstance(value, str):
        return None
    try:
        if len(value) == len("2026-01-31"):
            return datetime.combine(date.fromisoformat(value), datetime.min.time(), UTC)
        time = datetime.fromisoformat(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time
    except ValueError:
        return None


def _check_boolean(attribute: ProductAttribute, value: object) -> Iterator[str]:
    if not isinstance(value, bool):
        yield VALUE.format(attribute.code)


def _check_image(attribute: ProductAttribute, value: object) -> Iterator[str]:
    if not isinstance(value, str):
        yield VALUE.format(attribute.code)
    elif attribute.allowed_extensions is not UNSET and extension_of(value) not in attribute.allowed_extensions:
        yield f"{attribute.code} extension is invalid!"


def _check_image_list(attribute: ProductAttribute, value: object) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"Image list value must be array! (attribute: {attribute.code})"
        return
    for entry in value:
        yield from _check_image(attribute, entry)


def extension_of(filename: str) -> str:
    """Return what follows the last dot, or the whole name."""
    return filename.rpartition(".")[2]


CHECKS: dict[str, Callable[[ProductAttribute, object], Iterator[str]]] = {
    "TEXT": _check_text, "TEXTAREA": _check_text, "IDENTIFIER": _check_text, "NUMBER": _check_number,
    "PRICE": _check_price, "DATE": _check_date, "BOOLEAN": _check_boolean, "IMAGE": _check_image,
    "IMAGE_LIST": _check_image_list,
}
"""Type → check of one value; selects are checked where their options are known."""


def check_options(attribute: ProductAttribute, value: object, options: frozenset[str]) -> Iterator[str]:
    """Yield a text for each option that a select does not have."""
    if attribute.type == "MULTISELECT" and not isinstance(value, list):
        yield VALUE.format(attribute.code)
        return
    for option in value if isinstance(value, list) else [value]:
        if not isinstance(option, str) or option not in options:
            yield f"Illegal option! (code: {attribute.code}, option: {js_text(option)})"


def js_text(value: object) -> str:
    """Return a value as a JavaScript template shows it; the texts were written in JavaScript."""
    match value:
        case None | UnsetType():
            return "undefined"
        case bool():
            return str(value).lower()
        case float() | Number() if (whole := whole_number(value)) is not None:
            return str(whole)
        case list():
            return ",".join(map(js_text, value))
        case dict():
            return "[object Object]"
        case _:
            return str(value)
