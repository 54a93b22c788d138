"""Stock that orders change: the rows of order, items and reserved amounts are locked until the commit.

Rows of items are locked in the order of their keys, by stock changes and commits alike, so that they wait for each
other and never deadlock.
"""

from collections.abc import Callable, Mapping, Sequence

from goodsgate.model.batch import Kind
from goodsgate.store.contract import StockChange, StockLevels, StoreError
from goodsgate.store.postgres.database import PostgresDatabase
from goodsgate.store.postgres.journal import order_time, write_segments
from goodsgate.store.postgres.statements import PostgresStatements
from goodsgate.store.shared.catalogue import find_collection
from goodsgate.store.shared.item_index import sorted_keys
from goodsgate.store.shared.journal import read_stored_items, stock_segments
from goodsgate.store.shared.lookup_cache import StockHashes


class PostgresStock:
    """Implements StockStore."""

    def __init__(self, database: PostgresDatabase, *, journal: bool) -> None:
        self._database = database
        self._journal = journal
        self._server = database.server

    def change_stock(self, merchant: str, collection: str, *, order: str, keys: Sequence[str],
                     change: Callable[[StockLevels], StockChange]) -> None:
        """Change stock in one transaction. Raises what `change` raises, StoreFullError and StoreBusyError."""
        number = self._database.require_number(merchant)
        with self._server.transaction(number) as db:
            found = find_collection(db, number, Kind.STOCK, collection)
            if found is None:
                change(StockLevels())
                raise StoreError(f"the collection {collection} is empty")
            named = {"merchant": number, "collection": found.number}
            values = {**named, "keys": sorted_keys(keys)}
            db.change("mark_stock_changed", named)  # the first change waits for a chunk that is being committed
            state = db.value("lock_stock_order", {**named, "name": order})
            db.rows("lock_items", values)
            db.rows("lock_reserved", values)
            changed = change(_levels(db, values, order_state=None if state is None else bytes(state)))
            if changed.documents:
                self._change_items(db, named, order, changed.documents)
            _write_reserved(db, named, changed)
            closed_at = self._database.now() if changed.order_closed else None
            db.change("put_stock_order", {
                **named, "name": order, "state": changed.order_state.decode(), "closed_at": closed_at
            })
        self._database.notifications.notify(merchant, journal=True)

    def _change_items(self, db: PostgresStatements, named: dict[str, int], order: str,
                      documents: Mapping[str, tuple[bytes, bytes]]) -> None:
        stored = read_stored_items(db, named["merchant"], named["collection"], [*documents], indexed=False)
        moved_at = order_time(self._database.now(), *(item.changed_at + 1 for item in stored.values()))
        db.change("change_stock_items", {
            **named, "keys": [*documents], "hashes": [hash.hex() for _, hash in documents.values()],
            "documents": [document.decode() for document, _ in documents.values()], "moved_at": moved_at,
        })
        if self._journal:
            write_segments(db, named["merchant"], stock_segments(
                documents, stored, collection=named["collection"], written_at=moved_at, order=order
            ))

    def stock_levels(self, merchant: str, collection: str, keys: Sequence[str]) -> StockLevels:
        """Return stock as it is at one moment."""
        number = self._database.number(merchant)
        if number is None:
            return StockLevels()
        with self._server.reading(number) as db:
            found = find_collection(db, number, Kind.STOCK, collection)
            if found is None:
                return StockLevels()
            return _levels(db, {"merchant": number, "collection": found.number, "keys": sorted_keys(keys)})


def stock_has_changed(db: PostgresStatements, number: int, hashes: StockHashes) -> bool:
    """Return whether an item has changed since it was looked up, and lock the items until the end."""
    changed = False
    for collection, before in hashes.items():
        named = {"merchant": number, "collection": collection}
        if db.value("has_stock_changes", named):
            now: dict[str, bytes | None] = dict(db.rows("lock_items", {**named, "keys": sorted_keys([*before])}))
            changed |= any(now.get(key) != hash for key, hash in before.items())
    return changed


def _levels(db: PostgresStatements, values: Mapping[str, object], *, order_state: bytes | None = None) -> StockLevels:
    rows = db.rows("stock_levels", values)
    return StockLevels(
        documents={key: bytes(document) for key, document, *_ in rows if document is not None},
        reserved={key: amount for key, *_, amount in rows if amount is not None}, order_state=order_state,
        field_states={key: state for key, _, state, _ in rows if state is not None},
    )


def _write_reserved(db: PostgresStatements, named: dict[str, int], changed: StockChange) -> None:
    amounts = {key: amount for key, amount in changed.reserved.items() if amount}
    if amounts:
        db.change("put_reserved", {**named, "keys": [*amounts], "amounts": [*amounts.values()]})
    emptied = [key for key, amount in changed.reserved.items() if not amount]
    if emptied:
        db.change("delete_reserved", {**named, "keys": emptied})
