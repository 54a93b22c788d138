"""Lists of records inside a JSON object: found, told, and named by `records_at`."""

import pytest

from goodsgate.formats import Limits, ReadOptions, open_reader
from tests.formats.helpers import peak, read


@pytest.mark.parametrize(("text", "at", "skus"), [
    ('{"products":[{"sku":"1"},{"sku":"2"}]}', "products", ["1", "2"]),
    (' {"data": {"items": [ {"sku":"1"}], "page": 1}, "ok": true}\n', "data.items", ["1"]),
    ('{"version":3,"note":"a [{ b","anything":[{"sku":"1"}],"tags":["x"]}', "anything", ["1"]),
    ('{"title":"Feed","link":"https://x","items":[{"sku":"1","images":[{"url":"u"}]}]}', "items", ["1"]),
    ('{"products":[]}', "products", []),
    ('{"sku":"1","variants":[{"sku":"2"}],"images":[{"url":"u"}]}', None, ["1"]),
    ('{"sku":"1","shipping":[{"country":"DE"}]}', None, ["1"]),
    ('{"price":"1 EUR","sku":"1","title":"x","extra":{"parts":[{"n":1}]}}', None, ["1"]),
    ('{"sku":"1"}', None, ["1"]),
    ('{"sku":"1"}\n{"sku":"2","products":[{"sku":"3"}]}', None, ["1", "2"]),
    ('[{"sku":"1","products":[{"sku":"3"}]}]', None, ["1"]),
])
def test_the_only_list_of_objects_holds_the_records(text, at, skus):
    """Unless its object is a record itself, or one of several."""
    for sizes in ([1 << 20], [7]):
        found = read(text.encode(), "json", sizes=sizes)
        assert [line.split(b'"sku":"')[1][:1].decode() for line in found.records] == skus
        told = [(each.value, each.how) for each in found.reader.decisions if each.what == "records_at"]
        assert told == ([(at, "detected")] if at else [])
        assert found.reader.stopped is None
        assert [code for code, _ in found.notices] == ([] if skus else ["payload_empty"])


@pytest.mark.parametrize(("text", "choices"), [
    ('{"a":[{"sku":"1"}],"b":[{"sku":"2"}]}', "a, b"),
    ('{"products":[{"sku":"1"}],"meta":{"brands":[{"name":"x"}]}}', "products, meta.brands"),
    ('{"sku":"1","items":[{"sku":"2"}]}', "items, ."),
])
def test_of_several_lists_one_must_be_named(text, choices):
    """Nothing is read until then; the message says how."""
    found = read(text.encode(), "json")
    assert (found.records, found.notices) == ([], [("records_ambiguous", choices)])
    for choice in choices.split(", "):
        options = ReadOptions(records_at=choice)
        named = open_reader(iter([text.encode()]), format="json", content_encoding="identity", limits=Limits(),
                            options=options)
        assert sum(len(chunk) for chunk in named.chunks()) == 1
        assert named.notices == []


def test_a_list_that_comes_late_is_told():
    """Then the records before it were read, and the file has an error."""
    text = b'{"a":[' + b",".join([b'{"sku":"1","t":"%s"}' % (b"x" * 1000)] * 1100) + b'],"b":[{"sku":"2"}]}'
    found = read(text, "json")
    assert (len(found.records), found.notices) == (1100, [("records_ambiguous", "a, b")])


@pytest.mark.parametrize("text", [
    '{"products":[{"sku":"1"},{"sku":', '{"products":[{"sku":"1"}', '{"products":[{"sku":"1"}]',
    '{"a":{"products":[{"sku":"1"}]}', '{"products":[{"sku":"1"}],"next":"',
])
def test_a_wrapped_list_that_is_cut_off_is_an_error(text):
    """Also when only the object around it is not closed."""
    found = read(text.encode(), "json")
    assert found.stopped == "payload_truncated"
    assert found.records[0] == b'{"sku":"1"}'


@pytest.mark.parametrize(("text", "count"), [
    ('{\n  "products": [\n    {"sku":"1"},\n    {"sku":"2"}\n  ]\n}\n', 2),
    ('{"products":[{"sku":"1"},{"sku":"2"},{"sku":"3"}]}\n', 3),
    ('{"products":[' + ",".join(['{"sku":"%s"}' % ("9" * 50)] * 200) + "]}", 200),
    ('{\n"sku":"1",\n"title":"x"\n}', 1),
    ('{"sku":"1","a":[{"b":1}]}\n{"sku":"2"}\n', 2),
    ('{"sku":"1","a":[{"b":1}]}', 1),
    ('{"sku":\n{"sku":"2"}\n', 2),
])
def test_what_looks_like_lines_may_be_a_wrapped_list(text, count):
    """An object over several lines, or alone in its line; anything else is NDJSON."""
    assert len(read(text.encode(), "ndjson").records) == count


def test_memory_does_not_grow_with_the_list():
    """It is split as it arrives."""

    def hold(count: int) -> int:
        def parts():
            yield b'{"products":['
            yield from (b'{"sku":"1","t":"%s"},' % (b"x" * 200) * 400 for _ in range(count))
            yield b'{"sku":"1"}],"total":1}'

        reader = open_reader(parts(), format="json", content_encoding="identity",
                             limits=Limits(chunk_bytes=64 * 1024, chunk_records_max=100))
        assert sum(len(chunk) for chunk in reader.chunks()) == 400 * count + 1
        return count

    _, small = peak(lambda: hold(20))
    _, large = peak(lambda: hold(60))
    assert large < small * 1.2
