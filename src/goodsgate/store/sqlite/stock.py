"""Stock that orders change: transactions of the catalogue file, by any process.

SQLite has one writer at a time, so that a change waits for the chunk that is being committed, and no longer. The items
from which a chunk was made are compared once more when it is committed.
"""

from collections.abc import Callable, Mapping, Sequence

from goodsgate.model.batch import Kind
from goodsgate.store.contract import StockChange, StockLevels, StoreError
from goodsgate.store.shared.catalogue import find_collection
from goodsgate.store.shared.item_index import sorted_keys
from goodsgate.store.shared.journal import read_stored_items, stock_segments
from goodsgate.store.shared.lookup_cache import StockHashes
from goodsgate.store.sqlite.database import SqliteDatabase
from goodsgate.store.sqlite.journal import write_segments
from goodsgate.store.sqlite.statements import SqliteStatements


class SqliteStock:
    """Implements StockStore."""

    def __init__(self, database: SqliteDatabase, *, journal: bool) -> None:
        self._database = database
        self._journal = journal
        self._catalogue = database.catalogue

    def change_stock(self, merchant: str, collection: str, *, order: str, keys: Sequence[str],
                     change: Callable[[StockLevels], StockChange]) -> None:
        """Change stock in one transaction. Raises what `change` raises, StoreFullError and StoreBusyError."""
        number = self._database.require_number(merchant)
        self._database.checkpoints.limit_log()
        with self._catalogue.writing() as db:
            found = find_collection(db, number, Kind.STOCK, collection)
            if found is None:
                change(StockLevels())
                raise StoreError(f"the collection {collection} is empty")
            named = {"merchant": number, "collection": found.number}
            row = db.first("stock_order", {**named, "name": order})
            state = row[0].encode() if row is not None else None
            changed = change(_levels(db, number, found.number, keys, order_state=state))
            db.change("mark_stock_changed", named)
            if changed.documents:
                self._change_items(db, number, found.number, order, changed.documents)
            for key, amount in changed.reserved.items():
                if amount:
                    db.change("put_reserved", {**named, "key": key, "amount": amount})
                else:
                    db.change("delete_reserved", {**named, "key": key})
            closed_at = self._database.now() if changed.order_closed else None
            db.change("put_stock_order", {
                **named, "name": order, "state": changed.order_state.decode(), "closed_at": closed_at
            })

    def _change_items(self, db: SqliteStatements, number: int, collection: int, order: str,
                      documents: Mapping[str, tuple[bytes, bytes]]) -> None:
        moved_at = max(db.value("clock") + 1, self._database.now())
        if self._journal:
            stored = read_stored_items(db, number, collection, [*documents], indexed=False)
            write_segments(db, number, stock_segments(
                documents, stored, collection=collection, written_at=moved_at, order=order
            ))
        db.change_each("change_stock_item", (
            (number, collection, key, hash, document, moved_at) for key, (document, hash) in documents.items()
        ))
        db.change("set_clock", {"written_at": moved_at})

    def stock_levels(self, merchant: str, collection: str, keys: Sequence[str]) -> StockLevels:
        """Return stock as it is at one moment."""
        number = self._database.number(merchant)
        with self._catalogue.reading() as db:
            found = find_collection(db, number, Kind.STOCK, collection)
            return _levels(db, number or 0, found.number, keys) if found is not None else StockLevels()


def stock_has_changed(db: SqliteStatements, number: int, hashes: StockHashes) -> bool:
    """Return, inside a transaction of the catalogue file, whether an item has changed since it was looked up."""
    for collection, before in hashes.items():
        if db.value("has_stock_changes", {"merchant": number, "collection": collection}):
            now: dict[str, bytes | None] = dict(db.rows("item_hashes", (number, collection, sorted_keys([*before]))))
            if any(now.get(key) != hash for key, hash in before.items()):
                return True
    return False


def _levels(db: SqliteStatements, number: int, collection: int, keys: Sequence[str], *,
            order_state: bytes | None = None) -> StockLevels:
    rows = db.rows("stock_levels", (number, collection, sorted_keys(keys)))
    return StockLevels(
        documents={key: document for key, document, *_ in rows if document is not None},
        reserved={key: amount for key, *_, amount in rows if amount is not None}, order_state=order_state,
        field_states={key: state for key, _, state, _ in rows if state is not None},
    )
