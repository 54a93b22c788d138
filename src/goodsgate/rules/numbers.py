"""Numbers: as people write them, with what can be read in two ways, and those of JSON, which are exact."""

import re
from decimal import Decimal
from typing import NamedTuple

BLANKS = " \u00a0\u202f\u2009"
"""Blanks that may separate thousands."""

DIGITS_MAX = 400
"""Digits up to which a number is written out; the exponent of a number can stand for millions of them."""

_GROUPS = {mark: re.compile(rf"\d{{1,3}}(?:[{mark}]\d{{3}})+", re.ASCII) for mark in ".,"}
_APART = re.compile(rf"['’{BLANKS}]")
_IN_GROUPS_APART = {
    comma: re.compile(rf"\d{{1,3}}(['’{BLANKS}])\d{{3}}(?:\1\d{{3}})*(?:{mark}\d+)?", re.ASCII)
    for comma, mark in ((False, r"\."), (True, ","))
}
"""Decimal comma or not → a number whose thousands are separated by one kind of blank or apostrophe."""


class NumberReading(NamedTuple):
    """Interpretation of the digits and separators of a number."""

    plain: str | None
    """The number with a decimal point and no other separator; None if it is ambiguous or unreadable."""
    other_mark: bool = False
    thousands: bool = False
    alternatives: str | None = None
    """The two possible readings of an ambiguous number."""
    is_regular: bool = False
    """Whether thousands are separated in one way, by groups of three digits, and decimals by the expected mark."""


def may_separate_thousands(whole: str, fraction: str) -> bool:
    """Return whether a mark between these digits may separate thousands as well as decimals, as in ``1.000``."""
    return len(fraction) == 3 and 1 <= len(whole) <= 3 and whole.strip("0") != ""


def read_number(digits: str, *, comma: bool) -> NumberReading:
    """Interpret digits with points, commas, apostrophes and blanks between them; ``comma``: decimal comma.

    One mark with exactly three digits behind it and one to three before it may separate thousands or decimals: the
    expected decimal mark separates decimals, the other one is ambiguous.
    """
    tight = _APART.sub("", digits)
    reading = _read_marks(tight, ",", ".") if comma else _read_marks(tight, ".", ",")
    if tight == digits:
        return reading
    return reading._replace(thousands=True, is_regular=_IN_GROUPS_APART[comma].fullmatch(digits) is not None)


def _read_marks(tight: str, mark: str, other: str) -> NumberReading:
    marks, others = tight.count(mark), tight.count(other)
    if not others and marks <= 1:
        return NumberReading(_with_point(tight, mark))
    if not others:
        return _read_groups(tight, mark)
    if marks and others:
        last, first = (mark, other) if tight.rfind(mark) > tight.rfind(other) else (other, mark)
        whole, _, decimals = tight.rpartition(last)
        if last in whole or not _GROUPS[first].fullmatch(whole):
            return NumberReading(None)
        plain = f"{whole.replace(first, '')}.{decimals}"
        return NumberReading(plain, other_mark=last == other, thousands=True, is_regular=last == mark)
    if others > 1:
        reading = _read_groups(tight, other)
        return reading._replace(is_regular=reading.thousands)
    whole, _, decimals = tight.partition(other)
    if may_separate_thousands(whole, decimals):
        return NumberReading(None, alternatives=f"{whole}{decimals} or {whole}{mark}{decimals}")
    return NumberReading(_with_point(tight, other), other_mark=True)


def _read_groups(tight: str, mark: str) -> NumberReading:
    """Read a number in which all marks separate thousands."""
    if not _GROUPS[mark].fullmatch(tight):
        return NumberReading(None)
    return NumberReading(tight.replace(mark, ""), thousands=True)


def _with_point(tight: str, mark: str) -> str:
    plain = tight.replace(mark, ".")
    return f"0{plain}" if plain.startswith(".") else plain


def exact_number(value: object) -> Decimal | None:
    """Return the value of a number of JSON; None for everything else."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Decimal(value) if isinstance(value, int) else Decimal(repr(value))


def whole_number(value: object) -> int | None:
    """Return a number of JSON that has no fraction (5, 5.0, 1e2) as int; None for everything else.

    Numbers of more than DIGITS_MAX digits count as everything else.
    """
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    number = exact_number(value)
    if number is None or not number.is_finite() or number.adjusted() > DIGITS_MAX:
        return None
    return int(number) if number == number.to_integral_value() else None


def plain_number(value: Decimal) -> str:
    """Return a number without exponent: exact up to DIGITS_MAX digits, beyond them as far from or as near to zero."""
    if not value:
        return "0"
    if value.is_finite() and abs(value.adjusted()) <= DIGITS_MAX:
        return format(value, "f")
    sign = "-" if value.is_signed() else ""
    return sign + ("9" * DIGITS_MAX if value.adjusted() > 0 or not value.is_finite() else "0." + "0" * DIGITS_MAX + "1")
