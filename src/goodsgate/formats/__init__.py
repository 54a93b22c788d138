"""Bytes ↔ records, as streams with bounded memory.

`open_reader` turns the bytes of a payload into chunks of records; `write` turns records back into a file.
`JsonArraySplitter` splits a JSON array that arrives in pieces.
Nothing here knows what a product is: a record is a line of JSON or a list of cells.

Reading is a pipeline of generators, one module each: content_encoding (gzip, zstd) → charset → lines, json_array or
table → payload_reader (chunks). An XLSX goes from content_encoding directly to xlsx, which has it parsed in a process
of its own (isolated, workbook).
"""

from goodsgate.formats.charset import Transcoder, find_encoding, has_byte_order_mark
from goodsgate.formats.content_encoding import decompress
from goodsgate.formats.contract import (
    CONTENT_ENCODINGS,
    FORMATS,
    MEDIA_TYPES,
    TABLES,
    WRITTEN_FORMATS,
    Chunk,
    FormatOverflowError,
    Limits,
    Reader,
    ReadOptions,
    UnknownContentEncodingError,
    UnknownDelimiterError,
    UnknownEncodingError,
    UnknownFormatError,
)
from goodsgate.formats.delimiter import find_delimiter
from goodsgate.formats.detection import detect
from goodsgate.formats.json_array import JsonArraySplitter
from goodsgate.formats.payload_reader import PayloadReader
from goodsgate.formats.pipeline import open_reader
from goodsgate.formats.writer import write

__all__ = [
    "CONTENT_ENCODINGS", "FORMATS", "MEDIA_TYPES", "TABLES", "WRITTEN_FORMATS", "Chunk",
    "FormatOverflowError", "JsonArraySplitter", "Limits", "PayloadReader", "ReadOptions", "Reader", "Transcoder",
    "UnknownContentEncodingError", "UnknownDelimiterError", "UnknownEncodingError", "UnknownFormatError",
    "decompress", "detect", "find_delimiter", "find_encoding", "has_byte_order_mark", "open_reader", "write",
]
