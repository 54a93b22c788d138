"""What of a collection falls short of a target, item by item, as the items are now."""

import time
from collections.abc import Callable

import msgspec

from goodsgate.engine.feed_table import FeedTable
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Item
from goodsgate.model.issue import Issue
from goodsgate.model.json_text import read_json
from goodsgate.store.contract import Store

PAGE_ITEMS = 200


class ItemFeedIssues(msgspec.Struct, frozen=True):
    """An item that falls short."""

    item: Item
    issues: list[Issue]


class FeedCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A page of items that fall short; it may be short, or empty, though there is a next one."""

    items: list[ItemFeedIssues]
    examined: int
    next: str | None


def check_feed(store: Store, merchant: str, collection: str, table: FeedTable, *,
               wanted: Callable[[bytes], bool] | None = None, only_errors: bool = False, after: str | None, limit: int,
               seconds: float) -> FeedCheck:
    """Examine products in the order of their keys, for a limited time, until so many fall short.

    `wanted` says which documents the feed has; None: all. With `only_errors`, items that are written are passed over.
    """
    found: list[ItemFeedIssues] = []
    examined = 0
    until = time.monotonic() + seconds
    while True:
        page = store.items(merchant, Kind.PRODUCT, collection, after=after, limit=PAGE_ITEMS)
        for item in page.rows:
            examined += 1
            if wanted is not None and not wanted(item.document):
                continue
            row = table.row(read_json(item.document))
            if row.issues and not (only_errors and row.is_complete):
                found.append(ItemFeedIssues(item, row.issues))
                if len(found) >= limit:
                    return FeedCheck(items=found, examined=examined, next=item.key)
        after = page.next
        if after is None or time.monotonic() >= until:
            return FeedCheck(items=found, examined=examined, next=after)
