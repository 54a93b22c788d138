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


def read_unknown_skus(database: Database, merchant: str, collection: str, skus: Sequence[str], *,
                      if_empty: bool) -> set[str]:
    """Return those of the SKUs that no product has; none if the collection has variants.

    `if_empty` says whether any SKU is unknown if the collection has no product.
    """
    number = database.number(merchant)
    with database.catalogue.reading(number) as db:
        found = find_collection(db, number, Kind.PRODUCT, collection)
        is_empty = found is None or not found.items
        if not skus or (found is not None and found.has_variants):
            return set()
        if found is None or is_empty:
            return set(skus) if if_empty else set()
        named = {"merchant": number, "collection": found.number, "keys": sorted_keys(skus)}
        return {sku for (sku,) in db.each("unknown_skus", named)}
