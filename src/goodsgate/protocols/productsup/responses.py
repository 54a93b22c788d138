"""Responses of the Stream API and of the companion Platform API: documents, errors and refusals."""

import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Scope

from goodsgate.engine.refusal import Refusal
from goodsgate.http.problems import RETRY_AFTER_SECONDS, STATUSES
from goodsgate.protocols.productsup.rates import PublishedRates
from goodsgate.protocols.productsup.unpublished import PLATFORM, READING

JSON_API = "application/vnd.api+json"

VALIDATION = "Validation error happened with stream payload"
VALIDATION_CODE = "13579"
"""The code in the vendor's example of a duplicate."""

TITLES = {"unauthorized": "Access Denied", "item_unknown": "Stream ID not found", "batch_unknown": "Batch ID not found"}
"""Titles of refusals that differ from the phrase of their status."""
CODES = {"item_unknown": "13556"}
"""The code in the vendor's example; those of other errors are unknown."""
PHRASES = {413: "Payload Too Large", 429: "Too Many Requests"}
"""Phrases that differ between versions of Python."""
TOO_MANY_REQUESTS = msgspec.json.encode({"errors": [{"status": "429", "title": "Too Many Requests"}]})
"""The published document, which has no other members."""


def json_api_response(document: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a response with a JSON:API document that must not be cached."""
    return Response(
        msgspec.json.encode(document), status_code=status, media_type=JSON_API,
        headers={"cache-control": "no-store", **(headers or {})},
    )


def error_document(status: int, title: str, detail: str = "", **more: Any) -> dict[str, list[dict[str, Any]]]:
    """Return the document of one error; its status is a text, as in the vendor's answers."""
    return {"errors": [{"id": str(uuid.uuid4()), "status": str(status), "title": title, "detail": detail, **more}]}


def platform_response(members: dict[str, Any]) -> Response:
    """Return a successful response of the Platform API."""
    return Response(
        msgspec.json.encode({"success": True, **members}), media_type="application/json",
        headers={"cache-control": "no-store"},
    )


def problem_response(refusal: Refusal, scope: Scope, *, rates: PublishedRates) -> tuple[int, dict[str, str], bytes]:
    """Return the status, headers and body of a refusal."""
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
        return status, headers, _platform_error(refusal, status)
    if status == 429:
        if refusal.code != "too_many_requests" or "quota" in refusal.details:
            headers.update(_full_window(headers, int(str(after or 0))))
        return status, headers, TOO_MANY_REQUESTS
    title = TITLES.get(refusal.code) or PHRASES.get(status) or HTTPStatus(status).phrase
    code = {"code": CODES[refusal.code]} if refusal.code in CODES else {}
    detail = "" if refusal.code in TITLES else refusal.detail
    return status, headers, msgspec.json.encode(error_document(status, title, detail, **code))


def _full_window(headers: Mapping[str, str], seconds: int) -> dict[str, str]:
    """Return rate headers that say when to come again, for a refusal by another limit than the published rate."""
    if "ratelimit-limit" not in headers:
        return {}
    return {
        "ratelimit-observed": headers["ratelimit-limit"], "ratelimit-remaining": "0",
        "ratelimit-reset": str(int(time.time()) + seconds),
    }


def _platform_error(refusal: Refusal, status: int) -> bytes:
    """Return an error of the Platform API, with the published message if there is one."""
    message = {
        401: "Unauthorized", 403: "You don't have the rights to access this resource",
        404: "The requested resource could not be found",
    }.get(status, refusal.detail)
    return msgspec.json.encode({"success": False, "message": message})


def format_time(moment: datetime) -> str:
    """Return a time as ``2021-12-21T21:12:21+00:00``; a client refuses fractions of a second."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}+00:00"
