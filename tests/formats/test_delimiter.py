"""The delimiter of a table: named, in the file or beside it, or detected by the consistency of the first rows."""

import pytest

from goodsgate.formats import Limits, ReadOptions, UnknownDelimiterError, find_delimiter, open_reader
from tests.formats.helpers import read


@pytest.mark.parametrize(("text", "name", "header"), [
    ("sku,title\n1,x\n", "comma", ["sku", "title"]),
    ("sku;price\nA;7,90\nB;8,90\n", "semicolon", ["sku", "price"]),
    ("sku;name, short, long;price, net\nA;x;7\nB;y;8\n", "semicolon", ["sku", "name, short, long", "price, net"]),
    ("sku,images,tags\nA,a|b|c,x;y\nB,a|b,x;y;z\n", "comma", ["sku", "images", "tags"]),
    ("sku|title|note\nA|x, y|1\nB|x, z|2\n", "pipe", ["sku", "title", "note"]),
    ("sku\ttitle\nA\tx, y\nB\tz, w\n", "tab", ["sku", "title"]),
    ('sku;"a;b,c,d,e"\nA;"1,2,3,4,5"\n', "semicolon", ["sku", "a;b,c,d,e"]),
    ('sku;text\nA;"one,\ntwo,\nthree,"\nB;"x,"\n', "semicolon", ["sku", "text"]),
    ("sku\nA\nB\n", "comma", ["sku"]),
    ('"a;b"\nx;y\nz;w\n', "comma", ["a;b"]),
    ('"a;b";"c,d"\nx,1;y\n5" tube;z\n', "semicolon", ["a;b", "c,d"]),
])
def test_the_delimiter_cuts_the_rows_alike(text, name, header):
    """Decimal commas, lists in cells, and commas in names or quoted texts do not mislead."""
    reader = read(text.encode(), "csv").reader
    assert reader.header == header
    assert [(each.value, each.how) for each in reader.decisions if each.what == "delimiter"] == [(name, "detected")]


def test_the_confidence_of_a_delimiter_is_told():
    """Certain if all rows are cut alike by one delimiter alone."""

    def confidence(text: str) -> float:
        (found,) = [each for each in read(text.encode(), "csv").reader.decisions if each.what == "delimiter"]
        return found.confidence

    assert confidence("a;b\n1;2\n3;4\n") == 1.0
    assert confidence("a;b\n1;2\n3\n4;5\n") == 0.75
    assert confidence("a;b,c\n1;2,3\n") == 0.5


@pytest.mark.parametrize("line", [
    "sep=;", "SEP=;", "Sep = ;", '"sep=;"', " sep=; ", "sep=;;;;", 'sep=";"', "\n\nsep=;", "sep=;\r", "\ufeffsep=;",
])
def test_a_sep_line_names_the_delimiter(line):
    """In any spelling; it is no header."""
    found = read(f"{line}\nsku;title,x\nA;1,2\n".encode(), "csv")
    assert (found.reader.header, found.records) == (["sku", "title,x"], [["A", "1,2"]])
    assert [(each.value, each.how) for each in found.reader.decisions if each.what == "delimiter"] == [
        ("semicolon", "given")
    ]


@pytest.mark.parametrize(("sign", "line"), [("\t", "sep=\t"), ("^", "sep=^"), (" ", None), ("~", None), ("|", None)])
def test_any_character_may_be_the_delimiter(sign, line):
    """Named by a line of the file, or by an option, which beats the line."""
    text = f"sku{sign}title;x\nA{sign}1;2\n"
    named = f"{line}\n{text}" if line else f"sep=;\n{text}"
    options = ReadOptions(delimiter=None if line else sign)
    reader = open_reader(iter([named.encode()]), format="csv", content_encoding="identity", limits=Limits(),
                         options=options)
    (chunk,) = reader.chunks()
    assert (reader.header, chunk.rows) == (["sku", "title;x"], [["A", "1;2"]])


def test_names_of_delimiters_are_known():
    """What is neither a name nor a single character is refused with what is."""
    assert [*map(find_delimiter, ("comma", "Semicolon", "TAB", "pipe", "\\t", "^", "\t"))] == [
        ",", ";", "\t", "|", "\t", "^", "\t"
    ]
    for wrong in ("", "ab", '"', "\n", "x", "komma"):
        with pytest.raises(UnknownDelimiterError, match="expected comma, semicolon, tab, pipe or a single character"):
            find_delimiter(wrong)
