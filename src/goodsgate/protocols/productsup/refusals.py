"""Refusals as JSON:API errors, with the titles that are published."""

from http import HTTPStatus

import msgspec
from starlette.types import Scope

from goodsgate.engine.refusal import Refusal
from goodsgate.http.problems import RETRY_AFTER_SECONDS, STATUSES
from goodsgate.protocols.productsup.answers import JSON_API, errors
from goodsgate.protocols.productsup.guesses import PLATFORM, READING
from goodsgate.protocols.productsup.platform import failure
from goodsgate.protocols.productsup.rates import Rates

TITLES = {"unauthorized": "Access Denied", "item_unknown": "Stream ID not found", "batch_unknown": "Batch ID not found"}
"""Of codes whose title is not that of their status."""
NUMBERS = {"item_unknown": "13556"}
"""Of the vendor's example; what others would be is unknown."""
PHRASES = {413: "Payload Too Large", 429: "Too Many Requests"}
"""Where the interpreter's own differ from version to version."""


RATED = msgspec.json.encode({"errors": [{"status": "429", "title": "Too Many Requests"}]})
"""Published as it is."""


def problem_response(refusal: Refusal, scope: Scope, *, rates: Rates) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    status = STATUSES[refusal.code]
    headers = {"content-type": JSON_API, "cache-control": "no-store", **rates.headers(scope)}
    after = refusal.details.get("retry_after_seconds", RETRY_AFTER_SECONDS.get(refusal.code))
    if after is not None:
        headers["retry-after"] = str(after)
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    if status == 405:
        headers["allow"] = str(refusal.details["allow"])
    if status == 408:
        headers["connection"] = "close"
    if scope["path"].startswith((PLATFORM, READING)):
        headers["content-type"] = "application/json"
        return status, headers, failure(refusal, status)
    if refusal.code == "too_many_requests":
        return status, headers, RATED
    title = TITLES.get(refusal.code) or PHRASES.get(status) or HTTPStatus(status).phrase
    number = {"code": NUMBERS[refusal.code]} if refusal.code in NUMBERS else {}
    detail = "" if refusal.code in TITLES else refusal.detail
    return status, headers, msgspec.json.encode(errors(status, title, detail, **number))
