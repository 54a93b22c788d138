"""Names of reference data, for looking up: is it there, and what comes near."""

import re
from bisect import bisect

from rapidfuzz import fuzz, process

NEAR_ENOUGH = 75
"""Similarity, 0 to 100, from which an entry is suggested."""
NEIGHBOURS_MAX = 16
"""Names compared on either side of where a wrong one would stand, once read from its start and once from its end."""
SEARCHED_NAMES_MAX = 100_000
"""Kinds with more names get no suggestions: an index of them would take more memory than it is worth."""
REMEMBERED_MAX = 20_000
"""Searches remembered for one kind; the same wrong value comes again and again."""

_FOLDING = re.compile(r"[\W_]+")


def fold(text: str) -> str:
    """The text without case, blanks and punctuation."""
    return _FOLDING.sub("", text.casefold())


class NameIndex:
    """The right spellings of one kind of reference data."""

    def __init__(self, codes: dict[str, str], hints: dict[str, str] | None = None) -> None:
        self.codes = codes
        """Every right spelling → the code of its entry."""
        self._hints = hints or {}
        """What is not right and yet says which right spelling is meant, such as the name of a location."""
        self._folded: dict[str, str] | None = None
        self._forward: list[str] = []
        self._backward: list[str] = []
        self._remembered: dict[str, str | None] = {}

    def same(self, text: str) -> str | None:
        """The spelling that differs only by case, blanks or punctuation, or that is plainly meant; None if none is."""
        if self._folded is None:
            self._index()
        return (self._folded or {}).get(fold(text[:200]))

    def nearest(self, text: str) -> str | None:
        """The spelling that was probably meant, or None; a search takes some ten microseconds at any size."""
        if text in self._remembered:
            return self._remembered[text]
        if self._folded is None:
            self._index()
        near = self._search(fold(text[:200]))
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[text] = near
        return near

    def _search(self, wrong: str) -> str | None:
        names = self._folded or {}
        if wrong in names:
            return names[wrong]
        forward, backward = bisect(self._forward, wrong), bisect(self._backward, wrong[::-1])
        candidates = self._forward[max(0, forward - NEIGHBOURS_MAX) : forward + NEIGHBOURS_MAX]
        candidates += [
            name[::-1] for name in self._backward[max(0, backward - NEIGHBOURS_MAX) : backward + NEIGHBOURS_MAX]
        ]
        near = process.extractOne(wrong, candidates, scorer=fuzz.ratio, score_cutoff=NEAR_ENOUGH)
        return names[near[0]] if near else None

    def _index(self) -> None:
        self._folded = {}
        if len(self.codes) > SEARCHED_NAMES_MAX:
            return
        for name, right in (*zip(self.codes, self.codes, strict=True), *self._hints.items()):
            self._folded.setdefault(fold(name), right)
        self._forward = sorted(self._folded)
        self._backward = sorted(name[::-1] for name in self._folded)
