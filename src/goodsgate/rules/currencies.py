"""Active currencies, their decimals, and the symbols that stand for them.

Source: ISO 4217, by way of the Unicode CLDR that babel carries. If CLDR leaves out the minor unit because it is
no longer minted (a shop in Belgrade still writes 199.99), the decimals of ISO 4217 count.
"""

import unicodedata

from babel import Locale
from babel.core import get_global
from babel.numbers import get_currency_precision

ISO_DECIMALS = {
    "AFN": 2, "ALL": 2, "IQD": 3, "IRR": 2, "KPW": 2, "LAK": 2, "LBP": 2, "MGA": 2, "MMK": 2, "RSD": 2, "SOS": 2,
    "SYP": 2, "YER": 2,
}


def _in_use() -> list[str]:
    histories = get_global("territory_currencies").values()
    return sorted({code for history in histories for code, _, end, tender in history if tender and end is None})


DECIMALS: dict[str, int] = {code: ISO_DECIMALS.get(code, get_currency_precision(code)) for code in _in_use()}
"""Code of every currency that is legal tender somewhere → digits after the decimal mark."""

EXACTLY_TWO_DECIMALS = frozenset(code for code, decimals in DECIMALS.items() if decimals == 2)

_ENGLISH = Locale("en")

NAMES: dict[str, str] = {code: str(_ENGLISH.currencies[code]) for code in DECIMALS}

SYMBOLS: dict[str, str] = {
    **{symbol: code for code, symbol in _ENGLISH.currency_symbols.items() if code in DECIMALS and symbol != code},
    "zł": "PLN", "Kč": "CZK", "Ft": "HUF", "lei": "RON", "₺": "TRY", "₴": "UAH", "₽": "RUB", "Fr.": "CHF", "US$": "USD",
    "RM": "MYR", "฿": "THB", "R": "ZAR",
}
"""Symbol → the currency that it means by default."""

SHARED_SYMBOLS: dict[str, frozenset[str]] = {
    "$": frozenset({"USD", "AUD", "CAD", "NZD", "MXN", "HKD", "SGD", "ARS", "CLP", "COP", "TWD", "BMD", "XCD"}),
    "¥": frozenset({"JPY", "CNY"}),
    "£": frozenset({"GBP", "GIP", "FKP", "SHP", "EGP"}),
    "kr": frozenset({"SEK", "NOK", "DKK", "ISK"}),
    "kr.": frozenset({"SEK", "NOK", "DKK", "ISK"}),
}
"""Symbol → all currencies that are written with it."""


def is_unique(sign: str) -> bool:
    """Return whether a sign stands for one currency alone: a code in any case, or a symbol that no other one has."""
    if sign.upper() in DECIMALS:
        return True
    return len(sign) == 1 and unicodedata.category(sign) == "Sc" and sign in SYMBOLS and sign not in SHARED_SYMBOLS


def meant_by(sign: str, currency: str | None) -> str | None:
    """Return the currency that a symbol, or a code in any case, stands for; ``currency`` is the expected one."""
    if currency is not None and currency in SHARED_SYMBOLS.get(sign, ()):
        return currency
    if sign.upper() in DECIMALS:
        return sign.upper()
    return SYMBOLS.get(sign) or SYMBOLS.get(sign.replace("\u202f", " "))
