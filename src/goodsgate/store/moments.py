"""Times and ids as both stores keep them: microseconds since 1970, and the bytes of 32 hex digits."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Since 1970; floating point would lose some of them."""
    return (moment - EPOCH) // MICROSECOND


def moment(count: int) -> datetime:
    """The time of so many microseconds since 1970."""
    return EPOCH + timedelta(microseconds=count)


def moment_or_none(count: int | None) -> datetime | None:
    """The time, where there is one."""
    return None if count is None else moment(count)


def id_bytes(batch: str) -> bytes | None:
    """16 bytes of a batch's id; None for a text that is no id of ours."""
    try:
        packed = bytes.fromhex(batch)
    except ValueError:
        return None
    return packed if len(packed) == 16 and packed.hex() == batch else None
