"""Charsets are detected and reported, and every record gets its own characters."""

import codecs
import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.formats import Limits, UnknownEncodingError, find_encoding, open_reader
from tests.data import sample_bytes
from tests.formats.helpers import SIZES, TEXT, pieces, read

LINES = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=3, max_size=20), min_size=4)
CP1252 = [letter + "a " for letter in "äöüÄÖÜßéèêçñ€–„“”’™®°½"]
"""Never two in a row: that may happen to be valid UTF-8."""


def in_charset(text: str, charset: str) -> bytes:
    """Encoded, with the byte-order mark where the name says so."""
    marks = {"utf-8-sig": b"", "utf-16-le-sig": codecs.BOM_UTF16_LE, "utf-16-be-sig": codecs.BOM_UTF16_BE}
    return marks.get(charset, b"") + text.encode(charset.removesuffix("-sig") if "16" in charset else charset)


@settings(deadline=None)
@given(LINES, st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le-sig", "utf-16-be-sig"]), SIZES)
def test_files_with_a_byte_order_mark_are_read_accordingly(lines, charset, sizes):
    """Whatever the pieces; UTF-16 adds a notice, UTF-8 does not."""
    found = read(in_charset("\n".join(lines), charset), sizes=sizes)
    assert [line.decode() for line in found.records] == lines
    assert found.notices == ([("encoding_guessed", "UTF-16")] if "16" in charset else [])
    assert not found.unreadable


@settings(deadline=None)
@given(st.lists(st.text('abcd1234:,{}"', min_size=8, max_size=20), min_size=2), SIZES, st.booleans(), st.booleans())
def test_utf16_is_detected_without_a_mark(lines, sizes, big, non_latin):
    """By the places of its zero bytes, as long as a good part of it is ASCII."""
    lines = [*lines, "цена"] if non_latin else lines
    found = read("\n".join(lines).encode("utf-16-be" if big else "utf-16-le"), sizes=sizes)
    assert [line.decode() for line in found.records] == lines
    assert found.notices == [("encoding_guessed", "UTF-16")]


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from(CP1252), min_size=1).map("".join), min_size=1), SIZES)
def test_windows_1252_is_read_with_a_notice_or_refused(lines, sizes):
    """Accents, quotation marks and the euro sign; some mixtures are of no language."""
    text = "\n".join(["title", *lines, "prix en € ou né"])
    found = read(text.encode("cp1252"), "csv", sizes=sizes)
    if found.refused is None:
        assert found.notices == [("encoding_guessed", "Windows-1252")]
        assert [row[0].strip() for row in found.records] == [line.strip() for line in text.split("\n")[1:]]
    else:
        assert (found.refused, found.records) == ("encoding_uncertain", [])


@pytest.mark.parametrize("content_encoding", ["identity", "gzip"])
@pytest.mark.parametrize(("letters", "code"), [
    ("Käse, Brötchen, Müsli\n".encode("cp1252"), "encoding_guessed"), (b"Kr\xe1l\n", "encoding_uncertain"),
    ("Käse\n".encode(), None),
])
@pytest.mark.parametrize("rows", [10, 200_000])
def test_a_charset_is_certain_before_the_first_record(
    rows: int, letters: bytes, code: str | None, content_encoding: str
) -> None:
    """However far behind it the first letter beyond ASCII stands, in memory or in a second pass."""
    data = b"id\n" + b"SKU-0001\n" * rows + letters
    packed = gzip.compress(data, 1) if content_encoding == "gzip" else data
    reader = open_reader(
        pieces(packed), format="csv", content_encoding=content_encoding, limits=Limits(chunk_records_max=1_000),
        again=lambda: pieces(packed),
    )
    records = sum(map(len, reader.chunks()))
    assert [notice.code for notice in reader.notices] == ([code] if code else [])
    assert records == (0 if code == "encoding_uncertain" else rows + 1)


@settings(deadline=None)
@given(st.binary(max_size=300), SIZES, SIZES)
def test_pieces_do_not_change_what_is_read(data, sizes, other_sizes):
    """Any bytes at all, cut any way."""
    one, other = read(data, sizes=sizes), read(data, sizes=other_sizes)
    assert (one.records, one.source_rows, one.unreadable) == (other.records, other.source_rows, other.unreadable)
    assert (one.notices, one.stopped) == (other.notices, other.stopped)


def test_the_charset_of_ascii_is_open_until_another_byte_comes():
    """Two mebibytes of ASCII, then Windows-1252: still found."""
    found = read(b"title\n" + b"Tea and coffee\n" * 150_000 + "Café\n".encode("cp1252"), "csv")
    assert found.notices == [("encoding_guessed", "Windows-1252")]
    assert found.records[-1] == ["Café"]
    assert not found.unreadable


@pytest.mark.parametrize("at", [0, 3, 40, 99])
def test_a_broken_line_in_a_utf8_file_is_an_issue_of_its_record(at):
    """The file stays UTF-8; the neighbours keep their accents."""
    lines = ['{"title":"Crème brûlée"}'.encode()] * 100
    lines[at] = '{"title":"Crème"}'.encode("cp1252")
    found = read(b"\n".join(lines))
    assert found.unreadable == {at: "encoding_broken"}
    assert found.notices == []
    assert found.records == lines
    table = read(b"title,brand\n" + b"".join(line + b",b\n" for line in lines), "csv")
    assert table.unreadable == {at: "encoding_broken"}
    assert "\\xe8" in table.records[at][0]


def test_a_broken_line_far_behind_is_found():
    """Beyond the sample, too."""
    good = '{"title":"Crème brûlée"}\n'.encode() * 60_000
    found = read(good + b'{"title":"Cr\xe8me"}\n' + good)
    assert found.unreadable == {60_000: "encoding_broken"}


def test_bytes_that_windows_1252_does_not_have_are_reported():
    """0x81 is no character there."""
    found = read(b"title\n" + "Größe für Möbel\n".encode("cp1252") * 5 + b"x\x81y\xe9\n", "csv")
    assert found.unreadable == {5: "encoding_broken"}
    assert found.reader.notices[0].value == "Windows-1252"


def test_invalid_utf16_is_reported():
    """Half a pair, and half a character at the end."""
    text = '{"title":"a good line"}\n'.encode("utf-16")
    assert read(text + b"\x00\xd8" + "x\nyy\n".encode("utf-16-le")).unreadable == {1: "encoding_broken"}
    assert read(text + "{}".encode("utf-16-le") + b"a").unreadable == {1: "encoding_broken"}


def test_nul_bytes_are_reported_for_each_record():
    """In JSON and in tables."""
    assert read(b'{"a":"x"}\n{"a":"y\0"}\n{"a":"z"}\n').unreadable == {1: "nul_bytes"}
    assert read(b'[{"a":"x"},{"a":"y\0"},{"a":"z"}]', "json").unreadable == {1: "nul_bytes"}
    table = read(b'a,b\nx,1\n"y\0",2\n"z\nz\0",3\nw,4\n', "csv")
    assert table.unreadable == {1: "nul_bytes", 2: "nul_bytes"}
    assert table.records == [["x", "1"], ["y\0", "2"], ["z\nz\0", "3"], ["w", "4"]]


@pytest.mark.parametrize(
    ("head", "word"),
    [(b"PK\x03\x04rest", "ZIP"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "XLS"), (b"\x1f\x8b\x08", "gzip")],
)
@pytest.mark.parametrize("format", ["ndjson", "json", "csv", "tsv"])
def test_binary_files_are_not_read_as_text(head, word, format):
    """Told by what it is."""
    found = read(head, format)
    assert (found.records, found.stopped) == ([], "payload_corrupt")
    assert word in found.reader.stopped.value


@pytest.mark.parametrize("charset", ["cp1252", "utf-16-le", "utf-16-be", "utf-8"])
def test_a_real_file_in_another_charset_reads_the_same(charset):
    """Open Food Facts rows, encoded again. In Windows-1252 the name is needed: they are of too many languages."""
    text = sample_bytes("openfoodfacts/products-2020-spreadsheet.csv.gz").decode("utf-8-sig")
    text = text.encode("cp1252", "ignore").decode("cp1252")
    expected = read(text.encode(), "csv")
    found = read(text.encode(charset), "csv", encoding="cp1252" if charset == "cp1252" else None)
    assert len(found.records) == 132
    assert (found.reader.header, found.records, found.source_rows) == (
        expected.reader.header, expected.records, expected.source_rows
    )
    name = "UTF-16" if "16" in charset else None
    notices = [("encoding_guessed", name)] if name else []
    assert sorted(found.notices) == [*notices, ("header_duplicate", "#NAME?")]  # a spreadsheet broke those names, too
    assert charset != "cp1252" or read(text.encode(charset), "csv").refused == "encoding_uncertain"


@settings(deadline=None)
@given(st.lists(TEXT.filter(lambda text: text.strip() == text and text and "\n" not in text), min_size=1), SIZES)
def test_utf8_is_never_guessed_to_be_something_else(lines, sizes):
    """Valid UTF-8 without NUL is read as it is."""
    data = "\n".join(lines).encode()
    found = read(data, sizes=sizes)
    if not data.startswith((b"\xff", b"\xfe", codecs.BOM_UTF8, b"PK", b"\x1f\x8b", b"(\xb5")):
        assert not found.unreadable
        assert not [code for code, _ in found.notices if code == "encoding_guessed"]


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(("name", "text"), [
    ("windows-1250", "Čaša šaržer Žlica"), ("ISO-8859-2", "Žluťoučký kůň"), ("windows-1251", "Чашка"),
    ("KOI8-R", "Чашка"), ("Shift_JIS", "カップ①"), ("EUC-JP", "カップ"), ("GBK", "杯子"), ("windows-1255", "כוס"),
    ("cp850", "Tasse à café"), ("UTF-8", "Tasse à café"), ("latin1", "5 € “Tasse”"), ("utf-16-le", "Чашка"),
])
def test_a_named_charset_is_obeyed(name, text, size):
    """Whatever the pieces; nothing was guessed, so there is no notice."""
    encoding = find_encoding(name)
    found = read(f"id,title\nA,{text}\n".encode(encoding), "csv", sizes=(size,), encoding=encoding)
    assert (found.records, found.notices, found.unreadable) == ([["A", text]], [], {})


@pytest.mark.parametrize("name", ["windows-1250", "ISO-8859-1", "KOI8-R", "cp850", "windows-1251", "Shift_JIS"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_text_that_is_utf8_is_not_read_in_another_named_charset(name, size):
    """Neither name nor bytes are believed; `encoding=utf-8` reads it."""
    text = ("a" * 500 + "\n") * 200 + "Käse für Čaša, Чашка und カップ茶碗\n"
    found = read(f"id\n{text}".encode(), "csv", sizes=(size,), encoding=find_encoding(name))
    assert [code for code, _ in found.notices] == ["encoding_uncertain"]


def test_bytes_that_are_nothing_in_the_named_charset_concern_their_record_only():
    """The issue names the charset."""
    found = read(b"id,title\nA,\x81\nB,b\n", "csv", encoding=find_encoding("windows-1252"))
    assert (found.unreadable, found.records[1]) == ({0: "encoding_broken"}, ["B", "b"])
    assert read("id,title\nA,é\n".encode("cp1252"), "csv", encoding="utf-8").unreadable == {0: "encoding_broken"}


def test_a_byte_order_mark_beats_a_named_charset():
    """It is in the file itself."""
    assert read(codecs.BOM_UTF8 + "id\né\n".encode(), "csv", encoding="cp1250").records == [["é"]]


@pytest.mark.parametrize("name", ["", "nonsense", "idna", "utf-7", "base64", "unicode_escape", "a\0b", "ü" * 40])
def test_a_charset_that_is_none_is_refused(name):
    """Python's codecs that are no charsets, too."""
    with pytest.raises(UnknownEncodingError):
        find_encoding(name)


@pytest.mark.parametrize("size", [1, 3, 1_000])
@pytest.mark.parametrize(("encoding", "name"), [("utf-16-le", "utf-16"), ("utf-16-be", "utf-16"),
                                                ("utf-16-le", "utf-16-le"), ("utf-16-be", "utf-16-be")])
def test_utf_16_needs_no_mark_if_it_is_named(encoding: str, name: str, size: int) -> None:
    """The first character tells the byte order; half a character at the end does no harm."""
    content = "id,title\nA,größe\n".encode(encoding)
    assert read(content, "csv", sizes=(size,), encoding=name).records == [["A", "größe"]]
    assert read(content + b"x", "csv", sizes=(size,), encoding=name).records[0] == ["A", "größe"]


@pytest.mark.parametrize("name", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_that_is_no_utf_16_is_not_read_as_it(name: str) -> None:
    """No byte of it is zero."""
    found = read("id,title\nA,größe\n".encode(), "csv", encoding=name)
    assert (found.records, [code for code, _ in found.notices]) == ([], ["encoding_uncertain"])
