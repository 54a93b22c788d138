"""The webhooks of merchants: added, changed, paused, rotated and deleted.

A secret is derived from a master secret of the gate and a random name, which is all that is stored of it.
"""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from goodsgate.engine.idempotency import RequestKey
from goodsgate.engine.outbox import DeliveryError
from goodsgate.engine.secrets import Secrets
from goodsgate.engine.webhooks import WEBHOOKS_MAX, RegisteredWebhook, registered_webhook
from goodsgate.http.mail.smtp import MailAddressError, is_mail, parse_mail_address
from goodsgate.http.problems import refuse
from goodsgate.http.services import WebhookSettings
from goodsgate.http.webhooks import (
    AddressRefusedError,
    PrivateAddressError,
    parse_webhook_url,
    resolve_host,
    secret_text,
)
from goodsgate.model.audit import note
from goodsgate.model.batch import Kind, now
from goodsgate.model.catalogue import OneLine, Resource
from goodsgate.model.journal import JournalPosition
from goodsgate.model.message import DeliveryState, QueueStatus
from goodsgate.model.webhook import MAIL_EVENTS, WEBHOOK, Webhook, WebhookEvent, WebhookSecret, When
from goodsgate.store.contract import Idempotency, NameTakenError, ResourcesFullError, Store

NAME_BYTES = 12
"""Random bytes of a secret's name."""
SECRETS_MAX = 3
"""Secrets of a webhook that sign at the same time; one more rotation ends the oldest."""
PAGE_MESSAGES = 1_000
RESOLVE_SECONDS = 3.0
"""A name that is not found so soon may be added; it is checked at each delivery."""

Collection = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]


class WebhookChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a webhook is to be, or changes to it; None keeps what is there."""

    url: Annotated[str, Meta(min_length=1, max_length=2_000)] | None = None
    events: Annotated[tuple[WebhookEvent, ...], Meta(min_length=1, max_length=20)] | None = None
    kinds: Annotated[tuple[Kind, ...], Meta(max_length=len(Kind))] | None = None
    collections: Annotated[tuple[Collection, ...], Meta(max_length=20)] | None = None
    description: OneLine | None = None
    when: When | None = None


class Answer(msgspec.Struct, frozen=True):
    """The answer to a request with an idempotency key, stored with its effect."""

    key: RequestKey
    serialize: Callable[[RegisteredWebhook], bytes]


class WebhookRegistry:
    """The webhooks of all merchants; numbers are those of one merchant. Safe for threads.

    Methods that change a webhook store the given answer in the same transaction; if the webhook does not exist, they
    raise webhook_unknown.
    """

    def __init__(self, store: Store, secrets: Secrets, settings: WebhookSettings) -> None:
        self._store = store
        self._secrets = secrets
        self._settings = settings

    def add(self, merchant: str, change: WebhookChange, *, answer: Answer | None = None) -> RegisteredWebhook:
        """Add a webhook. Raises webhook_refused, webhook_taken, webhooks_full."""
        assert change.url is not None
        self._check_url(change.url)
        note(subject=_audited(change.url))
        mail = is_mail(change.url)
        webhook = Webhook(
            events=change.events or (MAIL_EVENTS if mail else tuple(WebhookEvent)), kinds=change.kinds or (),
            collections=change.collections or (), description=change.description or "", created_at=now(),
            when=change.when or ("problems" if mail else "always"), only_first_round=mail, secrets=(_new_secret(),),
            changes_until=self._store.journal_position(merchant),
        )
        _check_events(webhook, sends_mail=mail)
        try:
            resource = self._store.add_resource(
                merchant, WEBHOOK, name=change.url, body=msgspec.json.encode(webhook), labels=webhook.labels(),
                resources_max=self._settings.webhooks_max, idempotency=_idempotency(answer, QueueStatus()),
            )
        except NameTakenError as taken:
            raise refuse("webhook_taken", webhook=taken.number) from taken
        except ResourcesFullError as full:
            raise refuse("webhooks_full", limit=self._settings.webhooks_max) from full
        return registered_webhook(resource, QueueStatus())

    def all(self, merchant: str) -> list[RegisteredWebhook]:
        """Return the webhooks of a merchant by number."""
        resources = self._store.resources(merchant, WEBHOOK, limit=WEBHOOKS_MAX)
        return [registered_webhook(each, self._queue(merchant, each.number)) for each in resources]

    def webhook(self, merchant: str, number: int) -> RegisteredWebhook:
        """Return a webhook. Raises webhook_unknown."""
        return registered_webhook(self._resource(merchant, number), self._queue(merchant, number))

    def find(self, merchant: str, number: int) -> RegisteredWebhook | None:
        """Return a webhook without how its messages fare; None if there is none."""
        resource = self._store.resource(merchant, WEBHOOK, number)
        return registered_webhook(resource, QueueStatus()) if resource is not None else None

    def change(self, merchant: str, number: int, change: WebhookChange) -> RegisteredWebhook:
        """Change a webhook. Raises webhook_refused, webhook_taken."""
        if change.url is not None:
            self._check_url(change.url)
            note(host=_audited(change.url))
        fields: dict[str, Any] = {
            name: value for name in ("events", "kinds", "collections", "description", "when")
            if (value := getattr(change, name)) is not None
        }
        if change.url is not None:
            fields["only_first_round"] = is_mail(change.url)
        position = self._store.journal_position(merchant)
        name = self._resource(merchant, number).name

        def replace(webhook: Webhook) -> Webhook:
            changed = msgspec.structs.replace(webhook, **fields)
            _check_events(changed, sends_mail=is_mail(change.url or name))
            is_new = WebhookEvent.ITEMS_CHANGED in changed.events and WebhookEvent.ITEMS_CHANGED not in webhook.events
            return msgspec.structs.replace(changed, changes_until=position) if is_new else changed

        return self._update(merchant, number, replace, url=change.url)

    def pause(self, merchant: str, number: int, *, reason: str = "", answer: Answer | None = None,
              ) -> RegisteredWebhook:
        """Let the messages of a webhook wait."""
        def pause(webhook: Webhook) -> Webhook:
            if webhook.paused_at is not None:
                return webhook
            return msgspec.structs.replace(webhook, paused_at=now(), pause_reason=reason)

        return self._update(merchant, number, pause, answer=answer)

    def resume(self, merchant: str, number: int, *, answer: Answer | None = None) -> RegisteredWebhook:
        """Send the messages that wait, and those that failed, now."""
        def resume(webhook: Webhook) -> Webhook:
            return msgspec.structs.replace(webhook, paused_at=None, pause_reason="")

        resumed = self._update(merchant, number, resume, answer=answer)
        self._store.release_messages(merchant, WEBHOOK, str(number))
        return resumed

    def record_changes(self, merchant: str, number: int, position: JournalPosition) -> None:
        """Record which changes of items were told."""
        def record(webhook: Webhook) -> Webhook:
            return msgspec.structs.replace(webhook, changes_until=position)

        self._update(merchant, number, record, with_queue=False)

    def note_test(self, merchant: str, number: int, *, has_arrived: bool, answer: Answer | None = None,
                  ) -> RegisteredWebhook:
        """Record a test delivery; if it arrived, what failed before is sent now."""
        def note(webhook: Webhook) -> Webhook:
            return msgspec.structs.replace(webhook, tested_at=now()) if has_arrived else webhook

        noted = self._update(merchant, number, note, answer=answer)
        if has_arrived and noted.webhook.paused_at is None:
            self._store.release_messages(merchant, WEBHOOK, str(number))
        return noted

    def rotate(self, merchant: str, number: int, *, overlap_seconds: float | None = None, answer: Answer | None = None,
               ) -> RegisteredWebhook:
        """Give a webhook a new secret; the old one also signs for a while."""
        secret = _new_secret()
        overlap = self._settings.overlap_seconds if overlap_seconds is None else overlap_seconds
        until = now() + timedelta(seconds=overlap)

        def rotate(webhook: Webhook) -> Webhook:
            old = [
                msgspec.structs.replace(each, expires_at=min(until, each.expires_at or until))
                for each in webhook.secrets
            ]
            kept = [each for each in old if _is_valid(each, now())][: SECRETS_MAX - 1]
            return msgspec.structs.replace(webhook, secrets=(secret, *kept))

        return self._update(merchant, number, rotate, answer=answer)

    def delete(self, merchant: str, number: int) -> None:
        """Delete a webhook; its waiting messages will be given up."""
        while True:
            resource = self._resource(merchant, number)
            if self._store.put_resource(msgspec.structs.replace(resource, expires_at=now()), labels=()) is not None:
                self._store.release_messages(merchant, WEBHOOK, str(number))
                return

    def replay(self, merchant: str, number: int, numbers: Sequence[int] | None, *,
               idempotency: Idempotency[int] | None = None) -> int:
        """Send messages again, None: all that were given up; return how many. Raises body_invalid."""
        self._resource(merchant, number)
        if numbers is None:
            numbers = self._given_up(merchant, number)
        for each in numbers:
            page = self._store.messages(merchant, topic=WEBHOOK, after=each - 1, limit=1)
            if not page or (page[0].number, page[0].subject) != (each, str(number)):
                raise refuse("body_invalid", f"The webhook has no message {each}.", message=each)
        return self._store.replay(merchant, numbers, idempotency=idempotency)

    def _given_up(self, merchant: str, number: int) -> list[int]:
        numbers: list[int] = []
        before: int | None = None
        while page := self._store.newest_messages(
            merchant, WEBHOOK, str(number), delivery_state=DeliveryState.GIVEN_UP, before=before, limit=PAGE_MESSAGES,
        ):
            numbers += [message.number for message in page]
            before = page[-1].number
        return numbers[::-1]

    def current_master(self) -> str:
        """Return the name of the master secret that derives new secrets."""
        return self._secrets.derived(WEBHOOK, "")[1]

    def secret(self, merchant: str, number: int, name: str, *, by: str) -> str:
        """Return a secret of a webhook by its name and that of its master secret. Raises UnknownMasterError."""
        key, _ = self._secrets.derived(WEBHOOK, _derived_name(merchant, number, name), by=by)
        return secret_text(key)

    def keys(self, registered: RegisteredWebhook) -> list[bytes]:
        """Return the keys that sign now, the newest first, for each valid master secret."""
        at = now()
        return [
            self._secrets.derived(WEBHOOK, _derived_name(registered.merchant, registered.number, secret.name), by=by)[0]
            for secret in registered.webhook.secrets if _is_valid(secret, at) for by in self._secrets.names
        ]

    def _check_url(self, url: str) -> None:
        try:
            if is_mail(url):
                parse_mail_address(url, self._settings.mail)
                return
            address = parse_webhook_url(url, self._settings.hosts)
            resolve_host(address, private=self._settings.allow_private, timeout_seconds=RESOLVE_SECONDS)
        except (AddressRefusedError, PrivateAddressError, MailAddressError) as fault:
            raise refuse("webhook_refused", f"{str(fault)[:1].upper()}{str(fault)[1:]}.", url=url) from fault
        except DeliveryError:
            return  # the name may be known when the first event is sent

    def _resource(self, merchant: str, number: int) -> Resource:
        resource = self._store.resource(merchant, WEBHOOK, number)
        if resource is None:
            raise refuse("webhook_unknown")
        return resource

    def _queue(self, merchant: str, number: int) -> QueueStatus:
        return self._store.queue_status(merchant, WEBHOOK, str(number))

    def _update(self, merchant: str, number: int, change: Callable[[Webhook], Webhook], *, url: str | None = None,
                answer: Answer | None = None, with_queue: bool = True) -> RegisteredWebhook:
        while True:
            resource = self._resource(merchant, number)
            queue = self._queue(merchant, number) if with_queue else QueueStatus()
            webhook = change(msgspec.json.decode(resource.body, type=Webhook))
            changed = msgspec.structs.replace(resource, name=url or resource.name, body=msgspec.json.encode(webhook))
            idempotency = _idempotency(answer, queue)
            try:
                stored = self._store.put_resource(changed, labels=webhook.labels(), idempotency=idempotency)
            except NameTakenError as taken:
                raise refuse("webhook_taken", webhook=taken.number) from taken
            if stored is not None:
                return registered_webhook(stored, queue)


def _idempotency(answer: Answer | None, queue: QueueStatus) -> Idempotency[Resource] | None:
    if answer is None:
        return None
    return answer.key.answered_by(lambda resource: answer.serialize(registered_webhook(resource, queue)))


def _audited(url: str) -> str | None:
    """Return what the audit log has of a URL, the rest of which may be a secret."""
    return url.partition("@")[2] if is_mail(url) else urlsplit(url).hostname


def _check_events(webhook: Webhook, *, sends_mail: bool) -> None:
    """Raise body_invalid if a webhook for mail is to be told of changed items, of which there may be many a second."""
    if sends_mail and WebhookEvent.ITEMS_CHANGED in webhook.events:
        raise refuse("body_invalid", "No mail is sent about items.changed; choose other events.")


def _new_secret() -> WebhookSecret:
    return WebhookSecret(name=secrets.token_hex(NAME_BYTES))


def _is_valid(secret: WebhookSecret, at: datetime) -> bool:
    return secret.expires_at is None or secret.expires_at > at


def _derived_name(merchant: str, number: int, secret: str) -> str:
    return f"{merchant}/{number}/{secret}"
