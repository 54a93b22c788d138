"""Charsets: the stages after this one see UTF-8 without a byte-order mark, whatever the file is encoded in.

How the charset is detected, in this order:

1. A byte-order mark of UTF-8 or UTF-16 decides.
2. UTF-16 without a mark is recognized by its zero bytes: in the first 64 KiB they stand at even or at odd places only.
3. ASCII is passed on as long as there is nothing else. The mebibyte that begins with the first byte beyond ASCII
   decides: it is UTF-8 if it holds at least as many valid UTF-8 sequences as broken bytes, else Windows-1252. So a few
   broken lines do not turn a UTF-8 file into something else.

Everything but UTF-8 adds a notice (`encoding_guessed`), UTF-16 with a mark too. Bytes that are nothing in the
charset come out as bytes that are not UTF-8 either, so that the same check finds their record.
"""

import codecs
import re
from collections.abc import Iterator
from itertools import chain

from goodsgate.formats.content_encoding import detect_content_encoding
from goodsgate.formats.payload_reader import PayloadReader

HEAD_BYTES = 64 * 1024
SAMPLE_BYTES = 1024 * 1024

_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_MARKS = ((codecs.BOM_UTF8, "UTF-8"), (codecs.BOM_UTF16_LE, "UTF-16-LE"), (codecs.BOM_UTF16_BE, "UTF-16-BE"))


def describe_binary(head: bytes) -> str | None:
    """Describe the binary format of a file that should be text, by its first bytes; None if it may be text."""
    if detect_content_encoding(head) != "identity":
        return f"a {detect_content_encoding(head)} file; compress it only once and declare it"
    if head.startswith(b"PK\x03\x04"):
        return "a ZIP or XLSX file, not text"
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return "an XLS or a password-protected spreadsheet, not text"
    return None


def detect_charset(head: bytes) -> tuple[str, int] | None:
    """Return charset and length of the byte-order mark (0 for UTF-16 without one); None if it is neither."""
    for mark, charset in _MARKS:
        if head.startswith(mark):
            return charset, len(mark)
    pairs = len(head) // 2
    if pairs < 4:
        return None
    even, odd = head[0 : pairs * 2 : 2].count(0), head[1 : pairs * 2 : 2].count(0)
    if odd * 4 > pairs and even * 50 <= odd:
        return "UTF-16-LE", 0
    if even * 4 > pairs and odd * 50 <= even:
        return "UTF-16-BE", 0
    return None


def guess_charset(sample: bytes) -> str:
    """Return UTF-8 or Windows-1252, whichever is more probable for a sample that begins at a character."""
    text = sample.decode("utf-8", "replace")
    broken = text.count("\ufffd") - sample.count(b"\xef\xbf\xbd")
    valid = len(text) - len(text.encode("ascii", "ignore")) - broken
    return "UTF-8" if valid >= broken else "Windows-1252"


def utf8(pieces: Iterator[bytes], reader: PayloadReader) -> Iterator[bytes]:
    """Yield the text in UTF-8, in pieces of any size; nothing for a binary file, which sets `reader.stopped`."""
    head, pieces = first_bytes(pieces, HEAD_BYTES)
    if other := describe_binary(head):
        reader.stop("payload_corrupt", f"this is {other}")
        return
    if (detected := detect_charset(head)) is None:
        yield from _decode_unmarked(pieces, reader)
        return
    charset, mark_bytes = detected
    rest = _skip_bytes(pieces, mark_bytes)
    if charset == "UTF-8":
        yield from rest
        return
    reader.charset = "UTF-16"
    reader.add_notice("encoding_guessed", "UTF-16")
    yield from _from_utf16(rest, charset)


def first_bytes(pieces: Iterator[bytes], count: int) -> tuple[bytes, Iterator[bytes]]:
    """Return the first `count` bytes, and an iterator over all pieces, including those already read."""
    pieces_read: list[bytes] = []
    size = 0
    for piece in pieces:
        pieces_read.append(piece)
        size += len(piece)
        if size >= count:
            break
    return b"".join(pieces_read)[:count], chain(pieces_read, pieces)


def _skip_bytes(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Yield the pieces without their first `count` bytes."""
    for piece in pieces:
        yield piece[count:]
        count = max(0, count - len(piece))


def _decode_unmarked(pieces: Iterator[bytes], reader: PayloadReader) -> Iterator[bytes]:
    for piece in pieces:
        if piece.isascii():
            yield piece
            continue
        first = _BEYOND_ASCII.search(piece)
        start = first.start() if first else 0
        yield piece[:start]
        sample, rest = first_bytes(chain((piece[start:],), pieces), SAMPLE_BYTES)
        if guess_charset(sample) == "UTF-8":
            yield from rest
            return
        reader.charset = "Windows-1252"
        reader.add_notice("encoding_guessed", "Windows-1252")
        for part in rest:
            yield part.decode("cp1252", "surrogateescape").encode("utf-8", "surrogateescape")


def _from_utf16(pieces: Iterator[bytes], charset: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(charset)("surrogatepass")
    for piece in pieces:
        yield decoder.decode(piece).encode("utf-8", "surrogatepass")
    left, _ = decoder.getstate()
    if left:
        yield b"\xff"  # half a character: broken in UTF-8 too
