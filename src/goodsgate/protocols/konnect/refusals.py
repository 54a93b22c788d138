"""Refusals as each family of paths reports them, so that a client may parse the body before it looks at the status."""

from typing import Any

import msgspec
from starlette.types import Scope

from goodsgate.engine.refusal import Refusal
from goodsgate.http.endpoints import CALLER, REQUEST_ID
from goodsgate.http.problems import RETRY_AFTER_SECONDS, STATUSES, problem
from goodsgate.protocols.konnect.responses import serialize_meta
from goodsgate.protocols.konnect.unpublished import company_id

ADMIN_PREFIX = "/oms/admin/"
WRITE_METHODS = ("POST", "PUT", "DELETE")
ENVELOPE_PREFIXES = ("/ims/", "/oms/v3/shipment/awb", "/oms/v3/shipment/status")
BODY_STATUSES = (400, 408, 413, 415)
"""Statuses about the request's content; their bodies have the members of the path's family."""


def serialize_refusal(refusal: Refusal, scope: Scope) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body; admin paths get a problem document, because their tools read its code."""
    if scope["path"].startswith(ADMIN_PREFIX):
        return problem(refusal, scope[REQUEST_ID])
    status = STATUSES[refusal.code]
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    after = refusal.details.get("retry_after_seconds", RETRY_AFTER_SECONDS.get(refusal.code))
    if after is not None:
        headers["retry-after"] = str(after)
    if status == 405:
        headers["allow"] = str(refusal.details["allow"])
    if status == 408:
        headers["connection"] = "close"
    return status, headers, msgspec.json.encode(_body(refusal, status, scope))


def _body(refusal: Refusal, status: int, scope: Scope) -> dict[str, Any]:
    path: str = scope["path"]
    if refusal.code == "unauthorized" and not path.startswith("/aggregator/"):
        message = "A valid access token is required in the header x-access-token; GET /aggregator/v1/token returns one."
        return {"status": "FAILED", "message": message, "errors": []}
    if status not in BODY_STATUSES or path.startswith("/aggregator/"):
        return {"status": "FAILED", "message": refusal.detail, "errors": []}
    if path.startswith(ENVELOPE_PREFIXES):
        errors = [{"code": str(status), "message": refusal.detail}]
        data = {"payload_count": 0, "success_count": 0, "failed_count": 0, "errors": errors}
        return {"data": data, "meta": serialize_meta(scope.get(CALLER), "FAILED"), "message": refusal.detail}
    if path.startswith("/oms/"):
        errors = [{"code": str(status), "message": refusal.detail}]
        return {"payloadCount": 0, "successCount": 0, "failedCount": 0, "status": "FAILED", "errors": errors}
    name = str(refusal.details.get("parameter") or refusal.details.get("member") or "body")
    if scope["method"] in WRITE_METHODS:
        return {
            "trace_id": "", "total": 0, "success": 0, "failed": 0, "status": "FAILED", "errors": {name: refusal.detail},
            "stage": "FAILED", "company_id": company_id(scope.get(CALLER)), "message": refusal.detail,
        }
    return {"status": "FAILED", "message": refusal.detail, "errors": {name: refusal.detail}}
