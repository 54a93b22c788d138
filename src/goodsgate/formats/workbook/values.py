"""Cells as text: numbers, dates, and what a number format does to a key."""

import math
import re
from datetime import date, datetime, time, timedelta
from typing import Literal, NamedTuple

WHOLE_NUMBER_MAX = 10**15
"""A spreadsheet keeps 15 digits."""
DECIMAL_ZEROS_MAX = 20
"""A smaller number is written with an exponent."""
SERIAL_MAX = 2_958_466
"""The day after 9999-12-31."""
FALSE_LEAP_DAY = 60
"""The serial of 1900-02-29, which spreadsheets count although the day did not exist."""

_BUILT_IN = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?", 13: "# ??/??",
    14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm", 19: "h:mm:ss", 20: "h:mm", 21: "h:mm:ss",
    22: "yyyy-mm-dd h:mm", 37: "#,##0", 38: "#,##0", 39: "#,##0.00", 40: "#,##0.00", 45: "mm:ss", 46: "[h]:mm:ss",
    47: "mm:ss.0", 48: "##0.0E+0", 49: "@",
    **dict.fromkeys([*range(27, 32), 36, *range(50, 55), 57, 58], "yyyy-mm-dd"),
    **dict.fromkeys([*range(32, 36), 55, 56], "h:mm:ss"),
}
"""Formats that a workbook need not contain (ECMA-376 part 1, section 18.8.30, with those of East Asia)."""

_ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_UNSEEN = re.compile(r"\[[^\]]*\]|_.|\*.")
"""Colours, locales and conditions; blanks as wide as a character; fillers."""
_LITERAL = re.compile(r'"[^"]*"|\\.')
_LITERAL_TEXT = re.compile(r'"([^"]*)"|\\(.)|([€£$¥])')
_NAMED_CURRENCY = re.compile(r"\[\$([^\]\-]+)(?:-([0-9a-fA-F]*))?[^\]]*\]")
_CURRENCY_SIGN = re.compile(r"[€£$¥₺₴₽₹฿]|[A-Z]{3}|zł|Kč|Ft|kr\.?|lei|Fr\.|US\$")
_SHARED_SIGNS = frozenset({"$", "£", "¥", "￥", "kr", "kr.", "zł", "Kč", "Ft", "lei"})
_OF_COUNTRY = {
    "409": "USD", "1009": "CAD", "c0c": "CAD", "c09": "AUD", "1409": "NZD", "80a": "MXN", "4809": "SGD", "c04": "HKD",
    "809": "GBP", "411": "JPY", "804": "CNY", "41d": "SEK", "414": "NOK", "406": "DKK", "415": "PLN", "405": "CZK",
    "40e": "HUF", "418": "RON",
}
"""Windows' number of a language and country (MS-LCID) → the currency that a sign of several countries means there."""
_TIME = re.compile(r"[hs]", re.IGNORECASE)
_DATE = re.compile(r"[ymdhse]", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_PLAIN = re.compile(r"(?:general|@|[#,?]*0?|[#0,?.]+e\+0+)", re.IGNORECASE)
_PADDED = re.compile(r"#*(0{2,})")
_DECIMALS = re.compile(r"#*0?\.(0+)")


class NumberFormat(NamedTuple):
    """What a number format does to the text of a number."""

    kind: Literal["plain", "padded", "decimals", "date", "datetime", "elapsed", "other"]
    """Plain ones add nothing that belongs to a key; what others do is not known here."""
    digits: int = 0
    """Digits of a padded whole number; decimal places of a number with decimals."""
    currency: str = ""
    """Sign or code of a currency that is shown beside the number."""


PLAIN = NumberFormat("plain")


def number_format(code: str) -> NumberFormat:
    """Return what a format code does; of its sections, the one for positive numbers counts."""
    code = code.partition(";")[0] if '"' not in code else _first_section(code)
    return _number_format(code)._replace(currency=_currency(code))


def _currency(code: str) -> str:
    """Return the sign of a currency in a format code, or its code if the country is named; empty if none is there."""
    if named := _NAMED_CURRENCY.search(code):
        sign = named[1].strip()
        return _OF_COUNTRY.get((named[2] or "").lower(), sign) if sign in _SHARED_SIGNS else sign
    literals = ("".join(parts).strip() for parts in _LITERAL_TEXT.findall(_UNSEEN.sub("", code)))
    return next((text for text in literals if _CURRENCY_SIGN.fullmatch(text)), "")


def _number_format(code: str) -> NumberFormat:
    if _ELAPSED.search(code):
        return NumberFormat("elapsed")
    bare = _UNSEEN.sub("", code)
    letters = _LITERAL.sub("", bare)
    if not _PLAIN.fullmatch(letters.strip()) and _DATE.search(letters) and "general" not in letters.lower():
        return NumberFormat("datetime" if _TIME.search(letters) else "date")
    bare = bare.strip()
    if _PLAIN.fullmatch(bare):
        return PLAIN
    if padded := _PADDED.fullmatch(bare):
        return NumberFormat("padded", len(padded[1]))
    if decimals := _DECIMALS.fullmatch(bare):
        return NumberFormat("decimals", len(decimals[1]))
    return NumberFormat("other")


def built_in_format(number: int) -> str:
    """Return the format code of a number; that of a general cell if it is unknown."""
    return _BUILT_IN.get(number, "General")


def number_text(text: str) -> str:
    """Return a number as a person would type it, with at most 15 digits.

    Whole numbers are plain digits, and have an exponent from 16 digits on, because a spreadsheet has lost the last
    ones. What is no number stays as it is.
    """
    if text.isdecimal() and text.isascii() and text[0] != "0" and len(text) <= 15:
        return text
    if not _NUMBER.fullmatch(text):
        return text
    value = float(text)
    if value.is_integer() and abs(value) < WHOLE_NUMBER_MAX:
        return str(int(value))
    shown = f"{value:.15g}"
    if "e-" in shown:
        digits, _, exponent = shown.partition("e-")
        places = int(exponent) + len(digits.partition(".")[2])
        return f"{value:.{places}f}" if int(exponent) <= DECIMAL_ZEROS_MAX else shown
    return shown


def key_text(text: str, form: NumberFormat) -> str | None:
    """Return a number of a key column as its cell shows it; None if it is not certain which text is meant.

    `text` is that of `number_text`. A number that has lost digits is returned as it is.
    """
    if form.kind == "plain" or "e" in text:
        return text
    whole, _, decimals = text.partition(".")
    if form.kind == "padded" and not decimals:
        return f"-{whole[1:].zfill(form.digits)}" if whole[0] == "-" else whole.zfill(form.digits)
    if form.kind == "decimals" and 0 < len(decimals) <= form.digits:
        return f"{whole}.{decimals.ljust(form.digits, '0')}"
    return None


def date_text(text: str, form: NumberFormat, *, from_1904: bool) -> str | None:
    """Return the ISO 8601 text of a number with the format of a date, or hours:minutes:seconds of a duration.

    None if the number is no date.
    """
    try:
        serial = float(text)
    except ValueError:
        return None
    if not math.isfinite(serial) or not 0 <= serial < SERIAL_MAX:
        return None
    milliseconds = round(serial * 86_400_000)
    if form.kind == "elapsed":
        minutes, seconds = divmod(round(serial * 86_400), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    if milliseconds < 86_400_000 and form.kind == "datetime":
        return (datetime.min + timedelta(milliseconds=milliseconds)).time().isoformat()
    if from_1904:
        day = datetime(1904, 1, 1)
    elif serial < FALSE_LEAP_DAY:
        day = datetime(1899, 12, 31)
    else:
        day = datetime(1899, 12, 30)
    moment = day + timedelta(milliseconds=milliseconds)
    return (moment.date() if _is_date(moment, form) else moment).isoformat()


def _is_date(moment: datetime, form: NumberFormat) -> bool:
    return form.kind == "date" and moment.time() == time()


def iso_text(text: str) -> str:
    """Return a date that is stored as ISO 8601, without a time of midnight."""
    day, _, clock = text.partition("T")
    try:
        date.fromisoformat(day)
    except ValueError:
        return text
    return day if clock.rstrip("Z").replace(":", "").replace(".", "").strip("0") == "" else text


def _first_section(code: str) -> str:
    """Return the part before the first semicolon that is not quoted."""
    for at, character in enumerate(code):
        if character == ";" and code.count('"', 0, at) % 2 == 0:
            return code[:at]
    return code
