"""Webhooks of a gate: requests that are signed as Standard Webhooks says."""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping
from datetime import datetime

import msgspec

from goodsgate_client.errors import GoodsgateError
from goodsgate_client.models import Document, Model

SECRET_PREFIX = "whsec_"  # noqa: S105 - how a secret begins
AGE_SECONDS_MAX = 300.0
"""How far the time of a request may be from the receiver's clock."""


class WebhookError(GoodsgateError):
    """A request is not a webhook of the gate: answer it with 401 and do nothing else."""


class WebhookEvent(Model, frozen=True, kw_only=True):
    """What a webhook tells."""

    id: str = ""
    """The same in each attempt: an id that was seen before needs no further work."""
    type: str
    """`batch.finished`, `batch.broken`, `items.changed` and so on."""
    timestamp: datetime
    data: Document
    """Members of the event; `sequence` grows from event to event of a webhook."""


def verify_webhook(
    secret: str, headers: Mapping[str, str], body: bytes, *, age_seconds_max: float = AGE_SECONDS_MAX
) -> WebhookEvent:
    """Return the event of a request with a valid signature that is not older than allowed. Raises WebhookError.

    `secret` is what the gate answered when the webhook was added (``whsec_…``), `body` the body as it was received.
    """
    values = {name.lower(): value for name, value in headers.items()}
    id, sent_at = values.get("webhook-id", ""), values.get("webhook-timestamp", "")
    if not id or not sent_at.isdecimal():
        raise WebhookError("the request lacks webhook-id or webhook-timestamp")
    if abs(time.time() - int(sent_at[:15])) > age_seconds_max:
        raise WebhookError("the request is too old, or the clock of this machine is wrong")
    expected = hmac.digest(_key_of(secret), f"{id}.{sent_at}.".encode() + body, hashlib.sha256)
    signatures = (each.partition(",") for each in values.get("webhook-signature", "").split())
    if not any(version == "v1" and hmac.compare_digest(expected, _decoded(text)) for version, _, text in signatures):
        raise WebhookError("no signature of the request is valid; has the secret of the webhook changed?")
    try:
        return msgspec.convert({**msgspec.json.decode(body, type=Document), "id": id}, WebhookEvent)
    except msgspec.MsgspecError as error:
        raise WebhookError(f"the body is not an event: {error}") from error


def _key_of(secret: str) -> bytes:
    key = _decoded(secret.removeprefix(SECRET_PREFIX))
    if not key:
        raise ValueError("the secret of a webhook is whsec_ and base64")
    return key


def _decoded(text: str) -> bytes:
    """Return the bytes of a text in base64; none if it is not base64."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
