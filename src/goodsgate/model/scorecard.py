"""What suppliers have sent, by day: the figures of which scorecards are made."""

from datetime import date, datetime

import msgspec

from goodsgate.model.batch import Kind


class FeedDay(msgspec.Struct, frozen=True, kw_only=True):
    """The feeds of one kind that one submitter has sent on one day, as they were submitted: fixes change nothing."""

    day: date
    """In UTC, when they ended."""
    submitter: str
    """Id of the key; empty if they came by none."""
    kind: Kind
    feeds: int
    records: int
    rejected: int
    last_at: datetime
    """When the last one ended."""


class FeedIssues(msgspec.Struct, frozen=True, kw_only=True):
    """How often feeds of one submitter had an issue."""

    submitter: str
    code: str
    count: int
