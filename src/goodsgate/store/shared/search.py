"""The search index: the terms by which items are found, and the items by when they were written."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Item
from goodsgate.store.contract import SEARCH_MATCHES_MAX, ItemSearch, Page, SearchTerm
from goodsgate.store.shared.catalogue import find_collection, item_from_row
from goodsgate.store.shared.database import ALL_MERCHANTS, Database, Row, Statements
from goodsgate.store.shared.item_index import sorted_keys
from goodsgate.store.shared.lookup_cache import FOLDING
from goodsgate.store.shared.progress import Progress
from goodsgate.store.shared.timestamps import id_bytes, microseconds

UNTIL_MAX = 2**62
"""No item is written later."""
TERM_MARK = "¦"
"""Ends what names the collection in a term."""


class SqlSearch(ABC):
    """Implements SearchStore, except for what differs between the stores."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._catalogue = database.catalogue
        self._item_terms = database.item_terms

    def search_items(self, merchant: str, kind: Kind, collection: str, search: ItemSearch, *, after: str | None = None,
                     limit: int = 100) -> Page[Item] | None:
        """Return items that match; None if the index cannot tell which."""
        if self._item_terms is None:
            return None
        number = self._database.number(merchant)
        with self._catalogue.reading(number) as db:
            found = find_collection(db, number, kind, collection)
            if found is None or number is None or not found.items:
                return Page([], None)
            if found.search_gap is not None:
                return None
            rows = self._candidates(db, number, found.number, search)
            if rows is None or len(rows) > SEARCH_MATCHES_MAX:
                return None
            batch, since = id_bytes(search.batch or ""), _since(search.since)
            keys = [
                key for key, written_by, written_at in rows
                if written_at >= since and key.startswith(search.prefix or "")
                and (search.batch is None or bytes(written_by) == batch)
            ]
            start = _order(after) if after is not None else ("", "")
            page = sorted(place for place in map(_order, keys) if place > start)[: limit + 1]
            values = {
                "merchant": number, "collection": found.number, "keys": sorted_keys([key for _, key in page[:limit]]),
            }
            items = [item_from_row(kind, collection, row) for row in db.rows("items_by_key", values)] if page else []
        items.sort(key=lambda item: _order(item.key))
        return Page(items, page[limit - 1][1] if len(page) > limit else None)

    def _candidates(self, db: Statements, merchant: int, collection: int, search: ItemSearch) -> list[Row] | None:
        """Return key, batch and time of items among which are all that match, one more than the limit if too many."""
        values = {"merchant": merchant, "collection": collection, "limit": SEARCH_MATCHES_MAX + 1}
        if search.start is not None:
            return self._by_start_or_words(db, values, search)
        if search.terms:
            return self._by_terms(db, values, search.terms)
        since, until = _since(search.since), UNTIL_MAX
        if search.batch is not None:
            progress = self._progress(db, merchant, search.batch)
            if progress is None:
                return []
            since, until = max(since, progress.first_at), progress.ended_at or UNTIL_MAX
        elif search.since is None:
            return None
        return db.rows("items_changed", {**values, "since": since, "until": until})

    def _by_start_or_words(self, db: Statements, values: dict[str, int], search: ItemSearch) -> list[Row] | None:
        start = (search.start or "").translate(FOLDING)
        if search.terms:
            rows = self._by_terms(db, values, search.terms)
            if len(rows) <= SEARCH_MATCHES_MAX:
                rows = [row for row in rows if row[0].translate(FOLDING).startswith(start)]
        else:
            rows = db.rows("items_by_start", {**values, "start": start})
        if len(rows) > SEARCH_MATCHES_MAX or not search.words:
            return rows
        others = self._by_terms(db, values, [*search.words, *search.terms])
        return others if len(others) > SEARCH_MATCHES_MAX else [*{row[0]: row for row in (*rows, *others)}.values()]

    def _by_terms(self, db: Statements, values: dict[str, int], terms: Sequence[Sequence[SearchTerm]]) -> list[Row]:
        return self._items_by_terms(db, {**values, "match": self._match(values["collection"], terms)})

    def fill_search(self, *, limit: int) -> bool:
        """Add items that the index lacks, and return whether there may be more."""
        if self._item_terms is None or not self._may_fill():
            return False
        waiting = self._catalogue.query("collection_to_fill", {}, ALL_MERCHANTS)
        if not waiting:
            return False
        merchant, collection, kind, gap = waiting[0]
        with self._catalogue.writing(merchant) as db:
            named = {"merchant": merchant, "collection": collection}
            gap = self._lock_gap(db, named, gap)
            if gap is None:
                return True
            window = db.rows("items_to_fill", {**named, "gap": gap, "limit": limit})
            lacking = {key: document for key, document in window if document is not None}
            if lacking:
                terms = self._item_terms(Kind(kind), [*lacking], [*lacking.values()])
                self._fill(db, merchant, collection, [*lacking], terms)
            gap = window[-1][0] if len(window) == limit else None
            db.change("set_search_gap", {**named, "gap": gap})
        return True

    def _may_fill(self) -> bool:
        """Return whether this process may fill the index."""
        return True

    def _lock_gap(self, _db: Statements, _named: dict[str, int], gap: str | None) -> str | None:
        """Return the gap of a collection, which nobody else changes during the transaction."""
        return gap

    @abstractmethod
    def _match(self, collection: int, terms: Sequence[Sequence[SearchTerm]]) -> str:
        """Return a search for terms in the language of the store."""

    def _items_by_terms(self, db: Statements, values: dict[str, object]) -> list[Row]:
        """Return key, batch and time of items that a search matches."""
        return db.rows("items_by_terms", values)

    @abstractmethod
    def _progress(self, db: Statements, merchant: int, batch: str) -> Progress | None:
        """Return the progress of a batch; None if it is unknown or has not begun."""

    @abstractmethod
    def _fill(self, db: Statements, merchant: int, collection: int, keys: Sequence[str], terms: Sequence[str]) -> None:
        """Write the terms of items that the index lacks."""


def _since(since: datetime | None) -> int:
    return microseconds(since) if since is not None else 0


def _order(key: str) -> tuple[str, str]:
    """Return the place of a key in listings: ignoring ASCII case first."""
    return key.translate(FOLDING), key
