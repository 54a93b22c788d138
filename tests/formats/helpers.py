"""Payloads opened in tests: bytes in, everything that was read out."""

import gzip
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
import zstandard
from hypothesis import strategies as st

from goodsgate.formats import Limits, Reader, ReadOptions, open_reader
from goodsgate.model.issue import CODES

T = TypeVar("T")


class Read(msgspec.Struct, kw_only=True):
    """All that a reader said of a payload."""

    reader: Reader
    records: list
    source_rows: list[int]
    unreadable: dict[int, str]
    """Index → code."""
    issues: dict[int, list[tuple[str, str | None, str | None]]]
    """Index → code, column and value of the issues of its cells."""
    chunks: list[int]
    """Records of each chunk."""
    bytes_done: int

    @property
    def stopped(self) -> str | None:
        """Code of what stopped the reader."""
        return self.reader.stopped and self.reader.stopped.code

    @property
    def refused(self) -> str | None:
        """Code of what the submitter must say before anything is read."""
        return next((notice.code for notice in self.reader.notices if notice.severity == "error"), None)

    @property
    def notices(self) -> list[tuple[str, str | None]]:
        """Code and value of each notice."""
        return [(notice.code, notice.value) for notice in self.reader.notices]

    @property
    def good(self) -> list:
        """The readable records."""
        return [record for index, record in enumerate(self.records) if index not in self.unreadable]


def pieces(data: bytes, sizes: Sequence[int] = (1 << 20,)) -> Iterator[bytes]:
    """The bytes in pieces of these sizes, over and over."""
    at = number = 0
    while at < len(data):
        size = sizes[number % len(sizes)]
        yield data[at : at + size]
        at += size
        number += 1


def read(
    data: bytes | Iterator[bytes], format: str = "ndjson", *, content_encoding: str = "identity", skip: int = 0,
    sizes: Sequence[int] = (1 << 20,), encoding: str | None = None,
    options: dict[str, Any] | None = None, **limits: int,
) -> Read:
    """Read a payload to its end and hold the reader to what it promises of every chunk."""
    given = pieces(data, sizes) if isinstance(data, bytes) else data
    bounds = Limits(**{"chunk_seconds": 3600, **limits})  # no chunk ends early on a slow machine
    reader = open_reader(
        given, format=format, content_encoding=content_encoding, limits=bounds,
        options=ReadOptions(encoding=encoding, **(options or {})),
    )
    found = Read(reader=reader, records=[], source_rows=[], unreadable={}, issues={}, chunks=[], bytes_done=0)
    for chunk in reader.chunks(skip=skip):
        records = chunk.lines if reader.header is None else chunk.rows
        assert 0 < len(records) <= bounds.chunk_records_max
        assert len(chunk.lines) + len(chunk.rows) == len(chunk.source_rows) == len(records)
        # several elements of an XML document may begin in one line
        assert chunk.source_rows == sorted(chunk.source_rows if format == "xml" else set(chunk.source_rows))
        assert chunk.bytes_done >= found.bytes_done
        offset = len(found.records)
        found.unreadable |= {offset + index: issue.code for index, issue in chunk.unreadable.items()}
        found.issues |= {
            offset + index: [(issue.code, issue.column, issue.value) for issue in each]
            for index, each in chunk.issues.items()
        }
        for index, row in enumerate(chunk.rows):
            assert index in chunk.unreadable or len(row) == len(reader.header or [])
        assert all(issue.message and CODES[issue.code].about == "record" for issue in chunk.unreadable.values())
        assert all(0 <= index < len(records) for index in chunk.unreadable)
        found.records += records
        found.source_rows += chunk.source_rows
        found.chunks.append(len(records))
        found.bytes_done = chunk.bytes_done
    for issue in [*reader.notices, *([reader.stopped] if reader.stopped else [])]:
        assert issue.message
        assert CODES[issue.code].about == "file"
    return found


def packed(data: bytes, content_encoding: str) -> bytes:
    """The bytes packed."""
    if content_encoding == "gzip":
        return gzip.compress(data, 6, mtime=0)
    return zstandard.ZstdCompressor(write_checksum=True).compress(data) if content_encoding == "zstd" else data


def peak(work: Callable[[], T]) -> tuple[T, int]:
    """What the work returns, and the most bytes of Python objects that it held at once."""
    tracemalloc.start()
    try:
        return work(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


PACKINGS = st.sampled_from(["identity", "gzip", "zstd"])
SIZES = st.lists(st.integers(1, 400), min_size=1, max_size=5)
"""Sizes of pieces."""
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
