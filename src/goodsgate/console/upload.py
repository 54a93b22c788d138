"""Files uploaded by the console's script: one line of JSON with the form fields, then the bytes of the file."""

import msgspec

from goodsgate import formats
from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import HEAD_BYTES, RequestBody
from goodsgate.http.problems import refuse
from goodsgate.model.json_text import UNREADABLE_JSON

Fields = dict[str, str]
ENCODINGS_OFFERED = (
    "UTF-8", "UTF-16", "Windows-1252", "Windows-1250", "Windows-1251", "Windows-1253", "Windows-1254", "ISO-8859-1",
    "ISO-8859-2", "ISO-8859-15", "Shift_JIS", "EUC-JP", "GB18030", "Big5", "EUC-KR",
)
"""Suggestions of the form; other names may be typed."""


class UploadWithFields(RequestBody):
    """The uploaded file, read like any other body, and the form fields sent before it."""

    fields: Fields

    def __init__(self, body: RequestBody, rest: bytes, fields: Fields) -> None:
        """`rest` is what was read of the file together with the fields."""
        self.fields = fields
        self._body = body
        self._rest = rest
        self.bytes_read = len(rest)
        self.ended = body.ended and not rest

    @classmethod
    async def start(cls, body: RequestBody, *, bytes_max: int) -> "UploadWithFields":
        """Read the form fields; raises body_invalid if they are missing or longer than `bytes_max`."""
        head = b""
        while b"\n" not in head and not body.ended and len(head) <= bytes_max:
            head += await body.read(HEAD_BYTES)
        line, newline, rest = head.partition(b"\n")
        try:
            fields = msgspec.json.decode(line, type=Fields)
        except UNREADABLE_JSON:
            fields = None
        if fields is None or not newline or b"\\u0000" in line:
            raise refuse("body_invalid", "The form fields are missing before the file.")
        return cls(body, rest, fields)

    async def read(self, least: int) -> bytes:
        """Return at least `least` bytes, or the rest of the file; raises as RequestBody does."""
        rest, self._rest = self._rest, b""
        if len(rest) < least and not self._body.ended:
            more = await self._body.read(least - len(rest))
            self.bytes_read += len(more)
            rest += more
        self.ended = self._body.ended
        return rest


def detect_format(head: bytes, fields: Fields) -> tuple[str, str]:
    """Return format and content encoding of a file from its first bytes and its name.

    Raises payload_empty, format_unknown, content_encoding_unknown.
    """
    if not head:
        raise Refusal("payload_empty", "The file is empty.")
    try:
        return formats.detect(
            content_type=None, content_encoding=None, filename=fields.get("filename"), head=head,
            format=fields.get("format") or None,
        )
    except formats.UnknownContentEncodingError as error:
        raise Refusal("content_encoding_unknown", str(error), allowed=[*formats.CONTENT_ENCODINGS]) from error
    except formats.UnknownFormatError as error:
        raise Refusal("format_unknown", str(error), allowed=[*formats.FORMATS]) from error
