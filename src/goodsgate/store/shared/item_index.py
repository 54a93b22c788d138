"""The secondary index: names and values by which items can be found and listed."""

from collections.abc import Sequence

import orjson

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import IndexEntry
from goodsgate.store.contract import IndexFilter
from goodsgate.store.shared.catalogue import decode_entries, find_collection
from goodsgate.store.shared.database import Database, Statements


class SqlIndex:
    """Implements IndexStore."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._catalogue = database.catalogue

    def find_by_index(self, merchant: str, kind: Kind, collection: str, entries: Sequence[IndexEntry],
                      ) -> dict[IndexEntry, list[str]]:
        """Return, by index entry, the keys of the items that have it, in order."""
        number = self._database.number(merchant)
        keys: dict[IndexEntry, list[str]] = {}
        with self._catalogue.reading(number) as db:
            found = find_collection(db, number, kind, collection)
            if found is None or not found.indexed or not entries:
                return {}
            rows = orjson.dumps(sorted(set(entries))).decode()
            values = {"merchant": number, "collection": found.number, "entries": rows}
            for name, value, key in db.each("find_by_index", values):
                keys.setdefault((name, value), []).append(key)
        return keys

    def list_index(self, merchant: str, kind: Kind, collection: str, name: str, *,
                   filters: Sequence[Sequence[IndexFilter]] = (), backwards: bool = False, offset: int = 0,
                   limit: int = 100) -> tuple[int, list[tuple[str, str]]]:
        """Return the number of entries and a page of them, in the order of the UTF-8 bytes of value and key."""
        number = self._database.number(merchant)
        with self._catalogue.reading(number) as db:
            found = find_collection(db, number, kind, collection)
            if found is None or not found.indexed:
                return 0, []
            rows = [
                (position, one.name, one.minimum, one.maximum, one.contains)
                for position, alternatives in enumerate(filters) for one in alternatives
            ]
            values = {
                "merchant": number, "collection": found.number, "name": name, "required": len(filters),
                "filters": orjson.dumps(rows).decode(), "offset": offset, "limit": limit,
            }
            total = int(db.value("count_index", values))
            if offset >= total:
                return total, []
            page = db.rows("list_index_backwards" if backwards else "list_index", values)
            return total, [(value, key) for value, key in page]


def read_entries(db: Statements, merchant: int | None, collection: int, keys: Sequence[str],
                 ) -> dict[str, tuple[IndexEntry, ...]]:
    """Return the index entries of those items that have any."""
    values = {"merchant": merchant, "collection": collection, "keys": sorted_keys(keys)}
    return {key: decode_entries(entries) for key, entries in db.each("item_entries_by_key", values)}


def sorted_keys(keys: Sequence[str]) -> str:
    """Return keys as a JSON array, in order, so that neighbours in the index are read together."""
    return orjson.dumps(sorted(keys)).decode()
