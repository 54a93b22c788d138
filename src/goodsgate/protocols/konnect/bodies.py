"""Request bodies: read whole, and split into records that stay undecoded bytes."""

from codecs import BOM_UTF8

import msgspec

from goodsgate.engine.refusal import Refusal
from goodsgate.http.content_coding import decode_content
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest
from goodsgate.http.problems import refuse
from goodsgate.model.json_text import UNREADABLE_JSON
from goodsgate.protocols.konnect.unpublished import BODY_BYTES_MAX


async def read_body(request: ApiRequest, context: ServerContext) -> bytes:
    """Return the whole body without its content coding and a byte order mark.

    Raises format_unknown, payload_too_large, payload_empty, and what `RequestBody.read` and `decode_content` raise.
    """
    media_type = request.http.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise Refusal("format_unknown", "The Content-Type must be application/json.")
    content = await request.body(BODY_BYTES_MAX, context.limits.body_idle_seconds).read(BODY_BYTES_MAX + 1)
    coding = request.http.headers.get("content-encoding")
    if coding is not None:
        content = await context.run_in_thread(decode_content, content, coding, bytes_max=BODY_BYTES_MAX)
    content = content.removeprefix(BOM_UTF8)
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
