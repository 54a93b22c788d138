"""Whether SKUs of prices and stock are those of products."""

from collections.abc import Sequence
from datetime import datetime

from goodsgate.model.batch import Kind
from goodsgate.store.shared.catalogue import find_collection
from goodsgate.store.shared.database import Database
from goodsgate.store.shared.item_index import sorted_keys
from goodsgate.store.shared.timestamps import microseconds


def read_open_products(database: Database, merchant: str, collection: str, before: datetime) -> bool:
    """Return whether a product round of the collection is open that was received before that time."""
    number = database.number(merchant)
    named = {
        "merchant": number, "collection": collection, "before": microseconds(before), "now": database.now(),
    }
    ((is_open,),) = database.intake.query("has_open_products", named, number)
    return bool(is_open)


def read_unknown_skus(database: Database, merchant: str, collection: str, skus: Sequence[str]) -> set[str]:
    """Return those of the SKUs that no product has; none if the collection has no product, or variants."""
    number = database.number(merchant)
    with database.catalogue.reading(number) as db:
        found = find_collection(db, number, Kind.PRODUCT, collection)
        if found is None or not found.items or found.has_variants or not skus:
            return set()
        named = {"merchant": number, "collection": found.number, "keys": sorted_keys(skus)}
        return {sku for (sku,) in db.each("unknown_skus", named)}
