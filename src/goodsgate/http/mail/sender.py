"""Sends mail about batches and sources, a limited number an hour to the receivers of a merchant."""

import threading
from collections import OrderedDict, deque
from time import monotonic

import msgspec

from goodsgate.engine.outbox import DeliveryError
from goodsgate.engine.webhooks import RegisteredWebhook
from goodsgate.http.mail.smtp import MailAddressError, MailText, parse_mail_address, send_mail
from goodsgate.http.mail.texts import GROUPS_MAX, MailTexts
from goodsgate.http.services import MailSettings
from goodsgate.model.counting import counted
from goodsgate.model.message import Message
from goodsgate.model.webhook import (
    DESTINATION_EVENTS,
    SOURCE_EVENTS,
    BatchEvent,
    DestinationEvent,
    SourceEvent,
    WebhookEvent,
)
from goodsgate.store.contract import Store

HOUR_SECONDS = 3_600.0
MERCHANTS_MAX = 10_000
"""Merchants whose mails are counted; beyond them those with the oldest are forgotten."""


class MailSender:
    """Sends the messages to webhooks with a ``mailto:`` address. Safe for threads."""

    def __init__(self, store: Store, settings: MailSettings | None, *, base_url: str, timeout_seconds: float) -> None:
        """Without settings every mail waits until there are some."""
        self._store = store
        self._settings = settings
        self._timeout_seconds = timeout_seconds
        self._texts = MailTexts(settings, base_url=base_url) if settings is not None else None
        self._lock = threading.Lock()
        self._sent: OrderedDict[str, deque[float]] = OrderedDict()
        """Merchant → when mails were sent in the last hour, on the monotonic clock."""

    def send(self, receiver: RegisteredWebhook, message: Message, event: WebhookEvent, *, id: str) -> None:
        """Send the mail about a message. Raises DeliveryError."""
        if event in SOURCE_EVENTS:
            text = self._require_texts().source(receiver, msgspec.json.decode(message.body, type=SourceEvent))
        elif event in DESTINATION_EVENTS:
            text = self._require_texts().destination(receiver, msgspec.json.decode(message.body, type=DestinationEvent))
        else:
            text = self._batch(receiver, msgspec.json.decode(message.body, type=BatchEvent))
        self._send(receiver, text, id)

    def test(self, receiver: RegisteredWebhook, *, id: str) -> None:
        """Send a test mail. Raises DeliveryError."""
        self._send(receiver, self._require_texts().test(receiver), id)

    def _batch(self, receiver: RegisteredWebhook, event: BatchEvent) -> MailText:
        batch = self._store.batch(receiver.merchant, event.batch)
        groups = self._store.issue_groups(receiver.merchant, event.batch, limit=GROUPS_MAX + 1)
        return self._require_texts().batch(receiver, event, batch, groups)

    def _require_texts(self) -> MailTexts:
        if self._texts is None:
            raise DeliveryError("this gate sends no mail (setting mail_host)", unavailable=True)
        return self._texts

    def _send(self, receiver: RegisteredWebhook, text: MailText, id: str) -> None:
        settings = self._settings
        try:
            address = parse_mail_address(receiver.url, settings)
        except MailAddressError as fault:
            raise DeliveryError(str(fault), unavailable=True) from fault
        assert settings is not None
        with self._lock:
            sent = self._sent.get(receiver.merchant, deque())
            is_full = len(sent) == settings.per_hour_max and monotonic() - sent[0] < HOUR_SECONDS
        if is_full:
            count = counted(settings.per_hour_max, "mail was", "mails were")
            reason = f"{count} sent in the last hour (setting mails_per_hour_max); this one waits"
            raise DeliveryError(reason, unavailable=True)
        send_mail(settings, address, text, id=id, timeout_seconds=self._timeout_seconds)
        with self._lock:
            self._sent.setdefault(receiver.merchant, deque(maxlen=settings.per_hour_max)).append(monotonic())
            self._sent.move_to_end(receiver.merchant)
            if len(self._sent) > MERCHANTS_MAX:
                self._sent.popitem(last=False)
