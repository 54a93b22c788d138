"""Records that wait for references, in the same database as the rounds that work them."""

from collections.abc import Sequence

from goodsgate.model.references import PRODUCT, Reference
from goodsgate.store.contract import ChunkCommit
from goodsgate.store.postgres.database import PostgresDatabase
from goodsgate.store.postgres.statements import PostgresStatements
from goodsgate.store.shared.catalogue import find_collection
from goodsgate.store.shared.database import ALL_MERCHANTS
from goodsgate.store.shared.item_index import sorted_keys
from goodsgate.store.shared.waiting import SqlWaiting


class PostgresWaiting(SqlWaiting):
    """Implements WaitingStore."""

    def __init__(self, database: PostgresDatabase) -> None:
        super().__init__(database)
        self._server = database.server
        self._notifications = database.notifications
        self._clock = database

    def changed_references(self, *, limit: int = 100) -> list[tuple[str, int]]:
        """Return merchants with records that wait for reference data of an earlier version, and the current one."""
        rows = self._server.query("changed_references", {}, ALL_MERCHANTS)
        return [(merchant, version) for merchant, version in rows[:limit]]

    def mark_references(self, merchant: str, version: int, *, arrived: Sequence[Reference],
                        missing: Sequence[Reference]) -> None:
        """Record what has arrived, and what has not, and notify other processes."""
        super().mark_references(merchant, version, arrived=arrived, missing=missing)
        self._notifications.notify(merchant)

    def ready_batches(self, *, limit: int = 100) -> list[tuple[str, str]]:
        """Return batches with waiting records that are ready and no open round."""
        rows = self._server.query("ready_batches", {"now": self._clock.now(), "limit": limit}, ALL_MERCHANTS)
        return [(merchant, batch.hex()) for merchant, batch in rows]


def mark_existing_products(db: PostgresStatements, merchant: int, commit: ChunkCommit) -> None:
    """Mark that products exist which were committed after the records of this chunk were found to lack them."""
    skus = {code for record in commit.waiting for kind, code in record.references if kind == PRODUCT}
    products = find_collection(db, merchant, PRODUCT, commit.round.collection)
    if not skus or products is None:
        return
    named = {"merchant": merchant, "collection": commit.round.collection}
    if products.has_variants:
        db.change("mark_all_products_arrived", named)
        return
    values = {"merchant": merchant, "collection": products.number, "keys": sorted_keys([*skus])}
    existing = skus.difference(sku for (sku,) in db.rows("unknown_skus", values))
    if existing:
        db.change("mark_products_arrived", {**named, "keys": sorted_keys([*existing])})
