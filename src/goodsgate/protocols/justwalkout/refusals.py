"""Refusals in the words of whoever would send them: the service, the platform in front of it, the storage, the gate."""

from typing import Any
from xml.sax.saxutils import escape

import msgspec
from starlette.types import Scope

from goodsgate.engine.refusal import Refusal
from goodsgate.http.endpoints import REQUEST_ID
from goodsgate.http.problems import RETRY_AFTER_SECONDS, problem
from goodsgate.protocols.justwalkout import guesses, sigv4

OWN = tuple(f"{guesses.PREFIX}{name}" for name in ("setup", "accessKeys", "planogram"))
"""Paths that are the gate's own and worded as it words them."""
REPORTS = f"{guesses.PREFIX}reports/"
TYPE = "x-amzn-errortype"

Worded = tuple[int, str, dict[str, Any]]
"""Status, name of the error, body."""

DENIED = "AccessDeniedException"


def problem_response(refusal: Refusal, scope: Scope) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    path: str = scope["path"]
    if path in OWN and refusal.code != "method_not_allowed":
        return problem(refusal, scope[REQUEST_ID])
    if path.startswith(REPORTS) and refusal.code != "method_not_allowed":
        return _storage(refusal, scope[REQUEST_ID])
    status, name, body = _words(refusal)
    headers = {"content-type": "application/json", "cache-control": "no-store", TYPE: name}
    after = refusal.facts.get("retry_after_seconds", RETRY_AFTER_SECONDS.get(refusal.code))
    if after is not None:
        headers["retry-after"] = str(after)
    if status == 408:
        headers["connection"] = "close"
    return status, headers, msgspec.json.encode(body)


def _words(refusal: Refusal) -> Worded:
    match refusal.code:
        case "not_found" | "method_not_allowed":
            return 403, sigv4.MISSING, {"message": "Missing Authentication Token"}
        case "unauthorized":
            return 403, str(refusal.facts["kind"]), {"message": refusal.detail}
        case "forbidden":
            return 403, DENIED, {"Message": refusal.detail}
        case "payload_too_large":
            return 413, "RequestTooLargeException", {"message": "Request Too Long"}
        case "upload_stalled":
            return 408, "RequestTimeoutException", {"message": "Request Timeout"}
        case "batch_unknown":
            return 400, "InvalidRequestException", {"errorMsg": guesses.INGESTION_WRONG}
        case "body_invalid":
            return 400, "BadRequestException", {"errorMsg": refusal.detail}
        case "body_incomplete" | "payload_empty" | "parameter_invalid":
            return 400, "BadRequestException", {"errorMsg": guesses.BODY_WRONG}
        case "too_many_requests" | "queue_full":
            return 429, "TooManyRequestsException", {"errorMsg": guesses.TOO_MANY_REQUESTS}
        case "store_busy" | "store_full":
            return 500, "InternalServerException", {"errorMsg": guesses.RETRY_ADVISED}
        case _:
            return 500, "InternalServerException", {"errorMsg": guesses.RETRY_NOT_ADVISED}


STORAGE = {
    "forbidden": (403, "AccessDenied"), "parameter_invalid": (400, "InvalidArgument"),
    "batch_unknown": (404, "NoSuchKey"), "not_found": (404, "NoSuchKey"), "store_busy": (503, "SlowDown"),
}
"""Refusal → status and code of S3."""


def _storage(refusal: Refusal, request_id: str) -> tuple[int, dict[str, str], bytes]:
    """As S3 words what is wrong with a presigned link."""
    status, code = STORAGE.get(refusal.code, (500, "InternalError"))
    code = str(refusal.facts.get("kind", code))
    message = "The specified key does not exist." if status == 404 else refusal.detail
    details: dict[str, str] = refusal.facts.get("told", {})  # type: ignore[assignment]  # facts are of any type
    members = {"Code": code, "Message": message, **details, "RequestId": request_id}
    told = "".join(f"<{name}>{escape(str(text))}</{name}>" for name, text in members.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{told}</Error>'
    return status, {"content-type": "application/xml", "cache-control": "no-store"}, body.encode()
