"""Limits of reading."""

import itertools
from types import SimpleNamespace

import pytest

from goodsgate.config import Config
from goodsgate.formats import Limits, open_reader, payload_reader
from tests.formats.helpers import read

MIB = 1024 * 1024


def test_default_limits_are_those_of_the_settings() -> None:
    """A reader built without settings behaves like one of a gate with default settings."""
    assert Limits() == Limits(**{name: getattr(Config(), name) for name in Limits.__struct_fields__})


@pytest.mark.parametrize(("format", "head", "blanks", "tail"), [
    ("ndjson", b'{"a":1}\n', b"\n", b'{"a":2}\n'),
    ("ndjson", b'{"a":1}\n', b"x", b'\n{"a":2}\n'),
    ("json", b'[{"a":1}', b" ", b',{"a":2}]'),
    ("json", b'[{"a":"', b"x", b'"},{"a":2}]'),
    ("csv", b"a,b\n1,2\n", b",\n", b"3,4\n"),
    ("csv", b"", b"\n", b"a,b\n3,4\n"),
])
def test_bytes_without_a_record_are_limited(format, head, blanks, tail):
    """Blank lines, blank rows and a line without end: what was read before them counts, what follows is not read."""
    limits = {"skipped_bytes_max": 1, "line_bytes_max": 1000}
    few = read(head + blanks * (MIB // len(blanks)) + tail, format, **limits)
    assert (few.stopped, few.good[-1:]) == (None, [["3", "4"]] if format == "csv" else [b'{"a":2}'])
    many = read(head + blanks * (6 * MIB // len(blanks)) + tail, format, **limits)
    assert many.stopped == "payload_sparse"
    assert "at most 4," in many.reader.stopped.message or not head
    assert len(many.good) <= 1


@pytest.mark.parametrize(("format", "data"), [
    ("ndjson", b"\n" * 2 * MIB + b'{"a":1}\n' + b"\n" * 2 * MIB + b'{"a":2}\n'),
    ("json", b"[" + b"," * 2000 + b" " * 2 * MIB + b'{"a":1}' + b" " * 2 * MIB + b',{"a":2}]'),
    ("csv", b"a,b\n" + b",\n" * MIB + b"1,2\n" + b"\n" * 2 * MIB + b"3,4\n"),
])
@pytest.mark.parametrize("skip", [0, 1])
def test_a_chunk_ends_without_a_record_when_its_time_is_over(format, data, skip, monkeypatch):
    """So that a worker gives way while it skips bytes or records; no record is lost or repeated."""
    ticks = itertools.count()
    monkeypatch.setattr(payload_reader, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    reader = open_reader(iter([data]), format=format, content_encoding="identity", limits=Limits(chunk_seconds=1))
    chunks = [*reader.chunks(skip=skip)]
    assert sum(map(len, chunks)) == 2 - skip
    assert sum(not len(chunk) for chunk in chunks) >= 4
    assert reader.stopped is None
