"""Events of orders on their way to whoever subscribed: signed after Standard Webhooks, to allowed addresses alone.

A host is resolve_host once for each attempt, every address that it has is looked at, and the connection goes to one of
those: a name that changes its mind between the look and the call leads nowhere else. Redirects are not followed.
"""

import base64
import hmac
import ipaddress
import socket
import time
from urllib.parse import SplitResult, urlsplit

import httpx
import msgspec

from goodsgate.engine.outbox import Undelivered
from goodsgate.engine.secrets import Secrets
from goodsgate.http.services import WebhookSettings
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Resource
from goodsgate.model.message import Message
from goodsgate.protocols.konnect.orders.events import WEBHOOK, WEBHOOKS_MAX, WebhookMessage
from goodsgate.protocols.konnect.orders.repository import ShipmentRepository
from goodsgate.store.contract import NameTakenError, Store

PORTS = {"http": 80, "https": 443}
GONE = 410
"""Whoever answers so wants no more (Standard Webhooks)."""


class AddressRefusedError(Exception):
    """The address is none, or not one that the operator allows; the message says why."""


class WebhookRegistry:
    """Where events of a merchant's orders go."""

    def __init__(self, store: Store, secrets: Secrets, hosts: frozenset[str]) -> None:
        self._store = store
        self._secrets = secrets
        self._hosts = hosts

    def add(self, merchant: str, url: str) -> dict[str, object]:
        """One more, or the one that there is; raises AddressRefused, ResourcesFullError."""
        parse_webhook_url(url, self._hosts)
        try:
            made = self._store.add_resource(merchant, WEBHOOK, name=url, body=b"{}", resources_max=WEBHOOKS_MAX)
        except NameTakenError as taken:
            held = self._store.resource(merchant, WEBHOOK, taken.number)
            if held is None:
                return self.add(merchant, url)
            made = held
        return self._words(made)

    def all(self, merchant: str) -> list[dict[str, object]]:
        """By number."""
        return [self._words(one) for one in self._store.resources(merchant, WEBHOOK, limit=WEBHOOKS_MAX)]

    def remove(self, merchant: str, number: int) -> dict[str, object] | None:
        """None if there is none; what waits for it is given up."""
        while (held := self._store.resource(merchant, WEBHOOK, number)) is not None:
            if self._store.put_resource(msgspec.structs.replace(held, expires_at=now())) is not None:
                return self._words(held)
        return None

    def _words(self, webhook: Resource) -> dict[str, object]:
        secret, _ = self._secrets.derived(WEBHOOK, _name(webhook.merchant, webhook.number))
        return {"webhook": webhook.number, "url": webhook.name, "secret": f"whsec_{_text(secret)}"}


class WebhookSender:
    """Carries events."""

    def __init__(self, store: Store, secrets: Secrets, settings: WebhookSettings, *, timeout_seconds: float) -> None:
        self._store = store
        self._secrets = secrets
        self._timeout_seconds = timeout_seconds
        self._settings = settings

    def carry(self, message: Message) -> None:
        """Raises Undelivered."""
        parting = msgspec.json.decode(message.body, type=WebhookMessage)
        webhook = self._store.resource(message.merchant, WEBHOOK, parting.webhook)
        if webhook is None:
            raise Undelivered("nobody wants it any more", final=True)
        try:
            address = parse_webhook_url(webhook.name, self._settings.hosts)
        except AddressRefusedError as fault:
            raise Undelivered(str(fault)) from fault
        place = resolve_host(address, private=self._settings.allow_private)
        content = parting.payload.encode()
        headers = self.sign(message, parting.webhook, content)
        try:
            status = self._post(address, place, headers, content)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as fault:
            raise Undelivered(f"{type(fault).__name__}: {fault}") from fault
        if not 200 <= status < 300:
            raise Undelivered(f"answered {status}", final=status == GONE)

    def sign(self, message: Message, webhook: int, content: bytes) -> dict[str, str]:
        """Headers of Standard Webhooks: one signature for each master secret that is good."""
        id, at = f"msg_{message.merchant}_{message.number}", int(time.time())
        name = _name(message.merchant, webhook)
        keys = [self._secrets.derived(WEBHOOK, name, by=master)[0] for master in self._secrets.names]
        signatures = [_text(hmac.digest(key, f"{id}.{at}.".encode() + content, "sha256")) for key in keys]
        return {
            "webhook-id": id, "webhook-timestamp": str(at),
            "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
        }

    def _post(self, address: SplitResult, place: str, headers: dict[str, str], content: bytes) -> int:
        """To the address that was looked at; the certificate must be the host's."""
        host = address.hostname or ""
        port = address.port or PORTS[address.scheme]
        url = httpx.URL(
            scheme=address.scheme, host=place, port=port,
            raw_path=f"{address.path or '/'}{'?' if address.query else ''}{address.query}".encode(),
        )
        with (
            httpx.Client(timeout=self._timeout_seconds, follow_redirects=False, trust_env=False) as client,
            client.stream(
                "POST", url, content=content, extensions={"sni_hostname": host},
                headers={"host": address.netloc.rpartition("@")[2], "content-type": "application/json", **headers},
            ) as answered,
        ):
            return answered.status_code


class DueEventRunner:
    """Lets happen what is due of a shipment, when the moment has come."""

    def __init__(self, book: ShipmentRepository) -> None:
        self._book = book

    def carry(self, message: Message) -> None:
        """Whatever became of it meanwhile; what is due later has a message of its own."""
        self._book.apply_due_event(message.merchant, message.subject)


def parse_webhook_url(url: str, hosts: frozenset[str]) -> SplitResult:
    """An address whose host is among these, or below one of ``*.host``; raises AddressRefused."""
    try:
        address = urlsplit(url)
        port = address.port or 0
    except ValueError as fault:
        raise AddressRefusedError(f"the address is none: {fault}") from fault
    host = (address.hostname or "").rstrip(".").lower()
    plain = url.isascii() and url.isprintable() and " " not in url and "@" not in address.netloc
    if address.scheme not in PORTS or not host or not plain or port > 65535:
        raise AddressRefusedError("the address must be like https://host/path, without a password")
    above = {f"*.{host[at + 1:]}" for at, letter in enumerate(host) if letter == "."}
    if not hosts & {host, "*", *above}:
        raise AddressRefusedError(f"the operator does not allow the host {host} (setting webhook_hosts)")
    return address


def resolve_host(address: SplitResult, *, private: bool) -> str:
    """One of a host's addresses, if all of them may be called; raises Undelivered."""
    host, port = address.hostname or "", address.port or PORTS[address.scheme]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as fault:
        raise Undelivered(f"the host {host} is not found: {fault}") from fault
    places = [str(place[4][0]).partition("%")[0] for place in found]
    for place in places:
        if not private and not is_public(place):
            raise Undelivered(f"the host {host} leads to the private address {place} (setting webhook_private)")
    return places[0]


def is_public(place: str) -> bool:
    """Whether an IP address is one of the world's, not of some network's own, nor a way round to one."""
    address = ipaddress.ip_address(place)
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is not None:
            return is_public(str(inner))
        if address in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
    return address.is_global and not address.is_multicast


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _name(merchant: str, webhook: int) -> str:
    return f"{merchant}/{webhook}"


def _text(secret: bytes) -> str:
    return base64.b64encode(secret).decode()
