"""Gzip for responses, where the client asks for it (RFC 9110, 12.5.3) and it pays.

Compressing a secret beside text that an attacker chooses tells its length (BREACH). Another site cannot make a browser
send such a request: keys are in headers, and the cookies of the console are `SameSite=Strict`.
"""

import re

from isal import isal_zlib
from starlette.types import Message, Send

COMPRESSED_BYTES_MIN = 4096
"""Shorter responses fit a few packets anyway."""
LEVEL = 1
"""600 MB a second, so that compressing needs no thread; level 2 is ten times slower and hardly smaller."""
GZIP = 31
"""The wbits of zlib for a gzip stream."""
ACCEPT_ENCODING = b"accept-encoding"
_GZIP_ACCEPTED = re.compile(rb"(?:^|,)\s*(?:x-)?gzip\s*(?:;\s*q\s*=\s*(?:0?\.\d*[1-9]\d*|1(?:\.0*)?)\s*)?(?=,|$)", re.I)
_COMPRESSIBLE = re.compile(
    rb"(?:text/(?!event-stream)|application/(?:[\w.-]+\+)?(?:json|xml|yaml|x-ndjson|javascript)\b|image/svg\+xml)", re.I
)


def accepts_gzip(headers: dict[bytes, bytes]) -> bool:
    """Return whether the request asks for gzip."""
    return _GZIP_ACCEPTED.search(headers.get(ACCEPT_ENCODING, b"")) is not None


def is_compressible(headers: dict[bytes, bytes]) -> bool:
    """Return whether a response has text that is not compressed yet; event streams never are."""
    return b"content-encoding" not in headers and _COMPRESSIBLE.match(headers.get(b"content-type", b"")) is not None


class CompressingSend:
    """ASGI `send` that compresses a response with gzip."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._whole: Message | None = None
        """The start of a response that follows in one piece, held back until its compressed length is known."""
        self._compressor: isal_zlib.Compress | None = None

    async def __call__(self, message: Message) -> None:
        """Send a message, compressed if that pays."""
        if message["type"] == "http.response.start":
            await self._start(message)
        elif self._whole is not None:
            await self._send_whole(self._whole, message)
        elif self._compressor is not None:
            await self._send({**message, "body": self._compress(message.get("body", b""), message)})
        else:
            await self._send(message)

    async def _start(self, message: Message) -> None:
        headers = dict(message["headers"])
        length = headers.get(b"content-length")
        if message["status"] in (204, 206, 304) or not is_compressible(headers):
            await self._send(message)
        elif length is None:
            self._compressor = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, GZIP)
            await self._send({**message, "headers": _compressed(message["headers"])})
        elif int(length) >= COMPRESSED_BYTES_MIN:
            self._whole = message
        else:
            await self._send(message)

    async def _send_whole(self, start: Message, message: Message) -> None:
        self._whole = None
        if message.get("more_body"):
            await self._send(start)
            await self._send(message)
            return
        self._compressor = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, GZIP)
        body = self._compress(message.get("body", b""), message)
        headers = [*_compressed(start["headers"]), (b"content-length", b"%d" % len(body))]
        await self._send({**start, "headers": headers})
        await self._send({**message, "body": body})

    def _compress(self, piece: bytes, message: Message) -> bytes:
        """Return the piece compressed, complete enough that the client can show it at once."""
        compressor = self._compressor
        assert compressor is not None
        if not message.get("more_body"):
            return compressor.compress(piece) + compressor.flush()
        return compressor.compress(piece) + compressor.flush(isal_zlib.Z_SYNC_FLUSH) if piece else b""


def _compressed(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of the compressed response: a strong entity tag names other bytes, so it becomes weak."""
    kept = [
        (name, b"W/" + value if name == b"etag" and value.startswith(b'"') else value)
        for name, value in headers if name != b"content-length"
    ]
    return [*kept, (b"content-encoding", b"gzip")]
