"""Refusals of the HTTP layer, and the problem documents (RFC 9457) of all refusals."""

import msgspec

from goodsgate.engine.refusal import REFUSALS, Refusal

HTTP_REFUSALS: dict[str, str] = {
    "unauthorized": "A valid API key is required.",
    "forbidden": "The API key does not permit this.",
    "not_found": "Not found.",
    "method_not_allowed": "Method not allowed.",
    "headers_too_large": "The request headers or trailers are too large.",
    "request_malformed": "The request is not valid HTTP/1.1.",
    "connections_full": "Too many connections; try again later.",
    "body_invalid": "Invalid request body.",
    "body_incomplete": "The request body is shorter than its Content-Length; nothing was stored.",
    "sessions_full": "Too many open long polls and event streams; try again later.",
    "merchant_sessions_full": "The merchant has too many open long polls and event streams; try again later.",
    "reports_full": "Too many reports are being written; try again later.",
    "merchant_reports_full": "The merchant has too many reports in progress; try again later.",
    "uploads_full": "Too many uploads are arriving; try again later.",
    "merchant_uploads_full": "The merchant has too many uploads in progress; try again later.",
    "stopping": "The gate is stopping; nothing was stored, try again.",
    "too_many_requests": "Rate limit exceeded; try again later.",
    "state_conflict": "Not allowed in the current state.",
    "merchant_unknown": "Merchant not found.",
    "merchant_taken": "This merchant id is already in use.",
    "credential_unknown": "API key not found.",
    "webhook_unknown": "Webhook not found.",
    "webhook_refused": "Webhooks cannot be sent to this URL.",
    "webhook_taken": "A webhook of the merchant has this URL already.",
    "webhooks_full": "The merchant has as many webhooks as it may have.",
    "traffic_off": "Requests and responses are not recorded; see the setting traffic_bytes_max.",
    "trouble_off": "Trouble on demand is not allowed here; see the setting trouble.",
    "trouble_full": "Too many troubles are ordered; clear them first.",
    "internal_fault": "Internal error; it is logged under the request id.",
    "extra_missing": "The gate was installed without a package that this needs.",
}
"""Code → title of the refusals that only HTTP has, in addition to the engine's REFUSALS."""

STATUSES: dict[str, int] = {
    "payload_empty": 400,
    "payload_too_large": 413,
    "format_unknown": 415,
    "content_encoding_unknown": 415,
    "parameter_invalid": 400,
    "profile_unknown": 404,
    "rule_unknown": 404,
    "batch_unknown": 404,
    "item_unknown": 404,
    "item_not_editable": 409,
    "edit_invalid": 422,
    "reference_kind_unknown": 404,
    "reference_invalid": 422,
    "rule_invalid": 422,
    "rules_full": 422,
    "reference_read_only": 409,
    "batch_open": 409,
    "batch_discarded": 409,
    "batch_not_held": 409,
    "guards_full": 422,
    "source_unknown": 404,
    "source_invalid": 422,
    "sources_full": 422,
    "guard_invalid": 422,
    "guard_unknown": 404,
    "destination_unknown": 404,
    "destination_invalid": 422,
    "destination_not_held": 409,
    "destinations_full": 422,
    "feed_unknown": 404,
    "fix_rows_missing": 422,
    "nothing_rejected": 409,
    "nothing_suggested": 409,
    "batch_dry_run": 409,
    "diff_missing": 404,
    "nothing_withheld": 409,
    "confirmation_mismatch": 409,
    "stock_unknown": 404,
    "stock_conflict": 409,
    "stock_short": 409,
    "cursor_expired": 410,
    "cursor_unknown": 410,
    "journal_off": 409,
    "revert_unsupported": 409,
    "nothing_changed": 409,
    "journal_gone": 410,
    "payload_gone": 410,
    "key_in_use": 409,
    "key_reused": 422,
    "key_malformed": 400,
    "queue_full": 429,
    "store_full": 507,
    "store_busy": 503,
    "setting_unknown": 422,
    "setting_invalid": 422,
    "upload_stalled": 408,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "headers_too_large": 431,
    "request_malformed": 400,
    "connections_full": 503,
    "body_invalid": 400,
    "body_incomplete": 400,
    "sessions_full": 503,
    "merchant_sessions_full": 429,
    "reports_full": 503,
    "merchant_reports_full": 429,
    "uploads_full": 503,
    "merchant_uploads_full": 429,
    "stopping": 503,
    "too_many_requests": 429,
    "state_conflict": 409,
    "merchant_unknown": 404,
    "merchant_taken": 409,
    "credential_unknown": 404,
    "webhook_unknown": 404,
    "webhook_refused": 422,
    "webhook_taken": 409,
    "webhooks_full": 409,
    "traffic_off": 409,
    "trouble_off": 409,
    "trouble_full": 409,
    "internal_fault": 500,
    "extra_missing": 501,
}
"""Code → HTTP status of every refusal; a vendor protocol may use others."""

RETRY_AFTER_SECONDS = {
    "queue_full": 10, "store_full": 60, "store_busy": 1, "sessions_full": 5, "too_many_requests": 1,
    "connections_full": 5, "merchant_sessions_full": 5, "uploads_full": 5, "merchant_uploads_full": 5, "stopping": 5,
    "reports_full": 5, "merchant_reports_full": 5,
}

CHALLENGE = 'Bearer realm="goodsgate"'

PROBLEM_TYPE = "application/problem+json"


def refuse(code: str, detail: str = "", /, **details: object) -> Refusal:
    """Create a refusal with a code of the HTTP layer or of the engine."""
    return Refusal(code, detail or title(code), **details)


def title(code: str) -> str:
    """Return the title of a code, one sentence."""
    return HTTP_REFUSALS.get(code) or REFUSALS[code]


def problem(refusal: Refusal, request_id: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of a problem document; its `type` links to the documentation."""
    status = STATUSES[refusal.code]
    headers = {"content-type": PROBLEM_TYPE}
    after = refusal.details.get("retry_after_seconds", RETRY_AFTER_SECONDS.get(refusal.code))
    if after is not None:
        headers["retry-after"] = str(after)
    if status == 401:
        headers["www-authenticate"] = CHALLENGE
    if status == 408:
        headers["connection"] = "close"
    if status == 405:
        headers["allow"] = str(refusal.details["allow"])
    document = {
        "type": f"/docs/problems#{refusal.code}",
        "title": title(refusal.code),
        "status": status,
        "detail": refusal.detail,
        "instance": request_id,
        "code": refusal.code,
        **refusal.details,
    }
    return status, headers, msgspec.json.encode(document)
