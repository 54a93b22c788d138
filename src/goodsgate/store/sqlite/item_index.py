"""Writes the secondary index with the items."""

from collections.abc import Iterable, Mapping

import orjson

from goodsgate.model.catalogue import IndexEntry
from goodsgate.store.shared.index_changes import index_changes
from goodsgate.store.shared.item_index import read_entries
from goodsgate.store.sqlite.statements import SqliteStatements


def write_entries(db: SqliteStatements, merchant: int, collection: int, entries: Mapping[str, tuple[IndexEntry, ...]],
                  deleted: Iterable[str], *, indexed: bool) -> None:
    """Update the index for written and deleted items; a collection without index entries stays as it is."""
    after = {key: some for key, some in entries.items() if some}
    if not indexed:
        if not after:
            return
        db.change("mark_collection_indexed", {"merchant": merchant, "collection": collection})
    before = read_entries(db, merchant, collection, [*entries, *deleted]) if indexed else {}
    named = (merchant, collection)
    if new := sorted((key, some) for key, some in after.items() if key not in before):
        rows = orjson.dumps(new).decode()
        db.change("index_items", (*named, rows))
        db.change("put_item_entries", (*named, rows))
    changes = index_changes(before, {key: after[key] for key in before if key in after})
    for statement, changed in (
        ("delete_index_entries", changes.removed), ("add_index_entries", changes.added),
        ("put_item_entries", changes.changed), ("delete_item_entries", changes.emptied),
    ):
        if changed:
            db.change(statement, (*named, orjson.dumps(changed).decode()))
