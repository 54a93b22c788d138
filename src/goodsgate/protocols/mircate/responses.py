"""Answers and refusals as this protocol sends them."""

import time

from starlette.responses import Response
from starlette.types import Scope

from goodsgate.engine.refusal import Refusal
from goodsgate.http.problems import RETRY_AFTER_SECONDS, STATUSES, refuse
from goodsgate.model.json_text import write_json
from goodsgate.protocols.mircate.unpublished import BUSY_STATUS, DENIED, INVALID, NOT_FOUND, TOO_MANY

JSON = "application/json"
TOO_DEEP = "The body is nested too deeply."
OWN_STATUSES = {"unauthorized": 403, "key_in_use": BUSY_STATUS, "merchant_unknown": 403}
"""Codes of refusals whose status differs from that of the gate's own API."""


def response_headers() -> dict[str, str]:
    """Return the headers of every answer; the time is in milliseconds since 1970, as far as is known."""
    return {"cache-control": "no-store", "x-srv-time": str(time.time_ns() // 1_000_000)}


def json_response(document: object = None, *, status: int = 200) -> Response:
    """Return a JSON document, or 204 if there is none."""
    if document is None:
        return Response(status_code=204, headers=response_headers())
    return Response(write_json(document), status_code=status, media_type=JSON, headers=response_headers())


def bad_request(message: str) -> Refusal:
    """Return the refusal 400 with this message."""
    return refuse("body_invalid", message)


def not_found(message: str = NOT_FOUND) -> Refusal:
    """Return the refusal 404 with this message."""
    return refuse("item_unknown", message)


def instance_busy(message: str = "The instance is busy; try again.") -> Refusal:
    """Return the refusal 570: another request is changing the same thing."""
    return refuse("key_in_use", message)


def problem_response(refusal: Refusal, _scope: Scope) -> tuple[int, dict[str, str], bytes]:
    """Return the status, headers and body of a refusal."""
    status = OWN_STATUSES.get(refusal.code, STATUSES[refusal.code])
    headers = {"content-type": JSON, **response_headers()}
    after = refusal.details.get("retry_after_seconds", RETRY_AFTER_SECONDS.get(refusal.code))
    if after is not None:
        headers["retry-after"] = str(after)
    if status == 405:
        headers["allow"] = str(refusal.details["allow"])
    if status == 408:
        headers["connection"] = "close"
    return status, headers, write_json(_problem_document(refusal, status))


def _problem_document(refusal: Refusal, status: int) -> dict[str, object]:
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
