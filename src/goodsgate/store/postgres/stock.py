"""Movements of stock beside the feeds: the rows of order, items and reservations are held until the commit.

Rows of items are taken in the order of their keys, by movements and by settle alike, so that they wait for each other
and never for ever.
"""

from collections.abc import Callable, Mapping, Sequence

from goodsgate.model.batch import Kind
from goodsgate.store.contract import StockChange, StockLevels, StoreError
from goodsgate.store.postgres.ask import Cursor, do, every, value
from goodsgate.store.postgres.lookups import packed_keys, shelf_of
from goodsgate.store.postgres.marks import Marks


class Stock(Marks):
    """The part of the contract by which orders move stock."""

    def change_stock(self, merchant: str, collection: str, *, order: str, keys: Sequence[str],
                     change: Callable[[StockLevels], StockChange]) -> None:
        """All of it in one transaction; raises what `change` raises, and StoreFullError, StoreBusyError."""
        number = self.known(merchant)
        with self.server.transaction(number) as db:
            shelf = shelf_of(db, number, Kind.STOCK, collection)
            if shelf is None:
                change(StockLevels())
                raise StoreError(f"nothing is held in {collection}")
            named = {"merchant": number, "shelf": shelf[0]}
            asked = {**named, "keys": packed_keys(keys)}
            do(db, "move_shelf", named)  # the first of them waits for a portion that is being settled
            memory = value(db, "hold_stock_order", {**named, "name": order})
            every(db, "hold_items", asked)
            every(db, "hold_reserved", asked)
            moving = change(_standing(db, asked, memory=None if memory is None else bytes(memory)))
            _put(db, named, moving)
            ended_at = self.now() if moving.order_closed else None
            do(db, "put_stock_order", {
                **named, "name": order, "memory": moving.order_state.decode(), "ended_at": ended_at
            })
        self.watch.tell()

    def was_moved(self, db: Cursor, number: int) -> bool:
        """Whether an item has changed since it was looked up; from now on none does until the transaction ends."""
        moved = False
        for shelf, seen in self.looked.items():
            named = {"merchant": number, "shelf": shelf}
            if value(db, "is_moved", named):
                now = dict(every(db, "hold_items", {**named, "keys": packed_keys([*seen])}))
                moved |= any(now.get(key) != hash for key, hash in seen.items())
        return moved

    def stock_levels(self, merchant: str, collection: str, keys: Sequence[str]) -> StockLevels:
        """As it is at one moment."""
        number = self.number(merchant)
        if number is None:
            return StockLevels()
        with self.server.transaction(number) as db:
            shelf = shelf_of(db, number, Kind.STOCK, collection)
            if shelf is None:
                return StockLevels()
            return _standing(db, {"merchant": number, "shelf": shelf[0], "keys": packed_keys(keys)})


def _standing(db: Cursor, asked: Mapping[str, object], *, memory: bytes | None = None) -> StockLevels:
    rows = every(db, "stock", asked)
    return StockLevels(
        documents={key: bytes(document) for key, document, _ in rows if document is not None},
        reserved={key: amount for key, _, amount in rows if amount is not None}, order_state=memory,
    )


def _put(db: Cursor, named: dict[str, int], moving: StockChange) -> None:
    if moving.documents:
        do(db, "move_items", {
            **named, "keys": [*moving.documents], "hashes": [hash.hex() for _, hash in moving.documents.values()],
            "documents": [document.decode() for document, _ in moving.documents.values()],
        })
    amounts = {key: amount for key, amount in moving.reserved.items() if amount}
    if amounts:
        do(db, "put_reserved", {**named, "keys": [*amounts], "amounts": [*amounts.values()]})
    gone = [key for key, amount in moving.reserved.items() if not amount]
    if gone:
        do(db, "drop_reserved", {**named, "keys": gone})
