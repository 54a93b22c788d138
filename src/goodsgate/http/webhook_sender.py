"""Delivers messages to the webhooks of merchants."""

from time import monotonic
from typing import Any

import msgspec

from goodsgate.engine.outbox import DeliveryError, DeliveryPausedError
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.webhooks import RegisteredWebhook
from goodsgate.http.services import ProtocolServices
from goodsgate.http.webhook_registry import WebhookRegistry
from goodsgate.http.webhooks import post_webhook, signed_headers
from goodsgate.model.batch import State, new_id, now
from goodsgate.model.json_text import write_json
from goodsgate.model.message import Attempt, Message
from goodsgate.model.webhook import BatchEvent, WebhookEvent

GONE = "the receiver answered 410 (Gone)"
TEST = "webhook.test"


def message_event(message: Message) -> tuple[WebhookEvent, str | None]:
    """Return the event of a message to a webhook, and the batch that it is about."""
    event = msgspec.json.decode(message.body, type=BatchEvent)
    return event.event, event.batch


class WebhookSender:
    """Signs and sends messages; a receiver that wants no more of them is paused."""

    def __init__(self, services: ProtocolServices) -> None:
        self._store = services.store
        self._settings = services.settings
        self.registry = WebhookRegistry(services.store, services.secrets, services.settings.webhooks)

    def send(self, message: Message) -> None:
        """Send one message. Raises DeliveryError, DeliveryPausedError."""
        number = int(message.subject)
        try:
            registered = self.registry.webhook(message.merchant, number)
        except Refusal as fault:
            raise DeliveryError("the webhook was deleted", final=True) from fault
        if registered.webhook.paused_at is not None:
            raise DeliveryPausedError
        payload = write_json(self._batch_payload(message))
        try:
            self._post(registered, f"msg_{message.merchant}_{message.number}", payload)
        except DeliveryError as fault:
            if not fault.final:
                raise
            self._pause(message.merchant, number)
            raise DeliveryPausedError from fault

    def test(self, registered: RegisteredWebhook) -> Attempt:
        """Send a test event now and return how that went."""
        began_at, began, error = now(), monotonic(), ""
        event = {"type": TEST, "timestamp": began_at, "data": {"webhook": registered.number}}
        try:
            self._post(registered, f"test_{new_id()}", write_json(event))
        except DeliveryError as fault:
            error = fault.reason
        return Attempt(at=began_at, seconds=round(monotonic() - began, 3), error=error)

    def _post(self, registered: RegisteredWebhook, id: str, payload: bytes) -> None:
        post_webhook(
            registered.url, signed_headers(id, payload.decode(), self.registry.keys(registered)), payload,
            settings=self._settings.webhooks, timeout_seconds=self._settings.delivery_seconds,
        )

    def _pause(self, merchant: str, number: int) -> None:
        try:
            self.registry.pause(merchant, number, reason=GONE)
        except Refusal:
            return  # it was deleted meanwhile

    def _batch_payload(self, message: Message) -> dict[str, Any]:
        event = msgspec.json.decode(message.body, type=BatchEvent)
        batch = self._store.batch(message.merchant, event.batch)
        withheld = event.withheld
        base = self._settings.public_url or self._settings.local_url
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
                    "items": withheld.items, "deletions": withheld.deletions, "reason": withheld.reason,
                },
                "url": f"{base}/v1/batches/{event.batch}",
            },
        }
