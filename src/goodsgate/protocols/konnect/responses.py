"""JSON responses and the ``meta`` object of their envelopes."""

import secrets
from typing import Any

from starlette.responses import Response

from goodsgate.auth import Caller
from goodsgate.model.batch import now
from goodsgate.model.json_text import write_json
from goodsgate.protocols.konnect.trace_ids import format_milliseconds
from goodsgate.protocols.konnect.unpublished import integration_id

JSON = "application/json"
JsonObject = dict[str, Any]


def json_response(value: object, *, status: int = 200) -> Response:
    """Return a value, or bytes that are JSON already, as a response that must not be cached."""
    content = value if isinstance(value, bytes) else write_json(value)
    return Response(content, status_code=status, media_type=JSON, headers={"cache-control": "no-store"})


def serialize_meta(caller: Caller | None, status: str, *, ack_id: str | None = None) -> dict[str, Any]:
    """Return the ``meta`` object of the listings, price and inventory family."""
    return {
        "ack_id": ack_id or secrets.token_hex(12), "integrationId": integration_id(caller),
        "time": format_milliseconds(now()), "status": status,
    }
