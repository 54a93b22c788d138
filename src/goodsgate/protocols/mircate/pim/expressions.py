"""Merchants' regular expressions, restricted to those that match in bounded time.

Python's matcher backtracks, so a short expression may keep a worker busy for years. Accepted are sequences (and
alternatives of sequences) of characters, classes and groups in which a repeated part contains no repetition and no
alternatives, and for which the ways of dividing a text among the repetitions are few enough to try all. Every check of
an identifier, a code or a number that merchants write is of this kind.
"""

import re
from collections.abc import Callable
from functools import lru_cache

EXPRESSION_CHARACTERS_MAX = 500
MATCHED_CHARACTERS_MAX = 500
"""A longer text fits no expression; attributes that have one take at most 255 characters."""
WAYS_MAX = 10**6
"""Of dividing a text of the greatest length among the repetitions."""

_ATOM = r"(?:\\[dDwWsSbBtnr.^$*+?()\[\]{}|/\\-]|\[\^?(?:\\[^\W_]|\\[^\w\s]|[^\]\\\[&~|])+\]|[^\\()\[\]{}*+?|])"
_TIMES = r"(?P<times>[*+?]|\{\d{1,3}(?:,\d{0,3})?\})?"
_PIECE = re.compile(
    rf"(?P<one>{_ATOM}|\((?:\?:)?{_ATOM}+\)){_TIMES}|\((?:\?:)?{_ATOM}*(?:\|{_ATOM}*)+\)\??|\|"
)


@lru_cache(maxsize=1024)
def matcher(expression: str) -> Callable[[str], bool] | None:
    """Return a function that searches a text for the expression; None if the expression cannot be used."""
    if not is_safe(expression):
        return None
    try:
        found = re.compile(re.sub(r"(?<!\\)\$\Z", r"\\Z", expression), re.ASCII).search
    except (re.error, OverflowError):
        return None
    return lambda text: len(text) <= MATCHED_CHARACTERS_MAX and found(text) is not None


def is_safe(expression: str) -> bool:
    """Return whether the expression is accepted."""
    if len(expression) > EXPRESSION_CHARACTERS_MAX or "--" in expression:
        return False
    at, ways = 0, 1
    while at < len(expression):
        piece = _PIECE.match(expression, at)
        if piece is None:
            return False
        at = piece.end()
        ways *= _ways(piece["times"])
    return ways <= WAYS_MAX


def _ways(times: str | None) -> int:
    """Return how many repetitions one part may have."""
    match times:
        case None:
            return 1
        case "?":
            return 2
        case "*" | "+":
            return MATCHED_CHARACTERS_MAX
    least, _, most = times[1:-1].partition(",")
    if "," not in times:
        return 1
    return max(1, min(int(most or MATCHED_CHARACTERS_MAX), MATCHED_CHARACTERS_MAX) - int(least) + 1)
