"""Identifiers: SKU and GTIN.

Sources: Google Merchant product data specification, ``id`` (at most 50 characters, no control, function or private
area characters) and ``gtin``; GS1 General Specifications, sections 3 (GTIN-8, -12, -13, -14) and 7.9 (check digit).
"""

import re
import unicodedata

from goodsgate.model.fields import Field
from goodsgate.model.issue import issue
from goodsgate.rules.context import Issues, Rule, RuleContext, wrong_type
from goodsgate.rules.gtin import ZERO_GTINS, check_digit, is_gtin
from goodsgate.rules.placeholders import PLACEHOLDERS

INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff\ue000-\uf8ff\U000f0000-\U0010ffff]"
)
"""Control, format, private use and replacement characters: they cannot be typed, or show that the key is damaged."""

ROUNDED_SKU = re.compile(r"\d(?:[.,]\d+)?[eE]\+\d+")
"""How a spreadsheet writes a long number in a narrow column. SKUs such as ``12E4`` lack the plus sign."""
ROUNDED_GTIN = re.compile(r"\d(?:[.,]\d+)?[eE]\+?\d+")
ROUNDED_ZEROS = "00000"
"""What stands at the end of a GTIN that was written as 4.00638E+12 and expanded again."""
SEPARATORS = re.compile(r"[\s\-.\u00a0]")

_WIDE_OR_BLANK = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\uff01-\uff5e]")
"""Blanks other than the space, and characters that are as wide as an ideograph."""

GTIN_EXPECTED = "8, 12, 13 or 14 digits"


def plain_key(key: str) -> str:
    """Return a key without what looks alike and is not: decomposed letters, unusual blanks, full-width characters.

    Superscripts and the like stay: they look different, so that they may tell two items apart.
    """
    return _WIDE_OR_BLANK.sub(lambda found: unicodedata.normalize("NFKC", found[0]), unicodedata.normalize("NFC", key))


def sku(field: Field) -> Rule:
    """Make the rule of a key: visible characters, no blank at its edges, not rounded by a spreadsheet."""
    longest = field.characters_max

    def rule(value: object, path: str, context: RuleContext, issues: Issues) -> None:  # noqa: ARG001 - all rules are called alike
        if not isinstance(value, str):
            wrong_type(value, path, issues, expected="text")
            return
        if not value.strip():
            issues.append(issue("sku_missing", path, value=value))
            return
        if len(value) > longest:
            issues.append(issue("sku_too_long", path, value=value, expected=f"at most {longest} characters"))
        if INVISIBLE.search(value):
            issues.append(issue("sku_characters", path, value=value,
                                suggestion=INVISIBLE.sub("", value).strip() or None))
        elif value != value.strip():
            issues.append(issue("sku_edge_blanks", path, value=value, suggestion=value.strip()))
        elif not value.isascii() and (plain := plain_key(value)) != value:
            issues.append(issue("sku_lookalike", path, value=value, suggestion=plain))
        elif ROUNDED_SKU.fullmatch(value):
            issues.append(issue("sku_rounded", path, value=value))
        elif value in PLACEHOLDERS:
            issues.append(issue("value_placeholder", path, value=value))

    return rule


def gtin(field: Field) -> Rule:  # noqa: ARG001 - rules are made alike, and a GTIN's length is not the table's
    """Make the rule of a GTIN-8, -12, -13 or -14 with its check digit; reports what a spreadsheet did to it.

    A number in scientific notation is never expanded, because its last digits are lost. Leading zeros that are missing
    are suggested if the check digit is right with them.
    """
    return _gtin


def _gtin(value: object, path: str, context: RuleContext, issues: Issues) -> None:  # noqa: ARG001 - all rules are called alike
    if not isinstance(value, str):
        wrong_type(value, path, issues, expected="text")
        return
    if is_gtin(value) and value not in ZERO_GTINS:
        return
    text = value.strip()
    if not text:
        issues.append(issue("text_empty", path, value=value))
    elif ROUNDED_GTIN.fullmatch(text):
        issues.append(issue("gtin_rounded", path, value=value, expected=GTIN_EXPECTED))
    elif not (text.isascii() and text.isdigit()):
        digits = SEPARATORS.sub("", text)
        suggestion = digits if is_gtin(digits) else None
        issues.append(issue("gtin_characters", path, value=value, expected=GTIN_EXPECTED, suggestion=suggestion))
    elif text != value:
        issues.append(issue("gtin_characters", path, value=value, expected=GTIN_EXPECTED,
                            suggestion=text if is_gtin(text) else None))
    elif text in ZERO_GTINS:
        issues.append(issue("value_placeholder", path, value=value))
    elif len(text) in (12, 13, 14) and text.endswith(ROUNDED_ZEROS):
        issues.append(issue("gtin_rounded", path, value=value, expected=GTIN_EXPECTED))
    elif len(text) in (8, 12, 13, 14):
        issues.append(issue("gtin_check_digit", path, value=value, suggestion=text[:-1] + check_digit(text[:-1])))
    else:
        padded = _with_zeros(text)
        code = "gtin_zeros_lost" if padded else "gtin_length"
        issues.append(issue(code, path, value=value, expected=GTIN_EXPECTED, suggestion=padded))


def _with_zeros(digits: str) -> str | None:
    """Return the GTIN with its leading zeros, if at most three are missing and the check digit is right with them.

    A spreadsheet drops the zeros of UPC-A (12 digits) and of GTIN-8 above all; 9 to 11 digits are read as UPC-A,
    and 6 or 7 as GTIN-8.
    """
    length = 8 if len(digits) in (6, 7) else 12 if len(digits) in (9, 10, 11) else 0
    padded = digits.zfill(length)
    return padded if length and is_gtin(padded) else None
