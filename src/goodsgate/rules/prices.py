"""Prices: an amount and its currency, as text, object or number.

Sources: Google Merchant product data specification, ``price`` (a number with a decimal point, a blank, an ISO 4217
code, as in ``15.00 EUR``; ``sale_price`` not above it); ISO 4217 for codes and decimals. A price in another notation
that can be understood gets a suggestion of how to write it.
"""

import functools
import re
from decimal import Decimal
from typing import NamedTuple

from goodsgate.model.fields import Field
from goodsgate.model.issue import Severity, issue
from goodsgate.model.nearest import nearest_name
from goodsgate.rules.context import Issues, Rule, RuleContext, wrong_type
from goodsgate.rules.currencies import DECIMALS, is_unique, meant_by
from goodsgate.rules.numbers import (
    BLANKS,
    NumberReading,
    exact_number,
    may_separate_thousands,
    plain_number,
    read_number,
)

WHOLE_DIGITS_MAX = 12
"""Digits before the decimal mark; a price of a trillion is a mistake."""
TEXT_CHARACTERS_MAX = 64

CLEAN = re.compile(rf"(\d{{1,{WHOLE_DIGITS_MAX}}}(?:\.\d{{1,6}})?)(?: ([A-Z]{{3}}))?", re.ASCII)
CLEAN_COMMA = re.compile(rf"(\d{{1,{WHOLE_DIGITS_MAX}}}(?:,\d{{1,6}})?)(?: ([A-Z]{{3}}))?", re.ASCII)

EXPECTED = "a price such as 15.00 EUR"
NO_CURRENCY = ""
"""Stands for the currency of a price whose own one is invalid and has its own issue."""

_NUMBER = re.compile(rf"\d(?:[\d.,'’{BLANKS}]*\d)?|[.,]\d+", re.ASCII)
_MINUS = re.compile(r"[-−–(]")
_AROUND = f"{BLANKS}()-−–+\t"


class Money(NamedTuple):
    """An amount, as plain decimal text, in a currency."""

    plain: str
    currency: str

    @property
    def amount(self) -> Decimal:
        """The amount as a number."""
        return Decimal(self.plain)


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
    number = exact_number(value)
    if number is None:
        wrong_type(value, path, issues, expected="a price as text, object or number")
        return None
    return _check_amount(plain_number(number), value, path, issues, currency=context.currency)


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
        price = _read_text(inner, path, context, issues, currency=currency)
        check_same_currency(price, currency if code is not None else None, value=inner, path=path, issues=issues)
        return price
    number = exact_number(inner)
    if number is None:
        wrong_type(inner, path, issues, expected="text or a number")
        return None
    return _check_amount(plain_number(number), inner, path, issues, currency=currency)


def check_same_currency(price: Money | None, currency: str | None, *, value: object, path: str,
                        issues: Issues) -> None:
    """Add an issue if a price names another currency than the one that stands beside it, if there is one."""
    if price is not None and currency in DECIMALS and price.currency != currency:
        issues.append(issue("currency_conflict", path, value=value, expected=currency))


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
    return meant_by(sign, None) or nearest_name(sign.upper(), DECIMALS)


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
    _add_notation_issues(
        value, path, issues, wanted=wanted, reading=reading, code=code if signs else None,
        is_certain=not signs or code == currency or is_unique(signs[0]),
    )
    return _check_amount(plain, value, path, issues, currency=code)


def _add_notation_issues(
    value: str, path: str, issues: Issues, *, wanted: str, reading: NumberReading, code: str | None, is_certain: bool
) -> None:
    """Add in which ways the notation of a readable price is unusual.

    They are warnings if the price can mean nothing else: its currency `is_certain`, its thousands are in regular
    groups, and its decimals have the expected mark.
    """
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
    is_certain = is_certain and not reading.other_mark and (reading.is_regular or not reading.thousands)
    for code_of_issue in codes or ([] if negative else ["price_unreadable"]):
        severity: Severity = "warning" if codes and is_certain else "error"
        suggestion = None if negative else wanted
        issues.append(
            issue(code_of_issue, path, value=value, expected=wanted, suggestion=suggestion, severity=severity)
        )


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
        decimals = DECIMALS[currency]
        if fraction[decimals:].strip("0") or may_separate_thousands(whole.lstrip("-"), fraction):
            issues.append(issue("price_decimals", path, value=value, expected=f"at most {decimals}"))
            usable = False
        else:
            plain = f"{whole}.{fraction[:decimals]}".rstrip(".")  # shop systems export 34.000000 for 34
    return Money(plain, currency) if usable and currency is not None else None
