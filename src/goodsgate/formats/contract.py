"""The contract of reading: limits go in, chunks of records come out."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from goodsgate.model.batch import ReadingDecision
from goodsgate.model.issue import Issue

FORMATS = ("ndjson", "json", "csv", "tsv", "xlsx", "xml")
TABLES = frozenset({"csv", "tsv", "xlsx"})
"""Formats with a header and rows."""
WRITTEN_FORMATS = FORMATS[:-1]
"""Formats of downloads; what was received as XML is written as NDJSON."""
CONTENT_ENCODINGS = ("identity", "gzip", "zstd", "zip")

MEDIA_TYPES = {
    "ndjson": "application/x-ndjson",
    "json": "application/json",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""Format → media type of downloads."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of reading; the settings of the same names."""

    chunk_bytes: int = 16 * 1024 * 1024
    """A chunk ends after this many decompressed bytes."""
    chunk_records_max: int = 16_384
    chunk_seconds: float = 1.0
    """A chunk ends, perhaps without a record, once reading it has taken half of this time."""
    line_bytes_max: int = 2 * 1024 * 1024
    cell_bytes_max: int = 256 * 1024
    columns_max: int = 2_000
    group_rows_max: int = 5_000
    """Maximum rows of one product; they are in memory together."""
    records_max: int = 50_000_000
    inflate_ratio_max: int = 200
    """Maximum ratio of decompressed to compressed bytes, checked from 16 MiB on."""
    unpacked_bytes_max: int = 64 * 1024**3
    skipped_bytes_max: int = 256 * 1024 * 1024
    """Maximum decompressed bytes without a record: blank lines, blank rows, or one endless line."""
    xlsx_bytes_max: int = 64 * 1024 * 1024
    """An XLSX is a random-access format: it is read whole."""
    xlsx_unpacked_bytes_max: int = 128 * 1024 * 1024
    parser_memory_bytes_max: int = 512 * 1024 * 1024
    parser_seconds_max: float = 20.0
    """Memory and processor time of the process that parses one XLSX."""


ResolveName = Callable[[str], str | None]
"""Returns the field that a column stands for; None for an unknown one."""


class ReadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is to be read, as far as that is not left to detection."""

    is_format_given: bool = False
    """Whether the submitter has named the format."""
    encoding: str | None = None
    """Charset of a text, as `find_encoding` returns it; None: it is detected."""
    fallback_encoding: str | None = None
    """Charset of a text that is not UTF-8, if it is known although the text itself was not named so."""
    delimiter: str | None = None
    """Character between the cells of a text, as `find_delimiter` returns it."""
    records_at: str | None = None
    """Element (XML) or path of the list (JSON) that holds the records."""
    sheet: str | None = None
    """Name or number (from 1) of the sheet of a workbook."""
    header_row: int | None = None
    """Row of the header, from 1."""
    comma: bool = False
    """Whether numbers of a workbook are written with a decimal comma, as the texts of the submission are."""
    sign_text: Callable[[str], str] | None = None
    """Returns what is added to a price in a workbook whose cell shows a sign of a currency; None: nothing."""
    recognizes: Callable[[Sequence[str]], bool] | None = None
    """Whether the names of a row are the header of a known kind of file."""
    resolve: ResolveName | None = None
    """By which columns the header is recognized, and keys in a workbook; None: the first row is the header."""


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive records that are read, checked, applied and committed together."""

    lines: list[bytes]
    """NDJSON, JSON and XML: the bytes of each record's JSON, without surrounding blanks. Empty for tables."""
    rows: list[list[str]]
    """Tables: the cells of each record, not trimmed; a readable row has as many as the header. Empty for JSON."""
    source_rows: list[int]
    """Line (NDJSON, CSV, TSV, XML: of the record's first line) or row (XLSX, JSON array: position) in the file, from 1.

    In a fix or a retry that of the record that is replaced, in the file of the submission.
    """
    fix_rows: list[tuple[int, int]] = []
    """In a fix or a retry: the round whose file has sent each record last, and its row there; (0, 0) for none."""
    unreadable: dict[int, Issue] = {}
    """Index → why it cannot be read; `lines` or `rows` still hold the start of what was received there."""
    bytes_done: int
    """Compressed payload bytes consumed so far."""
    replaces: list[int | None] | None = None
    """In a fix or a retry: the number of the rejected record that each record replaces; None for a new record."""
    waited: frozenset[int] = frozenset()
    """Numbers of records that are replaced and were not rejected, but waited."""
    issues: dict[int, list[Issue]] = {}
    """Index → issues of its cells or of its place in a fix, in addition to those that rules find."""
    roles: bytes = b""
    """What each row is among the rows of its product, a byte of `model.roles`; empty if each row stands alone."""
    roles_before: bytes = b""
    """In a fix or a retry: the roles of the records that are replaced; 0 for a new record."""
    follows: int | None = None
    """In a retry: the record number after which this chunk begins."""
    file_issues: list[Issue] = []
    """Issues of the file as a whole that were found since the chunk before this one."""
    reading: list[ReadingDecision] | None = None
    """All reading decisions so far, if there are more than at the chunk before this one; else None."""
    stopped: Issue | None = None
    """Why the payload could not be read further; only in the last chunk."""
    is_last: bool = False
    """Whether no record follows."""

    def __len__(self) -> int:
        return len(self.source_rows)

    @property
    def records_read(self) -> int:
        """Return by how many records the chunk moves the position of its round."""
        if self.follows is None or not self.replaces:
            return len(self.source_rows)
        return (self.replaces[-1] or 0) - self.follows

    def part(self, start: int, end: int) -> "Chunk":
        """Return the records `start` to `end` (not included); file issues go with the first, the end with the last."""
        follows = self.follows
        if follows is not None and start and self.replaces:
            follows = self.replaces[start - 1]
        is_end = end >= len(self)
        return msgspec.structs.replace(
            self, lines=self.lines[start:end], rows=self.rows[start:end], source_rows=self.source_rows[start:end],
            unreadable={at - start: problem for at, problem in self.unreadable.items() if start <= at < end},
            replaces=None if self.replaces is None else self.replaces[start:end],
            issues={at - start: problem for at, problem in self.issues.items() if start <= at < end}, follows=follows,
            fix_rows=self.fix_rows[start:end], roles=self.roles[start:end], roles_before=self.roles_before[start:end],
            file_issues=[] if start else self.file_issues, reading=None if start else self.reading,
            stopped=self.stopped if is_end else None,
            is_last=self.is_last and is_end,
        )


class Reader(Protocol):
    """Reader of a payload."""

    header: list[str] | None
    """Column names as received, trimmed; known with the first record. None for JSON, empty if there is no header row.

    A column without a name is called ``column_N`` (from 1). A name that appears twice is there twice; the first counts.
    """
    root: str | None
    """Root element of an XML document, as ``{namespace}name``; None for other formats."""
    namespaces: list[str]
    """Namespaces that the beginning of an XML document declares."""
    charset: str
    """How its text is encoded, as far as it was read: UTF-8, UTF-16, Windows-1252 …"""
    notices: list[Issue]
    """Issues of the file as a whole; grows while chunks are read, and does not depend on what was skipped."""
    decisions: list[ReadingDecision]
    """How the file was read, as far as it is not obvious; grows and does not depend on what was skipped, as notices."""
    stopped: Issue | None
    """Set (a file issue of severity error) if the payload could not be read to its end."""

    def chunks(self, *, skip: int = 0, opening: int | None = None) -> Iterator[Chunk]:
        """Yield the chunks from record `skip` + 1 on, once, the first with at most `opening` records.

        A chunk without records means that none was found in the time for a chunk; reading goes on with the next.
        Never raises for what a payload contains.
        """


class UnknownEncodingError(ValueError):
    """The charset is not one that the gate reads."""


class UnknownDelimiterError(ValueError):
    """The delimiter is neither a single character nor one of the names."""


class UnknownFormatError(ValueError):
    """The format is not supported, or neither the media type, the file name nor the bytes show it."""


class UnknownContentEncodingError(UnknownFormatError):
    """The content encoding is not supported."""


class FormatOverflowError(ValueError):
    """The records do not fit into the format (rows, columns, or characters of a cell of an XLSX)."""
