"""The parts of an XLSX: a ZIP of XML, of which nothing is believed."""

import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from posixpath import dirname, join, normpath
from xml.parsers import expat

from isal import igzip_lib

INFLATED_BYTES = 256 * 1024

_ZIP_FAULTS: tuple[type[Exception], ...] = (
    zipfile.BadZipFile, OSError, ValueError, RuntimeError, struct.error,
    igzip_lib.IsalError,  # type: ignore[assignment]  # its stubs name an instance
)  # fmt: skip
_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")


class WorkbookError(Exception):
    """The file cannot be read; the text says why."""

    code = "payload_corrupt"


class WorkbookTruncatedError(WorkbookError):
    """The end of the file is missing."""

    code = "payload_truncated"


class WorkbookInflatesError(WorkbookError):
    """The parts are larger than allowed when they are decompressed; the argument is their size as far as it is known.
    """


class Package:
    """The parts of the file, by their names."""

    def __init__(self, data: bytes, unpacked_bytes_max: int) -> None:
        """Open the file. Raises WorkbookError if it is no ZIP, or larger than allowed when it is decompressed."""
        self._data = data
        try:
            parts = zipfile.ZipFile(BytesIO(data)).infolist()
            self._check_size(parts, unpacked_bytes_max)
        except _ZIP_FAULTS as fault:
            has_end = not data.startswith(b"PK") or b"PK\x05\x06" in data[-65_600:]
            raise (WorkbookError if has_end else WorkbookTruncatedError)(str(fault)) from None
        self._parts = {_fold(part.filename): part for part in parts}

    def __contains__(self, name: str) -> bool:
        return _fold(name) in self._parts

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the decompressed bytes of a part. Raises WorkbookError if there is no such part or it is damaged."""
        part = self._parts.get(_fold(name))
        if part is None:
            raise WorkbookError(f"{name} is missing")
        try:
            yield from self._inflate(part)
        except _ZIP_FAULTS as fault:
            raise WorkbookError(f"{name}: {fault}") from None

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """Return the relations of a part (empty for the file itself): id → last word of the type, name of the part."""
        folder = dirname(name)
        found: dict[str, tuple[str, str]] = {}

        def start(tag: str, attributes: dict[str, str]) -> None:
            if local_name(tag) == "Relationship" and attributes.get("TargetMode") != "External":
                target = normpath(join("/", folder, attributes.get("Target", ""))).lstrip("/")
                kind = attributes.get("Type", "").rpartition("/")[2]
                found[attributes.get("Id", "")] = (kind, target)

        path = join(folder, "_rels", f"{name.rpartition('/')[2]}.rels")
        if path in self:
            parse_xml(self.pieces(path), start)
        return found

    def _check_size(self, parts: list[zipfile.ZipInfo], unpacked_bytes_max: int) -> None:
        """Raise WorkbookInflatesError if the parts exceed the limit; they are decompressed, whatever they claim."""
        unpacked_bytes = sum(part.file_size for part in parts)
        if unpacked_bytes <= unpacked_bytes_max:
            unpacked_bytes = 0
            for piece in (piece for part in parts for piece in self._inflate(part)):
                unpacked_bytes += len(piece)
                if unpacked_bytes > unpacked_bytes_max:
                    break
        if unpacked_bytes > unpacked_bytes_max:
            raise WorkbookInflatesError(unpacked_bytes)

    def _inflate(self, part: zipfile.ZipInfo) -> Iterator[bytes]:
        """Yield the decompressed bytes of one part in pieces, whatever size the directory claims."""
        data = self._data
        head = data[part.header_offset : part.header_offset + 30]
        start = part.header_offset + 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        end = start + part.compress_size
        if part.compress_type == zipfile.ZIP_STORED:
            for at in range(start, end, INFLATED_BYTES):
                yield data[at : min(end, at + INFLATED_BYTES)]
            return
        if part.compress_type != zipfile.ZIP_DEFLATED:
            raise ValueError(f"{part.filename} uses an unsupported compression")
        decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
        for at in range(start, end, INFLATED_BYTES):
            compressed = data[at : min(end, at + INFLATED_BYTES)]
            while not decoder.eof and (compressed or not decoder.needs_input):
                yield decoder.decompress(compressed, INFLATED_BYTES)
                compressed = b""


class XmlParser:
    """A parser of XML that arrives in pieces, without document types and so without entities."""

    def __init__(self, start: Callable[[str, dict[str, str]], None], end: Callable[[str], None] | None = None) -> None:
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = start
        parser.EndElementHandler = end
        parser.StartDoctypeDeclHandler = _refuse_doctype

    def collect(self, add: Callable[[str], object] | None) -> None:
        """Pass text to a function from here on, or to none."""
        self._parser.CharacterDataHandler = add

    def feed(self, piece: bytes, *, is_last: bool = False) -> None:
        """Parse some bytes. Raises WorkbookError, and MemoryError."""
        try:
            self._parser.Parse(piece, is_last)
        except expat.ExpatError as fault:
            if fault.code == expat.errors.codes[expat.errors.XML_ERROR_NO_MEMORY]:
                raise MemoryError from None
            raise WorkbookError(str(fault)) from None


def parse_xml(pieces: Iterator[bytes], start: Callable[[str, dict[str, str]], None]) -> None:
    """Call a function for the start of every element."""
    parser = XmlParser(start)
    for piece in pieces:
        parser.feed(piece)
    parser.feed(b"", is_last=True)


def read_strings(pieces: Iterator[bytes]) -> list[str]:
    """Return the texts that cells share, without their formats and phonetic hints."""
    strings: list[str] = []
    text: list[str] = []
    phonetic = False

    def start(tag: str, _: dict[str, str]) -> None:
        nonlocal phonetic
        name = local_name(tag)
        if name == "t" and not phonetic:
            parser.collect(text.append)
        elif name == "rPh":
            phonetic = True

    def end(tag: str) -> None:
        nonlocal phonetic
        name = local_name(tag)
        if name == "t":
            parser.collect(None)
        elif name == "si":
            strings.append(unescape("".join(text)))
            text.clear()
        elif name == "rPh":
            phonetic = False

    parser = XmlParser(start, end)
    for piece in pieces:
        parser.feed(piece)
    parser.feed(b"", is_last=True)
    return strings


def local_name(tag: str) -> str:
    """Return the name of an element without its prefix."""
    return tag.rpartition(":")[2] if ":" in tag else tag


def unescape(text: str) -> str:
    """Return the text with ``_xHHHH_`` as characters (ST_Xstring, ECMA-376 part 1, section 22.9.2.19)."""
    return _ESCAPE.sub(_character, text) if "_x" in text else text


def _character(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return match[0] if 0xD800 <= code < 0xE000 else chr(code)


def _refuse_doctype(*_: object) -> None:
    raise WorkbookError("a document type declaration is not allowed")


def _fold(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()
