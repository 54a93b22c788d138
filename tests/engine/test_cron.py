"""Cron entries in time zones."""

from datetime import UTC, datetime

import pytest

from goodsgate.engine.cron import check_cron, check_timezone, last_times, next_time


@pytest.mark.parametrize(("entry", "timezone", "after", "found"), [
    ("0 3 * * *", "UTC", "2026-05-01T02:59", "2026-05-01T03:00"),
    ("0 3 * * *", "Europe/Berlin", "2026-05-01T00:30", "2026-05-01T01:00"),
    ("0 3 * * *", "Europe/Berlin", "2026-12-01T01:30", "2026-12-01T02:00"),
    ("30 2 * * *", "Europe/Berlin", "2026-03-28T23:00", "2026-03-29T01:00"),  # the clock goes from 2 to 3
    ("0 4 * * 1-5", "UTC", "2026-05-01T04:00", "2026-05-04T04:00"),
])
def test_the_next_time_is_that_of_the_time_zone(entry: str, timezone: str, after: str, found: str) -> None:
    """In summer and in winter."""
    assert next_time(entry, _at(after), timezone) == _at(found)


def test_the_last_two_times_are_a_window() -> None:
    """The later one first; a time itself counts as past."""
    assert last_times("0 4 * * *", _at("2026-05-02T05:00")) == (_at("2026-05-02T04:00"), _at("2026-05-01T04:00"))


@pytest.mark.parametrize("entry", ["", "* * * *", "* * * * * *", "61 * * * *", "0 0 31 2 *", "x", "0 3 * * *" * 90])
def test_other_entries_are_refused(entry: str) -> None:
    """With five fields, of a day that exists."""
    with pytest.raises(ValueError, match=r"\w"):
        check_cron(entry)


@pytest.mark.parametrize("name", ["Mars/Base", "", "../etc/passwd", "/etc/passwd", "Europe"])
def test_other_time_zones_are_refused(name: str) -> None:
    """Also those that would be paths."""
    with pytest.raises(ValueError, match="no time zone"):
        check_timezone(name)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
