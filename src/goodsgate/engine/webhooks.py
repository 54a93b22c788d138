"""The webhooks of merchants, and how their messages fare."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import msgspec

from goodsgate.model.batch import now
from goodsgate.model.catalogue import Resource
from goodsgate.model.message import QueueStatus
from goodsgate.model.webhook import WEBHOOK, Webhook
from goodsgate.store.contract import Store

WEBHOOKS_MAX = 1_000
"""Webhooks of one merchant; the setting allows no more."""
PAGE_MERCHANTS = 1_000

WebhookState = Literal["active", "retrying", "failing", "paused"]


class RegisteredWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook of a merchant, and how its messages fare."""

    merchant: str
    number: int
    url: str
    webhook: Webhook
    queue: QueueStatus

    @property
    def state(self) -> WebhookState:
        """``failing`` from the first message that was given up until one arrives."""
        if self.webhook.paused_at is not None:
            return "paused"
        arrived = [at for at in (self.queue.sent_at, self.webhook.tested_at) if at is not None]
        if self.queue.given_up_at is not None and all(at < self.queue.given_up_at for at in arrived):
            return "failing"
        return "retrying" if self.queue.retrying else "active"

    @property
    def old_secret_until(self) -> datetime | None:
        """Until when a replaced secret also signs; None if there is none."""
        ends = [each.expires_at for each in self.webhook.secrets if each.expires_at is not None]
        return max((end for end in ends if end > now()), default=None)

    @property
    def reason(self) -> str | None:
        """Why it is in that state."""
        if self.state == "active":
            return None
        return self.webhook.pause_reason or None if self.state == "paused" else self.queue.last_error


def failing_webhooks(store: Store) -> Iterator[RegisteredWebhook]:
    """Yield the failing webhooks of all merchants."""
    after: str | None = None
    while True:
        page = store.merchants(after=after, limit=PAGE_MERCHANTS)
        for merchant in page.rows:
            for resource in store.resources(merchant.id, WEBHOOK, limit=WEBHOOKS_MAX):
                queue = store.queue_status(merchant.id, WEBHOOK, str(resource.number))
                if (registered := registered_webhook(resource, queue)).state == "failing":
                    yield registered
        after = page.next
        if after is None:
            return


def registered_webhook(resource: Resource, queue: QueueStatus) -> RegisteredWebhook:
    """Return the webhook that a resource holds."""
    return RegisteredWebhook(
        merchant=resource.merchant, number=resource.number, url=resource.name,
        webhook=msgspec.json.decode(resource.body, type=Webhook), queue=queue,
    )
