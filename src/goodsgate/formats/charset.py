"""Charsets: whatever a text file comes in, the later stages see UTF-8 without a byte-order mark.

How the charset is found, in this order:

1. A byte-order mark of UTF-8 or UTF-16 decides.
2. UTF-16 without a mark shows by its zero bytes: in the first 64 KiB they stand at even or at odd places only.
3. ASCII is passed on as long as there is nothing else. The mebibyte that begins with the first byte beyond ASCII
   decides: it is UTF-8 if it holds at least as many valid UTF-8 sequences as broken bytes, else Windows-1252. So a few
   broken lines do not turn a UTF-8 file into something else.

Everything but UTF-8 is told by a notice (`encoding_guessed`), UTF-16 with a mark too. Bytes that are nothing in the
charset come out as bytes that are not UTF-8 either, so that the record they are in is found by the same check.
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


def foreign(head: bytes) -> str | None:
    """What a file that should be text is instead, by its first bytes."""
    if detect_content_encoding(head) != "identity":
        return f"a {detect_content_encoding(head)} file; compress it only once and declare it"
    if head.startswith(b"PK\x03\x04"):
        return "a ZIP or XLSX file, not text"
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return "an XLS or a password-protected spreadsheet, not text"
    return None


def marked(head: bytes) -> tuple[str, int] | None:
    """Charset and length of the byte-order mark; for UTF-16 without a mark the length is 0; None if neither shows."""
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


def judged(sample: bytes) -> str:
    """UTF-8 or Windows-1252, whichever the sample rather is; it begins at a character."""
    text = sample.decode("utf-8", "replace")
    broken = text.count("\ufffd") - sample.count(b"\xef\xbf\xbd")
    valid = len(text) - len(text.encode("ascii", "ignore")) - broken
    return "UTF-8" if valid >= broken else "Windows-1252"


def utf8(pieces: Iterator[bytes], reading: PayloadReader) -> Iterator[bytes]:
    """The text in UTF-8, in pieces cut anywhere; nothing if it is no text (then `reading.stopped` says so)."""
    head, pieces = first_bytes(pieces, HEAD_BYTES)
    if other := foreign(head):
        reading.stop("payload_corrupt", f"this is {other}")
        return
    if (found := marked(head)) is None:
        yield from _undecided(pieces, reading)
        return
    charset, mark_bytes = found
    rest = _without(pieces, mark_bytes)
    if charset == "UTF-8":
        yield from rest
        return
    reading.charset = "UTF-16"
    reading.tell("encoding_guessed", "UTF-16")
    yield from _from_utf16(rest, charset)


def first_bytes(pieces: Iterator[bytes], count: int) -> tuple[bytes, Iterator[bytes]]:
    """The first `count` bytes, and all pieces, those looked at included."""
    taken: list[bytes] = []
    size = 0
    for piece in pieces:
        taken.append(piece)
        size += len(piece)
        if size >= count:
            break
    return b"".join(taken)[:count], chain(taken, pieces)


def _without(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    """The pieces without their first `count` bytes."""
    for piece in pieces:
        yield piece[count:]
        count = max(0, count - len(piece))


def _undecided(pieces: Iterator[bytes], reading: PayloadReader) -> Iterator[bytes]:
    for piece in pieces:
        if piece.isascii():
            yield piece
            continue
        found = _BEYOND_ASCII.search(piece)
        start = found.start() if found else 0
        yield piece[:start]
        sample, rest = first_bytes(chain((piece[start:],), pieces), SAMPLE_BYTES)
        if judged(sample) == "UTF-8":
            yield from rest
            return
        reading.charset = "Windows-1252"
        reading.tell("encoding_guessed", "Windows-1252")
        for part in rest:
            yield part.decode("cp1252", "surrogateescape").encode("utf-8", "surrogateescape")


def _from_utf16(pieces: Iterator[bytes], charset: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(charset)("surrogatepass")
    for piece in pieces:
        yield decoder.decode(piece).encode("utf-8", "surrogatepass")
    left, _ = decoder.getstate()
    if left:
        yield b"\xff"  # half a character: broken in UTF-8 too
