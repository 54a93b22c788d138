"""Settings that long-running processes make for themselves: memory allocator and priority."""

import contextlib
import ctypes
import math
import os
import resource

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
"""Parameters of glibc's malloc.h; see mallopt(3)."""
RETAINED_BYTES = 32 * 1024**2
"""Freed memory that each heap of the allocator retains, and the largest block taken from a heap.

32 MiB is the maximum that glibc accepts for the latter.
"""
NICENESS = 5
"""Niceness of a worker: under full load it gets about a third of the CPU time of an API process."""


def retain_freed_memory() -> None:
    """Let the C library retain freed memory, if it is glibc.

    Otherwise it returns every block to the system and gets the next one page by page, which costs about a tenth of
    the time to receive a large submission.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, RETAINED_BYTES)
        mallopt(M_TRIM_THRESHOLD, RETAINED_BYTES)


def raise_descriptor_limit() -> float:
    """Raise the limit of open files to the maximum of this process and return it."""
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems refuse an infinite one
        resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))
    current, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if current == resource.RLIM_INFINITY else current


def lower_priority() -> None:
    """Lower the CPU priority of this process for good."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
