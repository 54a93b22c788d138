"""A feed that can be sent more than once: a file, or standard input saved while it is read."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from goodsgate.cli.errors import CommandError

PIECE_BYTES = 256 * 1024
FORMATS = {
    ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv",
    ".xlsx": "xlsx", ".xml": "xml",
}
"""Format by file name extension, after ``.gz`` or ``.zst`` is removed; for others the gate inspects the content."""


class FeedSource:
    """A feed that can be read from its first byte any number of times."""

    def __init__(self, name: str) -> None:
        self.name = "standard input" if name == "-" else Path(name).name
        self.label = "" if name == "-" else Path(name).name[:200]
        self.format = format_of(name)
        self.bytes_total: int | None = None
        self._file: BinaryIO
        if name == "-":
            self._file = tempfile.TemporaryFile(prefix="goodsgate-")  # noqa: SIM115 - closed by close()
            self._stdin: BinaryIO | None = sys.stdin.buffer
            return
        self._stdin = None
        try:
            self._file = Path(name).open("rb")  # noqa: SIM115 - closed by close()
            self.bytes_total = Path(name).stat().st_size
        except OSError as error:
            raise CommandError(f"{name}: {error.strerror}") from error

    def pieces(self, on_bytes: Callable[[int], None]) -> Iterator[bytes]:
        """Yield the feed from its first byte; call `on_bytes` with the number of bytes read so far."""
        self._file.seek(0)
        count = 0
        for piece in self._read():
            yield piece
            count += len(piece)
            on_bytes(count)

    def _read(self) -> Iterator[bytes]:
        while piece := self._file.read(PIECE_BYTES):
            yield piece
        if self._stdin is None:
            return
        while piece := self._stdin.read(PIECE_BYTES):
            self._file.write(piece)
            yield piece
        self._stdin = None

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def ignore_progress(_count: int) -> None:
    """Do nothing; for callers that show no progress."""


def format_of(name: str) -> str | None:
    """Return the format that a file name implies, or None."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    while suffixes and suffixes[-1] in (".gz", ".gzip", ".zst", ".zstd"):
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None
