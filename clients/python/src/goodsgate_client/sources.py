"""What is sent: files and records, which can be sent again from their first byte without being held in memory."""

import asyncio
import io
import os
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

PIECE_BYTES = 256 * 1024
MEMORY_BYTES_MAX = 1024 * 1024
"""What cannot be read twice is kept in memory up to this size, then in a temporary file."""
LABEL_CHARACTERS_MAX = 200
FORMATS = {
    ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv",
    ".xlsx": "xlsx", ".xml": "xml",
}
"""Format by file name extension, after ``.gz`` or ``.zst`` is removed; for others the gate inspects the content."""

Record = Mapping[str, Any] | msgspec.Struct
"""A product, price or stock as JSON members."""


ENCODER = msgspec.json.Encoder(decimal_format="number")


class SourceError(Exception):
    """The caller's own file or iterable failed; `cause` is its exception."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Source:
    """Content that can be sent again from its first byte."""

    def __init__(
        self, file: BinaryIO, *, rest: Iterator[bytes] | None = None, later: AsyncIterator[bytes] | None = None,
        label: str = "", format: str | None = None, bytes_total: int | None = None, is_owned: bool = True,
    ) -> None:
        """Read `file` from its position; what `rest` or `later` yields is appended to it while it is sent."""
        self.label = label
        """Name of the file; empty if it has none."""
        self.format = format
        """Format by the name of the file; None if it does not say."""
        self.bytes_total = bytes_total
        self.on_bytes: Callable[[int], None] | None = None
        """Called with the number of bytes that were read in this attempt."""
        self._file, self._start, self._is_owned = file, file.tell(), is_owned
        self._rest, self._later = rest, later
        self._failure: Exception | None = None

    def pieces(self) -> Iterator[bytes]:
        """Yield the content from its first byte. Raises SourceError."""
        count = 0
        self._file.seek(self._start)
        while piece := self._next():
            yield piece
            count += len(piece)
            self._report(count)

    async def apieces(self) -> AsyncIterator[bytes]:
        """Yield the content from its first byte. Raises SourceError."""
        count = 0
        self._file.seek(self._start)
        while piece := await (self._anext() if self._later else asyncio.to_thread(self._next)):
            yield piece
            count += len(piece)
            self._report(count)

    def _next(self) -> bytes:
        """Return the next piece, empty at the end; a piece of `rest` is saved for the next attempt."""
        with self._remember_failure():
            piece = self._file.read(PIECE_BYTES)
            if not piece and self._rest is not None:
                piece = next(self._rest, b"")
                self._file.write(piece)
            return piece

    async def _anext(self) -> bytes:
        with self._remember_failure():
            piece = await asyncio.to_thread(self._file.read, PIECE_BYTES)
            if not piece and self._later is not None:
                piece = await anext(self._later, b"")
                await asyncio.to_thread(self._file.write, piece)
            return piece

    @contextmanager
    def _remember_failure(self) -> Iterator[None]:
        """Turn an exception of the caller's iterable into a SourceError, now and in every later attempt.

        Otherwise an iterable that failed would be sent again without its rest, as if it had ended.
        """
        if self._failure is not None:
            raise SourceError(self._failure)
        try:
            yield
        except Exception as error:
            self._failure = error
            raise SourceError(error) from error

    def _report(self, count: int) -> None:
        if self.on_bytes:
            self.on_bytes(count)

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._is_owned:
            self._file.close()


FileInput = str | os.PathLike[str] | BinaryIO | bytes | Source
"""A path, an open binary file (from its current position), the content itself, or a source."""


@contextmanager
def open_source(file: FileInput) -> Iterator[Source]:
    """Open a file and close it in the end, unless it is a source, which belongs to the caller. Raises OSError."""
    source = file_source(file)
    try:
        yield source
    finally:
        if source is not file:
            source.close()


def file_source(file: FileInput) -> Source:
    """Return the content of a file, which is not read into memory. Raises OSError."""
    if isinstance(file, Source):
        return file
    if isinstance(file, bytes):
        return Source(io.BytesIO(file), bytes_total=len(file))
    if isinstance(file, str | os.PathLike):
        return _opened_source(Path(file).open("rb"), os.fspath(file), is_owned=True)
    name = getattr(file, "name", "")
    return _opened_source(file, name if isinstance(name, str) else "", is_owned=False)


def _opened_source(file: BinaryIO, name: str, *, is_owned: bool) -> Source:
    label, format = Path(name).name[:LABEL_CHARACTERS_MAX], format_of(name)
    if not file.seekable():  # a pipe
        return Source(_spool(), rest=iter(lambda: file.read(PIECE_BYTES), b""), label=label, format=format)
    start = file.tell()
    bytes_total = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    return Source(file, label=label, format=format, bytes_total=bytes_total, is_owned=is_owned)


def record_source(records: Iterable[Record] | AsyncIterable[Record]) -> Source:
    """Return records as NDJSON; they are encoded while they are sent."""
    if isinstance(records, AsyncIterable):
        return Source(_spool(), later=_encode_later(records), format="ndjson")
    return Source(_spool(), rest=_encode(records), format="ndjson")


def _encode(records: Iterable[Record]) -> Iterator[bytes]:
    piece = bytearray()
    for record in records:
        piece += ENCODER.encode(record)
        piece += b"\n"
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


async def _encode_later(records: AsyncIterable[Record]) -> AsyncIterator[bytes]:
    piece = bytearray()
    async for record in records:
        piece += ENCODER.encode(record)
        piece += b"\n"
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _spool() -> BinaryIO:
    spool = tempfile.SpooledTemporaryFile(MEMORY_BYTES_MAX, prefix="goodsgate-")  # noqa: SIM115 - closed by the source
    return cast(BinaryIO, spool)


def format_of(name: str) -> str | None:
    """Return the format that a file name implies, or None."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    while suffixes and suffixes[-1] in (".gz", ".gzip", ".zst", ".zstd"):
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None
