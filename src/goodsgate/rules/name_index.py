"""Index of the names in reference data: whether a name exists, and which one is similar."""

import re
from bisect import bisect

from goodsgate.model.nearest import nearest_name

SIMILARITY_MIN = 75
"""Minimum similarity, 0 to 100, of a suggestion."""
COMPARED_NAMES_MAX = 16
"""Names compared on either side of the position of a wrong one, sorted by their start and by their end."""
SEARCHED_NAMES_MAX = 100_000
"""Kinds with more names get no suggestions, because their index would take too much memory."""
CACHED_SEARCHES_MAX = 20_000
"""Cached searches of one kind, because the same wrong value occurs again and again."""

_FOLDING = re.compile(r"[\W_]+")


def fold(text: str) -> str:
    """Return the text without case, blanks and punctuation."""
    return _FOLDING.sub("", text.casefold())


class NameIndex:
    """Valid spellings of one kind of reference data."""

    def __init__(self, codes: dict[str, str], hints: dict[str, str] | None = None) -> None:
        self.codes = codes
        """Valid spelling → code of its entry."""
        self._hints = hints or {}
        """Invalid text that implies a valid spelling, such as the name of a location, → that spelling."""
        self._folded: dict[str, str] | None = None
        self._forward: list[str] = []
        self._backward: list[str] = []
        self._cached: dict[str, str | None] = {}

    def equivalent(self, text: str) -> str | None:
        """Return the spelling that differs only by case, blanks or punctuation, or that is implied, else None."""
        if self._folded is None:
            self._index()
        return (self._folded or {}).get(fold(text[:200]))

    def nearest(self, text: str) -> str | None:
        """Return the most similar spelling, or None; a search takes about ten microseconds at any size."""
        if text in self._cached:
            return self._cached[text]
        if self._folded is None:
            self._index()
        near = self._search(fold(text[:200]))
        if len(self._cached) >= CACHED_SEARCHES_MAX:
            self._cached.clear()
        self._cached[text] = near
        return near

    def _search(self, wrong: str) -> str | None:
        names = self._folded or {}
        if wrong in names:
            return names[wrong]
        forward, backward = bisect(self._forward, wrong), bisect(self._backward, wrong[::-1])
        candidates = self._forward[max(0, forward - COMPARED_NAMES_MAX) : forward + COMPARED_NAMES_MAX]
        candidates += [
            name[::-1] for name in self._backward[max(0, backward - COMPARED_NAMES_MAX) : backward + COMPARED_NAMES_MAX]
        ]
        near = nearest_name(wrong, candidates, similarity_min=SIMILARITY_MIN)
        return names[near] if near is not None else None

    def _index(self) -> None:
        self._folded = {}
        if len(self.codes) > SEARCHED_NAMES_MAX:
            return
        for name, right in (*zip(self.codes, self.codes, strict=True), *self._hints.items()):
            self._folded.setdefault(fold(name), right)
        self._forward = sorted(self._folded)
        self._backward = sorted(name[::-1] for name in self._folded)
