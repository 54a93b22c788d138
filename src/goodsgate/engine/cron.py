"""Cron entries with five fields (minute, hour, day of the month, month, day of the week) in a time zone.

A time that a change to summer time skips comes at the end of the gap; one that comes twice counts once.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

FIELDS = 5
"""The library also reads a sixth field, for seconds; no work every second is wanted."""
ENTRY_CHARACTERS_MAX = 200


def check_cron(entry: str, timezone: str = "UTC") -> None:
    """Raise ValueError with the reason if an entry is invalid, or names a day that does not exist."""
    if len(entry.split()) != FIELDS or len(entry) > ENTRY_CHARACTERS_MAX:
        raise ValueError("a cron entry has five fields")
    check_timezone(timezone)
    try:
        next_time(entry, datetime(2000, 1, 1, tzinfo=UTC), timezone)
    except (CronSimError, StopIteration) as fault:
        raise ValueError(str(fault) or "no day matches") from fault


def check_timezone(name: str) -> None:
    """Raise ValueError if there is no such time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
        raise ValueError(f"there is no time zone {name!r}") from fault


def next_time(entry: str, after: datetime, timezone: str = "UTC") -> datetime:
    """Return the first time behind another one that a valid entry names, in UTC."""
    return next(CronSim(entry, after.astimezone(ZoneInfo(timezone)))).astimezone(UTC)


def last_times(entry: str, before: datetime, timezone: str = "UTC") -> tuple[datetime, datetime]:
    """Return the last two times, up to another one, that a valid entry names, the later one first; in UTC."""
    times = CronSim(entry, before.astimezone(ZoneInfo(timezone)), reverse=True)
    return next(times).astimezone(UTC), next(times).astimezone(UTC)
