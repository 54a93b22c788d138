"""Refusals in the words that are published, or known of the platform below."""

import msgspec
from starlette.types import Scope

from goodsgate.engine.refusal import Refusal
from goodsgate.http.problems import RETRY_AFTER_SECONDS, STATUSES
from goodsgate.protocols.mircate.answers import JSON
from goodsgate.protocols.mircate.answers import headers as own_headers
from goodsgate.protocols.mircate.guesses import BUSY_STATUS, DENIED, INVALID, NOT_FOUND, TOO_MANY

OWN_STATUSES = {"unauthorized": 403, "key_in_use": BUSY_STATUS, "merchant_unknown": 403}
"""Where this protocol's status is another than the gate's own."""


def problem_response(refusal: Refusal, _scope: Scope) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    status = OWN_STATUSES.get(refusal.code, STATUSES[refusal.code])
    headers = {"content-type": JSON, **own_headers()}
    after = refusal.details.get("retry_after_seconds", RETRY_AFTER_SECONDS.get(refusal.code))
    if after is not None:
        headers["retry-after"] = str(after)
    if status == 405:
        headers["allow"] = str(refusal.details["allow"])
    if status == 408:
        headers["connection"] = "close"
    return status, headers, msgspec.json.encode(_words(refusal, status))


def _words(refusal: Refusal, status: int) -> dict[str, object]:
    if status == 403:
        return {**DENIED}
    if status == 429:
        return {"message": TOO_MANY}
    if status == 404 and refusal.code != "item_unknown":
        return {"message": NOT_FOUND}
    if "error" in refusal.details:
        return {"message": refusal.detail, "error": refusal.details["error"]}
    if "products" in refusal.details:
        return {"message": refusal.detail, "products": refusal.details["products"]}
    if "issues" in refusal.details:
        return {**INVALID, "issues": refusal.details["issues"]}
    return {"message": refusal.detail}
