"""Gzip and Zstandard, decompressed in pieces of bounded size.

A few kilobytes may expand to gigabytes. So compressed bytes are fed in small slices, decompressed bytes come out in
pieces of bounded size whatever the ratio, and their sum is checked against the limits.
"""

from collections.abc import Iterator

from isal import igzip_lib

from goodsgate.formats.archive import unzip
from goodsgate.formats.payload_reader import PayloadReader
from goodsgate.model import zstd

SLICE_BYTES = 64 * 1024
"""Compressed bytes fed at once; `bytes_done` may run ahead by this much."""

READ_AHEAD_BYTES = 4 * 1024 * 1024
"""Decompressed bytes that the next stages may hold before their records are counted."""

RATIO_FROM_BYTES = 16 * 1024 * 1024
"""The ratio is not checked for smaller files, for which it means nothing."""

ZSTD_WINDOW_BYTES_MAX = 8 * 1024 * 1024
"""Maximum window by RFC 9659 for the content encoding zstd; a decoder needs this much memory per stream."""

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class _TruncatedError(Exception):
    """The compressed data ends too early."""


class _CorruptError(Exception):
    """The compressed data is invalid."""


def detect_content_encoding(head: bytes) -> str:
    """Return the content encoding that the first bytes of a file show."""
    if head.startswith(GZIP_MAGIC):
        return "gzip"
    if head.startswith(ZSTD_MAGIC) or (head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5):
        return "zstd"
    return "identity"


def decompress(pieces: Iterator[bytes], reader: PayloadReader, *, content_encoding: str) -> Iterator[bytes]:
    """Yield decompressed pieces of at most `reader.piece_bytes`; a reason to end early is set in `reader.stopped`."""
    if content_encoding == "identity":
        parts = _slice(pieces, reader, reader.piece_bytes)
    elif content_encoding == "zip":
        parts = _cut(unzip(pieces, reader), reader.piece_bytes)
    elif content_encoding == "gzip":
        parts = _gunzip(_slice(pieces, reader, SLICE_BYTES), reader.piece_bytes)
    else:
        parts = _cut(_unzstd(_slice(pieces, reader, SLICE_BYTES)), reader.piece_bytes)
    try:
        for part in parts:
            reader.bytes_unpacked += len(part)
            if _is_too_large(reader) or _is_sparse(reader):
                return
            yield part
    except _TruncatedError as fault:
        reader.stop("payload_truncated", str(fault))
    except _CorruptError as fault:
        reader.stop("payload_corrupt", f"{fault} (before byte {reader.bytes_done:,})")


def _is_too_large(reader: PayloadReader) -> bool:
    limits, decompressed = reader.limits, reader.bytes_unpacked
    ratio = decompressed > RATIO_FROM_BYTES and decompressed > reader.bytes_done * limits.inflate_ratio_max
    expected = ""
    if decompressed > limits.unpacked_bytes_max:
        expected = f"at most {limits.unpacked_bytes_max:,} bytes"
    elif ratio and not reader.exact:
        expected = f"at most {limits.inflate_ratio_max:,} times its size"
    if expected:
        reader.stop("payload_inflates", f"{decompressed:,} bytes from {reader.bytes_done:,}", expected=expected)
    return bool(expected)


def _is_sparse(reader: PayloadReader) -> bool:
    """Return whether too much was read since the last record; what one line may hold is never too much."""
    limit = max(reader.limits.skipped_bytes_max, reader.limits.line_bytes_max + READ_AHEAD_BYTES)
    skipped = reader.bytes_unpacked - reader.bytes_at_record
    if skipped > limit:
        reader.stop("payload_sparse", f"{skipped:,}", expected=f"at most {limit:,} bytes")
    return skipped > limit


def _slice(pieces: Iterator[bytes], reader: PayloadReader, size: int) -> Iterator[bytes]:
    """Yield the compressed bytes in slices, and count them."""
    for piece in pieces:
        for start in range(0, len(piece), size):
            part = piece[start : start + size]
            reader.bytes_done += len(part)
            yield part


def _cut(parts: Iterator[bytes], size: int) -> Iterator[bytes]:
    for part in parts:
        for start in range(0, len(part), size):
            yield part[start : start + size]


def _gunzip(slices: Iterator[bytes], piece_bytes: int) -> Iterator[bytes]:
    """Decompress RFC 1952: any number of members, perhaps followed by zero bytes (as in tape archives)."""
    decoder: igzip_lib.IgzipDecompressor | None = None
    begun = False
    for data in slices:
        while True:
            if decoder is None:
                data = data.lstrip(b"\0") if begun else data
                if not data:
                    break
                decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
                begun = True
            try:
                part = decoder.decompress(data, piece_bytes)
            except igzip_lib.IsalError as fault:  # type: ignore[misc]  # its stubs name an instance
                raise _CorruptError(f"gzip: {fault}") from fault
            data = b""
            if part:
                yield part
            if decoder.eof:
                data, decoder = decoder.unused_data, None
            elif decoder.needs_input:
                break
    if decoder is not None or not begun:
        raise _TruncatedError("the gzip data has no end")


class _ByteSource:
    """Source of exact numbers of bytes from slices."""

    def __init__(self, slices: Iterator[bytes]) -> None:
        self._slice = slices
        self._pending = b""

    def ended(self) -> bool:
        while not self._pending:
            more = next(self._slice, None)
            if more is None:
                return True
            self._pending = more
        return False

    def feed(self, count: int) -> bytes:
        while len(self._pending) < count:
            more = next(self._slice, None)
            if more is None:
                raise _TruncatedError("the zstd data has no end")
            self._pending += more
        pieces_read, self._pending = self._pending[:count], self._pending[count:]
        return pieces_read

    def drop(self, count: int) -> None:
        while count:
            count -= len(self.feed(min(count, SLICE_BYTES)))


def _unzstd(slices: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress RFC 8878: any number of frames.

    The library either does not bound its output or does not tell a truncated frame. So the blocks of a frame are cut
    out here (each has its length before it and unpacks to at most 128 KiB) and fed one by one.
    """
    compressed = _ByteSource(slices)
    begun = False
    while not compressed.ended():
        begun = True
        magic = compressed.feed(4)
        if magic[1:] == b"\x2a\x4d\x18" and magic[0] >> 4 == 5:  # a skippable frame
            compressed.drop(int.from_bytes(compressed.feed(4), "little"))
        elif magic == ZSTD_MAGIC:
            try:
                yield from _zstd_frame(compressed)
            except zstd.ZstdError as fault:
                raise _CorruptError(str(fault)) from fault
        else:
            raise _CorruptError("zstd: no frame where one should begin")
    if not begun:
        raise _TruncatedError("the zstd data has no end")


def _zstd_frame(compressed: _ByteSource) -> Iterator[bytes]:
    descriptor = compressed.feed(1)
    single, checksum = descriptor[0] >> 5 & 1, descriptor[0] >> 2 & 1
    size_bytes = (single, 2, 4, 8)[descriptor[0] >> 6]
    rest = compressed.feed((not single) + (0, 1, 2, 4)[descriptor[0] & 3] + size_bytes)
    window = int.from_bytes(rest[-size_bytes:], "little") if single else _window_bytes(rest[0])
    if window > ZSTD_WINDOW_BYTES_MAX:
        raise _CorruptError(f"zstd: a window of {window:,} bytes, more than {ZSTD_WINDOW_BYTES_MAX:,} (RFC 9659)")
    window_log_max = ZSTD_WINDOW_BYTES_MAX.bit_length() - 1
    decoder = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: window_log_max})
    decoder.decompress(ZSTD_MAGIC + descriptor + rest)
    last = False
    while not last:
        block = compressed.feed(3)
        number = int.from_bytes(block, "little")
        last, kind, size = bool(number & 1), number >> 1 & 3, number >> 3
        part = decoder.decompress(block + compressed.feed(1 if kind == 1 else size))
        if part:
            yield part
    if checksum:
        part = decoder.decompress(compressed.feed(4))
        if part:
            yield part
    if not decoder.eof:
        raise _CorruptError("zstd: the frame does not end where it should")


def _window_bytes(descriptor: int) -> int:
    """Return the window that a byte of the frame header names (RFC 8878, 3.1.1.1.2)."""
    base = 1 << 10 + (descriptor >> 3)
    return base + (base >> 3) * (descriptor & 7)
