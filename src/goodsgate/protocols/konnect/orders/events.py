"""Messages about shipments: signed webhooks, and the gate's own reminders of due events."""

import msgspec

from goodsgate.model.batch import now
from goodsgate.model.message import NewMessage
from goodsgate.model.tracing import current_origin
from goodsgate.protocols.konnect.orders.serializers import serialize_shipment
from goodsgate.protocols.konnect.orders.shipment import Shipment, ShipmentEvent
from goodsgate.protocols.konnect.orders.timestamps import format_timestamp
from goodsgate.store.contract import Store

WEBHOOK, CLOCK = "konnect/webhook", "konnect/clock"
"""Topics of messages; the first is also the type of the resources that hold webhook addresses."""
WEBHOOKS_MAX = 10
"""Limit of one merchant."""

encode = msgspec.json.Encoder(decimal_format="number").encode


class WebhookMessage(msgspec.Struct, frozen=True):
    """The body of a message to one webhook."""

    webhook: int
    """Number of the webhook's resource."""
    payload: str
    """As it is signed and sent."""
    traceparent: str = ""
    """Trace context of the request that changed the shipment; empty if it has none."""


class ShipmentMessages:
    """Creates the messages about changes of shipments."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def about(self, merchant: str, before: Shipment, shipment: Shipment) -> list[NewMessage]:
        """Return the messages about everything that changed from one version of a shipment to the next."""
        messages: list[NewMessage] = []
        events = shipment.history[len(before.history):]
        webhooks = self._store.resources(merchant, WEBHOOK, limit=WEBHOOKS_MAX) if events else []
        for sequence, event in enumerate(events, len(before.history) + 1):
            if sequence > 1 and shipment.history[sequence - 2].state == event.state:
                continue  # pieces were cancelled, or the courier reported again: the state is no other
            payload = _payload(shipment, event, sequence).decode() if webhooks else ""
            messages.extend(
                NewMessage(topic=WEBHOOK, subject=shipment.id, body=encode(
                    WebhookMessage(webhook.number, payload, current_origin().traceparent)
                ))
                for webhook in webhooks
            )
        if shipment.due is not None and shipment.due != before.due and shipment.due.at > now():
            messages.append(NewMessage(topic=CLOCK, subject=shipment.id, due_at=shipment.due.at))
        return messages


def _payload(shipment: Shipment, event: ShipmentEvent, sequence: int) -> bytes:
    data = serialize_shipment(msgspec.structs.replace(shipment, state=event.state))
    return encode({
        "type": f"shipment.{event.state}", "timestamp": format_timestamp(event.at, precise=True), "sequence": sequence,
        "data": data,
    })
