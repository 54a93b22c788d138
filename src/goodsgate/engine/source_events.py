"""What webhooks are told of sources."""

from datetime import datetime

import msgspec

from goodsgate.engine.source_definitions import SourceView
from goodsgate.model.message import NewMessage
from goodsgate.model.webhook import WEBHOOK, SourceEvent, WebhookEvent, subscription_labels
from goodsgate.store.contract import Store

WEBHOOKS_MAX = 1_000


def source_messages(store: Store, view: SourceView, event: WebhookEvent, *, at: datetime, run: int | None = None,
                    error: str | None = None, expected_at: datetime | None = None) -> list[NewMessage]:
    """Return a message for each webhook of the merchant that asks for an event of the source."""
    source = view.source
    body = msgspec.json.encode(SourceEvent(
        event=event, source=view.name, kind=source.kind, collection=source.collection, at=at, run=run, error=error,
        expected_at=expected_at, new_at=view.state.new_at,
    ))
    numbers = {
        resource.number for label, _ in subscription_labels([event], source.kind, source.collection)
        for resource in store.list_by_label(view.merchant, WEBHOOK, label, limit=WEBHOOKS_MAX)
    }
    return [NewMessage(topic=WEBHOOK, subject=str(number), body=body, in_order=True) for number in sorted(numbers)]
