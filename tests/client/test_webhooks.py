"""Requests of webhooks, as the gate signs them."""

import base64
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from goodsgate_client import WebhookError, verify_webhook

SECRET = f"whsec_{base64.b64encode(b'k' * 32).decode()}"
BODY = json.dumps({
    "type": "batch.finished", "timestamp": "2026-01-31T08:15:00Z",
    "data": {"sequence": 3, "batch": "b", "label": "Größe"},
}, ensure_ascii=False)


def headers(*, secret: str = SECRET, age_seconds: float = 0.0, body: str = BODY) -> dict[str, str]:
    """Return the headers of a request that was signed some time ago."""
    sent_at = datetime.fromtimestamp(time.time() - age_seconds, UTC)
    return {
        "Webhook-Id": "m-1", "Webhook-Timestamp": str(int(sent_at.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("m-1", sent_at, body),
    }


def test_an_event_has_its_id_type_and_data() -> None:
    """The names of headers may be in any case; one of several signatures is enough, as after a rotation."""
    sent = headers()
    sent["Webhook-Signature"] = f"v1,AAAA v2,x {sent['Webhook-Signature']}"
    event = verify_webhook(SECRET, sent, BODY.encode())
    assert (event.id, event.type, event.data["sequence"]) == ("m-1", "batch.finished", 3)
    assert event.timestamp == datetime(2026, 1, 31, 8, 15, tzinfo=UTC)


OTHER = f"whsec_{base64.b64encode(b'x' * 32).decode()}"


@pytest.mark.parametrize(("sent", "body", "reason"), [
    (lambda: headers(secret=OTHER), BODY, "no signature"), (headers, BODY + " ", "no signature"),
    (lambda: headers(age_seconds=400), BODY, "too old"), (lambda: headers(age_seconds=-400), BODY, "too old"),
    (dict, BODY, "lacks webhook-id"), (lambda: headers() | {"Webhook-Timestamp": "x"}, BODY, "lacks webhook-id"),
    (lambda: headers() | {"Webhook-Signature": ""}, BODY, "no signature"),
    (lambda: headers() | {"Webhook-Signature": "v1 v1,ä v1,"}, BODY, "no signature"),
    (lambda: headers(body="[1]"), "[1]", "not an event"), (lambda: headers(body="{}"), "{}", "not an event"),
])
def test_a_request_that_is_no_webhook_is_refused(sent: Callable[[], dict[str, str]], body: str, reason: str) -> None:
    """Of somebody else, changed, old, or incomplete; signed when the test runs, not when it is collected."""
    with pytest.raises(WebhookError, match=reason):
        verify_webhook(SECRET, sent(), body.encode())


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_ä"])
def test_a_secret_that_is_none_is_an_error_of_the_receiver(secret: str) -> None:
    """No request would fit, or any."""
    with pytest.raises(ValueError, match="whsec_ and base64"):
        verify_webhook(secret, headers(), BODY.encode())
