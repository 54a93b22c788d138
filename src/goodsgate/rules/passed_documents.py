"""Documents that a merchant's rules had nothing to say about, so that they need not be checked again."""

import secrets
from array import array

SLOTS = 2**18
"""Documents that are remembered, in pairs; of three that share a pair, the oldest is displaced."""
HALF_BYTES = 8
"""Bytes of a hash that are kept."""


class PassedDocuments:
    """Hashes of documents, for all rules of a process: 2 MiB from the first one on."""

    def __init__(self) -> None:
        self._slots: array[int] | None = None

    def fingerprint(self, digest: bytes, salt: int) -> int:
        """Return what is remembered of a hash; `salt` is that of the rules."""
        return int.from_bytes(digest[:HALF_BYTES]) ^ salt

    def contain(self, fingerprint: int) -> bool:
        """Return whether a document is known."""
        slots = self._slots
        if slots is None:
            return False
        at = fingerprint % SLOTS
        return slots[at] == fingerprint or slots[at ^ 1] == fingerprint

    def add(self, fingerprint: int) -> None:
        """Remember a document."""
        if self._slots is None:
            self._slots = array("Q", bytes(HALF_BYTES * SLOTS))
        at = fingerprint % SLOTS & ~1
        self._slots[at + 1], self._slots[at] = self._slots[at], fingerprint


def new_salt() -> int:
    """Return a random number for rules, so that nobody can make a document look like another one to them."""
    return secrets.randbits(8 * HALF_BYTES)
