"""Get Products: pages of products, selected and sorted by their index entries."""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Item
from goodsgate.model.json_text import read_json
from goodsgate.protocols.mircate.dispatcher import CallMethod, MethodCall, page_bounds
from goodsgate.protocols.mircate.pim.configuration import IMAGES, PimConfiguration
from goodsgate.protocols.mircate.pim.configuration_store import ConfigurationStore
from goodsgate.protocols.mircate.pim.product_rules import product_label
from goodsgate.protocols.mircate.pim.records import RENEWAL
from goodsgate.protocols.mircate.pim.unpublished import COLLECTION, PIM_PAGE_SIZE_MAX, SORTED_MAX
from goodsgate.protocols.mircate.pim.values import parse_time
from goodsgate.protocols.mircate.responses import bad_request, json_response
from goodsgate.store.contract import IndexFilter, Store

PAGE_SIZE = 50
INDEXES = {
    "id": "id", "family": "family", "enabled": "enabled", "label": "label", "createdAt": "made", "updatedAt": "changed",
}
"""Member of ``sorts`` → the index by which it sorts."""
EXACT = {"sku": "id", "family": "family", "parent": "parent", "variant": "variant"}
"""Filter → the index that must have its value."""
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class ProductListing:
    """Method Get Products."""

    def __init__(self, context: ServerContext, configurations: ConfigurationStore) -> None:
        self._store = context.store
        self._configurations = configurations

    def methods(self) -> dict[str, CallMethod]:
        """Return the methods by operation id."""
        return {"get_products": CallMethod(work=self.get_products)}

    def get_products(self, call: MethodCall) -> Response:
        """Return a page and the total number of products."""
        query = {name: value for name, value in call.arguments.items() if value is not None}
        filters = query.get("filters", {})
        offset, size = page_bounds(query, size=PAGE_SIZE, size_max=PIM_PAGE_SIZE_MAX)
        conditions = [*list_filters(filters, query.get("searchText", ""))]
        sorts = [
            (INDEXES[name], direction == "desc")
            for name, direction in query.get("sorts", {}).items() if name in INDEXES
        ]
        total, keys = _page(self._store, call.merchant, conditions, sorts or [("id", False)], offset=offset, size=size)
        source = query.get("source", True)
        configuration = self._configurations.read(call.merchant) if source else None
        images = image_url(call)
        products = []
        for key in keys:
            item = self._store.item(call.merchant, Kind.PRODUCT, COLLECTION, key) if configuration is not None else None
            document = {"source": product_source(item, configuration,
                images)} if item is not None and configuration is not None else {}
            if document or configuration is None:
                products.append({"score": None, "id": key, **document})
        return json_response({
            "filters": filters, "pageFrom": offset, "pageSize": size, "totalProducts": total, "products": products,
        })


def list_filters(filters: dict[str, Any], text: str) -> Iterator[list[IndexFilter]]:
    """Yield the conditions that the products of a page fulfil."""
    values = {name: value for name, value in filters.items() if value is not None}
    for name, index in EXACT.items():
        if name in values:
            yield [_equals(index, values[name])]
    if "idList" in values:
        yield [_equals("id", id) for id in dict.fromkeys(values["idList"])]
    if "group" in values and values.get("forceGroupFilter", True):
        yield [_equals("group", values["group"])]
    if "dataType" in values:
        yield [_equals("type", type.strip()) for type in dict.fromkeys(values["dataType"].split(","))]
    if "enabled" in values:
        yield [_equals("enabled", str(values["enabled"]).lower())]
    if "isVariant" in values:
        yield [_equals("is_variant", str(values["isVariant"]).lower())]
    for name in ("createdAt", "updatedAt"):
        if values.get(name):
            yield [_between(INDEXES[name], values[name], name)]
    if text:
        yield [IndexFilter(name="text", contains=_searchable(text.casefold()))]


def _equals(index: str, value: str) -> IndexFilter:
    return IndexFilter(name=index, minimum=_searchable(value), maximum=_searchable(value))


def _searchable(text: str) -> str:
    """Replace NUL characters, which no product has and not every database accepts."""
    return text.replace("\0", "\ufffd")


def _between(index: str, period: dict[str, Any], name: str) -> IndexFilter:
    bounds = {}
    for keyword, bound in (("gte", "minimum"), ("lte", "maximum")):
        if period.get(keyword) is None:
            continue
        time = parse_time(period[keyword])
        if time is None:
            raise bad_request(f"filters.{name}.{keyword} must be a time of ISO 8601.")
        microseconds = int(time.timestamp() * 1000) * 1000 + (999 if bound == "maximum" else 0)
        bounds[bound] = f"{max(0, microseconds):016d}"
    return IndexFilter(name=index, **bounds)


def _page(store: Store, merchant: str, conditions: list[list[IndexFilter]], sorts: list[tuple[str, bool]], *,
          offset: int, size: int) -> tuple[int, list[str]]:
    """Return the total number of products and the keys of a page."""
    (first, backwards), *others = sorts
    collection = (merchant, Kind.PRODUCT, COLLECTION)
    if not others:
        total, rows = store.list_index(
            *collection, first, filters=conditions, backwards=backwards, offset=offset, limit=size or 1
        )
        return total, [key for _, key in rows[:size]]
    total, rows = store.list_index(*collection, first, filters=conditions, limit=SORTED_MAX)
    if total > SORTED_MAX:
        raise bad_request(f"More than {SORTED_MAX} products fulfil the filters; they can be sorted by one member.")
    keys = [key for _, key in rows]
    for index, descending in reversed(sorts):
        _, rows = store.list_index(*collection, index, filters=conditions, limit=SORTED_MAX)
        values = {key: value for value, key in rows}
        keys.sort(key=lambda key: values.get(key, ""), reverse=descending)
    return total, keys[offset : offset + size]


# -- documents --------------------------------------------------------------------------------------------------------


def product_source(item: Item, configuration: PimConfiguration, images: str) -> dict[str, Any]:
    """Return a product as stored, with its label, its times, and the addresses of its images."""
    record: dict[str, Any] = read_json(item.document)
    for name in ("id", RENEWAL):
        record.pop(name, None)
    data = record["data"]
    for entry in data.get("attributes", ()):
        attribute = configuration.attribute.get(entry["code"])
        if attribute is not None and attribute.type in IMAGES:
            for datum in entry.get("data") or ():
                if isinstance(datum, dict) and datum.get("value"):
                    datum["meta"] = image_meta(datum["value"], images)
    label = product_label(item.key, data, configuration.family.get(data.get("family")))
    return {"attributeAsLabel": label, **record, "meta": item_times(dict(item.index_entries))}


def image_meta(value: object, images: str) -> dict[str, str]:
    """Return the address of an image, or the base address of the images of a list."""
    return {"url": f"{images}?filename={quote(value)}"} if isinstance(value, str) else {"baseUrl": images}


def image_url(call: MethodCall) -> str:
    """Return the address of the project's images."""
    url = call.request.http.url
    project = call.request.path["project"]
    return f"{url.scheme}://{url.netloc}/{project}/CALL/PIMAPI/getImage/{quote(call.instance, safe='')}"


def item_times(index_entries: dict[str, str]) -> dict[str, str]:
    """Return ``createdAt`` and ``updatedAt``."""
    return {name: _format_time(index_entries[INDEXES[name]]) for name in ("createdAt", "updatedAt")}


def _format_time(microseconds: str) -> str:
    time = datetime.fromtimestamp(int(microseconds) / 1e6, UTC)
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"


def update_token(content: bytes) -> str:
    """Return ten letters and digits, the same for the same content."""
    number = int.from_bytes(blake2b(content, digest_size=16).digest())
    characters = []
    for _ in range(10):
        number, at = divmod(number, len(LETTERS))
        characters.append(LETTERS[at])
    return "".join(characters)
