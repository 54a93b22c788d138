"""Charsets: the stages after this one see UTF-8 without a byte-order mark, whatever the file is encoded in.

A charset that the submitter names is obeyed; only a byte-order mark of UTF-8 or UTF-16 beats it. If a text is UTF-8
although another charset was named, as clients do that name ISO-8859-1 whatever they send, reading stops with
`encoding_uncertain`: obeyed, every letter beyond ASCII would become two. Without a name the charset is detected, in
this order:

1. A byte-order mark of UTF-8 or UTF-16 decides.
2. UTF-16 without a mark is recognized by its zero bytes: in the first 64 KiB they stand at even or at odd places only.
3. ASCII is passed on as long as there is nothing else. The 256 KiB that begin with the first byte beyond ASCII decide:
   they are UTF-8 if they hold at least as many valid UTF-8 sequences as broken bytes. So a few broken lines do not turn
   a UTF-8 file into something else. JSON is always UTF-8 (RFC 8259, section 8.1).
4. Else a legacy charset is detected, see `charset_detection`. If that is not certain, nothing is read
   (`encoding_uncertain`). For that the first 64 MiB are looked through before the first record. If only what comes
   after them is not certain, reading stops there, and records that were not delivered yet are dropped.

Every detected charset but UTF-8 adds a notice (`encoding_guessed`), UTF-16 with a mark too. Bytes that are nothing in
the charset come out as bytes that are not UTF-8 either, so that the same check finds their record.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple

from goodsgate.formats.charset_detection import NAMES, WIDE, Detection, detect_encoding, is_plausible
from goodsgate.formats.content_encoding import detect_content_encoding
from goodsgate.formats.contract import UnknownEncodingError
from goodsgate.formats.payload_reader import PayloadReader

HEAD_BYTES = 64 * 1024
SAMPLE_BYTES = 256 * 1024
AHEAD_MEMORY_BYTES = 1024 * 1024
"""ASCII that is read before the first record, in case that what follows is not certain."""
AHEAD_BYTES = 64 * 1024 * 1024
"""ASCII that is read a second time for that, if the text is longer."""
WIDE_CHARACTERS_MIN = 8
"""Characters that are UTF-8 by accident in charsets of several bytes for each character, but hardly as many as this."""

ENCODINGS = frozenset({
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", *(f"cp{page}" for page in range(1250, 1259)),
    *(f"iso8859-{part}" for part in range(1, 17) if part != 12),
    "cp437", "cp850", "cp852", "cp855", "cp858", "cp862", "cp866", "cp874",
    "koi8-r", "koi8-u", "mac-roman", "mac-latin2", "mac-cyrillic", "mac-greek", "mac-turkish", "ascii", "shift_jis",
    "cp932", "euc_jp", "iso2022_jp", "gb2312", "gbk", "gb18030", "big5", "cp949", "euc_kr", "tis-620",
})
"""Charsets that a submitter may name, as Python calls them."""
_SUPERSETS = {
    "iso8859-1": "cp1252", "ascii": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874",
    "shift_jis": "cp932", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949",
}
"""What is meant by the names in practice, as browsers read them (WHATWG Encoding Standard, section 4.2)."""

_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_MARKS = ((codecs.BOM_UTF8, "UTF-8"), (codecs.BOM_UTF16_LE, "UTF-16-LE"), (codecs.BOM_UTF16_BE, "UTF-16-BE"))


_MAGIC = (
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"PK\x03\x04", "a ZIP or XLSX file, not text"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
     "an XLS (Excel 97-2003) or a password-protected spreadsheet; save it as XLSX without a password, or as CSV"),
    (b"ID;PWXL", "a SYLK file; save it as XLSX or CSV"),
    (b"ID;PSCALC", "a SYLK file; save it as XLSX or CSV"),
    (b"%PDF-", "a PDF; export the data as XLSX or CSV"),
    (b"{\\rtf", "an RTF document; export the data as XLSX or CSV"),
    (b"\x89PNG", "an image; send the product data, with the addresses of the images"),
    (b"\xff\xd8\xff", "an image; send the product data, with the addresses of the images"),
    (b"GIF8", "an image; send the product data, with the addresses of the images"),
    (b"Rar!\x1a\x07", "a RAR archive; send the file in it, plain or as gzip or ZIP"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; send the file in it, plain or as gzip or ZIP"),
    (b"BZh", "a bzip2 file; send it plain or as gzip"),
    (b"\xfd7zXZ\x00", "an xz file; send it plain or as gzip"),
    (b"PAR1", "a Parquet file; export it as CSV or NDJSON"),
    (b"SQLite format 3\x00", "a SQLite database; export a table as CSV or NDJSON"),
)
"""First bytes → what a file is, and what to do."""
_HTML = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|table|meta|div)\b", re.I | re.S
)


def describe_binary(head: bytes) -> str | None:
    """Describe the format of a file that should be text, by its first bytes; None if it may be text."""
    if detect_content_encoding(head) != "identity":
        return f"a {detect_content_encoding(head)} file; compress it only once and declare it"
    return next((what for magic, what in _MAGIC if head.startswith(magic)), None)


def is_html(text: str) -> bool:
    """Return whether a text begins like an HTML page."""
    return _HTML.match(text) is not None


def find_encoding(name: str) -> str:
    """Return the charset that a name stands for. Raises UnknownEncodingError."""
    try:
        found = codecs.lookup(name.strip()).name
    except (LookupError, ValueError):
        found = ""
    if found not in ENCODINGS:
        raise UnknownEncodingError(f"Unsupported encoding {name!r}; expected UTF-8, Windows-1250, ISO-8859-2 or such.")
    return _SUPERSETS.get(found, found)


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


def has_byte_order_mark(head: bytes) -> bool:
    """Return whether the first bytes of a text say what its charset is."""
    return head.startswith(tuple(mark for mark, _ in _MARKS))


def is_mostly_utf8(sample: bytes) -> bool:
    """Return whether a sample that begins at a character holds at least as many UTF-8 sequences as broken bytes."""
    text = sample.decode("utf-8", "replace")
    broken = text.count("\ufffd") - sample.count(b"\xef\xbf\xbd")
    valid = len(text) - len(text.encode("ascii", "ignore")) - broken
    return valid >= broken


def utf8(pieces: Iterator[bytes], reader: PayloadReader, *, encoding: str | None = None, fallback: str | None = None,
         is_json: bool = False, again: Callable[[], Iterator[bytes]] | None = None) -> Iterator[bytes]:
    """Yield the text in UTF-8, in pieces of any size; nothing for a binary file, which sets `reader.stopped`.

    `encoding` is the charset that the submitter has named, as `find_encoding` returns it, and `fallback` the one of a
    text that is not UTF-8. `again` returns the same pieces once more, to look ahead in them.
    """
    head, pieces = first_bytes(pieces, HEAD_BYTES)
    if other := describe_binary(head):
        reader.stop("payload_corrupt", f"this is {other}")
        return
    detected = detect_charset(head)
    if encoding is not None and (detected is None or not detected[1]):
        reader.charset = NAMES.get(encoding, encoding)
        reader.add_decision("encoding", reader.charset, "given")
        yield from pieces if encoding == "utf-8" else _decode_named(pieces, reader, encoding)
        return
    if detected is None:
        yield from pieces if is_json else _decode_unmarked(pieces, reader, fallback, again)
        return
    charset, mark_bytes = detected
    rest = skip_bytes(pieces, mark_bytes)
    if charset == "UTF-8":
        yield from rest
        return
    reader.charset = "UTF-16"
    reader.add_decision("encoding", "UTF-16", "detected", 1.0 if mark_bytes else None)
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


def skip_bytes(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Yield the pieces without their first `count` bytes."""
    for piece in pieces:
        yield piece[count:]
        count = max(0, count - len(piece))


class _Verdict(NamedTuple):
    """What the first bytes beyond ASCII of a text say about all of it."""

    found: Detection | None
    """The charset; None if it is UTF-8."""
    before: bytes
    """The end of the ASCII before them."""
    rest: Iterator[bytes]
    """The text from there on."""


def _decode_unmarked(pieces: Iterator[bytes], reader: PayloadReader, fallback: str | None,
                     again: Callable[[], Iterator[bytes]] | None) -> Iterator[bytes]:
    """Yield a text without a mark; nothing if it is not certain what its charset is, as far as that is known ahead."""
    ahead, first = list[bytes](), None
    size = 0
    for piece in pieces:
        if not piece.isascii():
            first = piece
            break
        ahead.append(piece)
        size += len(piece)
        if size >= AHEAD_MEMORY_BYTES:
            break
    if first is None and size >= AHEAD_MEMORY_BYTES and again is not None:
        later = _limit(again(), AHEAD_BYTES)
        further = _skip_ascii(later)
        if further is not None and not _is_certain(_judge(further, later, fallback=fallback), reader):
            return
    verdict = _judge(first, pieces, fallback=fallback) if first is not None else None
    if verdict is not None and not _is_certain(verdict, reader):
        return
    yield from ahead
    if verdict is None:
        for piece in pieces:
            if not piece.isascii():
                verdict = _judge(piece, pieces, fallback=fallback)
                break
            yield piece
    if verdict is None:
        return
    yield verdict.before
    if verdict.found is None:
        yield from verdict.rest
    elif _is_certain(verdict, reader):
        assert verdict.found.encoding is not None
        reader.charset = NAMES.get(verdict.found.encoding, verdict.found.encoding)
        reader.add_decision("encoding", reader.charset, "detected", verdict.found.confidence)
        if fallback is None:
            reader.add_notice("encoding_guessed", reader.charset)
        yield from _decode(verdict.rest, verdict.found.encoding)


def _skip_ascii(pieces: Iterator[bytes]) -> bytes | None:
    """Return the first piece that is not ASCII; None if there is none."""
    return next((piece for piece in pieces if not piece.isascii()), None)


def _limit(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Yield the pieces up to a size."""
    for piece in pieces:
        yield piece
        count -= len(piece)
        if count <= 0:
            return


def _judge(piece: bytes, pieces: Iterator[bytes], *, fallback: str | None) -> _Verdict:
    """Return what a piece with the first bytes beyond ASCII, and those after it, are."""
    first = _BEYOND_ASCII.search(piece)
    start = piece.rfind(b"\n", 0, first.start() if first else 0) + 1
    sample, rest = first_bytes(chain((piece[start:],), pieces), SAMPLE_BYTES)
    is_utf8 = is_mostly_utf8(sample)
    if is_utf8 and (fallback is None or _has_characters_of(sample, fallback) or not is_plausible(sample, fallback)):
        return _Verdict(None, piece[:start], rest)
    if fallback is not None:
        return _Verdict(Detection(fallback, 1.0, []), piece[:start], rest)
    whole = sample[: sample.rfind(b"\n") + 1] if len(sample) == SAMPLE_BYTES else sample
    return _Verdict(detect_encoding(whole or sample), piece[:start], rest)


def _is_certain(verdict: _Verdict, reader: PayloadReader) -> bool:
    """Return whether the charset is certain; else the payload is rejected."""
    found = verdict.found
    if found is None or found.encoding is not None:
        return True
    reader.reject("encoding_uncertain", " or ".join(found.candidates) or "none that is known fits")
    return False


def _decode_named(pieces: Iterator[bytes], reader: PayloadReader, encoding: str) -> Iterator[bytes]:
    transcoder = Transcoder(encoding)
    if encoding.startswith("utf-16"):
        head, pieces = first_bytes(pieces, SAMPLE_BYTES)
        if head and b"\0" not in head:  # delimiters and line ends have one
            reader.reject("encoding_uncertain", f"UTF-8 or {NAMES.get(encoding, encoding)}")
            return
    for piece in pieces:
        if piece.isascii():
            yield transcoder.utf8(piece)
            continue
        first = _BEYOND_ASCII.search(piece)
        start = first.start() if first else 0
        sample, rest = first_bytes(chain((piece,), pieces), start + SAMPLE_BYTES)
        if _contradicts(sample[start:], encoding):
            reader.reject("encoding_uncertain", f"UTF-8 or {NAMES.get(encoding, encoding)}")
            return
        yield from map(transcoder.utf8, rest)
    yield transcoder.utf8(b"", is_last=True)


def _contradicts(sample: bytes, encoding: str) -> bool:
    """Return whether a sample is UTF-8 and not the charset that was named for it."""
    if encoding.startswith("utf"):
        return False
    try:
        text, _ = codecs.utf_8_decode(sample)  # half a character at the end is left out
    except UnicodeDecodeError:
        return False
    characters = sum(not character.isascii() for character in text)
    if characters < (WIDE_CHARACTERS_MIN if encoding in WIDE else 1):
        return False
    return _has_characters_of(sample, encoding) or not is_plausible(sample, encoding)


def _has_characters_of(sample: bytes, encoding: str) -> bool:
    """Return whether most characters of a text in UTF-8 exist in a charset, too: else it is UTF-8 by accident."""
    text = re.sub(r"[\x00-\x7f]", "", sample.decode("utf-8", "ignore"))
    return len(text.encode(encoding, "ignore").decode(encoding, "ignore")) * 2 >= len(text)


class Transcoder:
    """Text of a charset as UTF-8, piece by piece.

    Bytes that are nothing in the charset stay as they are; in UTF-16 they become U+FFFD.
    """

    def __init__(self, encoding: str) -> None:
        self._decoder = _decoder(encoding) if encoding != "utf-16" else None
        """None as long as the byte order is not known."""
        self._head = b""

    def utf8(self, piece: bytes, *, is_last: bool = False) -> bytes:
        """Return what is complete of a piece."""
        if self._decoder is None:
            piece, self._head = self._head + piece, b""
            if len(piece) < 2 and not is_last:
                self._head = piece
                return b""
            self._decoder = _decoder(_byte_order(piece))
        return self._decoder.decode(piece, is_last).encode("utf-8", "surrogateescape")


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder(encoding)("replace" if encoding.startswith("utf-16") else "surrogateescape")


def _byte_order(head: bytes) -> str:
    """Return the codec of UTF-16: by its mark, else by its first character, which is hardly ever beyond Latin-1."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-16-be" if head.startswith(b"\0") else "utf-16-le"


def _decode(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    transcoder = Transcoder(encoding)
    for piece in pieces:
        yield transcoder.utf8(piece)
    yield transcoder.utf8(b"", is_last=True)


def _from_utf16(pieces: Iterator[bytes], charset: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(charset)("surrogatepass")
    for piece in pieces:
        yield decoder.decode(piece).encode("utf-8", "surrogatepass")
    left, _ = decoder.getstate()
    if left:
        yield b"\xff"  # half a character: broken in UTF-8 too
