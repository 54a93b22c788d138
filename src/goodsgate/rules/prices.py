"""Prices: an amount and its currency, as text, object or number.

Sources: Google Merchant product data specification, ``price`` (a number with a decimal point, a blank, an ISO 4217
code, as in ``15.00 EUR``; ``sale_price`` not above it); ISO 4217 for codes and decimals. A price is never changed:
where it can be understood all the same, the suggestion says how it should have been written.
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
"""Digits before the decimal mark; a trillion of anything is a mistake."""
TEXT_CHARACTERS_MAX = 64

CLEAN = re.compile(rf"(\d{{1,{WHOLE_DIGITS_MAX}}}(?:\.\d{{1,6}})?)(?: ([A-Z]{{3}}))?", re.ASCII)
CLEAN_COMMA = re.compile(rf"(\d{{1,{WHOLE_DIGITS_MAX}}}(?:,\d{{1,6}})?)(?: ([A-Z]{{3}}))?", re.ASCII)

EXPECTED = "a price such as 15.00 EUR"
NO_CURRENCY = ""
"""Of a price that names something else in its place, which is told by itself."""

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
        """The number."""
        return Decimal(self.plain)


class Reading(NamedTuple):
    """What the digits and marks of a price can be understood as, under the decimal mark that was agreed."""

    plain: str | None
    """With a decimal point and nothing else; None if it cannot be told."""
    other_mark: bool = False
    thousands: bool = False
    also: str | None = None
    """A second way to read it, equally good."""


def money(field: Field) -> Rule:  # noqa: ARG001 - rules are made alike
    """A price above zero with at most as many decimals as its currency has."""

    def rule(value: object, path: str, context: RuleContext, found: Issues) -> None:
        read_price(value, path, context, found)

    return rule


def read_price(value: object, path: str, context: RuleContext, found: Issues) -> Money | None:
    """The amount and currency of a price, adding its issues; None unless it can be calculated with."""
    if isinstance(value, str):
        return _read_text(value, path, context, found, currency=context.currency)
    if isinstance(value, dict):
        return _read_object(value, path, context, found)
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong_type(value, path, found, expected="a price as text, object or number")
        return None
    return _judge(_plain(value), value, path, found, currency=context.currency)


def _read_object(value: dict[str, object], path: str, context: RuleContext, found: Issues) -> Money | None:
    """A price as ``{"value": "15.00", "currency": "EUR"}``."""
    currency = context.currency
    name = "currency" if "currency" in value else "currency_code"
    code = value.get(name)
    if isinstance(code, str) and code in DECIMALS:
        currency = code
    elif code is not None:
        check_currency(code, f"{path}/{name}", context, found)
        currency = code if isinstance(code, str) else NO_CURRENCY
    name = "amount" if "amount" in value and "value" not in value else "value"
    path, inner = f"{path}/{name}", value.get(name)
    if inner is None:
        found.append(issue("field_missing", path))
        return None
    if isinstance(inner, str):
        return _read_text(inner, path, context, found, currency=currency)
    if isinstance(inner, bool) or not isinstance(inner, int | float):
        wrong_type(inner, path, found, expected="text or a number")
        return None
    return _judge(_plain(inner), inner, path, found, currency=currency)


def check_currency(value: object, path: str, context: RuleContext, found: Issues) -> None:  # noqa: ARG001 - a rule
    """A code of ISO 4217 that is in use, in capitals."""
    if not isinstance(value, str):
        wrong_type(value, path, found, expected="text")
    elif value not in DECIMALS:
        found.append(issue("currency_unknown", path, value=value, suggestion=_near_currency(value.strip()[:8])))


def currency(field: Field) -> Rule:  # noqa: ARG001 - rules are made alike
    """The currency of the record's prices that name none."""
    return check_currency


@functools.lru_cache(maxsize=1_000)
def _near_currency(sign: str) -> str | None:
    meant = meant_by(sign, None)
    near = None if meant else process.extractOne(sign.upper(), DECIMALS.keys(), scorer=fuzz.ratio, score_cutoff=60)
    return near[0] if near else meant


def _plain(number: float) -> str:
    """The shortest decimal text of a JSON number; one that is no finite double counts as the largest there is."""
    if not math.isfinite(number):
        number = sys.float_info.max
    return format(Decimal(repr(number)), "f")


def _read_text(value: str, path: str, context: RuleContext, found: Issues, *, currency: str | None) -> Money | None:
    clean = (CLEAN_COMMA if context.decimal_comma else CLEAN).fullmatch(value)
    if clean and (clean[2] is None or clean[2] in DECIMALS):
        return _judge(clean[1].replace(",", "."), value, path, found, currency=clean[2] or currency)
    text = value.strip()
    if not text:
        found.append(issue("text_empty", path, value=value))
        return None
    number = _NUMBER.search(text) if len(text) <= TEXT_CHARACTERS_MAX else None
    if number is None:
        found.append(issue("price_unreadable", path, value=value, expected=EXPECTED))
        return None
    before, after = text[: number.start()], text[number.end() :]
    signs = [sign for sign in (before.strip(_AROUND), after.strip(_AROUND)) if sign]
    code = meant_by(signs[0], currency) if signs else currency
    if len(signs) > 1 or (signs and code is None):
        unknown = len(signs) == 1 and len(signs[0]) == 3 and signs[0].isalpha()
        found.append(issue("currency_unknown" if unknown else "price_unreadable", path, value=value, expected=EXPECTED))
        return None
    reading = read_number(number.group(), comma=context.decimal_comma)
    if reading.plain is None:
        told = "price_ambiguous" if reading.also else "price_unreadable"
        found.append(issue(told, path, value=value, expected=reading.also or EXPECTED))
        return None
    plain = f"-{reading.plain}" if _MINUS.search(before) or after[:1] in ("-", "−") else reading.plain
    wanted = f"{plain.replace('.', ',') if context.decimal_comma else plain}{f' {code}' if signs else ''}"
    _tell_form(value, path, found, wanted=wanted, reading=reading, code=code if signs else None)
    return _judge(plain, value, path, found, currency=code)


def _tell_form(value: str, path: str, found: Issues, *, wanted: str, reading: Reading, code: str | None) -> None:
    """Say in which ways a price that can be understood is not written as agreed."""
    text = value.strip()
    if text == wanted:
        if text != value:
            found.append(issue("text_edge_blanks", path, value=value, suggestion=wanted))
        return
    codes = []
    if reading.thousands:
        codes.append("price_thousands")
    if reading.other_mark:
        codes.append("price_decimal_mark")
    if code is not None and not (codes and text.endswith(f" {code}")):
        codes.append("price_currency_form")
    negative = wanted.startswith("-")
    for told in codes or ([] if negative else ["price_unreadable"]):
        found.append(issue(told, path, value=value, expected=wanted, suggestion=None if negative else wanted))


def read_number(digits: str, *, comma: bool) -> Reading:
    """What digits with points, commas, apostrophes and blanks between them mean; ``comma``: decimals follow a comma.

    One mark with exactly three digits behind it and one to three before it may separate thousands or decimals:
    if it is the decimal mark agreed on it does that, else nobody can tell.
    """
    tight = _APART.sub("", digits)
    reading = _read_marks(tight, ",", ".") if comma else _read_marks(tight, ".", ",")
    return reading._replace(thousands=True) if tight != digits else reading


def _read_marks(tight: str, mark: str, other: str) -> Reading:
    marks, others = tight.count(mark), tight.count(other)
    if not others and marks <= 1:
        return Reading(_pointed(tight, mark))
    if not others:
        return Reading(tight.replace(mark, ""), thousands=True) if _GROUPS[mark].fullmatch(tight) else Reading(None)
    if marks and others:
        last, first = (mark, other) if tight.rfind(mark) > tight.rfind(other) else (other, mark)
        whole, _, decimals = tight.rpartition(last)
        if last in whole or not _GROUPS[first].fullmatch(whole):
            return Reading(None)
        return Reading(f"{whole.replace(first, '')}.{decimals}", other_mark=last == other, thousands=True)
    if others > 1:
        return Reading(tight.replace(other, ""), thousands=True) if _GROUPS[other].fullmatch(tight) else Reading(None)
    whole, _, decimals = tight.partition(other)
    if len(decimals) == 3 and 1 <= len(whole) <= 3 and whole != "0":
        return Reading(None, also=f"{whole}{decimals} or {whole}{mark}{decimals}")
    return Reading(_pointed(tight, other), other_mark=True)


def _pointed(tight: str, mark: str) -> str:
    plain = tight.replace(mark, ".")
    return f"0{plain}" if plain.startswith(".") else plain


def _judge(plain: str, value: object, path: str, found: Issues, *, currency: str | None) -> Money | None:
    """Whether an amount that was understood, as plain decimal text, can be a price."""
    usable = currency in DECIMALS
    if currency is None:
        found.append(issue("currency_missing", path, value=value, expected=f"{EXPECTED}, or a default currency"))
    if not plain.strip("-0."):
        found.append(issue("price_zero", path, value=value))
    elif plain[0] == "-":
        found.append(issue("price_negative", path, value=value))
        usable = False
    whole, _, fraction = plain.partition(".")
    if len(whole) > WHOLE_DIGITS_MAX and len(whole.lstrip("-0")) > WHOLE_DIGITS_MAX:
        found.append(issue("price_too_large", path, value=value, expected=f"at most {WHOLE_DIGITS_MAX} digits"))
        usable = False
    elif currency is not None and len(fraction) > DECIMALS.get(currency, len(fraction)):
        _tell_decimals(fraction, value, path, found, decimals=DECIMALS[currency])
        usable = False
    return Money(plain, currency) if usable and currency is not None else None


def _tell_decimals(fraction: str, value: object, path: str, found: Issues, *, decimals: int) -> None:
    suggestion = None
    told = found[-1] if found and found[-1].path == path else None
    spoiled = told is not None and (told.suggestion is not None or told.code == "price_negative")
    if isinstance(value, str) and not spoiled and not fraction[decimals:].strip("0"):
        shorter = fraction[:decimals]
        mark = "" if shorter else r"[.,]"
        suggestion = re.sub(rf"{mark}{fraction}(?!\d)", shorter, value, count=1)
    found.append(issue("price_decimals", path, value=value, expected=f"at most {decimals}", suggestion=suggestion))
