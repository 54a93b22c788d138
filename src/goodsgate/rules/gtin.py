"""Check digits of GTINs: of one by table, of many as lanes of large numbers."""

from collections.abc import Sequence

_WEIGHTED: dict[str, int] = {
    f"{number:04d}": sum(int(digit) * weight for digit, weight in zip(f"{number:04d}", (3, 1, 3, 1), strict=True))
    for number in range(10_000)
}
"""Four digits at a place where the first weighs three → their weighted sum."""
_ONCE: dict[str, int] = {str(digit): digit for digit in range(10)}
"""A digit that weighs one."""

GTIN_LENGTHS = (8, 12, 13, 14)


def is_gtin(text: str) -> bool:
    """Whether these are 8, 12, 13 or 14 ASCII digits of which the last is the check digit.

    GS1 General Specifications, section 7.9 (standard check digit calculations): weights 3 and 1 in turn from the
    right, starting with 3 on the digit left of the check digit; the sum with the check digit is a multiple of ten.
    """
    length = len(text)
    try:
        if length == 13:  # nearly all
            return (_ONCE[text[0]] + _WEIGHTED[text[1:5]] + _WEIGHTED[text[5:9]] + _WEIGHTED[text[9:]]) % 10 == 0
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


LONGEST = 14
VALUES = bytes.maketrans(b"0123456789", bytes(range(10)))
MULTIPLES_OF_TEN = bytes(range(0, 256, 10))


def are_gtins(texts: Sequence[str]) -> bool:
    """Whether `is_gtin` says so of each.

    Shorter ones are filled up with zeros, which weigh nothing. Each place of all of them is one large number with a
    byte for each text; 252 is the most that the weighted sum of 14 digits comes to, so that no byte runs over.
    """
    if not texts or not {*map(len, texts)}.issubset(GTIN_LENGTHS):
        return not texts
    joined = "".join([text.rjust(LONGEST, "0") for text in texts])
    if not (joined.isascii() and joined.isdigit()):
        return False
    digits = joined.encode().translate(VALUES)
    places = [int.from_bytes(digits[place::LONGEST], "big") for place in range(LONGEST)]
    sums = (3 * sum(places[0::2]) + sum(places[1::2])).to_bytes(len(texts), "big")
    return not sums.translate(None, MULTIPLES_OF_TEN)


def check_digit(body: str) -> str:
    """The check digit that belongs behind these digits."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body)))
    return str(-total % 10)
