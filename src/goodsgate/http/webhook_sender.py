"""Delivers messages to the webhooks of merchants."""

from time import monotonic
from typing import Any

import msgspec

from goodsgate.engine.item_changes import unreported_changes
from goodsgate.engine.outbox import DeliveryError, DeliveryPausedError
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.webhooks import RegisteredWebhook
from goodsgate.http.mail.sender import MailSender
from goodsgate.http.mail.smtp import is_mail
from goodsgate.http.services import ProtocolServices
from goodsgate.http.webhook_registry import WebhookRegistry
from goodsgate.http.webhooks import post_webhook, signed_headers
from goodsgate.model.batch import State, new_id, now
from goodsgate.model.json_text import write_json
from goodsgate.model.message import Attempt, Message
from goodsgate.model.webhook import (
    DESTINATION_EVENTS,
    SOURCE_EVENTS,
    WEBHOOK,
    BatchEvent,
    DestinationEvent,
    MessageHead,
    SourceEvent,
    WebhookEvent,
)

GONE = "the receiver answered 410 (Gone)"
TEST = "webhook.test"


def message_event(message: Message) -> tuple[WebhookEvent, str | None]:
    """Return the event of a message to a webhook, and the batch, source or destination, if it is about one."""
    event = msgspec.json.decode(message.body, type=MessageHead).event
    if event in SOURCE_EVENTS:
        return event, msgspec.json.decode(message.body, type=SourceEvent).source
    if event in DESTINATION_EVENTS:
        return event, msgspec.json.decode(message.body, type=DestinationEvent).destination
    if event is WebhookEvent.ITEMS_CHANGED:
        return event, None
    return event, msgspec.json.decode(message.body, type=BatchEvent).batch


class WebhookSender:
    """Signs and sends messages; a receiver that wants no more of them is paused."""

    def __init__(self, services: ProtocolServices) -> None:
        self._store = services.store
        self._settings = services.settings
        self._base_url = services.settings.public_url or services.settings.local_url
        self._mail = MailSender(
            services.store, services.settings.webhooks.mail, base_url=self._base_url,
            timeout_seconds=services.settings.delivery_seconds,
        )
        self.registry = WebhookRegistry(services.store, services.secrets, services.settings.webhooks)

    def send(self, message: Message) -> None:
        """Send one message. Raises DeliveryError, DeliveryPausedError."""
        number = int(message.subject)
        registered = self.registry.find(message.merchant, number)
        if registered is None:
            raise DeliveryError("the webhook was deleted", final=True)
        if registered.webhook.paused_at is not None:
            raise DeliveryPausedError
        id = f"msg_{message.merchant}_{message.number}"
        try:
            kind = message_event(message)[0]
            if is_mail(registered.url):
                self._mail.send(registered, message, kind, id=id)
            elif kind is WebhookEvent.ITEMS_CHANGED:
                self._tell_changes(registered, message, id)
            elif kind in SOURCE_EVENTS:
                self._post(registered, id, write_json(self._source_payload(message)))
            elif kind in DESTINATION_EVENTS:
                self._post(registered, id, write_json(self._destination_payload(message)))
            else:
                event = msgspec.json.decode(message.body, type=BatchEvent)
                payload = write_json(self._batch_payload(message, event))
                self._post(registered, id, payload, traceparent=event.traceparent)
        except DeliveryError as fault:
            if not fault.final:
                raise
            reason = fault.reason if is_mail(registered.url) else GONE
            self._pause(message.merchant, number, reason)
            raise DeliveryPausedError from fault

    def _tell_changes(self, registered: RegisteredWebhook, message: Message, id: str) -> None:
        """Tell of all changes until now, so that none is told twice unless this process dies, and none is missed."""
        position = self._store.journal_position(message.merchant)
        counts = unreported_changes(self._store, message.merchant, registered.webhook, until=position.number)
        if counts:
            before = registered.webhook.changes_until
            data = {
                "webhook": registered.number, "sequence": message.number, "after": before.cursor,
                "cursor": position.cursor, "changes": sum(count for _, _, count in counts),
                "counts": [
                    {"kind": kind, "collection": collection, "changes": count} for kind, collection, count in counts
                ],
                "url": f"{self._base_url}/v1/changes?after={before.cursor}",
            }
            event = {"type": WebhookEvent.ITEMS_CHANGED, "timestamp": position.at, "data": data}
            self._post(registered, id, write_json(event))
        try:
            self.registry.record_changes(message.merchant, registered.number, position)
        except Refusal:
            return  # it was deleted meanwhile

    def test(self, registered: RegisteredWebhook) -> Attempt:
        """Send a test event now and return how that went."""
        began_at, began, error = now(), monotonic(), ""
        event = {"type": TEST, "timestamp": began_at, "data": {"webhook": registered.number}}
        try:
            if is_mail(registered.url):
                self._mail.test(registered, id=f"test_{new_id()}")
            else:
                self._post(registered, f"test_{new_id()}", write_json(event))
        except DeliveryError as fault:
            error = fault.reason
        return Attempt(at=began_at, seconds=round(monotonic() - began, 3), error=error)

    def _post(self, registered: RegisteredWebhook, id: str, payload: bytes, *, traceparent: str = "") -> None:
        post_webhook(
            registered.url, signed_headers(id, payload.decode(), self.registry.keys(registered)), payload,
            settings=self._settings.webhooks, timeout_seconds=self._settings.delivery_seconds, topic=WEBHOOK,
            traceparent=traceparent,
        )

    def _pause(self, merchant: str, number: int, reason: str) -> None:
        try:
            self.registry.pause(merchant, number, reason=reason)
        except Refusal:
            return  # it was deleted meanwhile

    def _source_payload(self, message: Message) -> dict[str, Any]:
        event = msgspec.json.decode(message.body, type=SourceEvent)
        about = msgspec.structs.asdict(event)
        data = {name: value for name, value in about.items() if name not in ("event", "at")}
        return {
            "type": event.event, "timestamp": event.at,
            "data": {
                "webhook": int(message.subject), "sequence": message.number, **data,
                "url": f"{self._base_url}/v1/sources/{event.source}",
            },
        }

    def _destination_payload(self, message: Message) -> dict[str, Any]:
        event = msgspec.json.decode(message.body, type=DestinationEvent)
        return {
            "type": event.event, "timestamp": event.at,
            "data": {
                "webhook": int(message.subject), "sequence": message.number, "destination": event.destination,
                "kind": event.kind, "collection": event.collection, "run": event.run, "reason": event.reason,
                "url": f"{self._base_url}/v1/destinations/{event.destination}",
            },
        }

    def _batch_payload(self, message: Message, event: BatchEvent) -> dict[str, Any]:
        batch = self._store.batch(message.merchant, event.batch)
        withheld = event.withheld
        return {
            "type": event.event, "timestamp": event.ended_at,
            "data": {
                "webhook": int(message.subject), "sequence": message.number, "batch": event.batch, "round": event.round,
                "kind": event.kind, "collection": event.collection, "label": batch.label if batch is not None else "",
                "protocol": batch.protocol if batch is not None else "", "state": event.state,
                "outcome": event.outcome if event.state == State.FINISHED else None,
                "counts": {
                    "total": event.total, "accounted": event.counts.accounted, "warned": event.warned,
                    **msgspec.structs.asdict(event.counts),
                },
                "file_errors": event.file_errors,
                "withheld": None if withheld is None else {
                    "items": withheld.items, "deletions": withheld.deletions, "share": withheld.share,
                    "reason": withheld.reason,
                },
                "url": f"{self._base_url}/v1/batches/{event.batch}",
            },
        }
