"""Compress a file while it is written."""

import gzip
from collections.abc import Iterable, Iterator
from typing import Literal

from goodsgate.model import zstd

Compression = Literal["none", "gzip", "zstd"]
GZIP_LEVEL = 6
ZSTD_LEVEL = 6


def compress(pieces: Iterable[bytes], compression: Compression) -> Iterator[bytes]:
    """Yield a file compressed; the same bytes for the same content."""
    if compression == "none":
        yield from filter(None, pieces)
    elif compression == "zstd":
        packer = zstd.ZstdCompressor(level=ZSTD_LEVEL)
        for piece in pieces:
            if packed := packer.compress(piece):
                yield packed
        yield packer.flush()
    else:
        sink = _Sink()
        with gzip.GzipFile(fileobj=sink, mode="wb", compresslevel=GZIP_LEVEL, mtime=0) as file:
            for piece in pieces:
                file.write(piece)
                yield from sink.take()
        yield from sink.take()


class _Sink:
    """File to which gzip writes, and from which its pieces are taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Do nothing: the pieces are taken."""

    def take(self) -> list[bytes]:
        taken, self._pieces = self._pieces, []
        return taken
