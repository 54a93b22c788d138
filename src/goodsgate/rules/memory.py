"""Documents that were found spotless, known again by a hash of their bytes.

Rules are pure: what they found once of the same bytes they would find again. A feed that is sent every hour holds
mostly what it held before, and that need not be looked at twice.
"""

import secrets
from array import array


class Memory:
    """A bounded memory of spotless documents, shared by the rule sets of one process; not for several threads.

    Eight bytes a document, at a place that its hash says; a newer one takes the place of an older. That two documents
    are taken for one another is as likely as that 64 random bits are equal.
    """

    def __init__(self, documents_max: int) -> None:
        """Room for about so many, a power of two of which is made when the first is kept."""
        self._places = 1 << max(documents_max - 1, 0).bit_length()
        self._marks: array[int] | None = None

    @property
    def marks(self) -> "array[int]":
        """By place; 0 is nothing. A mark belongs at its lowest bits."""
        if self._marks is None:
            self._marks = array("Q", bytes(8 * self._places))
        return self._marks

    @property
    def lowest(self) -> int:
        """The bits of a mark that are its place."""
        return self._places - 1


def new_salt() -> int:
    """What makes the marks of one rule set other ones than those of another."""
    return secrets.randbits(64)
