"""Import schedules of sites: cron entries with five fields, in UTC."""

from datetime import datetime

from cronsim import CronSim, CronSimError

ALWAYS = "@always"
"""An extension: uploads are imported at once."""
FIELDS = 5
"""The library also reads a sixth field, for seconds; an import every second is not wanted."""


def check_schedule(entry: str) -> None:
    """Raise ValueError with the reason if the cron entry is invalid, or names a day that does not exist."""
    if len(entry.split()) != FIELDS:
        raise ValueError("a cron entry has five fields")
    try:
        next_import(entry, datetime(2000, 1, 1))
    except (CronSimError, StopIteration) as fault:
        raise ValueError(str(fault) or "no day matches") from fault


def next_import(entry: str, after: datetime) -> datetime:
    """Return the first time after this one that a valid cron entry names."""
    return next(CronSim(entry, after))
