"""Times of orders: answers are in UTC, queries in Indian time and in three formats (X13)."""

import re
from datetime import UTC, datetime, timedelta, timezone

from goodsgate.engine.refusal import Refusal

INDIA = timezone(timedelta(hours=5, minutes=30), "IST")
_DATES = (
    (re.compile(r"\d{2}-\d{2}-\d{4}"), "%d-%m-%Y"), (re.compile(r"\d{4}-\d{2}-\d{2}"), "%Y-%m-%d"),
)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}")
_INSTANT = timedelta(microseconds=1)


def format_timestamp(moment: datetime, *, precise: bool = False) -> str:
    """Return ``2025-01-25T12:19:38+00:00``, or with microseconds ``2025-01-25T12:19:38.016042+00:00``."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}+00:00" if precise else f"{moment:%Y-%m-%dT%H:%M:%S}+00:00"


def parse_timestamp(text: str | None, *, parameter: str, last: bool = False) -> datetime | None:
    """Return the first moment, or the last, of a day or a second in India; raise parameter_invalid."""
    if text is None:
        return None
    try:
        for form, pattern in _DATES:
            if form.fullmatch(text):
                day = datetime.strptime(text, pattern).replace(tzinfo=INDIA)
                return (day + timedelta(days=1) - _INSTANT if last else day).astimezone(UTC)
        if _TIME.fullmatch(text):
            second = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=INDIA)
            return (second + timedelta(seconds=1) - _INSTANT if last else second).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    expected = "31-01-2026, 2026-01-31 or 2026-01-31T08:15:00"
    detail = f"The parameter {parameter} must be a date like {expected}."
    raise Refusal("parameter_invalid", detail, parameter=parameter, value=text[:100], expected=expected)
