"""What a request says of the format of its body."""

from goodsgate import formats
from goodsgate.engine.refusal import Refusal
from goodsgate.http.endpoints import ApiRequest


def detect(request: ApiRequest, head: bytes) -> tuple[str, str]:
    """Format and packing of a body that begins with `head`; raises payload_empty, format_unknown,
    content_encoding_unknown."""
    if not head:
        raise Refusal("payload_empty")
    headers = request.http.headers
    try:
        return formats.detect(
            content_type=headers.get("content-type"), content_encoding=headers.get("content-encoding"),
            filename=request.query.get("label"), head=head, format=request.query["format"],
        )
    except formats.UnknownContentEncodingError as fault:
        raise Refusal("content_encoding_unknown", str(fault), allowed=[*formats.CONTENT_ENCODINGS]) from fault
    except formats.FormatUnknown as fault:
        raise Refusal("format_unknown", str(fault), allowed=[*formats.FORMATS]) from fault
