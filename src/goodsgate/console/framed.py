"""A file as the console's pages send it: one line of JSON that says what a form says, then the bytes of the file."""

import msgspec

from goodsgate import formats
from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import HEAD_BYTES, RequestBody
from goodsgate.http.problems import refuse

Fields = dict[str, str]


class Framed(RequestBody):
    """What follows the line, read as any other body is."""

    fields: Fields

    def __init__(self, body: RequestBody, rest: bytes) -> None:
        self._body = body
        self._rest = rest
        self.bytes_read = len(rest)
        self.ended = body.ended and not rest

    @classmethod
    async def opened(cls, body: RequestBody, *, bytes_max: int) -> "Framed":
        """Read as far as the line goes; raises body_invalid if it is none, or longer than `bytes_max`."""
        head = b""
        while b"\n" not in head and not body.ended and len(head) <= bytes_max:
            head += await body.read(HEAD_BYTES)
        line, newline, rest = head.partition(b"\n")
        try:
            fields = msgspec.json.decode(line, type=Fields)
        except (msgspec.DecodeError, UnicodeDecodeError):
            fields = None
        if fields is None or not newline or b"\\u0000" in line:
            raise refuse("body_invalid", "What the form says did not come before the file.")
        framed = cls(body, rest)
        framed.fields = fields
        return framed

    async def read(self, least: int) -> bytes:
        """At least so many bytes, or what is left; raises as RequestBody does."""
        rest, self._rest = self._rest, b""
        if len(rest) < least and not self._body.ended:
            more = await self._body.read(least - len(rest))
            self.bytes_read += len(more)
            rest += more
        self.ended = self._body.ended
        return rest


def detected(head: bytes, fields: Fields) -> tuple[str, str]:
    """Format and packing of a file that begins so; raises payload_empty, format_unknown, content_encoding_unknown."""
    if not head:
        raise Refusal("payload_empty", "The file is empty.")
    try:
        return formats.detect(
            content_type=None, content_encoding=None, filename=fields.get("filename"), head=head,
            format=fields.get("format") or None,
        )
    except formats.UnknownContentEncodingError as fault:
        raise Refusal("content_encoding_unknown", str(fault), allowed=[*formats.CONTENT_ENCODINGS]) from fault
    except formats.FormatUnknown as fault:
        raise Refusal("format_unknown", str(fault), allowed=[*formats.FORMATS]) from fault
