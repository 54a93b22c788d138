"""What stock and price of a product were: read from what each item keeps of its past."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import KEY_SEPARATOR, Item, item_key, split_key
from goodsgate.protocols.mircate.answers import answer, bad
from goodsgate.protocols.mircate.guesses import COLLECTION
from goodsgate.protocols.mircate.transport import Asked, Method, page_of

PAGE = 1_000
CHANNELS_MAX = 5_000
"""Of one product, in one answer."""
VALUES = {Kind.STOCK: "stock", Kind.PRICE: "price"}
"""Which member of a unit is the value of an entry."""


class History:
    """Get Stock/Price History."""

    def __init__(self, context: ServerContext) -> None:
        self._store = context.store

    def methods(self) -> dict[str, Method]:
        """By operation id."""
        return {"get_stock_price_history": Method(work=self.get_stock_price_history)}

    def get_stock_price_history(self, asked: Asked) -> Response:
        """The last changes, newest first."""
        told = asked.arguments
        since, until = _moment(told, "from"), _moment(told, "to")
        kinds = [kind for kind in VALUES if told.get("type", kind.upper()) == kind.upper()]
        found = [
            entry for kind in kinds for item in self._items(asked.merchant, kind, told["sku"], told.get("channel"))
            for entry in _entries(kind, item)
            if (since is None or since <= entry[0]) and (until is None or entry[0] <= until)
        ]
        found.sort(key=lambda entry: entry[0], reverse=True)
        first, size = page_of(told)
        rows = [words for _, words in found[first : first + size]]
        return answer({"history": rows, "total": len(found)})

    def _items(self, merchant: str, kind: Kind, sku: str, channel: str | None) -> Iterator[Item]:
        if channel is not None:
            item = self._store.item(merchant, kind, COLLECTION, item_key(sku, channel))
            yield from [item] if item is not None else []
            return
        after, left = None, CHANNELS_MAX
        while left > 0:
            prefix = sku + KEY_SEPARATOR
            page = self._store.items(merchant, kind, COLLECTION, after=after, limit=min(PAGE, left), prefix=prefix)
            yield from page.rows
            after, left = page.next, left - len(page.rows)
            if after is None:
                return


def _entries(kind: Kind, item: Item) -> Iterator[tuple[datetime, dict[str, Any]]]:
    _, channel = split_key(item.key)
    for kept in orjson.loads(item.document).get("_history", ()):
        value = kept.pop(VALUES[kind], None)
        at, batch = kept.pop("at"), kept.pop("batch")
        words = {"type": kind.upper(), "value": value, "channel": channel, "createdAt": at, "batchId": batch, **kept}
        yield datetime.fromisoformat(at), words


def _moment(told: dict[str, Any], name: str) -> datetime | None:
    text = told.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is not None else datetime.fromisoformat(f"{text}+00:00")
    except ValueError as fault:
        raise bad(f"{name} must be a time like 2026-01-31T08:15:00Z") from fault
