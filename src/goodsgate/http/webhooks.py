"""Webhooks: signed, and sent to allowed addresses only.

Each attempt resolves the host once, checks every address of it, and connects to one of those. So a name that changes
its address between the check and the connection leads nowhere else. Redirects are not followed.
"""

import asyncio
import base64
import ssl
from collections.abc import Iterable, Mapping
from functools import cache
from time import monotonic
from urllib.parse import SplitResult, urlsplit

import httpx
from standardwebhooks.webhooks import Webhook

from goodsgate.engine.outbox import DeliveryError
from goodsgate.http.services import WebhookSettings
from goodsgate.model import tracing
from goodsgate.model.batch import now
from goodsgate.remote.guard import PrivateHostError, UnknownHostError, is_allowed, resolve

PORTS = {"http": 80, "https": 443}
GONE = 410
"""Status of a receiver that wants no more messages (Standard Webhooks)."""
UNAVAILABLE = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses of a receiver that takes no message at the moment, rather than not this one."""


class AddressRefusedError(Exception):
    """The address is malformed or not allowed by the operator; the message says why."""


class PrivateAddressError(DeliveryError):
    """The host has an address that is not public."""


def secret_text(key: bytes) -> str:
    """Return a secret as Standard Webhooks write it."""
    return f"whsec_{base64.b64encode(key).decode()}"


def signed_headers(id: str, payload: str, keys: Iterable[bytes]) -> dict[str, str]:
    """Return the headers of Standard Webhooks, with one signature for each key."""
    at = now().replace(microsecond=0)
    return {
        "webhook-id": id, "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(key).sign(id, at, payload) for key in keys),
    }


def post_webhook(url: str, headers: Mapping[str, str], content: bytes, *, settings: WebhookSettings,
                 timeout_seconds: float, topic: str, traceparent: str = "") -> None:
    """Post JSON to a URL, if it is allowed and its host has no private address. Raises DeliveryError.

    `traceparent` is the trace context of the request that has caused the message.
    """
    with tracing.delivery(topic, traceparent) as context:
        traced = {**headers, "traceparent": context} if context else headers
        _post_checked(url, traced, content, settings=settings, timeout_seconds=timeout_seconds)


def _post_checked(url: str, headers: Mapping[str, str], content: bytes, *, settings: WebhookSettings,
                  timeout_seconds: float) -> None:
    try:
        address = parse_webhook_url(url, settings.hosts)
    except AddressRefusedError as fault:
        raise DeliveryError(str(fault), unavailable=True) from fault
    began = monotonic()
    ip_address = resolve_host(address, private=settings.allow_private, timeout_seconds=timeout_seconds)
    left_seconds = max(0.0, timeout_seconds - (monotonic() - began))
    try:
        status = asyncio.run(_post(address, ip_address, headers, content, left_seconds))
    except TimeoutError as fault:
        raise DeliveryError(f"no answer within {timeout_seconds:g} s", unavailable=True) from fault
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as fault:
        raise DeliveryError(f"{type(fault).__name__}: {fault}", unavailable=True) from fault
    if not 200 <= status < 300:
        raise DeliveryError(f"answered {status}", final=status == GONE, unavailable=status in UNAVAILABLE)


async def _post(address: SplitResult, ip_address: str, headers: Mapping[str, str], content: bytes,
                timeout_seconds: float) -> int:
    """Post to the checked address and return the status; the certificate must be the host's.

    Asynchronous because only so the delivery as a whole has a time limit: a receiver may send a byte now and then.
    Raises TimeoutError.
    """
    url = httpx.URL(
        scheme=address.scheme, host=ip_address, port=address.port or PORTS[address.scheme],
        raw_path=f"{address.path or '/'}{'?' if address.query else ''}{address.query}".encode(),
    )
    async with (
        asyncio.timeout(timeout_seconds),
        httpx.AsyncClient(
            timeout=timeout_seconds, follow_redirects=False, trust_env=False, verify=_certificates()
        ) as client,
        client.stream(
            "POST", url, content=content, extensions={"sni_hostname": address.hostname or ""},
            headers={"host": address.netloc.rpartition("@")[2], "content-type": "application/json", **headers},
        ) as response,
    ):
        return response.status_code


@cache
def _certificates() -> ssl.SSLContext:
    """Return the certificates that are trusted; reading them takes longer than a delivery."""
    return httpx.create_ssl_context(trust_env=False)


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
    if not is_allowed(host, hosts):
        raise AddressRefusedError(f"the host {host} is not allowed (setting webhook_hosts)")
    return address


def resolve_host(address: SplitResult, *, private: bool, timeout_seconds: float) -> str:
    """Return one IP address of a host if all of them may be called; raise DeliveryError."""
    host, port = address.hostname or "", address.port or PORTS[address.scheme]
    try:
        return resolve(host, port, allow_private=private, timeout_seconds=timeout_seconds)
    except PrivateHostError as fault:
        raise PrivateAddressError(f"{fault} (setting webhook_private)", unavailable=True) from fault
    except UnknownHostError as fault:
        raise DeliveryError(str(fault), unavailable=True) from fault
