"""Products of a site: the rows of its main sources one after the other, with members from its additional sources."""

from collections.abc import Iterator

from goodsgate.model.batch import Kind
from goodsgate.model.json_text import read_json, write_json
from goodsgate.protocols.productsup.site_store import ADDITIONAL, MAIN, StoredSite
from goodsgate.protocols.productsup.stream_store import collection_of
from goodsgate.store.contract import Store

PAGE_ITEMS = 500


def site_rows(store: Store, site: StoredSite, *, offset: int, limit: int) -> Iterator[dict[str, str]]:
    """Yield rows in the order of the sources, by id within each; values are texts, nested ones are JSON."""
    merchant = site.resource.merchant
    counts = {name: count for _, name, count in store.collections(merchant)}
    additional = [collection_of(source.stream) for source in site.state.active_sources(ADDITIONAL)]
    for source in site.state.active_sources(MAIN):
        collection = collection_of(source.stream)
        if offset >= counts.get(collection, 0):
            offset -= counts.get(collection, 0)
            continue
        for document in _documents(store, merchant, collection):
            if offset:
                offset -= 1
                continue
            if not limit:
                return
            limit -= 1
            row = _row(document)
            for other in additional:
                item = store.item(merchant, Kind.PRODUCT, other, row.get(site.state.id_column) or "")
                row = {**(_row(item.document) if item is not None else {}), **row}
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
    return {
        name: value if isinstance(value, str) else write_json(value).decode()
        for name, value in read_json(document).items() if value is not None
    }
