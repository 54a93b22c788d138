"""Dates, timestamps, and periods of time.

Sources: Google Merchant product data specification, ``availability_date`` and ``sale_price_effective_date`` (ISO 8601,
``2026-02-24T11:07+01:00``, spans with a slash between); RFC 3339 for ``observed_at``.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

import msgspec

from goodsgate.model.fields import Field
from goodsgate.model.issue import issue
from goodsgate.model.versions import time_version
from goodsgate.rules.context import Issues, Rule, RuleContext, wrong_type

EXPECTED = "a time such as 2026-02-24T11:07:00+01:00"
EXPECTED_SPAN = "two times with a slash between, such as 2026-02-24T11:07+01:00/2026-02-28T23:59+01:00"

_TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)
_DAY_FIRST = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})", re.ASCII)


def timestamp(field: Field) -> Rule:  # noqa: ARG001 - rules are made alike
    """Make the rule of a date or timestamp; one without an offset from UTC is read as UTC, with an issue."""

    def rule(value: object, path: str, context: RuleContext, issues: Issues) -> None:  # noqa: ARG001 - all rules are called alike
        if not isinstance(value, str):
            wrong_type(value, path, issues, expected="text")
        elif not value.strip():
            issues.append(issue("text_empty", path, value=value))
        else:
            _read(value, value, path, issues, expected=EXPECTED)

    return rule


def span(field: Field) -> Rule:  # noqa: ARG001 - rules are made alike
    """Make the rule of two timestamps with a slash between, the first not after the second."""

    def rule(value: object, path: str, context: RuleContext, issues: Issues) -> None:  # noqa: ARG001 - all rules are called alike
        if not isinstance(value, str):
            wrong_type(value, path, issues, expected="text")
            return
        if not value.strip():
            issues.append(issue("text_empty", path, value=value))
            return
        begin, slash, end = value.partition("/")
        if not slash:
            issues.append(issue("date_unreadable", path, value=value, expected=EXPECTED_SPAN))
            return
        begins = _read(begin, value, path, issues, expected=EXPECTED_SPAN)
        ends = _read(end, value, path, issues, expected=EXPECTED_SPAN) if begins else None
        if begins and ends and begins > ends:
            issues.append(issue("date_range_reversed", path, value=value))

    return rule


def version(text: str) -> int | None:
    """Return the version of a record that was observed at a time; None if the time cannot be read."""
    at = parse(text)
    return None if at is None else time_version(at)


def canonical_time(text: str) -> str:
    """Return a date or timestamp as RFC 3339 writes it: in capitals, with seconds and offset; a date stays a date.

    A time without an offset is one of UTC. What cannot be read is returned as it is.
    """
    parts = _TIMESTAMP.fullmatch(text)
    if parts is None or parts[4] is None:
        return text
    year, month, day, hour, minute, second, fraction, offset = parts.groups()
    fraction = f".{fraction}".rstrip(".0") if fraction else ""
    digits = (offset or "Z").replace(":", "")
    zone = "Z" if digits in "Zz" or not digits[1:].strip("0") else f"{digits[:3]}:{digits[3:] or '00'}"
    return f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}{fraction}{zone}"


def canonical_span(text: str) -> str:
    """Return two times with a slash between, each as `canonical_time` returns it."""
    begin, slash, end = text.partition("/")
    return f"{canonical_time(begin)}{slash}{canonical_time(end)}"


def parse(text: str) -> datetime | None:
    """Return the time that a text names, in UTC without an offset; None if it is invalid or outside years 1 to 9999."""
    if not _TIMESTAMP.fullmatch(text):
        return None
    try:
        at = msgspec.convert(text, datetime)
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    except msgspec.ValidationError:
        return _parse_short(text)


def _parse_short(text: str) -> datetime | None:
    """Parse what ISO 8601 allows and RFC 3339 does not: no time, no seconds, an offset without colon."""
    parts = _TIMESTAMP.fullmatch(text)
    if parts is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = parts.groups()
    try:
        at = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
                      int((fraction or "0")[:6].ljust(6, "0")), tzinfo=_offset(offset))
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _offset(text: str | None) -> timezone:
    if text is None or text in "Zz":
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    if int(digits[2:]) > 59:
        raise ValueError(text)
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _read(text: str, value: str, path: str, issues: Issues, *, expected: str) -> datetime | None:
    at = parse(text)
    if at is None:
        suggestion = _iso_date(text.strip())
        issues.append(issue("date_unreadable", path, value=value, expected=expected, suggestion=suggestion))
        return None
    parts = _TIMESTAMP.fullmatch(text)
    if parts and parts[4] and not parts[8]:
        issues.append(issue("date_zone_missing", path, value=value, suggestion=f"{text}Z" if text == value else None))
    return at


def _iso_date(text: str) -> str | None:
    """Return the ISO form of a date in day-month-year order, if it is clear which number is the month."""
    if parse(text):
        return text
    parts = _DAY_FIRST.fullmatch(text)
    if parts is None:
        return None
    first, mark, second, year = int(parts[1]), parts[2], int(parts[3]), parts[4]
    if mark == "." or first > 12:
        day, month = first, second
    elif second > 12:
        day, month = second, first
    else:
        return None
    iso_date = f"{year}-{month:02d}-{day:02d}"
    return iso_date if parse(iso_date) else None
