"""What a request says of the format of its body."""

from goodsgate import formats
from goodsgate.engine.refusal import Refusal
from goodsgate.faces.routes import Call

PACKINGS = {"": "identity", "identity": "identity", "gzip": "gzip", "x-gzip": "gzip", "zstd": "zstd"}


def detect(call: Call, head: bytes) -> tuple[str, str]:
    """Format and packing of a body that begins with `head`; raises format_unknown and packing_unknown."""
    headers = call.request.headers
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in PACKINGS:
        raise Refusal("packing_unknown", allowed=[*formats.PACKINGS])
    try:
        return formats.detect(
            content_type=headers.get("content-type"), content_encoding=PACKINGS[encoding],
            filename=call.query.get("label"), head=head, format=call.query["format"],
        )
    except formats.FormatUnknown as fault:
        raise Refusal("format_unknown", str(fault), allowed=[*formats.FORMATS]) from fault
