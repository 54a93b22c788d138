"""An attribute's values held to its definition: pure functions that yield what is wrong, in the published words.

The texts are those of the ancestor of this interface, and so is their order; what it would have failed on without a
text of its own (a number where a text belongs) has one of ours, `guesses.VALUE`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, TypeGuard

from msgspec import UNSET, UnsetType

from goodsgate.protocols.mircate.pim.expressions import matcher
from goodsgate.protocols.mircate.pim.guesses import NO_DATE, NO_EXPRESSION, VALUE
from goodsgate.protocols.mircate.pim.settled import Attribute

Wrong = tuple[str, str]
"""A path below the attribute, and the text."""

EMAIL = r"^[\w.-]+@([\w-]+\.)+[\w-]{2,4}\Z"
URL = r"^https?://[-a-zA-Z0-9@:%._+~#=]{1,256}\.[a-zA-Z0-9()]{1,6}\b[-a-zA-Z0-9()@:%_+.~#?&/=]*\Z"
SAFE_INTEGER = 2**53 - 1
RULES = {"EMAIL": re.compile(EMAIL, re.ASCII).match, "URL": re.compile(URL, re.ASCII).match}
RULED_CHARACTERS_MAX = 2_000

Datum = Mapping[str, Any]


def wrong_with(attribute: Attribute, data: Sequence[Datum]) -> Iterator[Wrong]:
    """Everything that is wrong with what a product says of an attribute."""
    yield from _places(attribute, data)
    look = LOOKS.get(attribute.type)
    if look is None:
        return
    for at, datum in enumerate(data):
        value = datum.get("value")
        if value is not None and value != "":  # an empty one is none at all
            for text in look(attribute, value):
                yield f"/data/{at}/value", text


def _places(attribute: Attribute, data: Sequence[Datum]) -> Iterator[Wrong]:
    """Scopes and locales."""
    code = attribute.code
    for at, datum in enumerate(data):
        scope, locale = datum.get("scope"), datum.get("locale")
        if bool(scope) != attribute.scopable:
            yield f"/data/{at}/scope", f"{code} is scopable!" if attribute.scopable else f"{code} is not scopable!"
        if bool(locale) != attribute.localizable:
            text = f"{code} is localizable!" if attribute.localizable else f"{code} is not localizable!"
            yield f"/data/{at}/locale", text
        elif attribute.is_locale_specific and locale not in attribute.available_locales:
            yield f"/data/{at}/locale", f"{code} has invalid locale, {shown(locale)}"


def required_in(attribute: str, channels: list[str], data: Sequence[Datum]) -> Iterator[str]:
    """A text for each channel that wants a value and has none."""
    for channel in channels:
        value = next((datum.get("value") for datum in data if datum.get("scope") == channel), None)
        if value is None or value == "":
            yield f"{attribute} is required in this channel! ({channel})"


def unique_value(data: Sequence[Datum]) -> tuple[str | None, str | None]:
    """The one value of a unique attribute, or what is wrong with it; neither where there is none."""
    if len(data) > 1:
        return None, "Unique attribute data should only have one value!"
    if not data or data[0].get("value") in (None, ""):
        return None, None
    if data[0].get("scope") or data[0].get("locale"):
        return None, "Unique attribute should not be scopable or localizable!"
    value = data[0]["value"]
    return (value, None) if isinstance(value, str) else (None, "Unique attribute should be string!")


# -- texts ------------------------------------------------------------------------------------------------------------


def _text(attribute: Attribute, value: object) -> Iterator[str]:
    if not isinstance(value, str):
        yield VALUE.format(attribute.code)
        return
    if not isinstance(attribute.max_characters, UnsetType) and len(value) > attribute.max_characters:
        yield f"{attribute.code} maximum length should be {attribute.max_characters}"
    if attribute.validation_rule is UNSET:
        return
    fits: Callable[[str], object] | None = RULES.get(attribute.validation_rule)
    if fits is None and attribute.validation_regexp is UNSET:
        yield "Validation regexp is null!"
        return
    fits = fits or matcher(str(attribute.validation_regexp))
    if fits is None:
        yield NO_EXPRESSION.format(attribute.code)
    elif len(value) > RULED_CHARACTERS_MAX or not fits(value):
        yield f"{attribute.code}, invalid regex format, {shown(attribute.max_characters)}"


# -- numbers ----------------------------------------------------------------------------------------------------------


def _number(attribute: Attribute, value: object) -> Iterator[str]:
    if not is_number(value):
        yield VALUE.format(attribute.code)
        return
    if attribute.negative_allowed is False and value < 0:
        yield f"{attribute.code} should not be negative!"
    yield from _between(attribute, value)
    yield from _whole(attribute, value)


def _price(attribute: Attribute, value: object) -> Iterator[str]:
    if not is_number(value):
        yield VALUE.format(attribute.code)
        return
    yield from _whole(attribute, value)
    yield from _between(attribute, value)


def is_number(value: object) -> TypeGuard[float]:
    """A number of JSON."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(attribute: Attribute, value: Any) -> Iterator[str]:
    if attribute.decimals_allowed is False and (value != int(value) or abs(value) > SAFE_INTEGER):
        yield f"{attribute.code} should not be decimal!"


def _between(attribute: Attribute, value: Any) -> Iterator[str]:
    if attribute.max_number is not UNSET and value > attribute.max_number:
        yield f"{attribute.code} should not be greater than {shown(attribute.max_number)}!"
    if attribute.min_number is not UNSET and value < attribute.min_number:
        yield f"{attribute.code} should not be less than {shown(attribute.min_number)}!"


# -- dates, truths, images --------------------------------------------------------------------------------------------


def _date(attribute: Attribute, value: object) -> Iterator[str]:
    told = moment_of(value)
    if told is None:
        yield NO_DATE.format(attribute.code)
        return
    least, most = moment_of(attribute.min_date), moment_of(attribute.max_date)
    if least is not None and told < least:
        yield f"{attribute.code} should not be less than {attribute.min_date}!"
    if most is not None and told > most:
        yield f"{attribute.code} should not be greater than {attribute.max_date}!"


def moment_of(value: object) -> datetime | None:
    """A day, which begins at midnight, or a time, in UTC unless it says otherwise."""
    if not isinstance(value, str):
        return None
    try:
        if len(value) == len("2026-01-31"):
            return datetime.combine(date.fromisoformat(value), datetime.min.time(), UTC)
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    except ValueError:
        return None


def _boolean(attribute: Attribute, value: object) -> Iterator[str]:
    if not isinstance(value, bool):
        yield VALUE.format(attribute.code)


def _image(attribute: Attribute, value: object) -> Iterator[str]:
    if not isinstance(value, str):
        yield VALUE.format(attribute.code)
    elif attribute.allowed_extensions is not UNSET and extension_of(value) not in attribute.allowed_extensions:
        yield f"{attribute.code} extension is invalid!"


def _image_list(attribute: Attribute, value: object) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"Image list value must be array! (attribute: {attribute.code})"
        return
    for entry in value:
        yield from _image(attribute, entry)


def extension_of(filename: str) -> str:
    """What is behind the last dot, or all of it."""
    return filename.rpartition(".")[2]


LOOKS: dict[str, Callable[[Attribute, object], Iterator[str]]] = {
    "TEXT": _text, "TEXTAREA": _text, "IDENTIFIER": _text, "NUMBER": _number, "PRICE": _price, "DATE": _date,
    "BOOLEAN": _boolean, "IMAGE": _image, "IMAGE_LIST": _image_list,
}
"""Type → look at one value; selects are looked at where their options are known."""


def illegal_options(attribute: Attribute, value: object, options: frozenset[str]) -> Iterator[str]:
    """A text for each option that a select does not have."""
    if attribute.type == "MULTISELECT" and not isinstance(value, list):
        yield VALUE.format(attribute.code)
        return
    for option in value if isinstance(value, list) else [value]:
        if not isinstance(option, str) or option not in options:
            yield f"Illegal option! (code: {attribute.code}, option: {shown(option)})"


def shown(value: object) -> str:
    """As a template of JavaScript shows it, where these texts were written."""
    match value:
        case None | UnsetType():
            return "undefined"
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case list():
            return ",".join(map(shown, value))
        case dict():
            return "[object Object]"
        case _:
            return str(value)
