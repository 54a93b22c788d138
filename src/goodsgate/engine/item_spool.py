"""Items in a temporary file, between the time they are read from the store and the time they are written."""

import struct
from collections.abc import Iterator
from tempfile import TemporaryFile
from types import TracebackType

_LENGTHS = struct.Struct("<II")
"""Bytes of a key and of a document."""


class ItemSpool:
    """Keys and documents of items, in the order in which they were added; memory does not grow with them."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> "ItemSpool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, key: str, document: bytes) -> None:
        """Add an item."""
        key_bytes = key.encode()
        self._file.write(b"".join((_LENGTHS.pack(len(key_bytes), len(document)), key_bytes, document)))

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """Yield key and document of each item."""
        read, unpack, size = self._file.read, _LENGTHS.unpack, _LENGTHS.size
        self._file.seek(0)
        while head := read(size):
            key_bytes, document_bytes = unpack(head)
            content = read(key_bytes + document_bytes)
            yield content[:key_bytes].decode(), content[key_bytes:]
