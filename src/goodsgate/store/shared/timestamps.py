"""Timestamps and ids as both stores keep them: microseconds since 1970, and the 16 bytes of 32 hex digits."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Return the microseconds since 1970; floating point would lose some of them."""
    return (moment - EPOCH) // MICROSECOND


def microseconds_or_none(moment: datetime | None) -> int | None:
    """Return the microseconds since 1970, if there is a time."""
    return None if moment is None else microseconds(moment)


def timestamp(count: int) -> datetime:
    """Return the time of so many microseconds since 1970."""
    return EPOCH + timedelta(microseconds=count)


def timestamp_or_none(count: int | None) -> datetime | None:
    """Return the time, if there is one."""
    return None if count is None else timestamp(count)


def id_bytes(batch: str) -> bytes | None:
    """Return the 16 bytes of a batch's id; None for a text that is no id of ours."""
    try:
        value = bytes.fromhex(batch)
    except ValueError:
        return None
    return value if len(value) == 16 and value.hex() == batch else None
