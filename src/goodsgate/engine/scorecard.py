"""How well suppliers deliver: a scorecard of each submitter, made of the figures of its feeds by day.

Figures are those of feeds as they were submitted. What a clerk corrects afterwards does not improve a supplier's score.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from goodsgate.model.scorecard import FeedDay, FeedIssues
from goodsgate.store.contract import Store

WEEKS_MAX = 52
DEFAULT_WEEKS = 12
ISSUES_SHOWN = 10


class WeekScore(msgspec.Struct, frozen=True, kw_only=True):
    """The feeds of one week."""

    week: date
    """Its Monday."""
    feeds: int = 0
    records: int = 0
    rejected: int = 0

    @property
    def rejected_share(self) -> float | None:
        """Rejected records as a share of all, 0 to 1; None without records."""
        return self.rejected / self.records if self.records else None


class Scorecard(msgspec.Struct, frozen=True, kw_only=True):
    """The feeds of one submitter in some weeks."""

    merchant: str
    submitter: str
    """Id of the key; empty if the feeds came by none."""
    label: str
    """Label of the key, while there is one."""
    feeds: int
    records: int
    rejected: int
    last_at: datetime
    """When its last feed ended."""
    kinds: list[str]
    issues: list[FeedIssues]
    """The most frequent ones."""
    weeks: list[WeekScore]
    """Every week of the period, the oldest first."""

    @property
    def rejected_share(self) -> float | None:
        """Rejected records as a share of all, 0 to 1; None without records."""
        return self.rejected / self.records if self.records else None


def scorecards(store: Store, merchant: str, *, weeks: int, today: date) -> list[Scorecard]:
    """Return a scorecard for each submitter of the merchant that has sent feeds in so many weeks up to this one.

    The one with the most rejected records comes first.
    """
    mondays = [_monday(today) - timedelta(weeks=back) for back in range(weeks - 1, -1, -1)]
    days = store.feed_days(merchant, since=mondays[0])
    if not days:
        return []
    issues = store.feed_issues(merchant, since=mondays[0])
    labels = {key.id: key.label for key in store.keys(merchant)}
    cards = [
        _scorecard(
            merchant, submitter, labels.get(submitter, ""), [day for day in days if day.submitter == submitter],
            [each for each in issues if each.submitter == submitter], mondays,
        )
        for submitter in dict.fromkeys(day.submitter for day in days)
    ]
    return sorted(cards, key=lambda card: (-card.rejected, -card.records, card.submitter))


def scorecard_document(card: Scorecard) -> dict[str, Any]:
    """Return a scorecard as the API has it."""
    return {
        "submitter": card.submitter or None, "label": card.label, "kinds": card.kinds, "feeds": card.feeds,
        "records": card.records, "rejected": card.rejected, "rejected_share": card.rejected_share,
        "last_feed_at": card.last_at,
        "issues": [{"code": each.code, "count": each.count} for each in card.issues],
        "weeks": [
            {
                "week": week.week, "feeds": week.feeds, "records": week.records, "rejected": week.rejected,
                "rejected_share": week.rejected_share,
            }
            for week in card.weeks
        ],
    }


def _scorecard(merchant: str, submitter: str, label: str, days: Sequence[FeedDay], issues: Sequence[FeedIssues],
               mondays: Sequence[date]) -> Scorecard:
    feeds, records, rejected = _sums(days)
    return Scorecard(
        merchant=merchant, submitter=submitter, label=label, feeds=feeds, records=records, rejected=rejected,
        last_at=max(day.last_at for day in days), kinds=sorted({str(day.kind) for day in days}),
        issues=[*issues[:ISSUES_SHOWN]], weeks=[_week(monday, days) for monday in mondays],
    )


def _week(monday: date, days: Iterable[FeedDay]) -> WeekScore:
    feeds, records, rejected = _sums(day for day in days if _monday(day.day) == monday)
    return WeekScore(week=monday, feeds=feeds, records=records, rejected=rejected)


def _sums(days: Iterable[FeedDay]) -> tuple[int, int, int]:
    feeds = records = rejected = 0
    for day in days:
        feeds, records, rejected = feeds + day.feeds, records + day.records, rejected + day.rejected
    return feeds, records, rejected


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
