"""Merchants' regular expressions, as far as they cannot take for ever.

Python's matcher goes back over what it has tried, so that an expression of a few characters may keep a worker for
years. Taken are sequences (and alternatives of sequences) of characters, classes and groups, where what is repeated
repeats nothing itself and has no alternatives, and where the ways of dividing a text among the repetitions are few
enough to be tried all. Every check of an identifier, a code or a number that merchants write is of this kind.
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
    """Whether an expression is found in a text; None for one that cannot be used."""
    if not is_safe(expression):
        return None
    try:
        found = re.compile(re.sub(r"(?<!\\)\$\Z", r"\\Z", expression), re.ASCII).search
    except (re.error, OverflowError):
        return None
    return lambda text: len(text) <= MATCHED_CHARACTERS_MAX and found(text) is not None


def is_safe(expression: str) -> bool:
    """Whether it is of the kind that is taken."""
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
    """How many repetitions there may be of one piece."""
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
