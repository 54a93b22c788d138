"""Bytes ↔ records, as streams with bounded memory.

`open_reader` turns the bytes of a payload into chunks of records; `write` turns records back into a file. `Cutter` cuts
a JSON array that is handed over piece by piece.
Nothing here knows what a product is: a record is a line of JSON or a list of cells.

Reading is a pipe of generators, each one file: packing (gzip, zstd) → text (charsets) → lines, or json_array, or
table → reading (blocks). An XLSX goes from packing straight to sheet.
"""

from goodsgate.formats.contract import (
    CONTENT_ENCODINGS,
    FORMATS,
    MEDIA_TYPES,
    Chunk,
    FormatOverflowError,
    Limits,
    Reader,
    UnknownContentEncodingError,
    UnknownFormatError,
)
from goodsgate.formats.detection import detect
from goodsgate.formats.json_array import JsonArraySplitter
from goodsgate.formats.payload_reader import PayloadReader
from goodsgate.formats.pipeline import open_reader
from goodsgate.formats.writer import write

__all__ = [
    "CONTENT_ENCODINGS", "FORMATS", "MEDIA_TYPES", "Chunk", "FormatOverflowError", "JsonArraySplitter", "Limits",
    "PayloadReader", "Reader", "UnknownContentEncodingError", "UnknownFormatError", "detect", "open_reader", "write",
]
