"""Operations of a sales channel on a merchant's stock: reserve, cancel, commit, refund, read."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.engine.refusal import Refusal
from goodsgate.engine.stock import StockLevel, StockMovement, StockOperation
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import KEY_SEPARATOR, display_key, item_key, split_key
from goodsgate.protocols.mircate.dispatcher import CallMethod, MethodCall, is_own_project
from goodsgate.protocols.mircate.responses import bad_request, instance_busy, json_response
from goodsgate.protocols.mircate.unpublished import CHANNEL, COLLECTION, SHORT, STOCK_FIELD, UNKNOWN_PRODUCT, UNRESERVED
from goodsgate.store.contract import StoreBusyError

CHANNELS_MAX = 1_000
"""Channels of one product in one answer."""
MESSAGES = {"stock_short": SHORT, "stock_unknown": UNKNOWN_PRODUCT, "stock_conflict": UNRESERVED}


class SalesMethods:
    """Methods Reserve, Cancel, Commit, Refund Stock and Get Current Stock."""

    def __init__(self, context: ServerContext) -> None:
        self._store = context.store
        self._stock = context.services.stock

    def methods(self) -> dict[str, CallMethod]:
        """Return the methods by operation id."""
        return {
            "reserve_stock": CallMethod(work=lambda call: self._change_stock(call, StockOperation.RESERVE)),
            "cancel_stock": CallMethod(work=lambda call: self._change_stock(call, StockOperation.CANCEL)),
            "commit_stock": CallMethod(work=lambda call: self._change_stock(call, StockOperation.COMMIT)),
            "refund_stock": CallMethod(work=lambda call: self._change_stock(call, StockOperation.REFUND)),
            "get_current_stock": CallMethod(work=self.get_current_stock),
        }

    def _change_stock(self, call: MethodCall, verb: StockOperation) -> Response:
        """Apply all lines or none; a repeated call of an order gets the same answer."""
        arguments = call.arguments
        lines: dict[str, int] = {}
        for product in arguments["products"]:
            _check_merchant(call, product)
            key = item_key(product["sku"], arguments.get("channel", CHANNEL))
            lines[key] = lines.get(key, 0) + int(product["quantity"])
        movement = StockMovement(order=arguments["orderId"], verb=verb, lines=lines, field=STOCK_FIELD)
        try:
            levels = self._stock.move(call.merchant, COLLECTION, movement)
        except StoreBusyError as fault:
            raise instance_busy() from fault
        except Refusal as refusal:
            raise _stock_refusal(refusal, lines) from refusal
        products = [_serialize_level(key, level) for key, level in levels.items()]
        return json_response({"orderId": arguments["orderId"], "products": products})

    def get_current_stock(self, call: MethodCall) -> Response:
        """Return the stock of products in one channel, or in all channels that have them."""
        channel = call.arguments.get("channel")
        keys: dict[str, None] = {}
        for product in call.arguments["products"]:
            _check_merchant(call, product)
            keys.update(dict.fromkeys(self._keys(call.merchant, product["sku"], channel)))
        levels = self._stock.levels(call.merchant, COLLECTION, [*keys], field=STOCK_FIELD)
        return json_response({"products": [_serialize_level(key, levels[key]) for key in keys]})

    def _keys(self, merchant: str, sku: str, channel: str | None) -> Iterator[str]:
        if channel is not None:
            yield item_key(sku, channel)
            return
        prefix = sku + KEY_SEPARATOR
        items = self._store.items(merchant, Kind.STOCK, COLLECTION, prefix=prefix, limit=CHANNELS_MAX).rows
        yield from [item.key for item in items] or [item_key(sku, CHANNEL)]


def _check_merchant(call: MethodCall, product: dict[str, Any]) -> None:
    """Check that a product names no other merchant than the caller's."""
    merchant = product.get("merchantId")
    if merchant is not None and not is_own_project(merchant, call.merchant, call.request.caller):
        raise refuse("forbidden")


def _stock_refusal(refusal: Refusal, lines: Iterable[str]) -> Refusal:
    """Return 400 with the lines that cannot be applied."""
    message = MESSAGES.get(refusal.code)
    if message is None:
        return bad_request(refusal.detail)
    keys = {display_key(key): key for key in lines}
    products = []
    for line in msgspec.convert(refusal.details["lines"], list[dict[str, Any]]):
        sku, channel = split_key(keys[line.pop("key")])
        products.append({"sku": sku, "channel": channel, **line})
    skus = ", ".join(str(product["sku"]) for product in products)
    return refuse("body_invalid", f"{message} ({skus})", products=products)


def _serialize_level(key: str, level: StockLevel) -> dict[str, object]:
    sku, channel = split_key(key)
    return {
        "sku": sku, "channel": channel, "stock": level.stock or 0, "reserved": level.reserved,
        "available": level.available,
    }
