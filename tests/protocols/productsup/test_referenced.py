"""Uploads to referenced streams: taken unless they are empty, judged by processing."""

import gzip
import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodsgate.protocols.productsup.blob import Blob, Undecodable
from goodsgate.protocols.productsup.decoding import message_of
from goodsgate.protocols.productsup.verdict import LINE_BYTES_MAX
from tests.make import NOW
from tests.protocols.productsup.client import ONE_STORE, Productsup, error
from tests.protocols.productsup.test_lines import VECTORS

JSON, NDJSON = "application/json", "application/x-ndjson"
PRODUCTS = b'[{"id":"ASWHJ4-123-J","title":"My Product","price":"\xe2\x82\xac5"},\n {"id":"ASWHJ4-124-J","a":[1]}]'
CONTROL = "Control character error, possibly incorrectly encoded"


def _upload(sender: Productsup, stream: str, body: bytes, type: str = JSON, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return sender.post(f"/streams/{stream}/products", content=body, headers={"content-type": type, **named})


def _told(sender: Productsup, answered: httpx.Response) -> tuple[str, tuple, tuple | None]:
    """Status of the batch as it is now, and its stages as (status, successes, [(message, occurrences, line)])."""
    attributes = sender.get(answered.headers["content-location"]).json()["data"]["attributes"]
    stages = []
    for name in ("upload", "processing"):
        stage = attributes["stages"][name]
        if stage is None:
            stages.append(None)
            continue
        told = [(one["message"], one["occurrences"], one["example"]["lineNumber"]) for one in stage["errors"]]
        assert stage["errorCount"] == sum(count for _, count, _ in told)
        stages.append((stage["status"], stage["successCount"], told))
    return attributes["status"], stages[0], stages[1]


def _held(sender: Productsup, stream: str) -> dict[str, object]:
    sender.gate.shop.work()
    return sender.gate.shop.items(f"productsup-{stream}", merchant=sender.merchant)


@pytest.mark.parametrize("content_encoding", ["identity", "gzip"])
@pytest.mark.parametrize(("body", "type"), [
    (PRODUCTS, JSON), (PRODUCTS, "application/json; charset=utf-8"),
    (PRODUCTS.replace(b"[{", b"{").replace(b"},", b"}").replace(b"]}]", b"]}"), NDJSON),
])
def test_an_upload_is_taken(sender: Productsup, body: bytes, type: str, content_encoding: str) -> None:
    """A JSON array or lines, plain or gzip."""
    stream = sender.made(type="referenced")
    sent = gzip.compress(body) if content_encoding == "gzip" else body
    answered = _upload(sender, stream, sent, type, content_encoding=content_encoding)
    assert answered.status_code == 202
    assert _told(sender, answered) == ("uploaded", ("success", 2, []), None)
    assert _held(sender, stream) == {
        "ASWHJ4-123-J": {"id": "ASWHJ4-123-J", "title": "My Product", "price": "€5"},
        "ASWHJ4-124-J": {"id": "ASWHJ4-124-J", "a": [1]},
    }
    assert _told(sender, answered) == ("processed", ("success", 2, []), ("success", 2, []))


@ONE_STORE
@pytest.mark.parametrize(("body", "type"), [
    *((body, JSON) for body in (b"", b"[]", b"[ ]", b"[{ }]", b" \r\n\t", b"[{},\n{}]", b"{}")),
    *((body, NDJSON) for body in (b"", b" ", b"\n\n", b"{}", b"{ }\n")),
])
def test_an_empty_upload(sender: Productsup, body: bytes, type: str) -> None:
    """422 with a batch document, however nothing is written."""
    stream = sender.made(type="referenced")
    answered = _upload(sender, stream, body, type)
    assert answered.status_code == 422
    assert _told(sender, answered) == ("failed", ("failure", 0, [("Empty payload", 1, 1)]), None)
    assert _held(sender, stream) == {}
    assert sender.get(answered.headers["content-location"]).json() == answered.json()


@pytest.mark.parametrize(("body", "message"), [
    (b'[{"id":', "Syntax error"), (b'[{"id":"1"},{"id":"2"},]', "Syntax error"), (b'[{"id":"1', CONTROL),
    (b'[{"id":"1"},{"id":"2""a":1}]', "Syntax error"), (b'[{"id":"1"}] x', "Syntax error"),
    (b'[{"id":"1"}{"id":"2"}]', "Syntax error"), (b'{"id":"1"}\n{"id":"2"}', "Syntax error"),
    (b'[{"id":"1"},{"id":"\xe9"}]', "Malformed UTF-8 characters, possibly incorrectly encoded"),
    (b'\xef\xbb\xbf[{"id":"1"}]', "Syntax error"), (b'{"id":"a\nb"}', CONTROL),
    (b'[{"id":"1"],', "State mismatch (invalid or malformed JSON)"),
])
def test_an_array_that_does_not_decode(sender: Productsup, body: bytes, message: str) -> None:
    """Is taken, and fails as a whole when it is processed: one error on line 1, nothing held."""
    stream = sender.made(type="referenced")
    answered = _upload(sender, stream, body)
    assert answered.status_code == 202
    assert _told(sender, answered) == ("uploaded", ("success", 0, []), None)
    assert _held(sender, stream) == {}
    assert _told(sender, answered) == ("failed", ("success", 0, []), ("failure", 0, [(message, 1, 1)]))


def test_records_that_are_no_products(sender: Productsup) -> None:
    """Are told by processing, by their place in the array or their line; the others are held."""
    stream = sender.made(type="referenced")
    missing, empty = 'Missing "id" attribute', "Empty Product Attributes"
    array = _upload(sender, stream, b'[{"id":"1"},{},{"a":1},5,{"id":"2","a":%s},{"b":2}]' % (b"[" * 40 + b"]" * 40))
    long = b'\n{"id":"%s"}' % (b"x" * LINE_BYTES_MAX)
    lines = _upload(sender, stream, b'{"id":"3"}\n\n{"id":"4""a":1}\n{"c":1}' + long, NDJSON)
    for answered, count in ((array, 6), (lines, 4)):
        assert _told(sender, answered)[:2] == ("uploaded", ("success", count, []))
    assert sorted(_held(sender, stream)) == ["1", "3"]
    assert _told(sender, array)[2] == ("warning", 1, [
        (empty, 1, 2), (missing, 3, 3), ("Maximum stack depth exceeded", 1, 5),
    ])
    assert _told(sender, lines)[2] == ("warning", 1, [
        ("Empty Payload line", 1, 2), ("Syntax error", 1, 3), (missing, 1, 4), ("Product payload is too large", 1, 5),
    ])


def test_products_are_deleted_by_body(sender: Productsup) -> None:
    """In the forms that an upload has."""
    stream = sender.made(type="referenced")
    _upload(sender, stream, b'[{"id":1},{"id":2},{"id":3}]')
    for body, type, status in ((b'[{"id":1}]', JSON, 202), (b'{"id":2}', NDJSON, 202), (b"[]", JSON, 422)):
        answered = sender.request(
            "DELETE", f"/streams/{stream}/products", content=body, headers={"content-type": type}
        )
        assert answered.status_code == status
    assert list(_held(sender, stream)) == ["3"]


@ONE_STORE
@pytest.mark.parametrize("type", ["application/vnd.api+json", "text/csv", ""])
def test_other_types_are_refused(sender: Productsup, type: str) -> None:
    """415."""
    answered = _upload(sender, sender.made(type="referenced"), PRODUCTS, type)
    assert (answered.status_code, error(answered)["title"]) == (415, "Unsupported Media Type")


def _ends(body: bytes, cuts: list[int]) -> object:
    """The stages, or the message of a document that does not decode."""
    blob = Blob("json")
    for size in cuts:
        blob.write(body[:size])
        body = body[size:]
    blob.write(body)
    try:
        return blob.end(NOW)
    except Undecodable as fault:
        return str(fault)


SHORT = [line for line, _ in VECTORS if len(line) < 100]
ELEMENTS = st.sampled_from(SHORT) | st.text('{}[]:,"\\ue12 ', max_size=9).map(str.encode)
VALUES = st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=2)
                      | st.dictionaries(st.text(max_size=2), inner, max_size=2), max_leaves=4)


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    st.lists(ELEMENTS | VALUES.map(lambda value: json.dumps(value).encode()), max_size=6),
    st.sampled_from([b",", b" ,\n", b",,", b" "]), st.sampled_from([(b"[", b"]"), (b" [\n", b" ] "), (b"", b"")]),
    st.lists(st.integers(1, 9), max_size=30),
)
def test_an_array_decodes_where_the_published_decoder_takes_it(
    elements: list[bytes], comma: bytes, around: tuple[bytes, bytes], cuts: list[int]
) -> None:
    """However it is cut; what is no array or object is not taken though it may be JSON."""
    body = around[0] + comma.join(elements) + around[1]
    told = _ends(body, cuts)
    assert _ends(body, []) == told
    decodes = message_of(body) is None and body.strip()[:1] in (b"[", b"{")
    assert isinstance(told, str) == (not decodes and bool(body.strip()))
