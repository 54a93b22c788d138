"""What long-running processes ask of the system."""

import ctypes
import os

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
"""Names of parameters in glibc's malloc.h; see mallopt(3)."""
KEPT_BYTES = 32 * 1024**2
"""Freed memory that each of the allocator's heaps keeps, and the largest block that comes from one: 32 MiB is the most
that glibc takes for the latter."""
NICENESS = 5
"""Of a worker: a third of the processor's time of who answers, where both want all of it."""


def keep_freed() -> None:
    """Let the C library keep some of what is freed, where it is one that can be told so (glibc).

    Else it gives every block back to the system and takes the next one page by page, which costs a tenth of what a
    large submission takes on its way in.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def give_way() -> None:
    """Let others go first where there is not enough of the processor for all: for good, and for this whole process."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
