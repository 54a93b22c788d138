"""Open a payload: connect the stages of reading."""

from collections.abc import Callable, Iterator

from goodsgate.formats.charset import utf8
from goodsgate.formats.content_encoding import decompress
from goodsgate.formats.contract import (
    CONTENT_ENCODINGS,
    FORMATS,
    Limits,
    Reader,
    ReadOptions,
    UnknownContentEncodingError,
    UnknownFormatError,
)
from goodsgate.formats.delimiter import delimiter_name
from goodsgate.formats.json_array import json_records
from goodsgate.formats.json_wrapper import lines_or_wrapped, wrapped_records
from goodsgate.formats.lines import ndjson
from goodsgate.formats.payload_reader import PayloadReader
from goodsgate.formats.shopify_json import with_products
from goodsgate.formats.table import DelimitedTable
from goodsgate.formats.xlsx import XlsxSheet
from goodsgate.formats.xml import XmlDocument


def open_reader(pieces: Iterator[bytes], *, format: str, content_encoding: str, limits: Limits,
                exact: bool = False, options: ReadOptions = ReadOptions(),
                again: Callable[[], Iterator[bytes]] | None = None) -> Reader:
    """Return the reader of a payload; a text is read as far as its header.

    With `exact` JSON is UTF-8 without a mark whatever it looks like, only spaces and tabs make a line blank, and how
    far it inflates is limited by its size alone. `again` returns the pieces once more, so that the charset of a long
    text is known before its first record.

    Raises UnknownFormatError and UnknownContentEncodingError for names that are not in FORMATS and CONTENT_ENCODINGS,
    and whatever `pieces` raises; never for what the payload contains: that is in `notices`, `stopped` and the chunks.
    """
    if format not in FORMATS:
        raise UnknownFormatError(f"Unsupported format {format!r}; supported are {', '.join(FORMATS)}")
    if content_encoding not in CONTENT_ENCODINGS:
        known = ", ".join(CONTENT_ENCODINGS)
        raise UnknownContentEncodingError(f"Unsupported content encoding {content_encoding!r}; supported are {known}")
    reader = PayloadReader(limits, exact=exact)
    if content_encoding != "identity":
        reader.add_decision("content_encoding", content_encoding, "detected", 1.0)
    if format not in ("ndjson", "json"):  # which are what they look like: nothing was inferred
        reader.add_decision("format", format, "given" if options.is_format_given else "detected")
    decompressed = decompress(iter(pieces), reader, content_encoding=content_encoding)
    if format == "xlsx":
        reader.runs = XlsxSheet(decompressed, reader, options).runs()
        return reader
    if format == "xml":
        reader.runs = XmlDocument(
            decompressed, reader, encoding=options.encoding, records_at=options.records_at
        ).runs()
        return reader
    text = decompressed if exact else utf8(
        decompressed, reader, encoding=options.encoding, fallback=options.fallback_encoding,
        is_json=format in ("ndjson", "json"), again=_decompressed_again(again, limits, content_encoding),
    )
    if format == "ndjson":
        reader.runs = ndjson(text, reader) if exact else with_products(
            lines_or_wrapped(text, reader, records_at=options.records_at), reader
        )
    elif format == "json":
        reader.runs = json_records(text, reader) if exact else with_products(
            wrapped_records(text, reader, records_at=options.records_at), reader
        )
    else:
        delimiter = options.delimiter
        if delimiter is not None:
            reader.add_decision("delimiter", delimiter_name(delimiter), "given")
        reader.runs = DelimitedTable(
            text, reader, delimiter=delimiter or ("\t" if format == "tsv" else None), options=options
        ).runs()
    return reader


def _decompressed_again(again: Callable[[], Iterator[bytes]] | None, limits: Limits, content_encoding: str,
                        ) -> Callable[[], Iterator[bytes]] | None:
    """Return what `again` returns, decompressed; what is wrong with it is found when it is read in earnest."""
    if again is None:
        return None
    return lambda: decompress(again(), PayloadReader(limits), content_encoding=content_encoding)
