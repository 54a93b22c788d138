"""Figures of feeds by day, of all submissions that end in one commit."""

from collections.abc import Sequence

from goodsgate.store.contract import ClaimedRound
from goodsgate.store.postgres.statements import PostgresStatements
from goodsgate.store.shared.feed_days import ended_feeds
from goodsgate.store.shared.progress import Progress

COLUMNS = ("batches", "submitters", "days", "records", "rejected", "ats")


def add_feed_days(db: PostgresStatements, merchant: int, ends: Sequence[tuple[ClaimedRound, Progress]]) -> None:
    """Add the feeds among the rounds of a lane that end."""
    feeds = ended_feeds(ends)
    if feeds:
        kind = ends[0][0].kind
        columns = dict(zip(COLUMNS, map(list, zip(*feeds, strict=True)), strict=True))
        db.change("add_feed_day", {"merchant": merchant, "kind": kind, **columns})
