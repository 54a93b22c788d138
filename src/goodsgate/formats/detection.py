"""Detect the format and the content encoding of a payload.

A format that is named wins; then what the first bytes show without doubt (gzip, zstd, ZIP, XLSX); then the media
type, the file name, and last the look of the text. A JSON media type says little about lines or array: there the bytes
decide between the two.
"""

from pathlib import PurePosixPath

import msgspec

from goodsgate.formats.archive import ZIP_MAGIC, ArchiveError, read_heads, select_data_files
from goodsgate.formats.charset import HEAD_BYTES, describe_binary, detect_charset, is_html
from goodsgate.formats.cif import SIGNATURE as CIF_SIGNATURE
from goodsgate.formats.content_encoding import decompress, detect_content_encoding
from goodsgate.formats.contract import FORMATS, Limits, UnknownContentEncodingError, UnknownFormatError
from goodsgate.formats.delimiter import DELIMITERS, delimiter_of
from goodsgate.formats.payload_reader import PayloadReader
from goodsgate.model.json_text import UNREADABLE_JSON

_CONTENT_ENCODING_NAMES = {"": "identity", "identity": "identity", "gzip": "gzip", "x-gzip": "gzip", "zstd": "zstd"}

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
    "application/xml": "xml",
    "text/xml": "xml",
}

SPREADSHEET_2003 = "urn:schemas-microsoft-com:office:spreadsheet"
SHEET_CHARACTERS = 2_048
"""Characters in which an XML spreadsheet declares its namespace."""
SHOWN_BYTES = 20
"""Bytes of an unrecognized file that the message repeats."""

_FORMAT_OF_SUFFIX = {
    ".ndjson": "ndjson", ".jsonl": "ndjson", ".jsonlines": "ndjson", ".json": "json",
    ".csv": "csv", ".cif": "csv", ".tsv": "tsv", ".tab": "tsv", ".xlsx": "xlsx", ".xlsm": "xlsx", ".xml": "xml",
    ".rss": "xml", ".atom": "xml",
}  # fmt: skip

_COMPRESSED_SUFFIXES = (".gz", ".gzip", ".zst", ".zstd")

_SHEET_PARTS = (b"[Content_Types].xml", b"_rels/", b"xl/", b"docProps/")


def detect(
    *, content_type: str | None, content_encoding: str | None, filename: str | None, head: bytes,
    format: str | None = None,
) -> tuple[str, str]:
    """Return format and content encoding by the claims and the first bytes (a few KiB suffice; 64 KiB are used).

    Raises UnknownFormatError with a sentence for the submitter, UnknownContentEncodingError for a content encoding we
    cannot unpack. A charset in the media type is ignored: the reader detects it in the bytes.
    """
    content_encoding = _detect_content_encoding(content_encoding, head)
    if format is not None:
        if format.lower() not in FORMATS:
            raise UnknownFormatError(f"Unsupported format {format!r}; supported are {', '.join(FORMATS)}.")
        format = format.lower()
        is_archive = head.startswith(ZIP_MAGIC) and not (format == "xlsx" and _is_workbook(head[:HEAD_BYTES], "xlsx"))
        return format, "zip" if is_archive else content_encoding
    plain = _decompress_head(head, content_encoding)
    claimed = _claimed_format(content_type, filename)
    if plain.startswith(ZIP_MAGIC):
        if _is_workbook(plain, claimed):
            return "xlsx", content_encoding
        if content_encoding != "identity":
            raise UnknownFormatError("Unsupported file format: this is a compressed ZIP archive; compress only once.")
        return _detect_archived_format(plain), "zip"
    if other := describe_binary(plain):
        raise UnknownFormatError(f"Unsupported file format: this is {other}.")
    detected = _detect_text_format(plain, claimed, media_type=_media_type(content_type))
    if detected is None:
        start = plain[:SHOWN_BYTES].decode("utf-8", "replace")
        raise UnknownFormatError(
            f"Unrecognized file format (it starts with {start!r}); set the media type or format={'|'.join(FORMATS)}."
        )
    return detected, content_encoding


def _detect_content_encoding(content_encoding: str | None, head: bytes) -> str:
    detected = detect_content_encoding(head)
    names = [name.strip().lower() for name in (content_encoding or "").split(",")]
    unknown = [name for name in names if name not in _CONTENT_ENCODING_NAMES]
    if unknown:
        raise UnknownContentEncodingError(f"Unsupported content encoding {unknown[0]!r}; supported are gzip and zstd.")
    compressed = [_CONTENT_ENCODING_NAMES[name] for name in names if _CONTENT_ENCODING_NAMES[name] != "identity"]
    if len(compressed) > 1:
        raise UnknownContentEncodingError("Compress the payload only once.")
    return detected if head or not compressed else compressed[0]


def _decompress_head(head: bytes, content_encoding: str) -> bytes:
    """Return the first decompressed bytes, as far as the head contains them."""
    if content_encoding == "identity":
        return head[:HEAD_BYTES]
    parts = decompress(iter((head[:HEAD_BYTES],)), PayloadReader(Limits(chunk_bytes=HEAD_BYTES)),
        content_encoding=content_encoding)
    return next(parts, b"")


def _media_type(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()


def _claimed_format(content_type: str | None, filename: str | None) -> str | None:
    media_type = _media_type(content_type)
    claimed = _FORMAT_OF_MEDIA_TYPE.get(media_type)
    if claimed is None and media_type.endswith("+json"):
        claimed = "json"
    if claimed is None and media_type.endswith("+xml"):  # RSS and Atom, for example
        claimed = "xml"
    if claimed is None and filename:
        name = PurePosixPath(filename.replace("\\", "/").lower())
        suffix = PurePosixPath(name.stem).suffix if name.suffix in _COMPRESSED_SUFFIXES else name.suffix
        claimed = _FORMAT_OF_SUFFIX.get(suffix)
    return claimed


def _is_workbook(head: bytes, claimed: str | None) -> bool:
    """Return whether an archive is a workbook, and not a file of another kind or an archive with a workbook in it."""
    names, _ = _read_heads(head)
    if claimed == "xlsx":
        return not (names and names[0].lower().endswith((".xlsx", ".xlsm")))
    return head[30:].startswith(_SHEET_PARTS) or any(name.startswith(("[Content_Types]", "xl/")) for name in names)


def _detect_archived_format(head: bytes) -> str:
    """Return the format of the only data file of an archive. Raises UnknownFormatError."""
    names, content = _read_heads(head)
    if names[:1] == ["mimetype"]:
        raise UnknownFormatError("Unsupported file format: this is an OpenDocument file; save it as XLSX or CSV.")
    usable = select_data_files(names)
    if len(usable) > 1:
        raise UnknownFormatError(
            f"Unsupported file format: this ZIP archive contains several data files ({', '.join(usable)}); send each "
            "of them by itself."
        )
    if not usable:
        raise UnknownFormatError(
            "Unsupported file format: the beginning of this ZIP archive shows no data file; send the file by itself, "
            f"or set format={'|'.join(FORMATS)}."
        )
    format, content_encoding = detect(content_type=None, content_encoding=None, filename=usable[0], head=content)
    if content_encoding != "identity":
        raise UnknownFormatError(f"Unsupported file format: {usable[0]} in a ZIP archive; compress it only once.")
    return format


def _read_heads(head: bytes) -> tuple[list[str], bytes]:
    try:
        return read_heads(head)
    except ArchiveError as fault:
        raise UnknownFormatError(f"Unsupported file format: ZIP: {fault}.") from fault


def _detect_text_format(plain: bytes, claimed: str | None, *, media_type: str) -> str | None:
    """Return the claimed format if the bytes do not contradict it, else the one they look like; None if none."""
    charset, mark_bytes = detect_charset(plain) or ("latin-1", 0)
    text = plain[mark_bytes:].decode(charset, "ignore").lstrip()
    is_excel = media_type == "application/vnd.ms-excel"
    if is_html(text) and (claimed not in ("csv", "tsv") or is_excel):
        raise UnknownFormatError(
            "Unsupported file format: this is an HTML page, not product data. If a spreadsheet program opens it, save "
            "it as XLSX or CSV."
        )
    if text.startswith("<?xml"):
        if SPREADSHEET_2003 in text[:SHEET_CHARACTERS]:
            raise UnknownFormatError(
                "Unsupported file format: this is an Excel 2003 XML spreadsheet; save it as XLSX or CSV."
            )
        return "xml"
    if text.startswith(CIF_SIGNATURE.decode()):
        return "csv"
    if claimed in ("csv", "tsv") or (claimed and not text):
        return claimed
    if text.startswith("<"):
        return "xml"
    if text.startswith("["):
        return "json"
    if text.startswith("{"):
        return "ndjson" if claimed == "ndjson" or _is_ndjson(text) else "json"
    if claimed in ("ndjson", "json"):
        return claimed
    line = text.partition("\n")[0]
    if not any(delimiter in line for delimiter in DELIMITERS):
        return None
    return "tsv" if delimiter_of(line) == "\t" else "csv"


def _is_ndjson(text: str) -> bool:
    """Return whether the first line is a complete JSON object and another line follows."""
    line, _, rest = text.partition("\n")
    if not rest.strip():
        return False
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except UNREADABLE_JSON:
        return False
