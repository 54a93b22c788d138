"""Documents that were found spotless, known again by a hash of their bytes.

Rules are pure: what they found once of the same bytes they would find again. A feed that is sent every hour holds
mostly what it held before, and that need not be looked at twice.
"""

import secrets
from array import array
from collections.abc import Iterable
from itertools import repeat

SPOT_BITS = 8
SPOT_MAX = (1 << SPOT_BITS) - 1
"""A key is not looked for behind so many bytes of its document, which is also the longest that is found."""
SPOTS = 1 << 2 * SPOT_BITS
"""More than any spot."""


class ValidCache:
    """A bounded memory of spotless documents, shared by the rule sets of one process; not for several threads.

    Eight bytes a document, at a place that its hash says; a newer one takes the place of an older. That two documents
    are taken for one another is as likely as that 64 random bits are equal.
    """

    def __init__(self, documents_max: int) -> None:
        """Room for about so many, a power of two of which is made when the first is kept."""
        self._places = 1 << max(documents_max - 1, 0).bit_length()
        self._kept: array[int] | None = None

    @property
    def kept(self) -> "array[int]":
        """By place, a mark and over it, as exclusive or, the spot: a place says the lowest bits of its marks."""
        if self._kept is None:
            self._kept = array("Q", bytes(8 * self._places))
        return self._kept

    @property
    def lowest(self) -> int:
        """The bits of a mark that are its place."""
        return self._places - 1

    def recall(self, marks: Iterable[int]) -> list[int]:
        """The spot of each document that is known, 0 if none was kept; more than `lowest` for one that is not."""
        kept, lowest = self.kept, self.lowest
        return [mark ^ kept[mark & lowest] for mark in marks]

    def keep(self, marks: Iterable[int], spots: Iterable[int]) -> None:
        """Know these documents from now on, and their spots, where there is room for these."""
        kept, lowest = self.kept, self.lowest
        for mark, spot in zip(marks, spots if self._places >= SPOTS else repeat(0), strict=False):
            kept[mark & lowest] = mark ^ spot


def spots_of(documents: Iterable[bytes], keys: Iterable[str]) -> list[int]:
    """Where the key of each document stands in it as it is: how many bytes are before it, and in the last SPOT_BITS
    bits how many it has; 0 if it is not near the beginning."""
    names = [*map(str.encode, keys)]
    starts = map(bytes.find, documents, names, repeat(0), repeat(SPOT_MAX))
    return [start << SPOT_BITS | len(name) if start > 0 else 0 for start, name in zip(starts, names, strict=True)]


def key_at(document: bytes, spot: int) -> str:
    """The key that stands there."""
    start = spot >> SPOT_BITS
    return document[start : start + (spot & SPOT_MAX)].decode()


def new_salt() -> int:
    """What makes the marks of one rule set other ones than those of another."""
    return secrets.randbits(64)
