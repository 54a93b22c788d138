"""Cron entries: when they are due next."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.protocols.productsup.schedule import Schedule

FIELDS = st.tuples(
    st.sampled_from(["*", "*/7", "3,50", "10-20"]), st.sampled_from(["*", "0", "5-7", "*/6"]),
    st.sampled_from(["*", "1", "13,29", "*/2"]), st.sampled_from(["*", "2", "1-6"]),
    st.sampled_from(["*", "0", "7", "1-5"]),
)


def _named(field: str, value: int) -> bool:
    """Whether a field names a value, told in another way than the code does."""
    for piece in field.split(","):
        span, _, step = piece.partition("/")
        first, _, last = span.partition("-")
        low, high = (0, 99) if span == "*" else (int(first), int(last or first))
        if low <= value <= high and (value - low) % int(step or 1) == 0:
            return True
    return False


def _due(fields: tuple[str, ...], at: datetime) -> bool:
    minute, hour, day, month, weekday = fields
    of_month = _named(day, at.day) if day != "*/2" else at.day % 2 == 1
    of_week = _named(weekday, at.isoweekday() % 7) or _named(weekday, at.isoweekday())
    days = (of_month and of_week) if "*" in day[0] + weekday[0] else (of_month or of_week)
    return _named(minute, at.minute) and _named(hour, at.hour) and _named(month, at.month) and days


@settings(deadline=None)
@given(st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)), FIELDS)
def test_the_next_time_is_the_first_that_fits(after: datetime, fields: tuple[str, ...]) -> None:
    """Of all minutes of the next two days; later ones fit, too."""
    found = Schedule(" ".join(fields)).next(after)
    assert found > after
    assert _due(fields, found)
    begin = after.replace(second=0, microsecond=0)
    minutes = (begin + timedelta(minutes=ahead) for ahead in range(1, 2 * 24 * 60))
    first = next((at for at in minutes if _due(fields, at)), None)
    assert first is None or found == first


@pytest.mark.parametrize(("entry", "found"), [
    ("0 6 * * *", "2026-02-01T06:00"), ("*/15 * * * *", "2026-01-31T08:30"), ("15 8 * * *", "2026-02-01T08:15"),
    ("0 0 29 2 *", "2028-02-29T00:00"), ("0 0 * * 7", "2026-02-01T00:00"), ("0 0 13 * 5", "2026-02-06T00:00"),
])
def test_what_cron_entries_mean(entry: str, found: str) -> None:
    """Five fields; two kinds of days are either or."""
    after = datetime(2026, 1, 31, 8, 15, 30, tzinfo=UTC)
    assert Schedule(entry).next(after) == datetime.fromisoformat(found).replace(tzinfo=UTC)


@pytest.mark.parametrize("entry", [
    "", "* * * *", "60 * * * *", "a * * * *", "0 0 31 2 *", "*/0 * * * *", "5-1 * * * *", "1/2/3 * * * *", "² * * * *",
])
def test_what_is_no_cron_entry(entry: str) -> None:
    """With a reason."""
    with pytest.raises(ValueError, match=r"\w"):
        Schedule(entry)
