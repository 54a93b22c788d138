"""Members of canonical records as platforms take them."""

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from goodsgate.model.issue import Issue, issue
from goodsgate.model.json_text import write_json

_MONEY = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?) ([A-Z]{3})")
_MEASURE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ([A-Za-z]+)")
_SLUG = re.compile(r"[^a-z0-9]+")

LENGTHS_IN_CENTIMETRES = {"cm": Decimal(1), "mm": Decimal("0.1"), "m": Decimal(100), "in": Decimal("2.54")}
WEIGHTS_IN_GRAMS = {"g": Decimal(1), "kg": Decimal(1000), "lb": Decimal("453.59237"), "oz": Decimal("28.349523125")}
GTIN_TYPES = {8: "EAN", 12: "UPC", 13: "EAN", 14: "GTIN"}


def text_of(value: object) -> str:
    """Return a scalar as text, a list of scalars between commas, anything else as JSON; nothing for None."""
    match value:
        case None:
            return ""
        case str():
            return value
        case list() if all(isinstance(each, str | int | Decimal) and not isinstance(each, bool) for each in value):
            return ",".join(map(str, value))
        case _:
            return write_json(value).decode()


def texts_of(value: object) -> list[str]:
    """Return a value as a list of texts; a text is one entry, None is none."""
    if value is None or value == "":
        return []
    return [text_of(each) for each in value] if isinstance(value, list) else [text_of(value)]


def split_money(value: object) -> tuple[Decimal, str] | None:
    """Return amount and currency of a canonical price; None for what is none."""
    match = _MONEY.fullmatch(value) if isinstance(value, str) else None
    return (Decimal(match[1]), match[2]) if match else None


def convert_measure(value: object, units: dict[str, Decimal]) -> Decimal | None:
    """Return a canonical measure in the unit that counts 1 in `units`; None for what is none of them."""
    match = _MEASURE.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[2].lower() not in units:
        return None
    return (Decimal(match[1]) * units[match[2].lower()]).normalize()


def plain_number(value: Decimal) -> int | float | Decimal:
    """Return a number that JSON shows without an exponent: whole if it is."""
    return int(value) if value == value.to_integral_value() else value


def read_number(value: object) -> int | Decimal | None:
    """Return a member that is a number, or a text that is one; None for others."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    if not number.is_finite():
        return None
    return int(number) if number == number.to_integral_value() else number


def structured(value: object) -> Any:
    """Return a member whose text is JSON, as a cell or an option has it, as the list or object that it means."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value, parse_float=Decimal)
        except ValueError:
            return value
    return value


def slug_of(text: str) -> str:
    """Return letters and digits of a text in lower case, with hyphens between words."""
    return _SLUG.sub("-", text.lower()).strip("-")


def missing(path: str) -> Issue:
    """Return the issue of a member that the platform requires."""
    return issue("field_missing", path)


def too_long(path: str, value: str, characters_max: int) -> Issue:
    """Return the issue of a text that is longer than the platform takes."""
    return issue("text_too_long", path, value=value, expected=f"at most {characters_max} characters")


def first_of(members: Mapping[str, Any], names: Iterable[str]) -> tuple[str, Any]:
    """Return the first member that has a value, with its name; the last name and None if there is none."""
    name = ""
    for name in names:
        if members.get(name) not in (None, ""):
            return name, members[name]
    return name, None
