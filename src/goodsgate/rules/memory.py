"""Documents that were found spotless, known again by a hash of their bytes.

Rules are pure: what they found once of the same bytes they would find again. A feed that is sent every hour holds
mostly what it held before, and that need not be looked at twice.
"""

import secrets
from array import array

SPOT_BITS = 8
SPOT_MAX = (1 << SPOT_BITS) - 1
"""A key is not looked for behind so many bytes of its document, which is also the longest that is found."""


class Memory:
    """A bounded memory of spotless documents, shared by the rule sets of one process; not for several threads.

    Ten bytes a document, at a place that its hash says; a newer one takes the place of an older. That two documents
    are taken for one another is as likely as that 64 random bits are equal.
    """

    def __init__(self, documents_max: int) -> None:
        """Room for about so many, a power of two of which is made when the first is kept."""
        self._places = 1 << max(documents_max - 1, 0).bit_length()
        self._marks: array[int] | None = None
        self._spots: array[int] | None = None

    @property
    def marks(self) -> "array[int]":
        """By place; 0 is nothing. A mark belongs at its lowest bits."""
        if self._marks is None:
            self._marks = array("Q", bytes(8 * self._places))
        return self._marks

    @property
    def spots(self) -> "array[int]":
        """By place, where in its document the key stands as it is, and in the last SPOT_BITS bits how long it is; 0 if
        it does not stand near its beginning. Documents of the same bytes have the same there, whatever else they hold.
        """
        if self._spots is None:
            self._spots = array("H", bytes(2 * self._places))
        return self._spots

    @property
    def lowest(self) -> int:
        """The bits of a mark that are its place."""
        return self._places - 1


def new_salt() -> int:
    """What makes the marks of one rule set other ones than those of another."""
    return secrets.randbits(64)
