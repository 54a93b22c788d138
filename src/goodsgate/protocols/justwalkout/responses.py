"""Responses of this protocol: JSON documents, and refusals in the form of the component that would send them.

These are the Catalog service, API Gateway in front of it, S3 for reports, STS, and the gate for its own paths.
"""

import logging
from typing import Any
from xml.sax.saxutils import escape

import msgspec
from starlette.responses import Response
from starlette.types import Scope

from goodsgate.engine.refusal import Refusal
from goodsgate.http.endpoints import REQUEST_ID
from goodsgate.http.problems import RETRY_AFTER_SECONDS, STATUSES, problem
from goodsgate.protocols.justwalkout import sigv4, unpublished

log = logging.getLogger(__name__)

OWN = tuple(f"{unpublished.PREFIX}{name}" for name in ("setup", "accessKeys", "planogram"))
"""Paths that only the gate has; their refusals are problem documents."""
REPORTS = f"{unpublished.PREFIX}reports/"
STS = f"{unpublished.PREFIX}sts"
STS_NAMESPACE, XML = "https://sts.amazonaws.com/doc/2011-06-15/", "text/xml"
TYPE = "x-amzn-errortype"
REASON = "x-goodsgate-reason"
"""Header of a 400 with what the vendor's texts do not say."""
REASON_CHARACTERS_MAX = 500
DENIED = "AccessDeniedException"

STORAGE = {
    "forbidden": (403, "AccessDenied"), "parameter_invalid": (400, "InvalidArgument"),
    "batch_unknown": (404, "NoSuchKey"), "not_found": (404, "NoSuchKey"), "store_busy": (503, "SlowDown"),
}
"""Code of a refusal → status and error code of S3."""


def json_response(document: object, *, status: int = 200) -> Response:
    """Return a response with a JSON document that must not be cached."""
    content = msgspec.json.encode(document)
    return Response(content, status_code=status, media_type="application/json", headers={"cache-control": "no-store"})


def problem_response(refusal: Refusal, scope: Scope) -> tuple[int, dict[str, str], bytes]:
    """Return the status, headers and body of a refusal."""
    path: str = scope["path"]
    if path in OWN and refusal.code != "method_not_allowed":
        return problem(refusal, scope[REQUEST_ID])
    if path.startswith(REPORTS) and refusal.code != "method_not_allowed":
        return _storage_error(refusal, scope[REQUEST_ID])
    if path == STS and refusal.code != "method_not_allowed":
        return _token_error(refusal, scope[REQUEST_ID])
    status, name, body = _service_error(refusal)
    headers = {"content-type": "application/json", "cache-control": "no-store", TYPE: name}
    after = refusal.details.get("retry_after_seconds", RETRY_AFTER_SECONDS.get(refusal.code))
    if after is not None:
        headers["retry-after"] = str(after)
    if status == 408:
        headers["connection"] = "close"
    if status == 400:
        reason = str(refusal.details.get("reason", refusal.detail))
        headers[REASON] = "".join(letter if " " <= letter <= "~" else "?" for letter in reason)[:REASON_CHARACTERS_MAX]
        log.info("refused: %s", headers[REASON], extra={"request": scope[REQUEST_ID]})
    return status, headers, msgspec.json.encode(body)


def _service_error(refusal: Refusal) -> tuple[int, str, dict[str, Any]]:
    """Return the status, the name of the error and the body."""
    match refusal.code:
        case "not_found" | "method_not_allowed":
            return 403, sigv4.MISSING, {"message": "Missing Authentication Token"}
        case "unauthorized":
            return 403, str(refusal.details["kind"]), {"message": refusal.detail}
        case "forbidden":
            return 403, DENIED, {"Message": refusal.detail}
        case "payload_too_large":
            return 413, "RequestTooLargeException", {"message": "Request Too Long"}
        case "upload_stalled":
            return 408, "RequestTimeoutException", {"message": "Request Timeout"}
        case "batch_unknown":
            return 400, "InvalidRequestException", {"errorMsg": unpublished.INGESTION_WRONG}
        case "body_invalid":
            return 400, "BadRequestException", {"errorMsg": refusal.detail}
        case "body_incomplete" | "payload_empty" | "parameter_invalid":
            return 400, "BadRequestException", {"errorMsg": unpublished.BODY_WRONG}
        case "too_many_requests" | "queue_full" | "merchant_uploads_full" | "merchant_sessions_full":
            return 429, "TooManyRequestsException", {"errorMsg": unpublished.TOO_MANY_REQUESTS}
        case "store_busy" | "store_full" | "uploads_full" | "sessions_full" | "stopping":
            return 500, "InternalServerException", {"errorMsg": unpublished.RETRY_ADVISED}
        case code if STATUSES.get(code, 500) < 500:
            return 400, "BadRequestException", {"errorMsg": unpublished.BODY_WRONG}
        case _:
            return 500, "InternalServerException", {"errorMsg": unpublished.RETRY_NOT_ADVISED}


def _storage_error(refusal: Refusal, request_id: str) -> tuple[int, dict[str, str], bytes]:
    """Return the error document with which S3 answers a presigned link."""
    status, code = STORAGE.get(refusal.code) or _other_error(refusal, "InvalidRequest", "InternalError")
    code = str(refusal.details.get("kind", code))
    message = "The specified key does not exist." if status == 404 else refusal.detail
    details: dict[str, str] = refusal.details.get("members", {})  # type: ignore[assignment]  # details are of any type
    members = {"Code": code, "Message": message, **details, "RequestId": request_id}
    content = "".join(f"<{name}>{escape(str(text))}</{name}>" for name, text in members.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{content}</Error>'
    return status, {"content-type": "application/xml", "cache-control": "no-store"}, body.encode()


def _other_error(refusal: Refusal, of_client: str, of_server: str) -> tuple[int, str]:
    """Return the status and the error code of a refusal that is in no table, such as of a query that is not UTF-8."""
    return (400, of_client) if STATUSES.get(refusal.code, 500) < 500 else (500, of_server)


STS_ERRORS = {
    "forbidden": (403, "AccessDenied"), "body_invalid": (400, "ValidationError"),
    "too_many_requests": (400, "Throttling"), "payload_too_large": (413, "RequestEntityTooLarge"),
    "body_incomplete": (400, "RequestTimeout"), "upload_stalled": (408, "RequestTimeout"),
    "store_busy": (503, "ServiceUnavailable"), "stopping": (503, "ServiceUnavailable"),
    sigv4.MISSING: (403, "MissingAuthenticationToken"), sigv4.INCOMPLETE: (400, "IncompleteSignature"),
    sigv4.INVALID: (403, "SignatureDoesNotMatch"), sigv4.UNKNOWN: (403, "InvalidClientTokenId"),
    sigv4.EXPIRED: (403, "ExpiredToken"),
}
"""Code of a refusal, or kind of a wrong signature → status and error code of STS."""


def _token_error(refusal: Refusal, request_id: str) -> tuple[int, dict[str, str], bytes]:
    """Return the error document of STS."""
    kind = str(refusal.details.get("kind", ""))
    status, code = (
        STS_ERRORS.get(kind) or STS_ERRORS.get(refusal.code)
        or _other_error(refusal, "ValidationError", "InternalFailure")
    )
    if refusal.code == "body_invalid":
        code = kind or code
    origin = "Receiver" if status >= 500 else "Sender"
    error = f"<Type>{origin}</Type><Code>{code}</Code><Message>{escape(refusal.detail)}</Message>"
    content = f"<Error>{error}</Error><RequestId>{request_id}</RequestId>"
    body = f'<ErrorResponse xmlns="{STS_NAMESPACE}">{content}</ErrorResponse>'
    return status, {"content-type": XML, "cache-control": "no-store"}, body.encode()
