"""Gzip and Zstandard, unpacked in bounded pieces.

A few kilobytes may unpack to gigabytes. So packed bytes are fed in small slices, unpacked ones come out in pieces of
bounded size whatever the ratio, and their sum is held against the limits.
"""

from collections.abc import Iterator

import zstandard
from isal import igzip_lib

from goodsgate.formats.payload_reader import PayloadReader

SLICE_BYTES = 64 * 1024
"""Packed bytes fed at once; so far `bytes_done` may run ahead."""

RATIO_FROM_BYTES = 16 * 1024 * 1024
"""The ratio says nothing about small files."""

ZSTD_WINDOW_BYTES_MAX = 8 * 1024 * 1024
"""What RFC 9659 allows a zstd content encoding; a decoder holds this much per stream."""

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class _TruncatedError(Exception):
    """The packed bytes end too early."""


class _CorruptError(Exception):
    """The packed bytes are not what they should be."""


def detect_content_encoding(head: bytes) -> str:
    """The packing that the first bytes of a file show."""
    if head.startswith(GZIP_MAGIC):
        return "gzip"
    if head.startswith(ZSTD_MAGIC) or (head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5):
        return "zstd"
    return "identity"


def decompress(pieces: Iterator[bytes], reading: PayloadReader, *, content_encoding: str) -> Iterator[bytes]:
    """Unpacked pieces of at most `reading.piece_bytes`; what stops them early is said in `reading.stopped`."""
    if content_encoding == "identity":
        parts = _slices(pieces, reading, reading.piece_bytes)
    elif content_encoding == "gzip":
        parts = _gunzip(_slices(pieces, reading, SLICE_BYTES), reading.piece_bytes)
    else:
        parts = _cut(_unzstd(_slices(pieces, reading, SLICE_BYTES)), reading.piece_bytes)
    unpacked = 0
    try:
        for part in parts:
            unpacked += len(part)
            if _inflates(unpacked, reading):
                return
            yield part
    except _TruncatedError as fault:
        reading.stop("payload_truncated", str(fault))
    except _CorruptError as fault:
        reading.stop("payload_corrupt", f"{fault} (before byte {reading.bytes_done:,})")


def _inflates(unpacked: int, reading: PayloadReader) -> bool:
    limits = reading.limits
    ratio = unpacked > RATIO_FROM_BYTES and unpacked > reading.bytes_done * limits.inflate_ratio_max
    expected = ""
    if unpacked > limits.unpacked_bytes_max:
        expected = f"at most {limits.unpacked_bytes_max:,} bytes"
    elif ratio and not reading.exact:
        expected = f"at most {limits.inflate_ratio_max:,} times its size"
    if expected:
        reading.stop("payload_inflates", f"{unpacked:,} bytes from {reading.bytes_done:,}", expected=expected)
    return bool(expected)


def _slices(pieces: Iterator[bytes], reading: PayloadReader, size: int) -> Iterator[bytes]:
    """The packed bytes in slices, counted as they are handed on."""
    for piece in pieces:
        for start in range(0, len(piece), size):
            part = piece[start : start + size]
            reading.bytes_done += len(part)
            yield part


def _cut(parts: Iterator[bytes], size: int) -> Iterator[bytes]:
    for part in parts:
        for start in range(0, len(part), size):
            yield part[start : start + size]


def _gunzip(slices: Iterator[bytes], piece_bytes: int) -> Iterator[bytes]:
    """RFC 1952: any number of members, perhaps padded with zero bytes at the end (tape archives do)."""
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
    """Takes exact numbers of bytes from slices."""

    def __init__(self, slices: Iterator[bytes]) -> None:
        self._slices = slices
        self._held = b""

    def ended(self) -> bool:
        while not self._held:
            more = next(self._slices, None)
            if more is None:
                return True
            self._held = more
        return False

    def take(self, count: int) -> bytes:
        while len(self._held) < count:
            more = next(self._slices, None)
            if more is None:
                raise _TruncatedError("the zstd data has no end")
            self._held += more
        taken, self._held = self._held[:count], self._held[count:]
        return taken

    def drop(self, count: int) -> None:
        while count:
            count -= len(self.take(min(count, SLICE_BYTES)))


def _unzstd(slices: Iterator[bytes]) -> Iterator[bytes]:
    """RFC 8878: any number of frames.

    The library either does not bound its output or does not tell a truncated frame. So the blocks of a frame are cut
    out here (each has its length before it and unpacks to at most 128 KiB) and fed one by one.
    """
    packed = _ByteSource(slices)
    begun = False
    while not packed.ended():
        begun = True
        magic = packed.take(4)
        if magic[1:] == b"\x2a\x4d\x18" and magic[0] >> 4 == 5:  # a skippable frame
            packed.drop(int.from_bytes(packed.take(4), "little"))
        elif magic == ZSTD_MAGIC:
            try:
                yield from _zstd_frame(packed)
            except zstandard.ZstdError as fault:
                raise _CorruptError(str(fault)) from fault
        else:
            raise _CorruptError("zstd: no frame where one should begin")
    if not begun:
        raise _TruncatedError("the zstd data has no end")


def _zstd_frame(packed: _ByteSource) -> Iterator[bytes]:
    descriptor = packed.take(1)
    single, checksum = descriptor[0] >> 5 & 1, descriptor[0] >> 2 & 1
    rest = (not single) + (0, 1, 2, 4)[descriptor[0] & 3] + (single, 2, 4, 8)[descriptor[0] >> 6]
    head = ZSTD_MAGIC + descriptor + packed.take(rest)
    window = zstandard.get_frame_parameters(head).window_size
    if window > ZSTD_WINDOW_BYTES_MAX:
        raise _CorruptError(f"zstd: a window of {window:,} bytes, more than {ZSTD_WINDOW_BYTES_MAX:,} (RFC 9659)")
    decoder = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES_MAX).decompressobj()
    decoder.decompress(head)
    last = False
    while not last:
        block = packed.take(3)
        number = int.from_bytes(block, "little")
        last, kind, size = bool(number & 1), number >> 1 & 3, number >> 3
        part = decoder.decompress(block + packed.take(1 if kind == 1 else size))
        if part:
            yield part
    if checksum:
        part = decoder.decompress(packed.take(4))
        if part:
            yield part
    if not decoder.eof:
        raise _CorruptError("zstd: the frame does not end where it should")
