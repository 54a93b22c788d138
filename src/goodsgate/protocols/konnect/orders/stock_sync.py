"""Stock in step with orders: reserved at placement, taken at the invoice, released or refunded otherwise."""

import logging

from goodsgate.engine.refusal import Refusal
from goodsgate.engine.stock import Stock, StockMovement, StockOperation
from goodsgate.protocols.konnect.orders.shipment import PendingStockChange, Shipment
from goodsgate.protocols.konnect.unpublished import COLLECTION

log = logging.getLogger(__name__)


class StockSync:
    """Makes the stock changes of shipments; each counts once, however often it is repeated."""

    def __init__(self, stock: Stock) -> None:
        self._stock = stock

    def reserve(self, merchant: str, shipment: Shipment) -> None:
        """Reserve the stock of a new order; raise the refusals of the stock, and then reserve nothing."""
        lines: dict[str, int] = {}
        for line in shipment.lines:
            key = shipment.stock_key(line)
            lines[key] = lines.get(key, 0) + line.quantity
        self._apply(merchant, shipment, PendingStockChange(f"{shipment.id}/0/reserve", "reserve", lines))

    def apply(self, merchant: str, shipment: Shipment, change: PendingStockChange) -> None:
        """Make a change that the shipment already implies; a refusal, such as for a deleted stock item, is logged."""
        try:
            self._apply(merchant, shipment, change)
        except Refusal as refusal:
            log.warning("stock of shipment %s was not changed: %s %s", shipment.id, change.verb, refusal.detail)

    def _apply(self, merchant: str, shipment: Shipment, change: PendingStockChange) -> None:
        self._stock.move(merchant, COLLECTION, StockMovement(
            order=shipment.forward_id, verb=StockOperation(change.verb), lines=change.lines, id=change.id,
        ))
