"""Barcodes against the type they are said to have: length, characters, check digit.

Lengths are published; check digits are GS1 General Specifications, section 7.9 (and 7.10 for zero-suppressed UPC-E),
and ISO 2108 for the ten digits of an ISBN.
"""

from goodsgate.model.issue import Issue, issue
from goodsgate.rules.gtin import check_digit, is_gtin

LENGTHS: dict[str, tuple[int, ...]] = {
    "UPC": (12, 8), "EAN8": (8,), "EAN": (13,), "ISBN": (10,), "GTIN": (14,), "PLU": (3, 4, 5, 6),
}
"""Type → digits, the check digit among them; PLUs have none."""
BY_LENGTH = {length: name for name in ("UPC", "ISBN", "EAN", "GTIN", "PLU") for length in LENGTHS[name]}
"""The type of a barcode that names none."""


def why_not(barcode: str, named: str | None, path: str) -> Issue | None:
    """An issue if the barcode is not one of its type; where no type that is known is named, the length tells it."""
    kind = (named or "").strip().upper()
    kind = kind if kind in LENGTHS else BY_LENGTH.get(len(barcode), "")
    if not kind:
        return issue("barcode_form", path, value=barcode, expected="a UPC, EAN, ISBN, GTIN, or PLU of 3 to 6 digits")
    if kind == "ISBN":
        return _isbn(barcode, path)
    lengths = LENGTHS[kind]
    spelled = "3 to 6 digits" if kind == "PLU" else f"{' or '.join(map(str, lengths))} digits, the last a check digit"
    digits = barcode.isascii() and barcode.isdigit()
    if not digits or len(barcode) not in lengths:
        lacking = digits and kind != "PLU" and len(barcode) + 1 in lengths and not is_gtin(barcode)
        suggestion = barcode + check_digit(barcode) if lacking else None
        return issue("barcode_form", path, value=barcode, expected=f"{kind}: {spelled}", suggestion=suggestion)
    if kind == "PLU" or is_gtin(barcode) or (kind == "UPC" and len(barcode) == 8 and is_gtin(_expanded(barcode))):
        return None
    return issue("gtin_check_digit", path, value=barcode, suggestion=barcode[:-1] + check_digit(barcode[:-1]))


def _isbn(barcode: str, path: str) -> Issue | None:
    body, last = barcode[:-1], barcode[-1:].upper()
    if len(barcode) != 10 or not (body.isascii() and body.isdigit()) or last not in "0123456789X":
        return issue("barcode_form", path, value=barcode, expected="ISBN: 9 digits and a check digit, which may be X")
    total = sum(int(digit) * weight for digit, weight in zip(body, range(10, 1, -1), strict=True))
    wanted = "0123456789X"[-total % 11]
    if last == wanted:
        return None
    return issue("gtin_check_digit", path, value=barcode, suggestion=body + wanted)


def _expanded(short: str) -> str:
    """The twelve digits of a UPC-E: number system, six digits, check digit."""
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
