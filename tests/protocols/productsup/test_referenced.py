"""Uploads to referenced streams are accepted unless they are empty, and checked by the processing stage."""

import gzip
import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodsgate.protocols.productsup.decoding import decode_error
from goodsgate.protocols.productsup.raw_upload import RawUpload, UndecodableUploadError
from goodsgate.protocols.productsup.upload_validation import LINE_BYTES_MAX
from tests import effort
from tests.factories import NOW
from tests.protocols.productsup.client import ONE_STORE, Productsup, error
from tests.protocols.productsup.test_lines import VECTORS

JSON, NDJSON = "application/json", "application/x-ndjson"
PRODUCTS = b'[{"id":"ASWHJ4-123-J","title":"My Product","price":"\xe2\x82\xac5"},\n {"id":"ASWHJ4-124-J","a":[1]}]'
CONTROL = "Control character error, possibly incorrectly encoded"


def _upload(sender: Productsup, stream: str, body: bytes, type: str = JSON, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return sender.post(f"/streams/{stream}/products", content=body, headers={"content-type": type, **named})


def _summary(sender: Productsup, response: httpx.Response) -> tuple[str, tuple, tuple | None]:
    """Return the status of the batch and its stages as (status, successes, [(message, occurrences, line)])."""
    attributes = sender.get(response.headers["content-location"]).json()["data"]["attributes"]
    stages = []
    for name in ("upload", "processing"):
        stage = attributes["stages"][name]
        if stage is None:
            stages.append(None)
            continue
        errors = [(one["message"], one["occurrences"], one["example"]["lineNumber"]) for one in stage["errors"]]
        assert stage["errorCount"] == sum(count for _, count, _ in errors)
        stages.append((stage["status"], stage["successCount"], errors))
    return attributes["status"], stages[0], stages[1]


def _products(sender: Productsup, stream: str) -> dict[str, object]:
    sender.gate.shop.work()
    return sender.gate.shop.items(f"productsup-{stream}", merchant=sender.merchant)


@ONE_STORE
@pytest.mark.parametrize(("body", "text"), [
    (b"5", 'Missing "id" attribute'), (b" true ", 'Missing "id" attribute'), (b'"x"', 'Missing "id" attribute'),
    (b"null", "Empty Product Attributes"), (b"nul", "Syntax error"), (b"5 5", "Syntax error"),
])
def test_json_that_is_no_product_is_no_syntax_error(sender: Productsup, body: bytes, text: str) -> None:
    """A value alone is reported like the same value in an array."""
    stream = sender.create_stream(type="referenced")
    response = _upload(sender, stream, body)
    assert (response.status_code, _products(sender, stream)) == (202, {})
    assert _summary(sender, response)[2] == ("failure", 0, [(text, 1, 1)])


@pytest.mark.parametrize("content_encoding", ["identity", "gzip"])
@pytest.mark.parametrize(("body", "type"), [
    (PRODUCTS, JSON), (PRODUCTS, "application/json; charset=utf-8"),
    (PRODUCTS.replace(b"[{", b"{").replace(b"},", b"}").replace(b"]}]", b"]}"), NDJSON),
])
def test_an_upload_is_accepted(sender: Productsup, body: bytes, type: str, content_encoding: str) -> None:
    """It may be a JSON array or lines, plain or gzip."""
    stream = sender.create_stream(type="referenced")
    sent = gzip.compress(body) if content_encoding == "gzip" else body
    response = _upload(sender, stream, sent, type, content_encoding=content_encoding)
    assert response.status_code == 202
    assert _summary(sender, response) == ("uploaded", ("success", 2, []), None)
    assert _products(sender, stream) == {
        "ASWHJ4-123-J": {"id": "ASWHJ4-123-J", "title": "My Product", "price": "€5"},
        "ASWHJ4-124-J": {"id": "ASWHJ4-124-J", "a": [1]},
    }
    assert _summary(sender, response) == ("processed", ("success", 2, []), ("success", 2, []))


@ONE_STORE
@pytest.mark.parametrize(("body", "type"), [
    *((body, JSON) for body in (b"", b"[]", b"[ ]", b"[{ }]", b" \r\n\t", b"[{},\n{}]", b"{}")),
    *((body, NDJSON) for body in (b"", b" ", b"\n\n", b"{}", b"{ }\n")),
])
def test_an_empty_upload(sender: Productsup, body: bytes, type: str) -> None:
    """It gets 422 with a batch document, in whatever way it is empty."""
    stream = sender.create_stream(type="referenced")
    response = _upload(sender, stream, body, type)
    assert response.status_code == 422
    assert _summary(sender, response) == ("failed", ("failure", 0, [("Empty payload", 1, 1)]), None)
    assert _products(sender, stream) == {}
    assert sender.get(response.headers["content-location"]).json() == response.json()


@pytest.mark.parametrize(("body", "message"), [
    (b'[{"id":', "Syntax error"), (b'[{"id":"1"},{"id":"2"},]', "Syntax error"), (b'[{"id":"1', CONTROL),
    (b'[{"id":"1"},{"id":"2""a":1}]', "Syntax error"), (b'[{"id":"1"}] x', "Syntax error"),
    (b'[{"id":"1"}{"id":"2"}]', "Syntax error"), (b'{"id":"1"}\n{"id":"2"}', "Syntax error"),
    (b'[{"id":"1"},{"id":"\xe9"}]', "Malformed UTF-8 characters, possibly incorrectly encoded"),
    (b'\xef\xbb\xbf[{"id":"1"}]', "Syntax error"), (b'{"id":"a\nb"}', CONTROL),
    (b'[{"id":"1"],', "State mismatch (invalid or malformed JSON)"),
])
def test_an_array_that_does_not_decode(sender: Productsup, body: bytes, message: str) -> None:
    """It is accepted and fails as a whole in processing: one error on line 1, nothing stored."""
    stream = sender.create_stream(type="referenced")
    response = _upload(sender, stream, body)
    assert response.status_code == 202
    assert _summary(sender, response) == ("uploaded", ("success", 0, []), None)
    assert _products(sender, stream) == {}
    assert _summary(sender, response) == ("failed", ("success", 0, []), ("failure", 0, [(message, 1, 1)]))


def test_records_that_are_no_products(sender: Productsup) -> None:
    """Processing reports them by their line or place in the array; the others are stored."""
    stream = sender.create_stream(type="referenced")
    missing, empty = 'Missing "id" attribute', "Empty Product Attributes"
    array = _upload(sender, stream, b'[{"id":"1"},{},{"a":1},5,{"id":"2","a":%s},{"b":2}]' % (b"[" * 40 + b"]" * 40))
    long = b'\n{"id":"%s"}' % (b"x" * LINE_BYTES_MAX)
    lines = _upload(sender, stream, b'{"id":"3"}\n\n{"id":"4""a":1}\n{"c":1}' + long, NDJSON)
    for response, count in ((array, 6), (lines, 4)):
        assert _summary(sender, response)[:2] == ("uploaded", ("success", count, []))
    assert sorted(_products(sender, stream)) == ["1", "3"]
    assert _summary(sender, array)[2] == ("warning", 1, [
        (empty, 1, 2), (missing, 3, 3), ("Maximum stack depth exceeded", 1, 5),
    ])
    assert _summary(sender, lines)[2] == ("warning", 1, [
        ("Empty Payload line", 1, 2), ("Syntax error", 1, 3), (missing, 1, 4), ("Product payload is too large", 1, 5),
    ])


def test_products_are_deleted_by_body(sender: Productsup) -> None:
    """Deletions have the same formats as uploads."""
    stream = sender.create_stream(type="referenced")
    _upload(sender, stream, b'[{"id":1},{"id":2},{"id":3}]')
    for body, type, status in ((b'[{"id":1}]', JSON, 202), (b'{"id":2}', NDJSON, 202), (b"[]", JSON, 422)):
        response = sender.request(
            "DELETE", f"/streams/{stream}/products", content=body, headers={"content-type": type}
        )
        assert response.status_code == status
    assert list(_products(sender, stream)) == ["3"]


@ONE_STORE
@pytest.mark.parametrize("type", ["application/vnd.api+json", "text/csv", ""])
def test_other_types_are_refused(sender: Productsup, type: str) -> None:
    """Other media types get 415."""
    response = _upload(sender, sender.create_stream(type="referenced"), PRODUCTS, type)
    assert (response.status_code, error(response)["title"]) == (415, "Unsupported Media Type")


def _end(body: bytes, cuts: list[int]) -> object:
    """Return the stages, or the message of a document that does not decode."""
    raw_upload = RawUpload("json")
    for size in cuts:
        raw_upload.write(body[:size])
        body = body[size:]
    raw_upload.write(body)
    try:
        return raw_upload.end(NOW)
    except UndecodableUploadError as fault:
        return str(fault)


SHORT = [line for line, _ in VECTORS if len(line) < 100]
ELEMENTS = st.sampled_from(SHORT) | st.text('{}[]:,"\\ue12 ', max_size=9).map(str.encode)
VALUES = st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=2)
                      | st.dictionaries(st.text(max_size=2), inner, max_size=2), max_leaves=4)


@settings(deadline=None, max_examples=effort.examples(400), suppress_health_check=[HealthCheck.filter_too_much])
@given(
    st.lists(ELEMENTS | VALUES.map(lambda value: json.dumps(value).encode()), max_size=6),
    st.sampled_from([b",", b" ,\n", b",,", b" "]), st.sampled_from([(b"[", b"]"), (b" [\n", b" ] "), (b"", b"")]),
    st.lists(st.integers(1, 9), max_size=30),
)
def test_an_array_decodes_if_the_published_decoder_accepts_it(
    elements: list[bytes], comma: bytes, around: tuple[bytes, bytes], cuts: list[int]
) -> None:
    """It does not matter how it is split; JSON that is no array or object does not decode."""
    body = around[0] + comma.join(elements) + around[1]
    end = _end(body, cuts)
    assert _end(body, []) == end
    decodes = decode_error(body) is None and body.strip()[:1] in (b"[", b"{")
    assert isinstance(end, str) == (not decodes and bool(body.strip()))
