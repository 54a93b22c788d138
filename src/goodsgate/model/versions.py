"""Versions of records: numbers that a submitter counts, and times of observation, in one integer.

A number is stored as it is, from 0; a time as microseconds since 1970, moved far below 0. So the two never look alike,
and the versions of one kind are compared as integers.
"""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
TIME_OFFSET = 2**62
"""More than the microseconds from 1970 to the year 9999; a time less this fits into 64 bits."""


def time_version(at: datetime) -> int:
    """Return the version of a record that was observed at a time."""
    return (at - EPOCH) // MICROSECOND - TIME_OFFSET


def is_time(version: int) -> bool:
    """Return whether a version is a time of observation."""
    return version < 0


def is_older(version: int, other: int) -> bool:
    """Return whether a version is older than another one of its kind; versions of two kinds have no order."""
    return version < other and is_time(version) == is_time(other)


def plain_version(version: int) -> int:
    """Return the number of a version, or its time in microseconds since 1970."""
    return version + TIME_OFFSET if is_time(version) else version


def version_text(version: int) -> str:
    """Return a version as a record gives it: a number, or a time as RFC 3339 writes it."""
    if not is_time(version):
        return str(version)
    try:
        at = EPOCH + plain_version(version) * MICROSECOND
    except OverflowError:  # in UTC it is before year 1 or after year 9999
        return str(plain_version(version))
    return at.isoformat().replace("+00:00", "Z")
