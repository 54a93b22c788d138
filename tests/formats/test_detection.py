"""Which format and packing a payload has, by name, bytes, media type and file name."""

import gzip

import pytest
import zstandard

from goodsgate.formats import (
    FORMATS,
    MEDIA_TYPES,
    WRITTEN_FORMATS,
    Limits,
    UnknownContentEncodingError,
    UnknownFormatError,
    detect,
    open_reader,
    write,
)

XLSX = b"".join(write(iter([["1"]]), format="xlsx", header=["sku"]))
LINES = b'{"sku":"1"}\n{"sku":"2"}\n'
ARRAY = b'[{"sku":"1"}]'
CSV = b"sku,title\n1,x\n"
TSV = b"sku\ttitle\n1\tx\n"
CIF = b"CIF_I_V3.0\nCHARSET: UTF-8\nFIELDNAMES: Supplier ID, Unit Price\nDATA\n1,2\nENDOFDATA\n"
XML = b"<products><product><sku>1</sku></product></products>"


def detect_head(head, *, type=None, encoding=None, name=None, format=None):
    """What is detected."""
    return detect(content_type=type, content_encoding=encoding, filename=name, head=head, format=format)


@pytest.mark.parametrize(
    ("head", "claims", "found"),
    [
        (LINES, {"type": "application/x-ndjson"}, "ndjson"),
        (LINES, {"type": "application/jsonl; charset=utf-8"}, "ndjson"),
        (ARRAY, {"type": "application/json"}, "json"),
        (LINES, {"type": "application/json"}, "ndjson"),
        (b'{"sku":\n"1"}', {"type": "application/json"}, "json"),
        (b'{"sku":"1"}\n', {"type": "application/json"}, "json"),
        (ARRAY, {"type": "application/x-ndjson"}, "json"),
        (b'{"sku":', {"type": "application/x-ndjson"}, "ndjson"),
        (ARRAY, {"type": "application/merge-patch+json"}, "json"),
        (CSV, {"type": "text/csv; header=present"}, "csv"),
        (CIF, {"type": "text/tab-separated-values", "name": "c.txt"}, "csv"),
        (CIF, {}, "csv"),
        (CSV, {"type": "application/vnd.ms-excel"}, "csv"),
        (b"[sku],title", {"type": "text/csv"}, "csv"),
        (TSV, {"type": "text/tab-separated-values"}, "tsv"),
        (CSV, {"type": "application/octet-stream", "name": "feed.tsv"}, "tsv"),
        (CSV, {"name": "C:\\feeds\\FEED.CSV.GZ"}, "csv"),
        (LINES, {"name": "feed.jsonl.zst"}, "ndjson"),
        (CSV, {"type": "application/x-www-form-urlencoded"}, "csv"),
        (TSV, {}, "tsv"),
        (b"sku;price\n1;2,50\n", {}, "csv"),
        (LINES, {}, "ndjson"),
        (ARRAY, {}, "json"),
        (b"\xef\xbb\xbf \n[1]", {}, "json"),
        ('{"a":1}\n{"a":2}'.encode("utf-16"), {}, "ndjson"),
        (b"", {"type": "text/csv"}, "csv"),
        (XLSX, {"type": "text/csv", "name": "feed.csv"}, "xlsx"),
        (XLSX, {}, "xlsx"),
        (CSV, {"format": "TSV", "type": "text/csv"}, "tsv"),
        (XML, {}, "xml"),
        (XML, {"type": "application/xml"}, "xml"),
        (XML, {"type": "application/json"}, "xml"),
        (b'\xef\xbb\xbf\n<?xml version="1.0"?>' + XML, {"type": "text/csv", "name": "feed.csv"}, "xml"),
        (b"<?xml", {"type": "application/rss+xml"}, "xml"),
        (b"", {"type": "application/atom+xml; charset=utf-8"}, "xml"),
        (XML.decode().encode("utf-16"), {}, "xml"),
        (CSV, {"type": "text/xml"}, "csv"),
        (b"<html>", {"type": "text/csv"}, "csv"),
        (b"<html>", {"name": "feed.csv"}, "csv"),
        (b"PK\x03\x04" + bytes(26) + b"weird.xml", {"type": MEDIA_TYPES["xlsx"]}, "xlsx"),
    ],
)
def test_formats_are_detected(head, claims, found):
    """And the same when packed."""
    assert detect_head(head, **claims) == (found, "identity")
    if head:
        assert detect_head(gzip.compress(head), **claims) == (found, "gzip")
        assert detect_head(zstandard.compress(head), **claims, encoding="gzip") == (found, "zstd")


@pytest.mark.parametrize(
    ("head", "claims", "sentence"),
    [
        (b"", {}, "Unrecognized file format"),
        (b"hello", {}, "it starts with 'hello'"),
        (b"hello", {"type": "image/png", "name": "x.png"}, "Unrecognized file format"),
        (CSV, {"format": "yaml"}, "format 'yaml'"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), {"type": "text/csv"}, "XLS .* save it as XLSX"),
        (b"<html><table><tr><td>sku</td></tr></table></html>", {"type": "application/vnd.ms-excel"}, "HTML page"),
        (b"\n<!DOCTYPE html>\n<html></html>", {}, "HTML page.*save it as XLSX or CSV"),
        (b'<?xml version="1.0"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"/>', {"type": "text/xml"},
         "HTML page"),
        (b"  <TABLE border=1>", {"name": "export.xls"}, "HTML page"),
        (b"%PDF-1.7", {"name": "list.pdf"}, "a PDF"),
        (b"\x89PNG\r\n", {}, "an image"),
        (b"\xff\xd8\xff\xe0", {"type": "text/csv"}, "an image"),
        (b"ID;PWXL;N;E\nP;PGeneral", {"name": "feed.csv"}, "SYLK"),
        (b"{\\rtf1", {}, "RTF"),
        (b"Rar!\x1a\x07\x00", {}, "RAR"),
        (b"PAR1\x15", {}, "Parquet"),
        (gzip.compress(gzip.compress(CSV, mtime=0), mtime=0), {"type": "text/csv"}, "only once"),
    ],
)
def test_unsupported_files_are_refused_with_a_reason(head, claims, sentence):
    """A sentence for whoever sent it."""
    with pytest.raises(UnknownFormatError, match=sentence):
        detect_head(head, **claims)


@pytest.mark.parametrize(
    ("encoding", "head", "content_encoding"),
    [("gzip", CSV, "identity"), ("GZIP", b"", "gzip"), ("x-gzip, identity", b"", "gzip"), ("zstd", b"", "zstd"),
     (None, gzip.compress(CSV, mtime=0), "gzip"), ("identity", zstandard.compress(CSV), "zstd"), ("", b"", "identity")],
)  # fmt: skip
def test_bytes_win_over_the_content_encoding(encoding, head, content_encoding):
    """Proxies unpack on the way, clients forget to say."""
    assert detect_head(head, encoding=encoding, type="text/csv") == ("csv", content_encoding)


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd, gzip"])
def test_other_content_encodings_are_refused(encoding):
    """Named, with what is supported."""
    with pytest.raises(UnknownContentEncodingError, match=r"Unsupported content encoding|only once"):
        detect_head(CSV, encoding=encoding, type="text/csv")


def test_unknown_names_are_refused_when_a_reader_is_opened():
    """Before anything is read."""
    with pytest.raises(UnknownFormatError):
        open_reader(iter(()), format="yaml", content_encoding="identity", limits=Limits())
    with pytest.raises(UnknownContentEncodingError):
        open_reader(iter(()), format="csv", content_encoding="br", limits=Limits())
    with pytest.raises(UnknownFormatError):
        write(iter(()), format="xml", header=None)
    assert set(MEDIA_TYPES) == set(WRITTEN_FORMATS) < set(FORMATS)


@pytest.mark.parametrize("format", WRITTEN_FORMATS)
def test_written_files_are_detected(format):
    """By its bytes alone, and read again."""
    table = format not in ("ndjson", "json")
    rows = [["1", "x"], ["2", "y"]] if table else [b'{"sku":"1"}', b'{"sku":"2"}']
    data = b"".join(write(iter(rows), format=format, header=["sku", "title"] if table else None))
    assert detect_head(data) == (format, "identity")
    (chunk,) = open_reader(iter([data]), format=format, content_encoding="identity", limits=Limits()).chunks()
    assert (chunk.rows if table else chunk.lines) == rows
