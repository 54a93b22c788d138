"""Webhooks of order events: signed as Standard Webhooks, and sent to allowed addresses only.

Each attempt resolves the host once, checks every address of it, and connects to one of those. So a name that changes
its address between the check and the connection leads nowhere else. Redirects are not followed.
"""

import asyncio
import base64
import socket
from urllib.parse import SplitResult, urlsplit

import httpx
import msgspec
from standardwebhooks.webhooks import Webhook

from goodsgate.engine.outbox import DeliveryError
from goodsgate.engine.secrets import Secrets
from goodsgate.http.services import WebhookSettings
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Resource
from goodsgate.model.message import Message
from goodsgate.protocols.konnect.orders.addresses import is_public
from goodsgate.protocols.konnect.orders.events import WEBHOOK, WEBHOOKS_MAX, WebhookMessage
from goodsgate.protocols.konnect.orders.repository import ShipmentRepository
from goodsgate.store.contract import NameTakenError, Store

PORTS = {"http": 80, "https": 443}
GONE = 410
"""Status of a receiver that wants no more messages (Standard Webhooks)."""


class AddressRefusedError(Exception):
    """The address is malformed or not allowed by the operator; the message says why."""


class WebhookRegistry:
    """The webhook addresses of merchants."""

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
        return {
            "webhook": webhook.number, "url": webhook.name, "secret": f"whsec_{base64.b64encode(secret).decode()}",
        }


class WebhookSender:
    """Sends messages to webhooks."""

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
        try:
            address = parse_webhook_url(webhook.name, self._settings.hosts)
        except AddressRefusedError as fault:
            raise DeliveryError(str(fault)) from fault
        ip_address = resolve_host(address, private=self._settings.allow_private)
        headers = self.sign(message, body.webhook, body.payload)
        try:
            status = asyncio.run(self._post(address, ip_address, headers, body.payload.encode()))
        except TimeoutError as fault:
            raise DeliveryError(f"no answer within {self._timeout_seconds:g} s") from fault
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as fault:
            raise DeliveryError(f"{type(fault).__name__}: {fault}") from fault
        if not 200 <= status < 300:
            raise DeliveryError(f"answered {status}", final=status == GONE)

    def sign(self, message: Message, webhook: int, payload: str) -> dict[str, str]:
        """Return the headers of Standard Webhooks, with one signature for each valid master secret."""
        id, at = f"msg_{message.merchant}_{message.number}", now().replace(microsecond=0)
        name = _secret_name(message.merchant, webhook)
        keys = [self._secrets.derived(WEBHOOK, name, by=master)[0] for master in self._secrets.names]
        return {
            "webhook-id": id, "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(Webhook(key).sign(id, at, payload) for key in keys),
        }

    async def _post(self, address: SplitResult, ip_address: str, headers: dict[str, str], content: bytes) -> int:
        """Post to the checked address and return the status; the certificate must be the host's.

        Asynchronous because only so the delivery as a whole has a time limit: a receiver may send a byte now and then.
        Raises TimeoutError.
        """
        url = httpx.URL(
            scheme=address.scheme, host=ip_address, port=address.port or PORTS[address.scheme],
            raw_path=f"{address.path or '/'}{'?' if address.query else ''}{address.query}".encode(),
        )
        async with (
            asyncio.timeout(self._timeout_seconds),
            httpx.AsyncClient(timeout=self._timeout_seconds, follow_redirects=False, trust_env=False) as client,
            client.stream(
                "POST", url, content=content, extensions={"sni_hostname": address.hostname or ""},
                headers={"host": address.netloc.rpartition("@")[2], "content-type": "application/json", **headers},
            ) as response,
        ):
            return response.status_code


class DueEventRunner:
    """Applies the due event of a shipment when its time has come."""

    def __init__(self, shipments: ShipmentRepository) -> None:
        self._shipments = shipments

    def send(self, message: Message) -> None:
        """Apply what is due of the message's shipment; later events have messages of their own."""
        self._shipments.apply_due_event(message.merchant, message.subject)


def parse_webhook_url(url: str, hosts: frozenset[str]) -> SplitResult:
    """Return the parts of a URL whose host is in `hosts`, or below one of ``*.host``; raise AddressRefusedError."""
    try:
        address = urlsplit(url)
        port = address.port or 0
    except ValueError as fault:
        raise AddressRefusedError(f"the URL is malformed: {fault}") from fault
    host = (address.hostname or "").rstrip(".").lower()
    plain = url.isascii() and url.isprintable() and " " not in url and "@" not in address.netloc
    if address.scheme not in PORTS or not host or not plain or port > 65535:
        raise AddressRefusedError("the URL must be like https://host/path, without a password")
    wildcards = {f"*.{host[at + 1:]}" for at, letter in enumerate(host) if letter == "."}
    if not hosts & {host, "*", *wildcards}:
        raise AddressRefusedError(f"the host {host} is not allowed (setting webhook_hosts)")
    return address


def resolve_host(address: SplitResult, *, private: bool) -> str:
    """Return one IP address of a host if all of them may be called; raise DeliveryError."""
    host, port = address.hostname or "", address.port or PORTS[address.scheme]
    try:
        results = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as fault:
        raise DeliveryError(f"the host {host} is not found: {fault}") from fault
    ip_addresses = [str(result[4][0]).partition("%")[0] for result in results]
    for ip_address in ip_addresses:
        if not private and not is_public(ip_address):
            raise DeliveryError(f"the host {host} has the private address {ip_address} (setting webhook_private)")
    return ip_addresses[0]


def _secret_name(merchant: str, webhook: int) -> str:
    return f"{merchant}/{webhook}"
