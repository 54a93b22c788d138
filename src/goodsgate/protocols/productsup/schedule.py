"""When a site imports by itself: a cron entry, in UTC."""

from datetime import datetime, timedelta

FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
"""Minute, hour, day of the month, month, day of the week (0 and 7 are Sunday)."""
ALWAYS = "@always"
"""Ours: import at once whatever is uploaded."""
DAYS_MAX = 366 * 5
"""A 29th of February comes at least that often."""


class Schedule:
    """The times that an entry of five fields names."""

    def __init__(self, entry: str) -> None:
        """Raises ValueError with what is wrong."""
        parts = entry.split()
        if len(parts) != len(FIELDS):
            raise ValueError("a cron entry has five fields")
        self._minutes, self._hours, self._days, self._months, weekdays = (
            _values(part, low, high) for part, (low, high) in zip(parts, FIELDS, strict=True)
        )
        self._weekdays = {day % 7 for day in weekdays}
        self._either = not (parts[2].startswith("*") or parts[4].startswith("*"))
        """Cron's own rule: where both kinds of days are narrowed, either will do."""
        if not self._dates(datetime(2000, 1, 1)):
            raise ValueError("a cron entry names a day that there is")

    def next(self, after: datetime) -> datetime:
        """The first time behind this one."""
        begin = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
        for day in self._dates(begin):
            for hour in sorted(self._hours):
                for minute in sorted(self._minutes):
                    found = day.replace(hour=hour, minute=minute)
                    if found >= begin:
                        return found
        raise AssertionError(after)

    def _dates(self, begin: datetime) -> list[datetime]:
        """The first two days from this one that fit: on the first the hour may be over."""
        found = []
        for ahead in range(DAYS_MAX * 2):
            day = (begin + timedelta(days=ahead)).replace(hour=0, minute=0)
            if day.month in self._months and self._fits(day):
                found.append(day)
                if len(found) == 2:
                    break
        return found

    def _fits(self, day: datetime) -> bool:
        of_month, of_week = day.day in self._days, day.isoweekday() % 7 in self._weekdays
        return (of_month or of_week) if self._either else (of_month and of_week)


def _values(part: str, low: int, high: int) -> set[int]:
    """Of one field: ``*``, ``5``, ``1-5``, ``*/15``, ``10-50/20``, and several of these with commas between."""
    found: set[int] = set()
    for piece in part.split(","):
        span, _, step = piece.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            first, last = str(low), str(high)
        elif not dash:
            last = str(high) if step else first
        texts = [first, last, step or "1"]
        if not all(text.isascii() and text.isdigit() and len(text) <= 4 for text in texts):
            raise ValueError(f"{piece} is nothing that a cron entry holds")
        begin, end, by = map(int, texts)
        if not low <= begin <= end <= high or not by:
            raise ValueError(f"{piece} is not between {low} and {high}")
        found.update(range(begin, end + 1, by))
    return found
