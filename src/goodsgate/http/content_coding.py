"""Small bodies with a content coding: gzip and deflate, as clients of the protocols send them."""

import zlib

from goodsgate.engine.refusal import Refusal
from goodsgate.http.problems import refuse

WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""Coding → parameter of zlib; deflate is the zlib format (RFC 9110)."""
RAW_WINDOW_BITS = -15
"""What some clients send as deflate: without the zlib header."""


def decode_content(content: bytes, coding: str | None, *, bytes_max: int) -> bytes:
    """Return a body without its content coding.

    Raises content_encoding_unknown, payload_too_large, and body_invalid if the data is corrupt or cut off.
    """
    name = (coding or "identity").strip().lower()
    if name in ("", "identity"):
        return content
    if name not in WINDOW_BITS:
        raise Refusal("content_encoding_unknown", "The Content-Encoding must be gzip or deflate, or none.")
    try:
        return _inflate(content, WINDOW_BITS[name], bytes_max)
    except zlib.error as fault:
        if name == "deflate":
            try:
                return _inflate(content, RAW_WINDOW_BITS, bytes_max)
            except zlib.error:
                pass
        raise refuse("body_invalid", f"The body is not valid {name}.", member="body") from fault


def _inflate(content: bytes, window_bits: int, bytes_max: int) -> bytes:
    """Return the decompressed data of one or several members."""
    parts: list[bytes] = []
    left = bytes_max + 1
    while content:
        decoder = zlib.decompressobj(window_bits)
        parts.append(decoder.decompress(content, left))
        left -= len(parts[-1])
        if left <= 0:
            raise Refusal("payload_too_large", f"The body is larger than {bytes_max} bytes.", limit_bytes=bytes_max)
        if not decoder.eof:
            raise zlib.error("cut off")
        content = decoder.unused_data
    return b"".join(parts)
