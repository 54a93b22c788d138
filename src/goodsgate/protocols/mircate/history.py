"""The history of a product's stock and price, which each item stores."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import KEY_SEPARATOR, Item, item_key, split_key
from goodsgate.model.json_text import read_json
from goodsgate.protocols.mircate.dispatcher import CallMethod, MethodCall, page_bounds
from goodsgate.protocols.mircate.responses import bad_request, json_response
from goodsgate.protocols.mircate.unpublished import COLLECTION

PAGE = 1_000
CHANNELS_MAX = 5_000
"""Channels of one product in one answer."""
VALUES = {Kind.STOCK: "stock", Kind.PRICE: "price"}
"""The member of a unit that is the value of an entry."""


class HistoryMethods:
    """Method Get Stock/Price History."""

    def __init__(self, context: ServerContext) -> None:
        self._store = context.store

    def methods(self) -> dict[str, CallMethod]:
        """Return the methods by operation id."""
        return {"get_stock_price_history": CallMethod(work=self.get_stock_price_history)}

    def get_stock_price_history(self, call: MethodCall) -> Response:
        """Return the last changes, newest first."""
        arguments = call.arguments
        since, until = _parse_time(arguments, "from"), _parse_time(arguments, "to")
        kinds = [kind for kind in VALUES if arguments.get("type", kind.upper()) == kind.upper()]
        sku, channel = arguments["sku"], arguments.get("channel")
        entries = [
            entry for kind in kinds for item in self._items(call.merchant, kind, sku, channel)
            for entry in _entries(kind, item)
            if (since is None or since <= entry[0]) and (until is None or entry[0] <= until)
        ]
        entries.sort(key=lambda entry: entry[0], reverse=True)
        first, size = page_bounds(arguments)
        rows = [document for _, document in entries[first : first + size]]
        return json_response({"history": rows, "total": len(entries)})

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
    for stored in read_json(item.document).get("_history", ()):
        value = stored.pop(VALUES[kind], None)
        at, batch = stored.pop("at"), stored.pop("batch")
        document = {
            "type": kind.upper(), "value": value, "channel": channel, "createdAt": at, "batchId": batch, **stored,
        }
        yield datetime.fromisoformat(at), document


def _parse_time(arguments: dict[str, Any], name: str) -> datetime | None:
    text = arguments.get(name)
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
        return time if time.tzinfo is not None else datetime.fromisoformat(f"{text}+00:00")
    except ValueError as fault:
        raise bad_request(f"{name} must be a time like 2026-01-31T08:15:00Z") from fault
