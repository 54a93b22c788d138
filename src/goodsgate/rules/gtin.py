"""Check digits of GTINs."""

_PAIRS = [(f"{tens}{ones}", 3 * tens + ones) for tens in range(10) for ones in range(10)]
_WEIGHTED: dict[str, int] = {first + second: sum_1 + sum_2 for first, sum_1 in _PAIRS for second, sum_2 in _PAIRS}
"""Four digits, the first of which has weight three → their weighted sum."""
_DIGITS: dict[str, int] = {str(digit): digit for digit in range(10)}


GTIN_LENGTHS = (8, 12, 13, 14)
ZERO_GTINS = frozenset("0" * length for length in GTIN_LENGTHS)
"""Numbers with a right check digit that stand for a missing one."""


def is_gtin(text: str) -> bool:
    """Return whether a text is 8, 12, 13 or 14 ASCII digits of which the last is the check digit.

    GS1 General Specifications, section 7.9 (standard check digit calculations): weights 3 and 1 in turn from the
    right, starting with 3 on the digit left of the check digit; the sum with the check digit is a multiple of ten.
    """
    length = len(text)
    try:
        if length == 13:  # the most frequent length
            return (_DIGITS[text[0]] + _WEIGHTED[text[1:5]] + _WEIGHTED[text[5:9]] + _WEIGHTED[text[9:]]) % 10 == 0
        if length == 14:
            return (
                _WEIGHTED[text[:4]] + _WEIGHTED[text[4:8]] + _WEIGHTED[text[8:12]] + _WEIGHTED[text[12:] + "00"]
            ) % 10 == 0
        if length == 12:
            return (_WEIGHTED[text[:4]] + _WEIGHTED[text[4:8]] + _WEIGHTED[text[8:]]) % 10 == 0
        if length == 8:
            return (_WEIGHTED[text[:4]] + _WEIGHTED[text[4:]]) % 10 == 0
    except KeyError:
        return False
    return False


def check_digit(body: str) -> str:
    """Return the check digit for these digits."""
    total = sum(int(digit) * (3 if position % 2 == 0 else 1) for position, digit in enumerate(reversed(body)))
    return str(-total % 10)
