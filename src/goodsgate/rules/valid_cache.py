"""Cache of documents found valid, recognized by a hash of their bytes.

Rules are pure: for the same bytes they find the same again. A feed that is sent every hour holds mostly what it held
before, and that need not be checked twice.
"""

import mmap
import secrets
from array import array
from collections.abc import Iterable

LENGTH_BITS = 8
KEY_BYTES_MAX = (1 << LENGTH_BITS) - 1
"""Greatest offset at which a key is looked for in its document, and greatest length of such a key."""
HASH_BYTES = 16
NO_HASH = bytes(HASH_BYTES)
KEY_OFFSETS = 1 << 2 * LENGTH_BITS
"""More than any key offset."""


class ValidCache:
    """A bounded set of valid documents, shared by the checkers of one process; not thread-safe.

    A document takes eight bytes, in a slot that its fingerprint selects; a newer document replaces an older one. The
    probability of taking one document for another is that of two equal random numbers of 64 bits. The hash of its
    canonical form takes another 16 bytes, as soon as one document is not in it.
    """

    def __init__(self, documents_max: int) -> None:
        """Make room for about so many documents, rounded up to a power of two; allocated with the first one."""
        self._slots_count = 1 << max(documents_max - 1, 0).bit_length()
        self._slots: array[int] | None = None
        self._hashes: mmap.mmap | None = None
        """Slot → hash of the canonical form, zeros if the document is in it; None while all are."""

    @property
    def slots(self) -> "array[int]":
        """Slot → fingerprint XOR key offset, which fits into the bits of the fingerprint that select the slot."""
        if self._slots is None:
            self._slots = array("Q", bytes(8 * self._slots_count))
        return self._slots

    @property
    def mask(self) -> int:
        """The bits of a fingerprint that select its slot."""
        return self._slots_count - 1

    def find(self, fingerprints: Iterable[int]) -> list[int]:
        """Return the key offset of each cached document (0: none stored), or a number above `mask` for another one."""
        slots, mask = self.slots, self.mask
        return [fingerprint ^ slots[fingerprint & mask] for fingerprint in fingerprints]

    def canonical_hashes(self, fingerprints: Iterable[int]) -> list[bytes] | None:
        """Return the hash of the canonical form of each cached document, `NO_HASH` for one that is in it.

        What is returned for other documents means nothing. Returns None if every cached document is in that form.
        """
        hashes, mask = self._hashes, self.mask
        if hashes is None:
            return None
        starts = [(fingerprint & mask) * HASH_BYTES for fingerprint in fingerprints]
        return [hashes[start : start + HASH_BYTES] for start in starts]

    def add(self, fingerprint: int, key_offset: int, canonical_hash: bytes = NO_HASH) -> None:
        """Add a document and its key offset; the offset is dropped if the cache is too small for offsets."""
        slots, mask = self.slots, self.mask
        slot = fingerprint & mask
        slots[slot] = fingerprint ^ key_offset if mask >= KEY_OFFSETS - 1 else fingerprint
        if self._hashes is None:
            if canonical_hash is NO_HASH:
                return
            self._hashes = mmap.mmap(-1, HASH_BYTES * self._slots_count)
        self._hashes[slot * HASH_BYTES : (slot + 1) * HASH_BYTES] = canonical_hash


def key_offset_of(document: bytes, key: str) -> int:
    """Return where the key stands in its document, as start and length in one number; 0 if it is not near the start."""
    name = key.encode()
    start = document.find(name, 0, KEY_BYTES_MAX)
    return start << LENGTH_BITS | len(name) if start > 0 else 0


def key_at(document: bytes, key_offset: int) -> str:
    """Return the key that stands at an offset."""
    start = key_offset >> LENGTH_BITS
    return document[start : start + (key_offset & KEY_BYTES_MAX)].decode()


def new_salt() -> int:
    """Return a random number that makes the fingerprints of one checker differ from those of another."""
    return secrets.randbits(64)
