"""Bodies read whole and taken apart without being decoded."""

import msgspec

from goodsgate.engine.refusal import Refusal
from goodsgate.faces.door import Door
from goodsgate.faces.konnect.guesses import BODY_BYTES_MAX
from goodsgate.faces.refusals import refuse
from goodsgate.faces.routes import Call


async def read_body(call: Call, door: Door) -> bytes:
    """All of it; raises format_unknown, payload_too_large, payload_empty and what `Body.read` raises."""
    media_type = call.request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise Refusal("format_unknown", "The Content-Type must be application/json.")
    content = await call.body(BODY_BYTES_MAX, door.config.body_idle_seconds).read(BODY_BYTES_MAX + 1)
    if not content:
        raise Refusal("payload_empty")
    return content


def parts(content: bytes, *, member: str) -> list[msgspec.Raw]:
    """The elements of a JSON array as they are written; raises body_invalid naming the member."""
    try:
        return _decode_list(content)
    except msgspec.ValidationError as fault:
        raise refuse("body_invalid", f"{member} must be an array.", member=member) from fault
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise refuse("body_invalid", f"The body is not valid JSON: {fault}.", member=member) from fault


_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
