"""All items of a collection at one moment, so that a consumer can go on with the changes behind it."""

from collections.abc import Iterator
from contextlib import contextmanager

from goodsgate.model.batch import Kind
from goodsgate.model.journal import JOURNAL_START
from goodsgate.store.contract import ItemSnapshot
from goodsgate.store.shared.catalogue import find_collection, item_from_row
from goodsgate.store.shared.database import Database, Row, Statements
from goodsgate.store.shared.journal import SqlJournal


class SqlSnapshots:
    """Implements SnapshotStore."""

    def __init__(self, database: Database, journal: SqlJournal) -> None:
        self._database = database
        self._journal = journal

    @contextmanager
    def item_snapshot(self, merchant: str, kind: Kind, collection: str, *, page_items: int) -> Iterator[ItemSnapshot]:
        """Open the items of a collection at one moment, with the position of the journal."""
        number = self._database.number(merchant)
        if number is None:
            yield ItemSnapshot(JOURNAL_START, iter(()))
            return
        with self._database.catalogue.snapshot(number) as db:
            position = self._journal.last_position(db, number)
            found = find_collection(db, number, kind, collection)
            pages = _read_pages(db, number, found.number, limit=page_items) if found is not None else iter(())
            yield ItemSnapshot(position, ([item_from_row(kind, collection, row) for row in rows] for rows in pages))
        self._journal.make_durable(number, position)


def _read_pages(db: Statements, merchant: int, collection: int, *, limit: int) -> Iterator[list[Row]]:
    after = ""
    values = {"merchant": merchant, "collection": collection, "limit": limit}
    while rows := db.rows("items", {**values, "from": after, "after": after}):
        yield rows
        after = rows[-1][0]
        if len(rows) < limit:
            return
