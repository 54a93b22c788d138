"""A payload opened: the stages put one after the other."""

from collections.abc import Iterator

from goodsgate.formats.contract import (
    CONTENT_ENCODINGS,
    FORMATS,
    FormatUnknown,
    Limits,
    Reader,
    UnknownContentEncodingError,
)
from goodsgate.formats.json_array import json_records
from goodsgate.formats.lines import ndjson
from goodsgate.formats.packing import unpack
from goodsgate.formats.reading import Reading
from goodsgate.formats.sheet import Sheet
from goodsgate.formats.table import Table
from goodsgate.formats.text import utf8


def open_reader(pieces: Iterator[bytes], *, format: str, content_encoding: str, limits: Limits,
                exact: bool = False) -> Reader:
    """The payload as chunks of records; a table is read as far as its header.

    With `exact` JSON is UTF-8 without a mark whatever it looks like, only spaces and tabs make a line blank, and how
    far it inflates is limited by its size alone.

    Raises FormatUnknown and UnknownContentEncodingError for names that are not in FORMATS and CONTENT_ENCODINGS, and
    whatever `pieces` raises; never for what the payload holds, that is told in `notices`, `stopped` and the blocks.
    """
    if format not in FORMATS:
        raise FormatUnknown(f"there is no format {format!r}; there are {', '.join(FORMATS)}")
    if content_encoding not in CONTENT_ENCODINGS:
        known = ", ".join(CONTENT_ENCODINGS)
        raise UnknownContentEncodingError(f"there is no content encoding {content_encoding!r}; there are {known}")
    reading = Reading(limits, exact=exact)
    unpacked = unpack(iter(pieces), reading, content_encoding=content_encoding)
    if format == "xlsx":
        reading.runs = Sheet(unpacked, reading).runs()
        return reading
    text = unpacked if exact else utf8(unpacked, reading)
    if format == "ndjson":
        reading.runs = ndjson(text, reading)
    elif format == "json":
        reading.runs = json_records(text, reading)
    else:
        reading.runs = Table(text, reading, delimiter="\t" if format == "tsv" else None).runs()
    return reading
