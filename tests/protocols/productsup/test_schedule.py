"""Cron entries and the times that they name."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.engine.cron import check_cron, next_time

FIELDS = st.tuples(
    st.sampled_from(["*", "*/7", "3,50", "10-20"]), st.sampled_from(["*", "0", "5-7", "*/6"]),
    st.sampled_from(["*", "1", "13,29", "*/2"]), st.sampled_from(["*", "2", "1-6"]),
    st.sampled_from(["*", "0", "7", "1-5"]),
)


def _matches(field: str, value: int) -> bool:
    """Return whether a field names a value; implemented in another way than the library."""
    for piece in field.split(","):
        span, _, step = piece.partition("/")
        first, _, last = span.partition("-")
        low, high = (0, 99) if span == "*" else (int(first), int(last or first))
        if low <= value <= high and (value - low) % int(step or 1) == 0:
            return True
    return False


def _due(fields: tuple[str, ...], at: datetime) -> bool:
    minute, hour, day, month, weekday = fields
    of_month = _matches(day, at.day) if day != "*/2" else at.day % 2 == 1
    of_week = _matches(weekday, at.isoweekday() % 7) or _matches(weekday, at.isoweekday())
    days = (of_month and of_week) if "*" in day[0] + weekday[0] else (of_month or of_week)
    return _matches(minute, at.minute) and _matches(hour, at.hour) and _matches(month, at.month) and days


@settings(deadline=None)
@given(st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)), FIELDS)
def test_the_next_time_is_the_first_that_fits(after: datetime, fields: tuple[str, ...]) -> None:
    """It is the first matching minute of the next two days, or a later match."""
    found = next_time(" ".join(fields), after)
    assert found > after
    assert _due(fields, found)
    begin = after.replace(second=0, microsecond=0)
    minutes = (begin + timedelta(minutes=ahead) for ahead in range(1, 2 * 24 * 60))
    first = next((at for at in minutes if _due(fields, at)), None)
    assert first is None or found == first


@pytest.mark.parametrize(("entry", "found"), [
    ("0 6 * * *", "2026-02-01T06:00"), ("*/15 * * * *", "2026-01-31T08:30"), ("15 8 * * *", "2026-02-01T08:15"),
    ("0 0 29 2 *", "2028-02-29T00:00"), ("0 0 * * 7", "2026-02-01T00:00"), ("0 0 13 * 5", "2026-02-06T00:00"),
    ("0 6 * * MON-FRI", "2026-02-02T06:00"), ("0 6 1 jan *", "2027-01-01T06:00"), ("0 6 L * *", "2026-02-28T06:00"),
    ("0 6 * * 5#2", "2026-02-13T06:00"),
])
def test_the_meaning_of_cron_entries(entry: str, found: str) -> None:
    """Entries have five fields; if both kinds of days are restricted, either may match."""
    after = datetime(2026, 1, 31, 8, 15, 30, tzinfo=UTC)
    check_cron(entry)
    assert next_time(entry, after) == datetime.fromisoformat(found).replace(tzinfo=UTC)


@pytest.mark.parametrize("entry", [
    "", "* * * *", "60 * * * *", "a * * * *", "0 0 31 2 *", "*/0 * * * *", "5-1 * * * *", "1/2/3 * * * *", "² * * * *",
    "0 0 30 2 *", "0 0 0 * * *", "* * * * * *", "@daily",
])
def test_invalid_cron_entries_are_refused(entry: str) -> None:
    """The error has a reason; entries with a field for seconds are invalid, too."""
    with pytest.raises(ValueError, match=r"\w"):
        check_cron(entry)
