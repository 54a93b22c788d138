"""What is told of a shipment, and to whom: signed webhooks, and the gate's own reminder of what is due."""

from datetime import datetime

import msgspec

from goodsgate.model.batch import now
from goodsgate.model.message import NewMessage
from goodsgate.protocols.konnect.orders.serializers import serialize_shipment
from goodsgate.protocols.konnect.orders.shipment import Shipment
from goodsgate.protocols.konnect.orders.states import STATE_BY_NAME
from goodsgate.protocols.konnect.orders.timestamps import format_timestamp
from goodsgate.store.contract import Store

WEBHOOK, CLOCK = "konnect/webhook", "konnect/clock"
"""Topics; the first is also the sort of the resources that say where to."""
WEBHOOKS_MAX = 10
"""Of one merchant."""

encode = msgspec.json.Encoder(decimal_format="number").encode


class WebhookMessage(msgspec.Struct, frozen=True):
    """The body of a message of the first topic."""

    webhook: int
    """Number of the resource."""
    payload: str
    """As it is signed and sent."""


class ShipmentMessages:
    """Messages for what becomes of shipments."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, merchant: str, before: Shipment, shipment: Shipment) -> list[NewMessage]:
        """For what one shipment has become since it was another."""
        found: list[NewMessage] = []
        new = shipment.history[len(before.history):]
        webhooks = self._store.resources(merchant, WEBHOOK, limit=WEBHOOKS_MAX) if new else []
        for event in new:
            payload = _payload(shipment, event.state, event.at).decode() if webhooks else ""
            found.extend(
                NewMessage(topic=WEBHOOK, subject=shipment.id, body=encode(WebhookMessage(webhook.number, payload)))
                for webhook in webhooks
            )
        if shipment.due is not None and shipment.due != before.due and shipment.due.at > now():
            found.append(NewMessage(topic=CLOCK, subject=shipment.id, due_at=shipment.due.at))
        return found


def _payload(shipment: Shipment, state: str, at: datetime) -> bytes:
    seen = msgspec.structs.replace(shipment, state=state)
    data = {**serialize_shipment(seen), "orderStatus": STATE_BY_NAME[state].status}
    return encode({"type": f"shipment.{state}", "timestamp": format_timestamp(at), "data": data})
