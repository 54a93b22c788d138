"""Active currencies, their decimals, and the symbols that stand for them.

Source: ISO 4217, by way of the Unicode CLDR. If CLDR leaves out the minor unit because it is
no longer minted (a shop in Belgrade still writes 199.99), the decimals of ISO 4217 count.
"""

import unicodedata

from goodsgate.rules.cldr import CLDR

ISO_DECIMALS = {
    "AFN": 2, "ALL": 2, "IQD": 3, "IRR": 2, "KPW": 2, "LAK": 2, "LBP": 2, "MGA": 2, "MMK": 2, "RSD": 2, "SOS": 2,
    "SYP": 2, "YER": 2,
}


DECIMALS: dict[str, int] = {
    code: ISO_DECIMALS.get(code, currency.decimals) for code, currency in CLDR.currencies.items()
}
"""Code of every currency that is legal tender somewhere → digits after the decimal mark."""

EXACTLY_TWO_DECIMALS = frozenset(code for code, decimals in DECIMALS.items() if decimals == 2)

NAMES: dict[str, str] = {code: currency.name for code, currency in CLDR.currencies.items()}

SYMBOLS: dict[str, str] = {
    **{currency.symbol: code for code, currency in CLDR.currencies.items() if currency.symbol not in (None, code)},
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
