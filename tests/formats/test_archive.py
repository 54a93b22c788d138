"""ZIP archives: the only data file in one is read as if it had come by itself."""

import io
import struct
import zipfile
import zlib

import pytest

from goodsgate.formats import UnknownFormatError, detect, write
from tests.formats.helpers import read

CSV = b"sku,title\n1,Cup\n2,Bowl\n"
XLSX = b"".join(write(iter([["1", "Cup"], ["2", "Bowl"]]), format="xlsx", header=["sku", "title"]))
JUNK = {"__MACOSX/._products.csv": b"x", ".DS_Store": b"x", "data/": b"", "Thumbs.db": b"x", "README.txt": b"read me"}


def archive(files: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return an archive of files in this order."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archived:
        for name, content in files.items():
            archived.writestr(name, content)
    return target.getvalue()


def streamed(name: str, content: bytes) -> bytes:
    """Return an archive as programs write it that do not know sizes before: they follow the data."""

    class Unseekable(io.RawIOBase):
        def __init__(self) -> None:
            self.parts: list[bytes] = []

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:
            self.parts.append(bytes(data))
            return len(data)

    target = Unseekable()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archived, archived.open(
        name, "w", force_zip64=True
    ) as file:
        file.write(content)
    return b"".join(target.parts)


def detect_file(data: bytes, **claims: str) -> tuple[str, str]:
    """Return what is detected."""
    return detect(**{"content_type": None, "content_encoding": None, "filename": None, "head": data[:65536], **claims})


@pytest.mark.parametrize("data", [
    archive({"products.csv": CSV}),
    archive({"products.csv": CSV}, method=zipfile.ZIP_STORED),
    archive({**JUNK, "data/products.csv": CSV}),
    archive({"products.csv": CSV, **JUNK, "photo.jpg": b"\xff\xd8"}),
    archive({"export": CSV}),
    streamed("products.csv", CSV),
], ids=["deflated", "stored", "junk-before", "junk-behind", "no-suffix", "streamed"])
def test_the_only_data_file_is_read(data):
    """What operating systems add, folders and pictures do not count; and the name of the file is told."""
    assert detect_file(data, content_type="application/zip") == ("csv", "zip")
    assert detect_file(data, format="csv") == ("csv", "zip")
    found = read(data, "csv", content_encoding="zip", sizes=[50])
    assert found.records == [["1", "Cup"], ["2", "Bowl"]]
    assert (found.stopped, found.bytes_done) == (None, len(data))
    assert [each.what for each in found.reader.decisions][:3] == ["content_encoding", "format", "file"]


@pytest.mark.parametrize(("name", "content", "format"), [
    ("p.xlsx", XLSX, "xlsx"), ("p.json", b'[{"sku":"1"},{"sku":"2"}]', "json"),
    ("p.xml", b"<r><item><sku>1</sku></item><item><sku>2</sku></item></r>", "xml"),
    ("p.TXT", b"sku\ta\n1\tx\n2\ty", "tsv"),
])
def test_every_format_may_be_archived(name, content, format):
    """The file in the archive is detected as it would be by itself; a workbook is no archive of XML files."""
    data = archive({name: content})
    assert detect_file(data) == (format, "zip")
    assert len(read(data, format, content_encoding="zip").records) == 2
    assert detect_file(XLSX) == detect_file(XLSX, format="xlsx") == ("xlsx", "identity")
    assert detect_file(archive({"p.xlsx": XLSX}), format="xlsx") == ("xlsx", "zip")


def test_several_data_files_are_named():
    """When the submission is received, if its beginning shows them, else when it is read."""
    data = archive({"a.csv": CSV, "b.json": b"[]"})
    with pytest.raises(UnknownFormatError, match=r"several data files \(a.csv, b.json\)"):
        detect_file(data)
    for format in ("csv", "json", "xml", "xlsx", "ndjson"):
        found = read(data, format, content_encoding="zip")
        assert (found.records, found.stopped, found.notices) == ([], None, [("archive_ambiguous", "a.csv, b.json")])


def encrypted() -> bytes:
    """Return an archive whose file is marked as encrypted."""
    data = bytearray(archive({"a.csv": CSV}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def damaged() -> bytes:
    """Return an archive with another byte in its file."""
    data = bytearray(archive({"a.csv": CSV}, method=zipfile.ZIP_STORED))
    data[data.index(b"Cup")] = ord("c")
    return bytes(data)


@pytest.mark.parametrize(("data", "code", "words"), [
    (encrypted(), "payload_corrupt", "a.csv is encrypted"),
    (damaged(), "payload_corrupt", "checksum"),
    (archive({"a.csv": CSV})[:-30], "payload_truncated", "no end"),
    (archive({"photo.jpg": b"x", "b.pdf": b"x"}), "payload_corrupt", "no data file (photo.jpg, b.pdf)"),
    (archive({}), "payload_corrupt", "empty"),
    (archive({"a.csv": CSV}, method=zipfile.ZIP_BZIP2), "payload_corrupt", "unsupported way"),
    (b"PK\x03\x04" + bytes(100), "payload_truncated", "no end"),
    (archive({"a.csv": CSV}).replace(struct.pack("<I", zlib.crc32(CSV)), b"\0\0\0\0"), "payload_corrupt", "checksum"),
])
def test_an_archive_that_cannot_be_read_is_an_error_of_the_file(data, code, words):
    """It says why, and what to do."""
    found = read(data, "csv", content_encoding="zip")
    assert found.stopped == code
    assert words in found.reader.stopped.message


def test_an_archive_is_limited_by_its_size_and_by_what_it_expands_to():
    """Whatever its directory says."""
    bomb = archive({"a.csv": b"sku\n" + (b"1" * 50_000 + b"\n") * 500})
    found = read(bomb, "csv", content_encoding="zip", records_max=10**9, inflate_ratio_max=200)
    assert found.stopped == "payload_inflates"
    large = read(archive({"a.csv": CSV}), "csv", content_encoding="zip", xlsx_bytes_max=50)
    assert "at most 50 bytes" in large.reader.stopped.message


def test_other_archives_are_refused_by_name():
    """An OpenDocument file is a ZIP archive, too."""
    with pytest.raises(UnknownFormatError, match="OpenDocument"):
        detect_file(archive({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": b"<x/>"}))
    with pytest.raises(UnknownFormatError, match=r"a\.csv is encrypted"):
        detect_file(encrypted())
    with pytest.raises(UnknownFormatError, match="an empty ZIP archive"):
        detect_file(archive({}))
    with pytest.raises(UnknownFormatError, match="no data file"):
        detect_file(archive({"a.jpg": b"x", "b.jpg": b"x"}))
