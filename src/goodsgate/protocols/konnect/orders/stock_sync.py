"""Stock in step with orders: reserved when an order is placed, taken when it is invoiced, given back if it is not."""

import logging

from goodsgate.engine.refusal import Refusal
from goodsgate.engine.stock import Movement, Step, Stock
from goodsgate.protocols.konnect.orders.shipment import PendingMovement, Shipment
from goodsgate.protocols.konnect.unpublished import COLLECTION

log = logging.getLogger(__name__)


class StockSync:
    """Words what happens to shipments for the engine's stock; each movement counts once, however often it is made."""

    def __init__(self, stock: Stock) -> None:
        self._stock = stock

    def reserve(self, merchant: str, shipment: Shipment) -> None:
        """What an order wants; raises the refusals of the stock: then nothing of it is reserved."""
        lines: dict[str, int] = {}
        for line in shipment.lines:
            key = shipment.stock_key(line)
            lines[key] = lines.get(key, 0) + line.quantity
        self._move(merchant, shipment, PendingMovement(f"{shipment.id}/0/reserve", "reserve", lines))

    def move(self, merchant: str, shipment: Shipment, movement: PendingMovement) -> None:
        """What has happened already; stock that is not there any more is nobody's loss but its own."""
        try:
            self._move(merchant, shipment, movement)
        except Refusal as refusal:
            log.warning("stock of shipment %s does not move: %s %s", shipment.id, movement.verb, refusal.detail)

    def _move(self, merchant: str, shipment: Shipment, movement: PendingMovement) -> None:
        self._stock.move(merchant, COLLECTION, Movement(
            order=shipment.forward_id, verb=Step(movement.verb), lines=movement.lines, id=movement.id,
        ))
