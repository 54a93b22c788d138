"""ZIP archives with one data file in them.

The directory of an archive is at its end, so the archive is held in memory as a whole, up to the limit of a workbook.
The file in it is decompressed as it is read. Nothing is believed but where a file begins: what it expands to is limited
by those who read the pieces.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import msgspec
from isal import igzip_lib, isal_zlib

from goodsgate.formats.payload_reader import PayloadReader

ZIP_MAGIC = b"PK\x03\x04"
FILES_MAX = 10_000
NAMES_MAX = 10
"""Names of files that a message repeats."""
SLICE_BYTES = 64 * 1024
END_BYTES_MAX = 22 + 65_535
"""The record at the end of an archive, with its comment."""
DATA_SUFFIXES = frozenset({
    ".csv", ".tsv", ".tab", ".txt", ".json", ".ndjson", ".jsonl", ".xml", ".rss", ".atom", ".xlsx", ".xlsm",
})
_IGNORED_NAMES = frozenset({"thumbs.db", "desktop.ini"})
_IGNORED_STEMS = ("readme", "license", "licence")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _SIZES_FOLLOW, _UTF8 = 1, 8, 0x800
_UNKNOWN = 0xFFFFFFFF
"""Stands for a number that is in the ZIP64 extra field."""
_DIRECTORY_ENTRY = struct.Struct("<4s6H3I5H2I")
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")


class ArchiveError(Exception):
    """The archive cannot be read; says why."""


class ArchivedFile(msgspec.Struct, frozen=True):
    """A file in an archive."""

    name: str
    is_encrypted: bool
    method: int
    checksum: int
    packed_bytes: int
    offset: int
    """Of its local header."""


def unzip(pieces: Iterator[bytes], reader: PayloadReader) -> Iterator[bytes]:
    """Yield the only data file of an archive; if there is none or several, the reason is stored in the reader."""
    limit = reader.limits.xlsx_bytes_max
    parts, size = [], 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            reader.stop("payload_corrupt", f"a ZIP archive may have at most {limit:,} bytes; gzip has no such limit")
            return
        parts.append(piece)
    data = b"".join(parts)
    del parts
    try:
        files = list_files(data)
        usable = select_data_files([file.name for file in files])
        if len(usable) > 1:
            reader.add_notice("archive_ambiguous", ", ".join(usable[:NAMES_MAX]))
            return
        if not usable:
            raise ArchiveError(f"it contains no data file ({', '.join(file.name for file in files[:NAMES_MAX])})")
        file = next(file for file in files if file.name == usable[0])
        reader.add_decision("file", file.name, "detected", 1.0)
        for piece, done in _extract(data, file):
            reader.bytes_done = len(data) * done // max(1, file.packed_bytes)
            yield piece
        reader.bytes_done = len(data)
    except ArchiveError as fault:
        is_cut = b"PK\x05\x06" not in data[-END_BYTES_MAX:]
        reader.stop("payload_truncated" if is_cut else "payload_corrupt", f"ZIP: {fault}")


def list_files(data: bytes) -> list[ArchivedFile]:
    """Return the files of an archive, by its directory. Raises ArchiveError."""
    end = data.rfind(b"PK\x05\x06", max(0, len(data) - END_BYTES_MAX))
    if end < 0 or end + 22 > len(data):
        raise ArchiveError("the archive has no end")
    directory_bytes, at = struct.unpack_from("<2I", data, end + 12)
    if data[at : at + 4] != b"PK\x01\x02":
        at = end - directory_bytes
    files: list[ArchivedFile] = []
    while at >= 0 and data[at : at + 4] == b"PK\x01\x02" and at + _DIRECTORY_ENTRY.size <= len(data):
        (_, _, _, flags, method, _, _, checksum, packed, unpacked, name_bytes, extra_bytes, comment_bytes, _, _, _,
         offset) = _DIRECTORY_ENTRY.unpack_from(data, at)
        at += _DIRECTORY_ENTRY.size
        name = data[at : at + name_bytes].decode("utf-8" if flags & _UTF8 else "cp437", "replace")
        extra = data[at + name_bytes : at + name_bytes + extra_bytes]
        packed, offset = _large_numbers(extra, unpacked, packed, offset)
        files.append(ArchivedFile(name, bool(flags & _ENCRYPTED), method, checksum, packed, offset))
        at += name_bytes + extra_bytes + comment_bytes
        if len(files) > FILES_MAX:
            raise ArchiveError(f"it contains more than {FILES_MAX:,} files")
    if not files:
        raise ArchiveError("it is empty")
    return files


def select_data_files(names: Sequence[str]) -> list[str]:
    """Return the names of the files that may hold records; folders and what operating systems add are none."""
    names = [name for name in names if not _is_ignored(name)]
    data = [name for name in names if PurePosixPath(name.lower()).suffix in DATA_SUFFIXES]
    return data or (names if len(names) == 1 else [])


def read_heads(head: bytes) -> tuple[list[str], bytes]:
    """Return the names of the files that the beginning of an archive shows, and the beginning of the first data file.

    Raises ArchiveError if that file is encrypted or compressed in an unsupported way.
    """
    names: list[str] = []
    content, at = b"", 0
    while head[at : at + 4] == ZIP_MAGIC and at + _LOCAL_HEADER.size <= len(head):
        _, _, flags, method, _, _, checksum, packed, _, name_bytes, extra_bytes = _LOCAL_HEADER.unpack_from(head, at)
        start = at + _LOCAL_HEADER.size
        name = head[start : start + name_bytes].decode("utf-8" if flags & _UTF8 else "cp437", "replace")
        start += name_bytes + extra_bytes
        if not content and select_data_files([name]):
            content = _first_bytes(head[start:], ArchivedFile(name, bool(flags & _ENCRYPTED), method, checksum, 0, at))
        names.append(name)
        if flags & _SIZES_FOLLOW or packed == _UNKNOWN:
            break  # where the next file begins is known only at its end
        at = start + packed
    return names, content


def _is_ignored(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    is_hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    base = path.name.lower()
    return name.endswith("/") or is_hidden or base in _IGNORED_NAMES or base.startswith(_IGNORED_STEMS)


def _large_numbers(extra: bytes, unpacked: int, packed: int, offset: int) -> tuple[int, int]:
    """Return compressed size and offset of a file, from the ZIP64 extra field where they are not in the entry."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            numbers = [int.from_bytes(extra[start : start + 8], "little") for start in range(at + 4, at + 4 + size, 8)]
            values = iter(numbers)
            if unpacked == _UNKNOWN:
                next(values, None)
            packed = next(values, packed) if packed == _UNKNOWN else packed
            offset = next(values, offset) if offset == _UNKNOWN else offset
            break
        at += 4 + size
    return packed, offset


def _check(file: ArchivedFile) -> None:
    if file.is_encrypted:
        raise ArchiveError(f"{file.name} is encrypted; send it without a password")
    if file.method not in (_STORED, _DEFLATED):
        raise ArchiveError(f"{file.name} is compressed in an unsupported way; use Deflate, which is the usual one")


def _extract(data: bytes, file: ArchivedFile) -> Iterator[tuple[bytes, int]]:
    """Yield the decompressed bytes of a file in pieces, and how many compressed bytes are done. Raises ArchiveError."""
    _check(file)
    header = data[file.offset : file.offset + _LOCAL_HEADER.size]
    if header[:4] != ZIP_MAGIC or len(header) < _LOCAL_HEADER.size:
        raise ArchiveError(f"{file.name} is not where the directory says")
    *_, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
    start = file.offset + _LOCAL_HEADER.size + name_bytes + extra_bytes
    end = start + file.packed_bytes
    if end > len(data):
        raise ArchiveError(f"{file.name} is not whole")
    checksum = 0
    for piece, at in _slices(data, start, end) if file.method == _STORED else _inflate(data, start, end, file):
        checksum = isal_zlib.crc32(piece, checksum)
        yield piece, at - start
    if checksum != file.checksum:
        raise ArchiveError(f"{file.name} is damaged: its checksum is wrong")


def _slices(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    for at in range(start, end, SLICE_BYTES):
        yield data[at : min(end, at + SLICE_BYTES)], min(end, at + SLICE_BYTES)


def _inflate(data: bytes, start: int, end: int, file: ArchivedFile) -> Iterator[tuple[bytes, int]]:
    decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
    try:
        for packed, at in _slices(data, start, end):
            rest = packed
            while not decoder.eof and (rest or not decoder.needs_input):
                piece = decoder.decompress(rest, SLICE_BYTES)
                rest = b""
                if piece:
                    yield piece, at
    except igzip_lib.IsalError as fault:  # type: ignore[misc]  # its stubs name an instance
        raise ArchiveError(f"{file.name} is damaged: {fault}") from fault
    if not decoder.eof:
        raise ArchiveError(f"{file.name} is not whole")


def _first_bytes(packed: bytes, file: ArchivedFile) -> bytes:
    """Return the first bytes of a file, as far as they can be decompressed."""
    _check(file)
    if file.method == _STORED:
        return packed
    decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
    try:
        return decoder.decompress(packed, SLICE_BYTES)
    except igzip_lib.IsalError as fault:  # type: ignore[misc]  # its stubs name an instance
        raise ArchiveError(f"{file.name} is damaged: {fault}") from fault
