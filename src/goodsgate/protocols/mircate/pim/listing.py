"""Get Products: pages of what is held, by the marks that products have."""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import quote

import orjson
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Item
from goodsgate.protocols.mircate.answers import answer, bad
from goodsgate.protocols.mircate.pim.guesses import COLLECTION, SORTED_MAX
from goodsgate.protocols.mircate.pim.keeping import Keeping
from goodsgate.protocols.mircate.pim.product_rules import label_of
from goodsgate.protocols.mircate.pim.settled import IMAGES, Settled
from goodsgate.protocols.mircate.pim.values import moment_of
from goodsgate.protocols.mircate.transport import Asked, Method
from goodsgate.store.contract import IndexFilter, Store

PAGE_SIZE = 50
MARKS = {
    "id": "id", "family": "family", "enabled": "enabled", "label": "label", "createdAt": "made", "updatedAt": "changed",
}
"""Member of ``sorts`` → the mark by which it sorts."""
EXACT = {"sku": "id", "family": "family", "parent": "parent", "variant": "variant"}
"""Filter → the mark that must be it."""
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Listing:
    """The operation."""

    def __init__(self, context: ServerContext, keeping: Keeping) -> None:
        self._store = context.store
        self._keeping = keeping

    def methods(self) -> dict[str, Method]:
        """By operation id."""
        return {"get_products": Method(work=self.get_products)}

    def get_products(self, asked: Asked) -> Response:
        """A page, and how many there are."""
        query = {name: value for name, value in asked.arguments.items() if value is not None}
        filters = query.get("filters", {})
        offset, size = int(query.get("pageFrom", 0)), int(query.get("pageSize", PAGE_SIZE))
        among = [*demands(filters, query.get("searchText", ""))]
        sorts = [(MARKS[name], way == "desc") for name, way in query.get("sorts", {}).items() if name in MARKS]
        total, keys = _page(self._store, asked.merchant, among, sorts or [("id", False)], offset=offset, size=size)
        source = query.get("source", True)
        settled = self._keeping.read(asked.merchant) if source else None
        images = images_at(asked)
        products = []
        for key in keys:
            item = self._store.item(asked.merchant, Kind.PRODUCT, COLLECTION, key) if settled is not None else None
            words = {"source": source_of(item, settled, images)} if item is not None and settled is not None else {}
            if words or settled is None:
                products.append({"score": None, "id": key, **words})
        return answer({
            "filters": filters, "pageFrom": offset, "pageSize": size, "totalProducts": total, "products": products,
        })


def demands(filters: dict[str, Any], text: str) -> Iterator[list[IndexFilter]]:
    """What the items of a page are held to."""
    given = {name: value for name, value in filters.items() if value is not None}
    for name, mark in EXACT.items():
        if name in given:
            yield [_exactly(mark, given[name])]
    if "idList" in given:
        yield [_exactly("id", id) for id in dict.fromkeys(given["idList"])]
    if "group" in given and given.get("forceGroupFilter", True):
        yield [_exactly("group", given["group"])]
    if "dataType" in given:
        yield [_exactly("type", type.strip()) for type in dict.fromkeys(given["dataType"].split(","))]
    if "enabled" in given:
        yield [_exactly("enabled", str(given["enabled"]).lower())]
    if "isVariant" in given:
        yield [_exactly("is_variant", str(given["isVariant"]).lower())]
    for name in ("createdAt", "updatedAt"):
        if given.get(name):
            yield [_between(MARKS[name], given[name], name)]
    if text:
        yield [IndexFilter(name="text", contains=_clean(text.casefold()))]


def _exactly(mark: str, value: str) -> IndexFilter:
    return IndexFilter(name=mark, minimum=_clean(value), maximum=_clean(value))


def _clean(text: str) -> str:
    """No product is called so, and not every database can be asked for it."""
    return text.replace("\0", "\ufffd")


def _between(mark: str, period: dict[str, Any], name: str) -> IndexFilter:
    bounds = {}
    for word, bound in (("gte", "least"), ("lte", "most")):
        if period.get(word) is None:
            continue
        moment = moment_of(period[word])
        if moment is None:
            raise bad(f"filters.{name}.{word} must be a time of ISO 8601.")
        microseconds = int(moment.timestamp() * 1000) * 1000 + (999 if bound == "most" else 0)
        bounds[bound] = f"{max(0, microseconds):016d}"
    return IndexFilter(name=mark, **bounds)


def _page(store: Store, merchant: str, among: list[list[IndexFilter]], sorts: list[tuple[str, bool]], *, offset: int,
          size: int) -> tuple[int, list[str]]:
    """How many there are, and the keys of a page."""
    (first, backwards), *others = sorts
    shelf = (merchant, Kind.PRODUCT, COLLECTION)
    if not others:
        total, rows = store.list_index(*shelf, first, filters=among, backwards=backwards, offset=offset,
            limit=size or 1)
        return total, [key for _, key in rows[:size]]
    total, rows = store.list_index(*shelf, first, filters=among, limit=SORTED_MAX)
    if total > SORTED_MAX:
        raise bad(f"More than {SORTED_MAX} products fulfil the filters; they can be sorted by one member.")
    keys = [key for _, key in rows]
    for mark, descending in reversed(sorts):
        values = {key: value for value, key in store.list_index(*shelf, mark, filters=among, limit=SORTED_MAX)[1]}
        keys.sort(key=lambda key: values.get(key, ""), reverse=descending)
    return total, keys[offset : offset + size]


# -- one product as it is read ----------------------------------------------------------------------------------------


def source_of(item: Item, settled: Settled, images: str) -> dict[str, Any]:
    """As it is held, with its label, its times, and where its images are."""
    record: dict[str, Any] = orjson.loads(item.document)
    record.pop("id", None)
    data = record["data"]
    for entry in data.get("attributes", ()):
        attribute = settled.attribute.get(entry["code"])
        if attribute is not None and attribute.type in IMAGES:
            for datum in entry.get("data") or ():
                if isinstance(datum, dict) and datum.get("value"):
                    datum["meta"] = image_meta(datum["value"], images)
    label = label_of(item.key, data, settled.family.get(data.get("family")))
    return {"attributeAsLabel": label, **record, "meta": times_of(dict(item.index_entries))}


def image_meta(value: object, images: str) -> dict[str, str]:
    """Where the image is, or where those of a list are."""
    return {"url": f"{images}?filename={quote(value)}"} if isinstance(value, str) else {"baseUrl": images}


def images_at(asked: Asked) -> str:
    """Where the tenant's images are read."""
    url = asked.request.http.url
    project = asked.request.path["project"]
    return f"{url.scheme}://{url.netloc}/{project}/CALL/PIMAPI/getImage/{quote(asked.instance, safe='')}"


def times_of(marks: dict[str, str]) -> dict[str, str]:
    """``createdAt`` and ``updatedAt``."""
    return {name: _moment(marks[MARKS[name]]) for name in ("createdAt", "updatedAt")}


def _moment(microseconds: str) -> str:
    moment = datetime.fromtimestamp(int(microseconds) / 1e6, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def token_of(content: bytes) -> str:
    """Ten letters and digits, the same for the same content."""
    number = int.from_bytes(blake2b(content, digest_size=16).digest())
    characters = []
    for _ in range(10):
        number, at = divmod(number, len(LETTERS))
        characters.append(LETTERS[at])
    return "".join(characters)
