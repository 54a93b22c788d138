"""What a sales channel does with a merchant's stock: reserves it for an order, lets go of it, takes it out, back in."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.engine.refusal import Refusal
from goodsgate.engine.stock import Level, Movement, Step
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import KEY_SEPARATOR, display_key, item_key, split_key
from goodsgate.protocols.mircate.answers import answer, bad, busy
from goodsgate.protocols.mircate.guesses import CHANNEL, COLLECTION, SHORT, STOCK_FIELD, UNKNOWN_PRODUCT, UNRESERVED
from goodsgate.protocols.mircate.transport import Asked, Method, is_own
from goodsgate.store.contract import StoreBusyError

CHANNELS_MAX = 1_000
"""Of one product, in one answer."""
MESSAGES = {"stock_short": SHORT, "stock_unknown": UNKNOWN_PRODUCT, "stock_conflict": UNRESERVED}


class Sales:
    """Reserve, Cancel, Commit, Refund Stock and Get Current Stock."""

    def __init__(self, context: ServerContext) -> None:
        self._store = context.store
        self._stock = context.engine.stock

    def methods(self) -> dict[str, Method]:
        """By operation id."""
        return {
            "reserve_stock": Method(work=lambda asked: self._moved(asked, Step.RESERVE)),
            "cancel_stock": Method(work=lambda asked: self._moved(asked, Step.CANCEL)),
            "commit_stock": Method(work=lambda asked: self._moved(asked, Step.COMMIT)),
            "refund_stock": Method(work=lambda asked: self._moved(asked, Step.REFUND)),
            "get_current_stock": Method(work=self.get_current_stock),
        }

    def _moved(self, asked: Asked, verb: Step) -> Response:
        """All lines or none; the same of one order again is answered as before."""
        told = asked.arguments
        lines: dict[str, int] = {}
        for product in told["products"]:
            _demand_own(asked, product)
            key = item_key(product["sku"], told.get("channel", CHANNEL))
            lines[key] = lines.get(key, 0) + int(product["quantity"])
        movement = Movement(order=told["orderId"], verb=verb, lines=lines, field=STOCK_FIELD)
        try:
            levels = self._stock.move(asked.merchant, COLLECTION, movement)
        except StoreBusyError as fault:
            raise busy() from fault
        except Refusal as refusal:
            raise _worded(refusal, lines) from refusal
        return answer({"orderId": told["orderId"], "products": [_words(key, level) for key, level in levels.items()]})

    def get_current_stock(self, asked: Asked) -> Response:
        """Of the products named, in one channel or in all where they are held."""
        channel = asked.arguments.get("channel")
        keys: dict[str, None] = {}
        for product in asked.arguments["products"]:
            _demand_own(asked, product)
            keys.update(dict.fromkeys(self._keys(asked.merchant, product["sku"], channel)))
        levels = self._stock.levels(asked.merchant, COLLECTION, [*keys], field=STOCK_FIELD)
        return answer({"products": [_words(key, levels[key]) for key in keys]})

    def _keys(self, merchant: str, sku: str, channel: str | None) -> Iterator[str]:
        if channel is not None:
            yield item_key(sku, channel)
            return
        prefix = sku + KEY_SEPARATOR
        found = self._store.items(merchant, Kind.STOCK, COLLECTION, prefix=prefix, limit=CHANNELS_MAX).rows
        yield from [item.key for item in found] or [item_key(sku, CHANNEL)]


def _demand_own(asked: Asked, product: dict[str, Any]) -> None:
    """A product may name its merchant; a key knows but its own."""
    merchant = product.get("merchantId")
    if merchant is not None and not is_own(merchant, asked.merchant, asked.request.caller):
        raise refuse("forbidden")


def _worded(refusal: Refusal, lines: Iterable[str]) -> Refusal:
    """400, with the lines that stand in the way."""
    message = MESSAGES.get(refusal.code)
    if message is None:
        return bad(refusal.detail)
    keys = {display_key(key): key for key in lines}
    products = []
    for line in msgspec.convert(refusal.details["lines"], list[dict[str, Any]]):
        sku, channel = split_key(keys[line.pop("key")])
        products.append({"sku": sku, "channel": channel, **line})
    return refuse("body_invalid", f"{message} ({', '.join(str(one['sku']) for one in products)})", products=products)


def _words(key: str, level: Level) -> dict[str, object]:
    sku, channel = split_key(key)
    return {
        "sku": sku, "channel": channel, "stock": level.stock or 0, "reserved": level.reserved,
        "available": level.available,
    }
