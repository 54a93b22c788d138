"""A feed that can be sent more than once: a file, or standard input kept while it is read."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from goodsgate.cli.exits import Unusable

PIECE_BYTES = 256 * 1024
FORMATS = {
    ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv",
    ".xlsx": "xlsx",
}
"""By the end of the file's name, a packing's ``.gz`` or ``.zst`` left off; otherwise the gate looks at the bytes."""


class Source:
    """One feed to be sent, from its first byte again if need be."""

    def __init__(self, name: str) -> None:
        self.name = "standard input" if name == "-" else Path(name).name
        self.label = "" if name == "-" else Path(name).name[:200]
        self.format = format_of(name)
        self.bytes_total: int | None = None
        self._kept: BinaryIO
        if name == "-":
            self._kept = tempfile.TemporaryFile(prefix="goodsgate-")  # noqa: SIM115 - closed by close()
            self._rest: BinaryIO | None = sys.stdin.buffer
            return
        self._rest = None
        try:
            self._kept = Path(name).open("rb")  # noqa: SIM115 - closed by close()
            self.bytes_total = Path(name).stat().st_size
        except OSError as fault:
            raise Unusable(f"{name}: {fault.strerror}") from fault

    def pieces(self, on_bytes: Callable[[int], None]) -> Iterator[bytes]:
        """The feed from its first byte, in pieces; tells `on_bytes` how many were handed out so far."""
        self._kept.seek(0)
        count = 0
        for piece in self._all():
            yield piece
            count += len(piece)
            on_bytes(count)

    def _all(self) -> Iterator[bytes]:
        while piece := self._kept.read(PIECE_BYTES):
            yield piece
        if self._rest is None:
            return
        while piece := self._rest.read(PIECE_BYTES):
            self._kept.write(piece)
            yield piece
        self._rest = None

    def close(self) -> None:
        """Let go of the file."""
        self._kept.close()


def untold(_count: int) -> None:
    """For those who do not want to know how far it is."""


def format_of(name: str) -> str | None:
    """The format that a file's name tells, if it tells one."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    while suffixes and suffixes[-1] in (".gz", ".gzip", ".zst", ".zstd"):
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None
