"""Whole numbers, and numbers with a unit.

Source: Google Merchant product data specification: ``multipack`` and ``quantity`` are whole numbers; dimensions and
weights are a number, a blank and a unit of a short list.
"""

import re

from goodsgate.model.fields import Field
from goodsgate.model.issue import issue
from goodsgate.rules.context import Issues, Rule, RuleContext, wrong_type
from goodsgate.rules.numbers import BLANKS, exact_number, may_separate_thousands, read_number, whole_number

WHOLE_TEXT = re.compile(r"\d{1,19}", re.ASCII)
_SIGNED = re.compile(r"[+\-−]?\d+", re.ASCII)
_DECIMAL = re.compile(r"[+\-−]?\d+[.,]\d+", re.ASCII)
MEASURE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?([a-zA-Z]{1,5})", re.ASCII)
MEASURE_COMMA = re.compile(r"(\d{1,9}(?:,\d{1,6})?) ?([a-zA-Z]{1,5})", re.ASCII)
_MEASURE_LIKE = re.compile(rf"(\d(?:[\d.,'’{BLANKS}]*\d)?)\s*([^\d\s.,][^\d]{{0,11}})?", re.ASCII)


def whole(field: Field) -> Rule:
    """Make the rule of a whole number, also as digits in a text, from ``minimum`` to ``maximum``."""
    least, most = field.minimum, field.maximum
    expected = f"{least} to {most}"

    def rule(value: object, path: str, context: RuleContext, issues: Issues) -> None:  # noqa: ARG001 - all rules are called alike
        if isinstance(value, str):
            if not WHOLE_TEXT.fullmatch(value):
                _add_whole_issue(value, path, issues)
                return
            number = int(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            number = value
        elif exact_number(value) is not None:
            exact = whole_number(value)
            suggestion = str(exact) if exact is not None and abs(exact) <= most else None
            issues.append(issue("number_not_whole", path, value=value, suggestion=suggestion))
            return
        else:
            wrong_type(value, path, issues, expected="a whole number")
            return
        if number < 0:
            issues.append(issue("number_negative", path, value=value))
        elif not least <= number <= most:
            issues.append(issue("number_out_of_range", path, value=value, expected=expected))

    return rule


def whole_value(value: object) -> int | None:
    """Return the number if it is a number without a fraction or a text of digits, else None."""
    if isinstance(value, str):
        return int(value) if WHOLE_TEXT.fullmatch(value) else None
    return whole_number(value)


def _add_whole_issue(value: str, path: str, issues: Issues) -> None:
    text = value.strip()
    if not text:
        issues.append(issue("text_empty", path, value=value))
    elif _SIGNED.fullmatch(text) and text[0] in "-−" and text.strip("-−0"):
        issues.append(issue("number_negative", path, value=value))
    elif _DECIMAL.fullmatch(text):
        whole, fraction = re.split("[.,]", text)
        is_whole = not fraction.strip("0") and whole.isdigit() and "." in text
        suggestion = whole if is_whole and not may_separate_thousands(whole, fraction) else None
        issues.append(issue("number_not_whole", path, value=value, suggestion=suggestion))
    else:
        suggestion = text.lstrip("+") if len(text) < 20 and _SIGNED.fullmatch(text) and text[0] not in "-−" else None
        issues.append(issue("number_unreadable", path, value=value, suggestion=suggestion))


def measure(field: Field) -> Rule:
    """Make the rule of a number with a unit, as text (``1.5 kg``) or as ``{"value": 1.5, "unit": "kg"}``.

    A missing unit is a warning: feeds that have always meant kilograms are common, and a shop can work with them.
    """
    units = ", ".join(field.units)
    expected = f"a number and a unit ({units})"

    def rule(value: object, path: str, context: RuleContext, issues: Issues) -> None:
        text = _measure_text(value)
        if text is None:
            wrong_type(value, path, issues, expected="text, or an object with value and unit")
        elif not text.strip():
            issues.append(issue("text_empty", path, value=value))
        else:
            _check_measure(text, value, path, context, issues, field=field, expected=expected)

    return rule


def _measure_text(value: object) -> str | None:
    """Return number and unit of a measure as one text, in whichever form they were sent."""
    if isinstance(value, dict):
        number, unit = value.get("value"), value.get("unit")
        if number is None or isinstance(number, dict) or not isinstance(unit, str | None):
            return None
        text = _measure_text(number)
        return f"{text} {unit}" if text and unit else text
    return value if isinstance(value, str) else str(value) if exact_number(value) is not None else None


def _check_measure(text: str, value: object, path: str, context: RuleContext, issues: Issues, *, field: Field,
                   expected: str,
                   ) -> None:
    number_of = value.get("value") if isinstance(value, dict) else value
    comma = context.decimal_comma and isinstance(number_of, str)  # the decimal mark of a JSON number is a point
    clean = (MEASURE_COMMA if comma else MEASURE).fullmatch(text)
    if clean and clean[2] in field.units:
        _check_range(float(clean[1].replace(",", ".")), value, path, issues, field=field)
        return
    like = _MEASURE_LIKE.fullmatch(text.strip()) if len(text) <= 64 else None
    if like is None:
        issues.append(issue("measure_unreadable", path, value=value, expected=expected))
        return
    unit = (like[2] or "").strip()
    reading = read_number(like[1], comma=comma)
    if reading.plain is None:
        code = "measure_ambiguous" if reading.alternatives else "measure_unreadable"
        issues.append(issue(code, path, value=value, expected=reading.alternatives or expected))
        return
    known = _unit(unit, field.units)
    wanted = reading.plain.replace(".", ",") if comma else reading.plain
    suggestion = f"{wanted} {known}" if known else None
    if wanted != like[1] or (known and known == unit):
        issues.append(issue("measure_unreadable", path, value=value, expected=expected, suggestion=suggestion))
    elif not unit:
        issues.append(issue("unit_missing", path, value=value, expected=", ".join(field.units)))
    elif context.lookup_severity is not None:
        issues.append(issue("unit_unknown", path, value=unit, expected=", ".join(field.units), suggestion=suggestion,
                            severity=context.lookup_severity))


def read_measure(value: object, context: RuleContext, units: tuple[str, ...]) -> str | None:
    """Return a measure as the catalogue holds it, as in ``0.25 kg``; None if number or unit cannot be told."""
    text = _measure_text(value)
    like = _MEASURE_LIKE.fullmatch(text.strip()) if text and len(text) <= 64 else None
    if like is None:
        return None
    number_of = value.get("value") if isinstance(value, dict) else value
    plain = read_number(like[1], comma=context.decimal_comma and isinstance(number_of, str)).plain
    unit = _unit((like[2] or "").strip(), units)
    return f"{_without_zeros(plain)} {unit}" if plain and unit else None


def _without_zeros(plain: str) -> str:
    """Return a plain decimal number without zeros at its ends that say nothing."""
    whole, point, fraction = plain.partition(".")
    return f"{whole.lstrip('0') or '0'}{point}{fraction}".rstrip("0").rstrip(".") if point else whole.lstrip("0") or "0"


def _check_range(number: float, value: object, path: str, issues: Issues, *, field: Field) -> None:
    if number > field.maximum:
        issues.append(issue("measure_out_of_range", path, value=value, expected=f"at most {field.maximum}"))


_UNIT_SPELLINGS = {
    "lbs": "lb", "pound": "lb", "pounds": "lb", "ounce": "oz", "ounces": "oz", "gram": "g", "grams": "g", "gr": "g",
    "kilo": "kg", "kilos": "kg", "kilogram": "kg", "kilograms": "kg", "kgs": "kg", "inch": "in", "inches": "in",
    '"': "in", "centimeter": "cm", "centimetre": "cm", "centimeters": "cm", "centimetres": "cm", "liter": "l",
    "litre": "l", "ltr": "l", "meter": "m", "metre": "m", "piece": "ct", "pieces": "ct", "pcs": "ct",
}


def _unit(unit: str, units: tuple[str, ...]) -> str | None:
    lower = unit.rstrip(".").lower()
    meant = _UNIT_SPELLINGS.get(lower, lower)
    return meant if meant in units else None
