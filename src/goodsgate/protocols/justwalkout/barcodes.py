"""Checks of a barcode against its type: length, characters, check digit.

The vendor publishes the lengths. Check digits follow the GS1 General Specifications, section 7.9 (7.10 for
zero-suppressed UPC-E), and ISO 2108 for ISBN-10.
"""

from goodsgate.model.issue import Issue, issue
from goodsgate.rules.gtin import check_digit, is_gtin

LENGTHS: dict[str, tuple[int, ...]] = {
    "UPC": (12, 8), "EAN8": (8,), "EAN": (13,), "ISBN": (10,), "GTIN": (14,), "PLU": (3, 4, 5, 6),
}
"""Type → numbers of digits, including the check digit; a PLU has none."""
GTIN_LENGTHS = (12, 13, 14)
"""Numbers of digits in which one trade item number may be written, with zeros before it."""
BY_LENGTH = {length: name for name in ("UPC", "ISBN", "EAN", "GTIN", "PLU") for length in LENGTHS[name]}
"""Number of digits → the type that is assumed for a barcode without one."""


def check_barcode(barcode: str, named_type: str | None, path: str) -> Issue | None:
    """Return an issue if the barcode is invalid; its length decides the type if no known type is named."""
    type = (named_type or "").strip().upper()
    type = type if type in LENGTHS else BY_LENGTH.get(len(barcode), "")
    if not type:
        return issue("barcode_form", path, value=barcode, expected="a UPC, EAN, ISBN, GTIN, or PLU of 3 to 6 digits")
    if type == "ISBN":
        return _check_isbn(barcode, path)
    lengths = LENGTHS[type]
    form = "3 to 6 digits" if type == "PLU" else f"{' or '.join(map(str, lengths))} digits, the last a check digit"
    is_numeric = barcode.isascii() and barcode.isdigit()
    if not is_numeric or len(barcode) not in lengths:
        lacks_digit = is_numeric and type != "PLU" and len(barcode) + 1 in lengths and not is_gtin(barcode)
        suggestion = barcode + check_digit(barcode) if lacks_digit else None
        return issue("barcode_form", path, value=barcode, expected=f"{type}: {form}", suggestion=suggestion)
    if type == "PLU" or is_gtin(barcode) or (type == "UPC" and len(barcode) == 8 and is_gtin(_expand_upc_e(barcode))):
        return None
    return issue("gtin_check_digit", path, value=barcode, suggestion=barcode[:-1] + check_digit(barcode[:-1]))


def spellings_of(barcode: str) -> list[str]:
    """Return all texts of the same barcode: a GTIN may have 12, 13 or 14 digits."""
    if len(barcode) not in GTIN_LENGTHS or not (barcode.isascii() and barcode.isdigit()):
        return [barcode]
    digits = barcode.lstrip("0")
    return [digits.zfill(length) for length in GTIN_LENGTHS if len(digits) <= length]


def _check_isbn(barcode: str, path: str) -> Issue | None:
    body, last = barcode[:-1], barcode[-1:].upper()
    if len(barcode) != 10 or not (body.isascii() and body.isdigit()) or last not in "0123456789X":
        return issue("barcode_form", path, value=barcode, expected="ISBN: 9 digits and a check digit, which may be X")
    total = sum(int(digit) * weight for digit, weight in zip(body, range(10, 1, -1), strict=True))
    expected = "0123456789X"[-total % 11]
    if last == expected:
        return None
    return issue("gtin_check_digit", path, value=barcode, suggestion=body + expected)


def _expand_upc_e(short: str) -> str:
    """Return the twelve digits of a UPC-E, which has a number system digit, six digits and a check digit."""
    system, six, check = short[0], short[1:7], short[7]
    last = six[5]
    if last in "012":
        middle = f"{six[:2]}{last}0000{six[2:5]}"
    elif last == "3":
        middle = f"{six[:3]}00000{six[3:5]}"
    elif last == "4":
        middle = f"{six[:4]}00000{six[4]}"
    else:
        middle = f"{six[:5]}0000{last}"
    return f"{system}{middle}{check}"
