"""Files written: their bytes, and JSON that comes back."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.formats import write
from tests.formats.helpers import PACKINGS, SIZES, packed, read


def written(rows, format, header=None):
    """The whole file."""
    return b"".join(write(iter(rows), format=format, header=header))


def test_csv_follows_the_standard():
    """RFC 4180: comma, CR LF, marks only where they are needed; no byte-order mark, nothing done to formulas."""
    rows = [["1", 'a "b"', "x,y"], ["=1+1", "-5", "+3"], ["@a", "é", "line\nbreak"]]
    assert written(rows, "csv", ["sku", "title", "note"]).decode() == (
        'sku,title,note\r\n1,"a ""b""","x,y"\r\n=1+1,-5,+3\r\n@a,é,"line\nbreak"\r\n'
    )
    assert written([["1", "a,b"], ["2", "a\tb"]], "tsv", ["a", "b"]) == b'a\tb\r\n1\ta,b\r\n2\t"a\tb"\r\n'
    assert written([["1"]], "csv") == b"1\r\n"


def test_a_header_that_holds_other_delimiters_is_quoted():
    """Or it would be read as a header of that delimiter."""
    assert written([["1", "2"]], "csv", ["a;b;c", "d"]).startswith(b'"a;b;c","d"\r\n')
    assert written([["1"]], "csv", ["sep=;"]).startswith(b'"sep=;"\r\n')


@pytest.mark.parametrize(("format", "empty"), [("ndjson", b""), ("json", b"[\n\n]\n"), ("csv", b"a\r\n")])
def test_no_records_are_written_as_an_empty_file(format, empty):
    """A header, an empty array."""
    assert written([], format, ["a"]) == empty


@settings(deadline=None)
@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.lists(st.integers(), max_size=3))),
    st.sampled_from([None, 2]), st.sampled_from(["ndjson", "json"]), PACKINGS, SIZES,
)
def test_json_is_read_back(values, indent, format, content_encoding, sizes):
    """Also where a value was laid out over several lines."""
    lines = [json.dumps(value, indent=indent).encode() for value in values]
    data = written(lines, format)
    assert format == "ndjson" or json.loads(data) == values
    found = read(packed(data, content_encoding), format, content_encoding=content_encoding, sizes=sizes)
    assert [json.loads(line) for line in found.records] == values
    assert not found.unreadable


@pytest.mark.parametrize("format", ["ndjson", "json", "csv", "tsv"])
def test_files_are_written_in_pieces(format):
    """A long file is never held; its pieces join as they should."""
    table = format in ("csv", "tsv")
    rows = [[str(number), "x" * 100] for number in range(3000)]
    given = rows if table else [json.dumps(row).encode() for row in rows]
    pieces = list(write(iter(given), format=format, header=["a", "b"] if table else None))
    assert len(pieces) > 4
    assert max(map(len, pieces)) < 70_000
    found = read(b"".join(pieces), format)
    assert (found.records if table else [json.loads(line) for line in found.records]) == rows
