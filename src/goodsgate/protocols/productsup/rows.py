"""Products of a site: main sources stand below each other, additional ones add members to their rows."""

from collections.abc import Iterator

import orjson

from goodsgate.model.batch import Kind
from goodsgate.protocols.productsup.inbox import collection_of
from goodsgate.protocols.productsup.sites import ADDITIONAL, MAIN, Placed
from goodsgate.store.contract import Store

PAGE_ITEMS = 500


def rows_of(store: Store, placed: Placed, *, offset: int, limit: int) -> Iterator[dict[str, str]]:
    """In the order of the sources, by id within each; values are texts, nested ones JSON."""
    merchant = placed.resource.merchant
    counts = {name: count for _, name, count in store.collections(merchant)}
    more = [collection_of(source.stream) for source in placed.site.active(ADDITIONAL)]
    for source in placed.site.active(MAIN):
        name = collection_of(source.stream)
        if offset >= counts.get(name, 0):
            offset -= counts.get(name, 0)
            continue
        for document in _documents(store, merchant, name):
            if offset:
                offset -= 1
                continue
            if not limit:
                return
            limit -= 1
            row = _row(document)
            for other in more:
                held = store.item(merchant, Kind.PRODUCT, other, row.get(placed.site.id_column) or "")
                row = {**(_row(held.document) if held is not None else {}), **row}
            yield row


def _documents(store: Store, merchant: str, collection: str) -> Iterator[bytes]:
    after = None
    while True:
        page = store.items(merchant, Kind.PRODUCT, collection, after=after, limit=PAGE_ITEMS)
        for item in page.rows:
            yield item.document
        after = page.next
        if after is None:
            return


def _row(document: bytes) -> dict[str, str]:
    members = orjson.loads(document)
    return {name: _text(value) for name, value in members.items() if value is not None}


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
