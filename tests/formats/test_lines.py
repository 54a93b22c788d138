"""NDJSON: whole lines, their places, and what is wrong with them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.formats import open_reader
from goodsgate.formats.contract import Limits
from tests.formats.helpers import PACKINGS, SIZES, packed, peak, pieces, read

LINE = st.binary(min_size=1, max_size=30).map(lambda line: line.replace(b"\n", b"_"))


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([b'{"a":1}', b"[]", b"x" * 40, b"", b"  ", b"\t\r", "é€".encode(), b'{"b" : 2} '])),
    st.sampled_from([b"\n", b"\r\n"]), st.booleans(), PACKINGS, SIZES, st.integers(1, 200), st.integers(1, 7),
)
def test_lines_and_source_rows_are_those_of_the_file(lines, end, closed, content_encoding, sizes, chunk_bytes,
                                                block_records):
    """Against a plain split, for every packing, piece and chunk size; blank lines are counted once."""
    data = end.join(lines) + (end if closed and lines else b"")
    found = read(
        packed(data, content_encoding), content_encoding=content_encoding, sizes=sizes, chunk_bytes=chunk_bytes,
        chunk_records_max=block_records
    )
    numbered = [(number, line.strip()) for number, line in enumerate(data.split(b"\n"), 1)]
    assert list(zip(found.source_rows, found.records, strict=True)) == [(number, line) for number,
        line in numbered if line]
    blank = len(data.split(b"\n")) - (data.endswith(b"\n") or not data) - len(found.records)
    notices = dict(found.notices)
    assert notices.get("rows_empty") == (str(blank) if blank else None)
    assert ("payload_empty" in notices) is (not found.records)
    assert not found.unreadable
    assert found.stopped is None


@settings(deadline=None)
@given(st.lists(LINE, max_size=12), SIZES, st.integers(0, 14))
def test_skipping_gives_the_rest(lines, sizes, skip):
    """Records, places, issues and notices are those of a reading from the start, without the first ones."""
    limits = {"chunk_bytes": 50, "chunk_records_max": 3, "line_bytes_max": 20}
    data = b"\n".join(lines)
    whole, rest = read(data, sizes=sizes, **limits), read(data, sizes=sizes, skip=skip, **limits)
    assert (rest.records, rest.source_rows) == (whole.records[skip:], whole.source_rows[skip:])
    assert rest.unreadable == {index - skip: code for index, code in whole.unreadable.items() if index >= skip}
    assert rest.notices == whole.notices


@settings(deadline=None)
@given(st.lists(st.integers(0, 60), max_size=8), SIZES, st.booleans())
def test_a_line_over_the_limit_is_reported_and_others_are_read(lengths, sizes, closed):
    """At the limit it is read, above it is not, wherever the pieces end."""
    lines = [bytes([65 + index % 26]) * length for index, length in enumerate(lengths)]
    found = read(b"\n".join(lines) + b"\n" * closed, sizes=sizes, line_bytes_max=30)
    kept = [line for line in lines if line]
    assert found.unreadable == {index: "line_too_long" for index, line in enumerate(kept) if len(line) > 30}
    assert [record[:1] for record in found.records] == [line[:1] for line in kept]
    assert all(found.records[index] == line for index, line in enumerate(kept) if len(line) <= 30)


def test_an_endless_line_is_read_in_bounded_memory():
    """A hundred megabytes without a line end; a cut of 4 KiB is kept."""

    def endless():
        yield b'{"a":1}\n{"b":"'
        for _ in range(200):
            yield b"x" * 500_000
        yield b'"}\n{"c":3}'

    found, most = peak(lambda: read(endless()))
    assert found.records[0] == b'{"a":1}'
    assert found.records[2] == b'{"c":3}'
    assert found.unreadable == {1: "line_too_long"}
    assert len(found.records[1]) == 4096
    assert most < 12 * 1024 * 1024


def test_truncation_does_not_break_a_character():
    """What is kept of a long line is UTF-8."""
    found = read(("x" + "é" * 10_000).encode() + b"\n{}", line_bytes_max=5000)
    assert found.records[0].decode() == "x" + "é" * 2047
    assert found.unreadable == {0: "line_too_long"}


def test_a_last_line_without_end_is_a_line():
    """Whether it is whole JSON is for the rules to say."""
    found = read(b'{"a":1}\n{"b":')
    assert found.records == [b'{"a":1}', b'{"b":']
    assert not found.unreadable


@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\t\n", b"\xef\xbb\xbf", b"\xff\xfe"])
@pytest.mark.parametrize("format", ["ndjson", "json", "csv", "tsv"])
def test_an_empty_file_is_reported(data, format):
    """Nothing, blanks, or a byte-order mark alone."""
    found = read(data, format)
    assert found.records == []
    assert ("payload_empty", None) in found.notices
    assert found.stopped is None


@pytest.mark.parametrize(("count", "stops"), [(9, False), (10, False), (11, True)])
@pytest.mark.parametrize("format", ["ndjson", "json", "csv"])
@pytest.mark.parametrize("skip", [0, 4, 10])
def test_records_have_a_limit(count, stops, format, skip):
    """Those up to it are read; skipped ones count."""
    lines = [b'{"a":%d}' % number for number in range(count)]
    data = {"ndjson": b"\n".join(lines), "json": b"[" + b",".join(lines) + b"]", "csv": b"h\n" + b"\n".join(lines)}
    found = read(data[format], format, records_max=10, chunk_records_max=4, skip=skip)
    assert len(found.records) == min(count, 10) - min(skip, count)
    assert found.stopped == ("records_too_many" if stops else None)


def test_a_million_empty_rows_are_one_notice():
    """In every text format, and the record behind them keeps its line."""
    blank = b"\n" * 1_000_000
    lines = read(blank + b'{"a":1}\n')
    assert (lines.notices, lines.source_rows) == ([("rows_empty", "1000000")], [1_000_001])
    table = read(b"a,b\n" + b",\r\n" * 1_000_000 + b"1,2\n", "csv")
    assert (table.notices, table.source_rows) == ([("rows_empty", "1000000")], [1_000_002])


def test_chunks_are_limited_in_bytes_and_records():
    """Whichever comes first; bytes done grow to the size of the payload."""
    data = b'{"a":"0123456789"}\n' * 1000
    limits = Limits(chunk_bytes=2000)
    reader = open_reader(pieces(data, (100,)), format="ndjson", content_encoding="identity", limits=limits)
    done = [(len(chunk.lines), chunk.bytes_done) for chunk in reader.chunks()]
    assert all(90 <= count <= 115 for count, _ in done[:-1])
    assert [at for _, at in done] == sorted(at for _, at in done)
    assert done[-1][1] == len(data)
    assert read(data, chunk_records_max=64).chunks == [64] * 15 + [40]


def test_memory_does_not_grow_with_the_file():
    """Two hundred megabytes, in blocks of 4 MiB of which one and the next are held."""
    line = b'{"id":"SKU-1","title":"Linen shirt","description":"' + b"light " * 160 + b'"}\n'

    def most(count):
        given = (line * 1000 for _ in range(count))
        limits = Limits(chunk_bytes=4 << 20, chunk_seconds=3600)
        reader = open_reader(given, format="ndjson", content_encoding="identity", limits=limits)
        return peak(lambda: sum(len(chunk.lines) for chunk in reader.chunks()))[1]

    assert most(200) < most(20) * 1.1 < 24 * 1024 * 1024
