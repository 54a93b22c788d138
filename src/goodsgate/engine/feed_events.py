"""What webhooks are told of sources and destinations."""

from datetime import datetime

import msgspec

from goodsgate.engine.destination_definitions import DestinationView
from goodsgate.engine.source_definitions import SourceView
from goodsgate.model.message import NewMessage
from goodsgate.model.webhook import WEBHOOK, DestinationEvent, SourceEvent, WebhookEvent, subscription_labels
from goodsgate.store.contract import Store

WEBHOOKS_MAX = 1_000


def source_messages(store: Store, view: SourceView, event: WebhookEvent, *, at: datetime, run: int | None = None,
                    error: str | None = None, expected_at: datetime | None = None) -> list[NewMessage]:
    """Return a message for each webhook of the merchant that asks for an event of the source."""
    source = view.source
    return _messages(store, view.merchant, SourceEvent(
        event=event, source=view.name, kind=source.kind, collection=source.collection, at=at, run=run, error=error,
        expected_at=expected_at, new_at=view.state.new_at,
    ))


def destination_messages(store: Store, view: DestinationView, event: WebhookEvent, *, at: datetime, run: int,
                         reason: str) -> list[NewMessage]:
    """Return a message for each webhook of the merchant that asks for an event of the destination."""
    destination = view.destination
    return _messages(store, view.merchant, DestinationEvent(
        event=event, destination=view.name, kind=destination.kind, collection=destination.collection, at=at, run=run,
        reason=reason,
    ))


def _messages(store: Store, merchant: str, event: SourceEvent | DestinationEvent) -> list[NewMessage]:
    body = msgspec.json.encode(event)
    numbers = {
        resource.number for label, _ in subscription_labels([event.event], event.kind, event.collection)
        for resource in store.list_by_label(merchant, WEBHOOK, label, limit=WEBHOOKS_MAX)
    }
    return [NewMessage(topic=WEBHOOK, subject=str(number), body=body, in_order=True) for number in sorted(numbers)]
