"""Figures of feeds by day, which the commit that ends a submission adds."""

from collections.abc import Iterable
from datetime import date, timedelta

import msgspec

from goodsgate.model.batch import RoundKind, State
from goodsgate.store.contract import ClaimedRound
from goodsgate.store.shared.progress import Progress

DAY = 86_400_000_000
EPOCH = date(1970, 1, 1)


def ended_feeds(ends: Iterable[tuple[ClaimedRound, Progress]]) -> list[tuple[int, str, int, int, int, int]]:
    """Return sequence number, submitter, day, records, rejected records and end of each submission that has ended.

    Corrections, dry runs, reverts and edits are no feeds of a supplier.
    """
    return [
        (
            progress.rows, round.origin.key, (progress.ended_at or 0) // DAY, progress.total, progress.rejected,
            progress.ended_at or 0,
        )
        for round, progress in ends
        if round.round_kind is RoundKind.SUBMISSION and progress.ended in (State.FINISHED, State.BROKEN)
        and not round.policy.dry_run and round.policy.reverts is None and round.policy.edit is None
    ]


class DayFeeds(msgspec.Struct):
    """Feeds of one submitter that end on one day."""

    submitter: str
    day: int
    batches: list[int] = []
    """Their sequence numbers."""
    records: int = 0
    rejected: int = 0
    last_at: int = 0


def feeds_by_day(ends: Iterable[tuple[ClaimedRound, Progress]]) -> Iterable[DayFeeds]:
    """Return the feeds that have ended by submitter and day."""
    days: dict[tuple[str, int], DayFeeds] = {}
    for batch, submitter, day, records, rejected, at in ended_feeds(ends):
        feeds = days.setdefault((submitter, day), DayFeeds(submitter, day))
        feeds.batches.append(batch)
        feeds.records += records
        feeds.rejected += rejected
        feeds.last_at = max(feeds.last_at, at)
    return days.values()


def day_number(day: date) -> int:
    """Return a day as the store counts it."""
    return (day - EPOCH).days


def day_of(number: int) -> date:
    """Return the day of a number."""
    return EPOCH + timedelta(days=number)
