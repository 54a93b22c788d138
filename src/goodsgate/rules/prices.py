"""Prices: an amount and its currency, as text, object or number.

Sources: Google Merchant product data specification, ``price`` (a number with a decimal point, a blank, an ISO 4217
code, as in ``15.00 EUR``; ``sale_price`` not above it); ISO 4217 for codes and decimals. A price is never changed:
if it can be understood all the same, the suggestion says how it should be written.
"""

import functools
import math
import re
import sys
from decimal import Decimal
from typing import NamedTuple

from rapidfuzz import fuzz, process

from goodsgate.model.fields import Field
from goodsgate.model.issue import issue
from goodsgate.rules.context import Issues, Rule, RuleContext, wrong_type
from goodsgate.rules.currencies import DECIMALS, meant_by

WHOLE_DIGITS_MAX = 12
"""Digits before the decimal mark; a price of a trillion is a mistake."""
TEXT_CHARACTERS_MAX = 64

CLEAN = re.compile(rf"(\d{{1,{WHOLE_DIGITS_MAX}}}(?:\.\d{{1,6}})?)(?: ([A-Z]{{3}}))?", re.ASCII)
CLEAN_COMMA = re.compile(rf"(\d{{1,{WHOLE_DIGITS_MAX}}}(?:,\d{{1,6}})?)(?: ([A-Z]{{3}}))?", re.ASCII)

EXPECTED = "a price such as 15.00 EUR"
NO_CURRENCY = ""
"""Stands for the currency of a price whose own one is invalid and has its own issue."""

_BLANK = " \u00a0\u202f\u2009"
_NUMBER = re.compile(rf"\d(?:[\d.,'’{_BLANK}]*\d)?|[.,]\d+", re.ASCII)
_MINUS = re.compile(r"[-−–(]")
_AROUND = f"{_BLANK}()-−–+\t"
_GROUPS = {mark: re.compile(rf"\d{{1,3}}(?:[{mark}]\d{{3}})+", re.ASCII) for mark in ".,"}
_APART = re.compile(rf"['’{_BLANK}]")


class Money(NamedTuple):
    """An amount, as plain decimal text, in a currency."""

    plain: str
    currency: str

    @property
    def amount(self) -> Decimal:
        """The amount as a number."""
        return Decimal(self.plain)


class NumberReading(NamedTuple):
    """Interpretation of the digits and separators of a price."""

    plain: str | None
    """The number with a decimal point and no other separator; None if it is ambiguous or unreadable."""
    other_mark: bool = False
    thousands: bool = False
    alternatives: str | None = None
    """The two possible readings of an ambiguous number."""


def money(field: Field) -> Rule:  # noqa: ARG001 - rules are made alike
    """Make the rule of a price: above zero, with at most as many decimals as its currency has."""

    def rule(value: object, path: str, context: RuleContext, issues: Issues) -> None:
        read_price(value, path, context, issues)

    return rule


def read_price(value: object, path: str, context: RuleContext, issues: Issues) -> Money | None:
    """Return amount and currency of a price and add its issues; None if it cannot be calculated with."""
    if isinstance(value, str):
        return _read_text(value, path, context, issues, currency=context.currency)
    if isinstance(value, dict):
        return _read_object(value, path, context, issues)
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong_type(value, path, issues, expected="a price as text, object or number")
        return None
    return _check_amount(_plain(value), value, path, issues, currency=context.currency)


def _read_object(value: dict[str, object], path: str, context: RuleContext, issues: Issues) -> Money | None:
    """Read a price such as ``{"value": "15.00", "currency": "EUR"}``."""
    currency = context.currency
    name = "currency" if "currency" in value else "currency_code"
    code = value.get(name)
    if isinstance(code, str) and code in DECIMALS:
        currency = code
    elif code is not None:
        check_currency(code, f"{path}/{name}", context, issues)
        currency = code if isinstance(code, str) else NO_CURRENCY
    name = "amount" if "amount" in value and "value" not in value else "value"
    path, inner = f"{path}/{name}", value.get(name)
    if inner is None:
        issues.append(issue("field_missing", path))
        return None
    if isinstance(inner, str):
        return _read_text(inner, path, context, issues, currency=currency)
    if isinstance(inner, bool) or not isinstance(inner, int | float):
        wrong_type(inner, path, issues, expected="text or a number")
        return None
    return _check_amount(_plain(inner), inner, path, issues, currency=currency)


def check_currency(value: object, path: str, context: RuleContext, issues: Issues) -> None:  # noqa: ARG001 - a rule
    """Check for an active ISO 4217 code in capitals."""
    if not isinstance(value, str):
        wrong_type(value, path, issues, expected="text")
    elif value not in DECIMALS:
        issues.append(issue("currency_unknown", path, value=value, suggestion=_near_currency(value.strip()[:8])))


def currency(field: Field) -> Rule:  # noqa: ARG001 - rules are made alike
    """Make the rule of the currency of prices that name none."""
    return check_currency


@functools.lru_cache(maxsize=1_000)
def _near_currency(sign: str) -> str | None:
    meant = meant_by(sign, None)
    near = None if meant else process.extractOne(sign.upper(), DECIMALS.keys(), scorer=fuzz.ratio, score_cutoff=60)
    return near[0] if near else meant


def _plain(number: float) -> str:
    """Return the shortest decimal text of a JSON number; an infinite one counts as the largest double."""
    if not math.isfinite(number):
        number = sys.float_info.max
    return format(Decimal(repr(number)), "f")


def _read_text(value: str, path: str, context: RuleContext, issues: Issues, *, currency: str | None) -> Money | None:
    clean = (CLEAN_COMMA if context.decimal_comma else CLEAN).fullmatch(value)
    if clean and (clean[2] is None or clean[2] in DECIMALS):
        return _check_amount(clean[1].replace(",", "."), value, path, issues, currency=clean[2] or currency)
    text = value.strip()
    if not text:
        issues.append(issue("text_empty", path, value=value))
        return None
    number = _NUMBER.search(text) if len(text) <= TEXT_CHARACTERS_MAX else None
    if number is None:
        issues.append(issue("price_unreadable", path, value=value, expected=EXPECTED))
        return None
    before, after = text[: number.start()], text[number.end() :]
    signs = [sign for sign in (before.strip(_AROUND), after.strip(_AROUND)) if sign]
    code = meant_by(signs[0], currency) if signs else currency
    if len(signs) > 1 or (signs and code is None):
        unknown = len(signs) == 1 and len(signs[0]) == 3 and signs[0].isalpha()
        issues.append(issue("currency_unknown" if unknown else "price_unreadable", path, value=value,
            expected=EXPECTED))
        return None
    reading = read_number(number.group(), comma=context.decimal_comma)
    if reading.plain is None:
        code_of_issue = "price_ambiguous" if reading.alternatives else "price_unreadable"
        issues.append(issue(code_of_issue, path, value=value, expected=reading.alternatives or EXPECTED))
        return None
    plain = f"-{reading.plain}" if _MINUS.search(before) or after[:1] in ("-", "−") else reading.plain
    wanted = f"{plain.replace('.', ',') if context.decimal_comma else plain}{f' {code}' if signs else ''}"
    _add_notation_issues(value, path, issues, wanted=wanted, reading=reading, code=code if signs else None)
    return _check_amount(plain, value, path, issues, currency=code)


def _add_notation_issues(
    value: str, path: str, issues: Issues, *, wanted: str, reading: NumberReading, code: str | None
) -> None:
    """Add in which ways the notation of a readable price is wrong."""
    text = value.strip()
    if text == wanted:
        if text != value:
            issues.append(issue("text_edge_blanks", path, value=value, suggestion=wanted))
        return
    codes = []
    if reading.thousands:
        codes.append("price_thousands")
    if reading.other_mark:
        codes.append("price_decimal_mark")
    if code is not None and not (codes and text.endswith(f" {code}")):
        codes.append("price_currency_form")
    negative = wanted.startswith("-")
    for code_of_issue in codes or ([] if negative else ["price_unreadable"]):
        issues.append(issue(code_of_issue, path, value=value, expected=wanted, suggestion=None if negative else wanted))


def read_number(digits: str, *, comma: bool) -> NumberReading:
    """Interpret digits with points, commas, apostrophes and blanks between them; ``comma``: decimal comma.

    One mark with exactly three digits behind it and one to three before it may separate thousands or decimals: the
    expected decimal mark separates decimals, the other one is ambiguous.
    """
    tight = _APART.sub("", digits)
    reading = _read_marks(tight, ",", ".") if comma else _read_marks(tight, ".", ",")
    return reading._replace(thousands=True) if tight != digits else reading


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
        return NumberReading(f"{whole.replace(first, '')}.{decimals}", other_mark=last == other, thousands=True)
    if others > 1:
        return _read_groups(tight, other)
    whole, _, decimals = tight.partition(other)
    if len(decimals) == 3 and 1 <= len(whole) <= 3 and whole != "0":
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


def _check_amount(plain: str, value: object, path: str, issues: Issues, *, currency: str | None) -> Money | None:
    """Check whether an amount, as plain decimal text, can be a price."""
    usable = currency in DECIMALS
    if currency is None:
        issues.append(issue("currency_missing", path, value=value, expected=f"{EXPECTED}, or a default currency"))
    if not plain.strip("-0."):
        issues.append(issue("price_zero", path, value=value))
    elif plain[0] == "-":
        issues.append(issue("price_negative", path, value=value))
        usable = False
    whole, _, fraction = plain.partition(".")
    if len(whole) > WHOLE_DIGITS_MAX and len(whole.lstrip("-0")) > WHOLE_DIGITS_MAX:
        issues.append(issue("price_too_large", path, value=value, expected=f"at most {WHOLE_DIGITS_MAX} digits"))
        usable = False
    elif currency is not None and len(fraction) > DECIMALS.get(currency, len(fraction)):
        _add_decimals_issue(fraction, value, path, issues, decimals=DECIMALS[currency])
        usable = False
    return Money(plain, currency) if usable and currency is not None else None


def _add_decimals_issue(fraction: str, value: object, path: str, issues: Issues, *, decimals: int) -> None:
    suggestion = None
    previous = issues[-1] if issues and issues[-1].path == path else None
    is_replaced = previous is not None and (previous.suggestion is not None or previous.code == "price_negative")
    if isinstance(value, str) and not is_replaced and not fraction[decimals:].strip("0"):
        shorter = fraction[:decimals]
        mark = "" if shorter else r"[.,]"
        suggestion = re.sub(rf"{mark}{fraction}(?!\d)", shorter, value, count=1)
    issues.append(issue("price_decimals", path, value=value, expected=f"at most {decimals}", suggestion=suggestion))
