"""A payload opened: the stages put one after the other."""

from collections.abc import Iterator

from goodsgate.formats.charset import utf8
from goodsgate.formats.content_encoding import decompress
from goodsgate.formats.contract import (
    CONTENT_ENCODINGS,
    FORMATS,
    Limits,
    Reader,
    UnknownContentEncodingError,
    UnknownFormatError,
)
from goodsgate.formats.json_array import json_records
from goodsgate.formats.lines import ndjson
from goodsgate.formats.payload_reader import PayloadReader
from goodsgate.formats.table import DelimitedTable
from goodsgate.formats.xlsx import XlsxSheet


def open_reader(pieces: Iterator[bytes], *, format: str, content_encoding: str, limits: Limits,
                exact: bool = False) -> Reader:
    """The payload as chunks of records; a table is read as far as its header.

    With `exact` JSON is UTF-8 without a mark whatever it looks like, only spaces and tabs make a line blank, and how
    far it inflates is limited by its size alone.

    Raises UnknownFormatError and UnknownContentEncodingError for names that are not in FORMATS and CONTENT_ENCODINGS,
    and whatever `pieces` raises; never for what the payload holds, that is told in `notices`, `stopped` and the blocks.
    """
    if format not in FORMATS:
        raise UnknownFormatError(f"there is no format {format!r}; there are {', '.join(FORMATS)}")
    if content_encoding not in CONTENT_ENCODINGS:
        known = ", ".join(CONTENT_ENCODINGS)
        raise UnknownContentEncodingError(f"there is no content encoding {content_encoding!r}; there are {known}")
    reading = PayloadReader(limits, exact=exact)
    unpacked = decompress(iter(pieces), reading, content_encoding=content_encoding)
    if format == "xlsx":
        reading.runs = XlsxSheet(unpacked, reading).runs()
        return reading
    text = unpacked if exact else utf8(unpacked, reading)
    if format == "ndjson":
        reading.runs = ndjson(text, reading)
    elif format == "json":
        reading.runs = json_records(text, reading)
    else:
        reading.runs = DelimitedTable(text, reading, delimiter="\t" if format == "tsv" else None).runs()
    return reading
