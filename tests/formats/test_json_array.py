"""JSON arrays cut into elements, against the standard library's decoder."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.formats import json_array
from tests.data import sample_bytes
from tests.formats.helpers import PACKINGS, SIZES, packed, peak, read

TEXT = st.text(st.sampled_from('ab"\\{}[],: \n\té€'), max_size=8)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def _is_no_wrapper(value: object) -> bool:
    """Return whether no list of objects is in an object, which would be read as the list of records."""
    if isinstance(value, list):
        return not any(isinstance(entry, dict) for entry in value)
    return not isinstance(value, dict) or all(map(_is_no_wrapper, value.values()))


RECORD = st.dictionaries(TEXT, VALUE, max_size=4)
LAYOUT = st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}])


@settings(deadline=None)
@given(st.lists(VALUE, max_size=8), LAYOUT, PACKINGS, SIZES)
def test_elements_are_those_of_the_array(values, layout, content_encoding, sizes):
    """Whatever they are, however it is laid out and cut into pieces."""
    found = read(packed(json.dumps(values, **layout).encode(), content_encoding), "json",
        content_encoding=content_encoding, sizes=sizes)
    assert [json.loads(line) for line in found.records] == values
    assert found.source_rows == list(range(1, len(values) + 1))
    assert not found.unreadable
    assert found.stopped is None


@settings(deadline=None)
@given(st.lists(RECORD.filter(_is_no_wrapper), max_size=6), LAYOUT, st.sampled_from(["", " ", "\n", "\r\n"]), SIZES)
def test_objects_after_each_other_are_records(values, layout, between, sizes):
    """One object is one record; several need nothing between them."""
    found = read(between.join(json.dumps(value, **layout) for value in values).encode(), "json", sizes=sizes)
    assert [json.loads(line) for line in found.records] == values
    assert found.stopped is None


@settings(deadline=None)
@given(st.integers(0, 500), st.lists(RECORD, min_size=3, max_size=6), LAYOUT, SIZES)
def test_the_fast_and_the_slow_way_split_alike(seed, values, layout, sizes):
    """The decoder's cuts are those of the brackets."""
    data = json.dumps([{"sku": seed + number, **value} for number, value in enumerate(values * 20)], **layout).encode()
    fast = read(data, "json", sizes=(4000, *sizes))
    guesses, json_array.GUESSES_MAX = json_array.GUESSES_MAX, 0
    try:
        slow = read(data, "json", sizes=sizes)
    finally:
        json_array.GUESSES_MAX = guesses
    assert (fast.records, fast.source_rows) == (slow.records, slow.source_rows)


def test_every_prefix_keeps_the_records_before_the_break():
    """A file truncated at any byte is reported, and its incomplete last record is never accepted."""
    values = [{"sku": f"A{number}", "tags": ["x]", '"', {"y": "}"}]} for number in range(4)]
    for data in (json.dumps(values).encode(), json.dumps(values, indent=1).encode()):
        for length in range(1, len(data)):
            found = read(data[:length], "json", sizes=(7,))
            assert found.stopped == "payload_truncated"
            assert [json.loads(line) for line in found.good] == values[: len(found.good)]
            assert set(found.unreadable.values()) <= {"line_incomplete"}
            assert len(found.unreadable) <= 1


@pytest.mark.parametrize(
    ("broken", "code"),
    [('{"sku":tru}', None), ('{"sku" "x"}', None), ('{"a":1,}', None), ("nonsense", None), ('{"a":"x\ty"}', None),
     ('{"a":"\0"}', "nul_bytes"), ('{"a":1} tail', None)],
)  # fmt: skip
@pytest.mark.parametrize("count", [3, 300])
def test_an_error_inside_an_element_affects_only_that_element(broken, code, count):
    """It is for the rules to say that it is no JSON; its neighbours are whole."""
    elements = [json.dumps({"sku": number}) for number in range(count)]
    elements[1] = broken
    found = read(("[" + ", ".join(elements) + "]").encode(), "json")
    assert [line.decode() for line in found.records] == elements
    assert found.unreadable == ({1: code} if code else {})
    assert found.stopped is None


@pytest.mark.parametrize(
    ("data", "stopped", "good"),
    [
        (b'[{"a":1},{"b":[}],{"c":3}]', "payload_corrupt", 1),
        (b'[{"a":1}}', "payload_corrupt", 0),
        (b'[{"a":1},{"b":2}] {"c":3}', "payload_corrupt", 2),
        (b'[{"a":1}][{"b":2}]', "payload_corrupt", 1),
        (b'{"a":1}]', "payload_corrupt", 1),
        (b'[{"a":1},{"b":2', "payload_truncated", 1),
        (b'[{"a":1},{"b":2}', "payload_truncated", 2),
        (b'[{"a":1},', "payload_truncated", 1),
        (b"[", "payload_truncated", 0),
        (b'{"a":1} {"b":', "payload_truncated", 1),
        (b'"text"', "payload_corrupt", 0),
        (b"<html>", "payload_corrupt", 0),
    ],
)
def test_a_broken_array_is_reported_and_earlier_elements_are_kept(data, stopped, good):
    """Mismatched brackets, something after the end, an end that is missing."""
    for sizes in ((1,), (1000,)):
        found = read(data, "json", sizes=sizes)
        assert found.stopped == stopped
        assert len(found.good) == good
        assert set(found.unreadable.values()) <= {"line_unreadable", "line_incomplete"}


def test_an_object_that_holds_an_array_beside_its_key_is_one_record():
    """It is not opened: a product may hold arrays, too."""
    data = b'{"sku":"0","parts":[{"sku":"1"},{"sku":"2"}]}'
    assert read(data, "json").records == [data]
    assert read(b"[]", "json").notices == [("payload_empty", None)]


@settings(deadline=None)
@given(st.lists(st.integers(0, 120), min_size=1, max_size=30), SIZES)
def test_an_element_over_the_limit_is_reported_and_others_are_read(lengths, sizes):
    """At the limit it is read."""
    elements = [b'{"k":"%s"}' % (b"]" * length) for length in lengths]
    found = read(b"[" + b" ,\n".join(elements) + b"]", "json", sizes=sizes, line_bytes_max=50)
    assert found.unreadable == {index: "line_too_long" for index, line in enumerate(elements) if len(line) > 50}
    assert all(found.records[index] == line for index, line in enumerate(elements) if len(line) <= 50)
    assert found.stopped is None


@pytest.mark.parametrize(("inside", "count"), [(b'"%s"', 100), (b"%s", 3)])
def test_an_endless_element_is_read_in_bounded_memory(inside, count):
    """Fifty megabytes in one string, or some of brackets."""

    def endless():
        before, after = inside.split(b"%s")
        yield b'[{"a":1},{"b":' + before
        for _ in range(count):
            yield b"[" * 50_000 + b"]" * 50_000 + b"[]" * 100_000
        yield after + b'},{"c":3}]'

    found, most = peak(lambda: read(endless(), "json", line_bytes_max=500_000))
    assert found.good == [b'{"a":1}', b'{"c":3}']
    assert found.unreadable == {1: "line_too_long"}
    assert most < 12 * 1024 * 1024


def test_blanks_do_not_make_an_element_long():
    """Megabytes of them before it, inside it and behind it, and none of them held."""
    blanks = [b" \n" * 100_000] * 20
    data = [b'[{"a":1}', *blanks, b",", *blanks, b'"x  ', b'y"', *blanks, b",", *blanks, b'{"b":', *blanks, b"2}]"]
    found, most = peak(lambda: read(iter(data), "json", line_bytes_max=1000))
    assert [json.loads(line) for line in found.records] == [{"a": 1}, "x  y", {"b": 2}]
    assert not found.unreadable
    assert most < 4 * 1024 * 1024


def test_depth_does_not_matter():
    """A hundred thousand brackets, in the fast way's reach."""
    deep = b'{"sku":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    plain = b'{"sku":1}'
    found = read(b"[" + b",".join([plain] * 5 + [deep] + [plain] * 5) + b"]", "json")
    assert found.records == [plain] * 5 + [deep] + [plain] * 5


def test_a_real_array_gives_its_elements():
    """The Best Buy sample, as it is and laid out anew."""
    data = sample_bytes("bestbuy/products-sample.json.gz")
    values = json.loads(data)
    for layout in (data, msgspec.json.format(data, indent=4), msgspec.json.format(data, indent=-1)):
        found = read(layout, "json", chunk_records_max=100)
        assert [json.loads(line) for line in found.records] == values
        assert found.stopped is None
