"""Dates, times, and spans of time.

Sources: Google Merchant product data specification, ``availability_date`` and ``sale_price_effective_date`` (ISO 8601,
``2026-02-24T11:07+01:00``, spans with a slash between); RFC 3339 for ``observed_at``.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

import msgspec

from goodsgate.model.fields import Field
from goodsgate.model.issue import issue
from goodsgate.rules.context import Issues, Rule, RuleContext, wrong_type

EXPECTED = "a time such as 2026-02-24T11:07:00+01:00"
EXPECTED_SPAN = "two times with a slash between, such as 2026-02-24T11:07+01:00/2026-02-28T23:59+01:00"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)
_BACKWARDS = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})", re.ASCII)


def moment(field: Field) -> Rule:  # noqa: ARG001 - rules are made alike
    """A date, or a date and time; one without an offset from UTC is read as UTC and told."""

    def rule(value: object, path: str, context: RuleContext, found: Issues) -> None:  # noqa: ARG001 - all rules are called alike
        if not isinstance(value, str):
            wrong_type(value, path, found, expected="text")
        elif not value.strip():
            found.append(issue("text_empty", path, value=value))
        else:
            _read(value, value, path, found, expected=EXPECTED)

    return rule


def span(field: Field) -> Rule:  # noqa: ARG001 - rules are made alike
    """Two moments with a slash between, the first not after the second."""

    def rule(value: object, path: str, context: RuleContext, found: Issues) -> None:  # noqa: ARG001 - all rules are called alike
        if not isinstance(value, str):
            wrong_type(value, path, found, expected="text")
            return
        if not value.strip():
            found.append(issue("text_empty", path, value=value))
            return
        begin, slash, end = value.partition("/")
        if not slash:
            found.append(issue("date_unreadable", path, value=value, expected=EXPECTED_SPAN))
            return
        begins = _read(begin, value, path, found, expected=EXPECTED_SPAN)
        ends = _read(end, value, path, found, expected=EXPECTED_SPAN) if begins else None
        if begins and ends and begins > ends:
            found.append(issue("date_range_reversed", path, value=value))

    return rule


def microseconds(text: str) -> int | None:
    """A moment as microseconds since 1970 in UTC, as versions are compared; None if it cannot be read."""
    at = parse(text)
    return None if at is None else (at - EPOCH) // MICROSECOND


def parse(text: str) -> datetime | None:
    """The moment a text names, in UTC where it names no offset; None if it is none or lies outside years 1 to 9999."""
    if not _MOMENT.fullmatch(text):
        return None
    try:
        at = msgspec.convert(text, datetime)
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    except msgspec.ValidationError:
        return _parse_short(text)


def _parse_short(text: str) -> datetime | None:
    """What ISO 8601 allows and RFC 3339 does not: no time, no seconds, an offset without colon."""
    parts = _MOMENT.fullmatch(text)
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


def _read(text: str, value: str, path: str, found: Issues, *, expected: str) -> datetime | None:
    at = parse(text)
    if at is None:
        found.append(issue("date_unreadable", path, value=value, expected=expected, suggestion=_turned(text.strip())))
        return None
    parts = _MOMENT.fullmatch(text)
    if parts and parts[4] and not parts[8]:
        found.append(issue("date_zone_missing", path, value=value, suggestion=f"{text}Z" if text == value else None))
    return at


def _turned(text: str) -> str | None:
    """A date written backwards, if it can be told which number is the month."""
    if parse(text):
        return text
    parts = _BACKWARDS.fullmatch(text)
    if parts is None:
        return None
    first, mark, second, year = int(parts[1]), parts[2], int(parts[3]), parts[4]
    if mark == "." or first > 12:
        day, month = first, second
    elif second > 12:
        day, month = second, first
    else:
        return None
    turned = f"{year}-{month:02d}-{day:02d}"
    return turned if parse(turned) else None
