"""Items of the catalogue, one by one and in pages."""

import msgspec

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import IndexEntry, Item
from goodsgate.store.contract import Page
from goodsgate.store.shared.database import Database, Row, Statements
from goodsgate.store.shared.timestamps import timestamp

decode_entries = msgspec.json.Decoder(tuple[IndexEntry, ...]).decode


class Collection(msgspec.Struct, frozen=True):
    """A collection as the store knows it."""

    number: int
    items: int
    indexed: bool
    """An item of it has or had an index entry."""
    has_variants: bool
    """A product of it has or had variants."""
    search_gap: str | None
    """Items behind this key may lack in the search index; None if none does."""


def find_collection(db: Statements, merchant: int | None, kind: str, name: str) -> Collection | None:
    """Return a collection, if it exists."""
    row = db.first("collection", {"merchant": merchant, "kind": kind, "name": name})
    return Collection(row[0], row[1], bool(row[2]), bool(row[3]), row[4]) if row is not None else None


class SqlCatalogue:
    """Implements CatalogueStore."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._catalogue = database.catalogue

    def items(self, merchant: str, kind: Kind, collection: str, *, after: str | None = None, limit: int = 100,
              prefix: str | None = None) -> Page[Item]:
        """Return items by key, ignoring ASCII case first; `prefix` is case-sensitive."""
        number = self._database.number(merchant)
        with self._catalogue.reading(number) as db:
            found = find_collection(db, number, kind, collection)
            if found is None:
                return Page([], None)
            # Without `after`, the index is read from the prefix on.
            start = after if after is not None else prefix or ""
            values = {
                "merchant": number, "collection": found.number, "limit": limit + 1, "from": start, "after": after or "",
            }
            rows = db.rows("items_by_prefix", {**values, "prefix": prefix}) if prefix else db.rows("items", values)
        items = [item_from_row(kind, collection, row) for row in rows[:limit]]
        return Page(items, items[-1].key if len(rows) > limit else None)

    def item(self, merchant: str, kind: Kind, collection: str, key: str) -> Item | None:
        """Return an item with its index entries; None for a tombstone, too."""
        number = self._database.number(merchant)
        if number is None or "\0" in key:
            return None
        with self._catalogue.reading(number) as db:
            found = find_collection(db, number, kind, collection)
            if found is None:
                return None
            named = {"merchant": number, "collection": found.number, "key": key}
            row = db.first("item", named)
            entries = db.first("item_entries", named) if row is not None and found.indexed else None
        if row is None:
            return None
        return item_from_row(kind, collection, row, decode_entries(entries[0]) if entries is not None else ())

    def collections(self, merchant: str) -> list[tuple[Kind, str, int]]:
        """Return kind, name and number of items of each collection that is not empty."""
        number = self._database.number(merchant)
        rows = self._catalogue.query("collections", {"merchant": number}, number)
        return [(Kind(kind), name, items) for kind, name, items in rows]


def item_from_row(kind: Kind, collection: str, row: Row, index_entries: tuple[IndexEntry, ...] = ()) -> Item:
    """Return the item of a row."""
    key, document, version, field_state, batch, written_at = row
    return Item(
        kind=kind, collection=collection, key=key, document=document, version=version, field_state=field_state,
        batch=batch.hex(), written_at=timestamp(written_at), index_entries=index_entries,
    )
