"""Webhooks of order events, signed as Standard Webhooks."""

import msgspec

from goodsgate.engine.outbox import DeliveryError
from goodsgate.engine.secrets import Secrets
from goodsgate.http.services import WebhookSettings
from goodsgate.http.webhooks import parse_webhook_url, post_webhook, secret_text, signed_headers
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Resource
from goodsgate.model.message import Message
from goodsgate.protocols.konnect.orders.events import WEBHOOK, WEBHOOKS_MAX, WebhookMessage
from goodsgate.protocols.konnect.orders.repository import ShipmentRepository
from goodsgate.store.contract import NameTakenError, Store


class OrderWebhookRegistry:
    """The addresses that get the order events of merchants."""

    def __init__(self, store: Store, secrets: Secrets, hosts: frozenset[str]) -> None:
        self._store = store
        self._secrets = secrets
        self._hosts = hosts

    def add(self, merchant: str, url: str) -> dict[str, object]:
        """Add an address, or return the existing one; raise AddressRefusedError, ResourcesFullError."""
        parse_webhook_url(url, self._hosts)
        try:
            webhook = self._store.add_resource(merchant, WEBHOOK, name=url, body=b"{}", resources_max=WEBHOOKS_MAX)
        except NameTakenError as taken:
            current = self._store.resource(merchant, WEBHOOK, taken.number)
            if current is None:
                return self.add(merchant, url)
            webhook = current
        return self._serialize(webhook)

    def all(self, merchant: str) -> list[dict[str, object]]:
        """Return the merchant's webhooks by number."""
        return [self._serialize(each) for each in self._store.resources(merchant, WEBHOOK, limit=WEBHOOKS_MAX)]

    def remove(self, merchant: str, number: int) -> dict[str, object] | None:
        """Remove a webhook and return it; None if there is none. Waiting messages to it will be given up."""
        while (webhook := self._store.resource(merchant, WEBHOOK, number)) is not None:
            if self._store.put_resource(msgspec.structs.replace(webhook, expires_at=now())) is not None:
                return self._serialize(webhook)
        return None

    def _serialize(self, webhook: Resource) -> dict[str, object]:
        secret, _ = self._secrets.derived(WEBHOOK, _secret_name(webhook.merchant, webhook.number))
        return {"webhook": webhook.number, "url": webhook.name, "secret": secret_text(secret)}


class OrderWebhookSender:
    """Sends order events to webhooks."""

    def __init__(self, store: Store, secrets: Secrets, settings: WebhookSettings, *, timeout_seconds: float) -> None:
        self._store = store
        self._secrets = secrets
        self._settings = settings
        self._timeout_seconds = timeout_seconds

    def send(self, message: Message) -> None:
        """Send one message; raise DeliveryError."""
        body = msgspec.json.decode(message.body, type=WebhookMessage)
        webhook = self._store.resource(message.merchant, WEBHOOK, body.webhook)
        if webhook is None:
            raise DeliveryError("the webhook was removed", final=True)
        headers = self.sign(message, body.webhook, body.payload)
        content = body.payload.encode()
        post_webhook(
            webhook.name, headers, content, settings=self._settings, timeout_seconds=self._timeout_seconds,
            topic=message.topic, traceparent=body.traceparent,
        )

    def sign(self, message: Message, webhook: int, payload: str) -> dict[str, str]:
        """Return the headers of Standard Webhooks, with one signature for each valid master secret."""
        name = _secret_name(message.merchant, webhook)
        keys = [self._secrets.derived(WEBHOOK, name, by=master)[0] for master in self._secrets.names]
        return signed_headers(f"msg_{message.merchant}_{message.number}", payload, keys)


class DueEventRunner:
    """Applies the due event of a shipment when its time has come."""

    def __init__(self, shipments: ShipmentRepository) -> None:
        self._shipments = shipments

    def send(self, message: Message) -> None:
        """Apply what is due of the message's shipment; later events have messages of their own."""
        self._shipments.apply_due_event(message.merchant, message.subject)


def _secret_name(merchant: str, webhook: int) -> str:
    return f"{merchant}/{webhook}"
