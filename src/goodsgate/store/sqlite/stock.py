"""Movements of stock beside the feeds: transactions of the catalogue file, by whatever process.

SQLite has one writer at a time, so that a movement waits for the portion that is being settled, and no longer than
that. What a portion was made from is compared once more where it is settled (settling).
"""

from collections.abc import Callable, Sequence

import apsw

from goodsgate.model.batch import Kind
from goodsgate.store.contract import StockChange, StockLevels, StoreError
from goodsgate.store.sqlite.ask import do, do_each, every, one, value
from goodsgate.store.sqlite.lookups import packed_keys, shelf_of
from goodsgate.store.sqlite.marks import Marks


class Stock(Marks):
    """The part of the contract by which orders move stock."""

    def change_stock(self, merchant: str, collection: str, *, order: str, keys: Sequence[str],
                     change: Callable[[StockLevels], StockChange]) -> None:
        """All of it in one transaction; raises what `change` raises, and StoreFullError, StoreBusyError."""
        number = self.known(merchant)
        self.checkpoints.make_room()
        with self.catalogue.writing() as db:
            shelf = shelf_of(db, number, Kind.STOCK, collection)
            if shelf is None:
                change(StockLevels())
                raise StoreError(f"nothing is held in {collection}")
            named = {"merchant": number, "shelf": shelf[0]}
            row = one(db, "stock_order", {**named, "name": order})
            moving = change(_standing(db, number, shelf[0], keys, memory=row[0].encode() if row is not None else None))
            do(db, "move_shelf", named)
            do_each(db, "move_item", (
                (number, shelf[0], key, hash, document) for key, (document, hash) in moving.documents.items()
            ))
            for key, amount in moving.reserved.items():
                if amount:
                    do(db, "put_reserved", {**named, "key": key, "amount": amount})
                else:
                    do(db, "drop_reserved", {**named, "key": key})
            ended_at = self.now() if moving.order_closed else None
            do(db, "put_stock_order", {
                **named, "name": order, "memory": moving.order_state.decode(), "ended_at": ended_at
            })

    def was_moved(self, db: apsw.Connection, number: int) -> bool:
        """Inside a transaction of the catalogue file: whether an item has changed since it was looked up."""
        for shelf, seen in self.looked.items():
            if value(db, "is_moved", {"merchant": number, "shelf": shelf}):
                now = dict(every(db, "hashes", (number, shelf, packed_keys([*seen]))))
                if any(now.get(key) != hash for key, hash in seen.items()):
                    return True
        return False

    def stock_levels(self, merchant: str, collection: str, keys: Sequence[str]) -> StockLevels:
        """As it is at one moment."""
        number = self.number(merchant)
        with self.catalogue.reading() as db:
            shelf = shelf_of(db, number, Kind.STOCK, collection)
            return _standing(db, number or 0, shelf[0], keys) if shelf is not None else StockLevels()


def _standing(db: apsw.Connection, number: int, shelf: int, keys: Sequence[str], *, memory: bytes | None = None,
              ) -> StockLevels:
    rows = every(db, "stock", (number, shelf, packed_keys(keys)))
    return StockLevels(
        documents={key: document for key, document, _ in rows if document is not None},
        reserved={key: amount for key, _, amount in rows if amount is not None}, order_state=memory,
    )
