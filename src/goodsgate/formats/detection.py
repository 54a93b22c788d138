"""Which format and packing a payload has.

What is asked for by name wins; then what the first bytes cannot be mistaken for (gzip, zstd, XLSX); then the media
type, the file name, and last the look of the text. A JSON media type says little about lines or array: there the bytes
decide between the two.
"""

from pathlib import PurePosixPath

import msgspec

from goodsgate.formats.charset import HEAD_BYTES, foreign, marked
from goodsgate.formats.content_encoding import decompress, detect_content_encoding
from goodsgate.formats.contract import FORMATS, Limits, UnknownContentEncodingError, UnknownFormatError
from goodsgate.formats.payload_reader import PayloadReader
from goodsgate.formats.table import DELIMITERS, delimiter_of

_PACKING_NAMES = {"": "identity", "identity": "identity", "gzip": "gzip", "x-gzip": "gzip", "zstd": "zstd"}

_FORMAT_OF_MEDIA_TYPE = {
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/x-jsonl": "ndjson",
    "application/jsonlines": "ndjson",
    "application/x-jsonlines": "ndjson",
    "application/json-lines": "ndjson",
    "application/json": "json",
    "text/json": "json",
    "text/csv": "csv",
    "application/csv": "csv",
    "application/vnd.ms-excel": "csv",  # what browsers on Windows say of a .csv
    "text/tab-separated-values": "tsv",
    "text/tsv": "tsv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.ms-excel.sheet.macroenabled.12": "xlsx",
}

SHOWN_BYTES = 20
"""Bytes of an unrecognized file that the message repeats."""

_FORMAT_OF_SUFFIX = {
    ".ndjson": "ndjson", ".jsonl": "ndjson", ".jsonlines": "ndjson", ".json": "json",
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".xlsx": "xlsx", ".xlsm": "xlsx",
}  # fmt: skip

_PACKED_SUFFIXES = (".gz", ".gzip", ".zst", ".zstd")

_SHEET_PARTS = (b"[Content_Types].xml", b"_rels/", b"xl/", b"docProps/")


def detect(
    *, content_type: str | None, content_encoding: str | None, filename: str | None, head: bytes,
    format: str | None = None,
) -> tuple[str, str]:
    """Format and packing by what is claimed and by the first bytes (a few KiB do; 64 KiB are looked at).

    Raises UnknownFormatError with a sentence for the submitter, UnknownContentEncodingError for a content encoding we
    cannot unpack. A charset in the media type is not looked at: the reader finds it in the bytes.
    """
    content_encoding = _packing(content_encoding, head)
    if format is not None:
        if format.lower() not in FORMATS:
            raise UnknownFormatError(f"Unsupported format {format!r}; supported are {', '.join(FORMATS)}.")
        return format.lower(), content_encoding
    plain = _unpacked(head, content_encoding)
    claimed = _claimed(content_type, filename)
    if plain.startswith(b"PK\x03\x04"):
        return _zipped(plain, claimed), content_encoding
    if other := foreign(plain):
        raise UnknownFormatError(f"Unsupported file format: this is {other}.")
    found = _shown(plain, claimed)
    if found is None:
        start = plain[:SHOWN_BYTES].decode("utf-8", "replace")
        raise UnknownFormatError(
            f"Unrecognized file format (it starts with {start!r}); set the media type or format={'|'.join(FORMATS)}."
        )
    return found, content_encoding


def _packing(content_encoding: str | None, head: bytes) -> str:
    shown = detect_content_encoding(head)
    names = [name.strip().lower() for name in (content_encoding or "").split(",")]
    unknown = [name for name in names if name not in _PACKING_NAMES]
    if unknown:
        raise UnknownContentEncodingError(f"Unsupported content encoding {unknown[0]!r}; supported are gzip and zstd.")
    packed = [_PACKING_NAMES[name] for name in names if _PACKING_NAMES[name] != "identity"]
    if len(packed) > 1:
        raise UnknownContentEncodingError("Compress the payload only once.")
    return shown if head or not packed else packed[0]


def _unpacked(head: bytes, content_encoding: str) -> bytes:
    """The first unpacked bytes, as far as the head has them."""
    if content_encoding == "identity":
        return head[:HEAD_BYTES]
    parts = decompress(iter((head[:HEAD_BYTES],)), PayloadReader(Limits(chunk_bytes=HEAD_BYTES)),
        content_encoding=content_encoding)
    return next(parts, b"")


def _claimed(content_type: str | None, filename: str | None) -> str | None:
    media_type = (content_type or "").partition(";")[0].strip().lower()
    found = _FORMAT_OF_MEDIA_TYPE.get(media_type)
    if found is None and media_type.endswith("+json"):
        found = "json"
    if found is None and filename:
        name = PurePosixPath(filename.replace("\\", "/").lower())
        suffix = PurePosixPath(name.stem).suffix if name.suffix in _PACKED_SUFFIXES else name.suffix
        found = _FORMAT_OF_SUFFIX.get(suffix)
    return found


def _zipped(plain: bytes, claimed: str | None) -> str:
    """XLSX, unless the first part of the archive is none of a spreadsheet."""
    if claimed == "xlsx" or plain[30:].startswith(_SHEET_PARTS):
        return "xlsx"
    raise UnknownFormatError("Unsupported file format: this is a ZIP archive; send the file in it, plain or as gzip.")


def _shown(plain: bytes, claimed: str | None) -> str | None:
    """The claimed format where the bytes do not contradict it, else what they look like; None if like nothing."""
    charset, mark_bytes = marked(plain) or ("latin-1", 0)
    text = plain[mark_bytes:].decode(charset, "ignore").lstrip()
    if claimed in ("csv", "tsv") or (claimed and not text):
        return claimed
    if text.startswith("["):
        return "json"
    if text.startswith("{"):
        return "ndjson" if claimed == "ndjson" or _first_line_is_whole(text) else "json"
    if claimed in ("ndjson", "json"):
        return claimed
    line = text.partition("\n")[0]
    if not any(delimiter in line for delimiter in DELIMITERS):
        return None
    return "tsv" if delimiter_of(line) == "\t" else "csv"


def _first_line_is_whole(text: str) -> bool:
    """Whether the first line is a JSON object of its own and another line follows."""
    line, _, rest = text.partition("\n")
    if not rest.strip():
        return False
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.DecodeError, RecursionError):
        return False
