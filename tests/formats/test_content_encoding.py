"""Gzip and zstd are decompressed in bounded pieces, and damage is reported."""

import gzip
import random
import zlib

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.formats.content_encoding import decompress, detect_content_encoding
from goodsgate.formats.contract import Limits
from goodsgate.formats.payload_reader import PIECE_BYTES, PayloadReader
from tests.formats.helpers import SIZES, packed, peak, pieces, read

MIB = 1024 * 1024


def unpacked(data, content_encoding, *, sizes=(1 << 20,), **limits):
    """The bytes, the longest piece and the reading."""
    reading = PayloadReader(Limits(**limits))
    parts = list(decompress(pieces(data, sizes), reading, content_encoding=content_encoding))
    return b"".join(parts), max(map(len, parts), default=0), reading


@settings(deadline=None)
@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4), st.sampled_from(["gzip", "zstd"]), SIZES)
def test_members_and_frames_come_out_one_after_the_other(members, content_encoding, sizes):
    """Concatenated files are one file."""
    data = b"".join(packed(member, content_encoding) for member in members)
    out, _, reading = unpacked(data, content_encoding, sizes=sizes)
    assert out == b"".join(members)
    assert reading.stopped is None
    assert reading.bytes_done == len(data)
    assert detect_content_encoding(data) == content_encoding


@pytest.mark.parametrize("level", [1, 3, 9, 19])
@pytest.mark.parametrize("streamed", [True, False])
def test_zstd_of_every_encoder_is_read(level, streamed):
    """With and without length, checksum, single segment; raw, repeated and compressed blocks."""
    noise = random.Random(1).randbytes(300_000)
    data = noise + b"x" * 500_000 + b"a line of text\n" * 20_000
    packer = zstandard.ZstdCompressor(level=level, write_checksum=not streamed)
    if streamed:
        stream = packer.compressobj()
        sent = b"".join(stream.compress(part) for part in pieces(data, (70_000,))) + stream.flush()
    else:
        sent = packer.compress(data)
    out, longest, reading = unpacked(sent, "zstd", sizes=(1000,))
    assert out == data
    assert longest <= 128 * 1024
    assert reading.stopped is None


def test_skippable_frames_are_skipped():
    """They carry what only others understand."""
    skippable = b"\x53\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"12345"
    out, _, reading = unpacked(skippable + packed(b"abc", "zstd") + skippable, "zstd", sizes=(3,))
    assert (out, reading.stopped) == (b"abc", None)
    assert detect_content_encoding(skippable) == "zstd"


def test_zero_bytes_after_gzip_are_padding():
    """Tapes and some servers fill up blocks."""
    out, _, reading = unpacked(packed(b"abc", "gzip") + bytes(100), "gzip", sizes=(7,))
    assert (out, reading.stopped) == (b"abc", None)


@pytest.mark.parametrize("content_encoding", ["gzip", "zstd"])
def test_truncation_is_reported_at_every_byte(content_encoding):
    """A prefix gives a prefix of the bytes, and the reason."""
    data = b"".join(b'{"sku":"%d"}\n' % number for number in range(300))
    sent = packed(data, content_encoding)
    for length in range(len(sent)):
        out, _, reading = unpacked(sent[:length], content_encoding, sizes=(100,))
        assert data.startswith(out)
        assert reading.stopped is not None
        assert reading.stopped.code == "payload_truncated"
    whole = read(sent, content_encoding=content_encoding)
    assert (len(whole.records), whole.stopped) == (300, None)


@pytest.mark.parametrize("content_encoding", ["gzip", "zstd"])
def test_every_changed_byte_is_reported_or_harmless(content_encoding):
    """Never wrong bytes without a word; header bytes such as the time do not matter."""
    data = b"".join(b'{"sku":"%d"}\n' % number for number in range(300))
    sent = packed(data, content_encoding)
    for at in range(len(sent)):
        damaged = sent[:at] + bytes([sent[at] ^ 0x55]) + sent[at + 1 :]
        out, _, reading = unpacked(damaged, content_encoding)
        assert out == data or reading.stopped is not None


@pytest.mark.parametrize("content_encoding", ["gzip", "zstd"])
def test_uncompressed_data_after_the_end_is_reported(content_encoding):
    """Records before it are kept."""
    found = read(packed(b'{"a":1}\n{"b":2}\n', content_encoding) + b"and then some more text",
        content_encoding=content_encoding)
    assert found.records == [b'{"a":1}', b'{"b":2}']
    assert found.stopped in ("payload_corrupt", "payload_truncated")


def test_a_large_zstd_window_is_refused_with_its_size():
    """RFC 9659 allows a content encoding 8 MiB."""
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=25)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    sent = stream.compress(b"x" * 100) + stream.flush()
    found = read(sent, content_encoding="zstd")
    assert found.stopped == "payload_corrupt"
    assert "33,554,432" in found.reader.stopped.value


def bomb(content_encoding: str, size: int) -> bytes:
    """`size` blanks, packed as tight as the packing can."""
    if content_encoding == "zstd":
        return zstandard.ZstdCompressor(level=3).compress(b" " * size)
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(b" " * MIB) for _ in range(size // MIB)) + packer.flush()


@pytest.mark.parametrize("content_encoding", ["gzip", "zstd"])
def test_a_decompression_bomb_is_stopped_in_bounded_memory(content_encoding):
    """A quarter of a gigabyte in a few kilobytes: stopped soon after the 16 MiB from which the ratio counts."""
    sent = bomb(content_encoding, 256 * MIB)
    reading = PayloadReader(Limits())
    sizes, most = peak(lambda: [len(part) for part in decompress(iter((sent,)), reading,
        content_encoding=content_encoding)])
    assert reading.stopped.code == "payload_inflates"
    assert sum(sizes) <= 16 * MIB + reading.bytes_done * 500
    assert max(sizes) <= PIECE_BYTES
    assert most < 4 * MIB


@pytest.mark.parametrize(("size", "stops"), [(16 * MIB, False), (17 * MIB, True)])
def test_the_ratio_counts_from_16_mebibytes_on(size, stops):
    """Small files may be as repetitive as they like."""
    _, _, reading = unpacked(bomb("gzip", size), "gzip", inflate_ratio_max=500)
    assert (reading.stopped is not None) is stops


@pytest.mark.parametrize("content_encoding", ["identity", "gzip", "zstd"])
@pytest.mark.parametrize(("size", "stops"), [(999, False), (1000, False), (1001, True)])
def test_the_decompressed_size_has_a_limit(content_encoding, size, stops):
    """At it and below all is well."""
    _, _, reading = unpacked(packed(b"x" * size, content_encoding), content_encoding, unpacked_bytes_max=1000)
    assert (reading.stopped is not None) is stops
    assert not stops or reading.stopped.code == "payload_inflates"


def test_a_truncated_record_is_never_accepted():
    """129.99 cut to 12 must not become a price."""
    rows = b"sku,price\n" + b"".join(b"%d,%d.99\n" % (number, number * 7919 % 1000) for number in range(500))
    sent = packed(rows, "gzip")
    whole = read(rows, "csv")
    for length in range(len(sent) - 200, len(sent) - 9, 3):
        cut = read(sent[:length], "csv", content_encoding="gzip")
        assert cut.stopped == "payload_truncated"
        assert cut.good == whole.records[: len(cut.good)]
        assert set(cut.unreadable.values()) <= {"line_incomplete", "row_ragged"}


def test_a_file_compressed_twice_is_reported():
    """A gzip inside a gzip is no text."""
    found = read(gzip.compress(gzip.compress(b'{"a":1}\n')), content_encoding="gzip")
    assert (found.records, found.stopped) == ([], "payload_corrupt")
    assert "compress it only once" in found.reader.stopped.value
