"""Webhooks that are told of changed items: at most one message waits for each, and says what changed when it is sent.

Nothing is stored with a change. The outbox compares the last number of the journal with what a webhook was told, so
that no change is missed, whoever made it, and a bulk load costs one message at a time.
"""

from datetime import timedelta

import msgspec

from goodsgate.model.batch import Kind, now
from goodsgate.model.message import DeliveryState, Message, NewMessage
from goodsgate.model.webhook import ITEMS_CHANGED_LABEL, WEBHOOK, MessageHead, Webhook, WebhookEvent
from goodsgate.store.contract import Store

BODY = msgspec.json.encode(MessageHead(event=WebhookEvent.ITEMS_CHANGED))
REFUSED_PAUSE = timedelta(seconds=60)
"""A message that was refused is sent again after further changes, but not sooner."""
PAGE_MESSAGES = 100

WebhookId = tuple[str, int]


class ItemChangeSource:
    """Stores a message for each webhook that asks for changes of items and has not been told of some."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._handled: dict[WebhookId, int] = {}
        """Last number of the journal that needs no further look."""
        self._waiting: dict[WebhookId, int] = {}
        """Number of the message that was waiting when last seen."""
        self._sent_again: dict[WebhookId, int] = {}
        """Last number of the journal when its message was sent again."""

    def store_messages(self) -> None:
        """Compare the journal with what the webhooks were told."""
        webhooks = self._store.labelled(WEBHOOK, ITEMS_CHANGED_LABEL)
        if not webhooks:
            return
        last = self._store.journal_numbers([*{merchant for merchant, _ in webhooks}])
        for merchant, number in webhooks:
            if merchant in last and self._handled.get((merchant, number)) != last[merchant]:
                self._look(merchant, number, last[merchant])
        if len(self._handled) > 2 * len(webhooks):  # most of them were deleted
            for known in (self._handled, self._waiting, self._sent_again):
                known.clear()

    def _look(self, merchant: str, number: int, last: int) -> None:
        """Store a message if there are changes that no waiting message will tell."""
        message = self._waiting_message(merchant, number)
        if message is not None:
            if not message.in_order:
                self._send_again(message, last)
            return
        resource = self._store.resource(merchant, WEBHOOK, number)
        if resource is None:
            return
        webhook = msgspec.json.decode(resource.body, type=Webhook)
        after = max(webhook.changes_until.number, self._handled.get((merchant, number), 0))
        if after > last:  # an older backup was restored
            after = 0
        if _accepted(webhook, self._store.count_changes(merchant, after=after, until=last)):
            added = NewMessage(topic=WEBHOOK, subject=str(number), body=BODY, in_order=True)
            self._store.put_resource(resource, messages=[added])  # no effect if another process was faster
        else:
            self._handled[merchant, number] = last

    def _send_again(self, message: Message, last: int) -> None:
        """Send a message that was refused again, because there are further changes."""
        webhook = message.merchant, int(message.subject)
        is_old = bool(message.history) and message.history[-1].at < now() - REFUSED_PAUSE
        if is_old and self._sent_again.get(webhook) != last:
            self._store.replay(message.merchant, [message.number])
            self._sent_again[webhook] = last

    def _waiting_message(self, merchant: str, number: int) -> Message | None:
        """Return the message of the webhook that waits, or is on its way."""
        known = self._waiting.pop((merchant, number), None)
        if known is not None:
            found = self._store.messages(merchant, topic=WEBHOOK, after=known - 1, limit=1)
            if found and found[0].number == known and found[0].delivery_state is DeliveryState.WAITING:
                self._waiting[merchant, number] = known
                return found[0]
        before: int | None = None
        while page := self._store.newest_messages(
            merchant, WEBHOOK, str(number), delivery_state=DeliveryState.WAITING, before=before, limit=PAGE_MESSAGES,
        ):
            for message in page:
                if message.body == BODY:
                    self._waiting[merchant, number] = message.number
                    return message
            before = page[-1].number
        return None


def unreported_changes(store: Store, merchant: str, webhook: Webhook, *, until: int) -> list[tuple[Kind, str, int]]:
    """Return kind, collection and number of the changes that a webhook has not been told of and asks for."""
    after = webhook.changes_until.number if webhook.changes_until.number <= until else 0
    return _accepted(webhook, store.count_changes(merchant, after=after, until=until))


def _accepted(webhook: Webhook, counts: list[tuple[Kind, str, int]]) -> list[tuple[Kind, str, int]]:
    return [(kind, collection, count) for kind, collection, count in counts if webhook.accepts(kind, collection)]
