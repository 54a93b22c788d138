"""Writes the secondary index with the items."""

from collections.abc import Iterable, Mapping, Sequence

import orjson

from goodsgate.model.catalogue import Write
from goodsgate.store.postgres.statements import PostgresStatements
from goodsgate.store.shared.index_changes import index_changes
from goodsgate.store.shared.item_index import read_entries


def write_entries(db: PostgresStatements, merchant: int, collection: int, writes: Mapping[str, Write],
                  deleted: Iterable[str]) -> None:
    """Update the index for written and deleted items; a collection without index entries stays as it is."""
    named = {"merchant": merchant, "collection": collection}
    after = {key: write.index_entries for key, write in writes.items() if write.index_entries}
    indexed = db.value("is_collection_indexed", named)
    if not indexed:
        if not after:
            return
        db.change("mark_collection_indexed", named)
    before = read_entries(db, merchant, collection, [*writes, *deleted]) if indexed else {}
    changes = index_changes(before, after)
    if changes.removed:
        db.change("delete_index_entries", {**named, **_columns(("names", "texts", "keys"), changes.removed)})
    if changes.added:
        db.change("add_index_entries", {**named, **_columns(("names", "texts", "keys"), changes.added)})
    if changes.changed:
        changed = [(key, orjson.dumps(entries).decode()) for key, entries in changes.changed]
        db.change("put_item_entries", {**named, **_columns(("keys", "entries"), changed)})
    if changes.emptied:
        db.change("delete_item_entries", {**named, "keys": changes.emptied})


def _columns(names: Sequence[str], rows: Sequence[tuple[str, ...]]) -> dict[str, list[str]]:
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
