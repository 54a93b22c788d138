"""Request bodies: read whole, and split into records that stay undecoded bytes."""

import msgspec

from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest
from goodsgate.http.problems import refuse
from goodsgate.model.json_text import UNREADABLE_JSON
from goodsgate.protocols.konnect.unpublished import BODY_BYTES_MAX


async def read_body(request: ApiRequest, context: ServerContext) -> bytes:
    """Return the whole body; raise format_unknown, payload_too_large, payload_empty and what `Body.read` raises."""
    media_type = request.http.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise Refusal("format_unknown", "The Content-Type must be application/json.")
    content = await request.body(BODY_BYTES_MAX, context.limits.body_idle_seconds).read(BODY_BYTES_MAX + 1)
    if not content:
        raise Refusal("payload_empty")
    return content


def split_array(content: bytes, *, member: str) -> list[msgspec.Raw]:
    """Return the elements of a JSON array, undecoded; raise body_invalid, which names the member."""
    try:
        return _decode_list(content)
    except msgspec.ValidationError as fault:
        raise refuse("body_invalid", f"{member} must be an array.", member=member) from fault
    except UNREADABLE_JSON as fault:
        raise refuse("body_invalid", f"The body is not valid JSON: {fault}.", member=member) from fault


_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
