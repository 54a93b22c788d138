"""Uploads to chunked streams: the immediate answer, the stored products, and the batch with its two stages."""

import gzip
import re
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import httpx
import orjson
import pytest

from goodsgate.protocols.productsup import upload_watcher
from tests.http_gate import read_response
from tests.protocols.productsup.client import JSON_API, ONE_STORE, Productsup, error

NDJSON = {"content-type": "application/x-ndjson", "accept": JSON_API}
GOOD = b'{"id":"34SKJDF42DF","name":"Product 1"}\n{"id":"475-SHIRT-XL","size":"XL"}\n{"id":7824796324,"price":4.5}\n'
MIXED = b'{"id":"1"}\n{}\n\n{"name":"x"}\n{"id":"1""a":2}\n'
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def _upload(sender: Productsup, stream: str, body: bytes, *, method: str = "POST", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return sender.request(method, f"/streams/{stream}/products", content=body, headers={**NDJSON, **named})


def _product_ids(sender: Productsup, stream: str) -> dict[str, object]:
    sender.gate.shop.work()
    return sender.gate.shop.items(f"productsup-{stream}", merchant=sender.merchant)


def _stages(response: httpx.Response) -> tuple[str, dict, dict | None]:
    """Return the status of the batch and its stages."""
    attributes = response.json()["data"]["attributes"]
    return attributes["status"], attributes["stages"]["upload"], attributes["stages"]["processing"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_good_lines_are_accepted(sender: Productsup, method: str) -> None:
    """Each method gets 202 and the path of a batch, which is processed once the engine has run."""
    stream = sender.create_stream()
    response = _upload(sender, stream, GOOD, method=method)
    assert (response.status_code, response.headers["content-type"]) == (202, JSON_API)
    document = response.json()
    batch = document["data"]["id"]
    assert UUID.fullmatch(batch)
    completed = document["data"]["attributes"]["stages"]["upload"].pop("completedAt")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", completed)
    link = {"stream": {"data": {"type": "stream", "id": stream}}}
    assert document == {
        "data": {
            "type": "batch", "id": batch,
            "attributes": {"status": "uploaded", "errorCount": 0, "stages": {
                "upload": {"status": "success", "successCount": 3, "errorCount": 0, "errors": []}, "processing": None,
            }},
            "relationships": link,
        },
        "relationships": link,
    }
    where = response.headers["content-location"]
    assert where == f"/streams/{stream}/batches/{batch}"
    before = sender.get(where)
    assert (before.json(), before.headers["retry-after"]) == (response.json(), "5")
    assert sorted(_product_ids(sender, stream)) == ["34SKJDF42DF", "475-SHIRT-XL", "7824796324"]
    after = sender.get(where)
    status, upload, processing = _stages(after)
    assert (status, upload["successCount"]) == ("processed", 3)
    assert processing is not None
    assert (processing["status"], processing["successCount"], processing["errors"]) == ("success", 3, [])
    assert "retry-after" not in after.headers
    changed = [parsedate_to_datetime(response.headers["last-modified"]) for response in (before, after)]
    assert changed == sorted(changed)
    head = sender.head(where)
    assert (head.status_code, head.content, head.headers["last-modified"]) == (200, b"", after.headers["last-modified"])


def test_a_partial_upload(sender: Productsup) -> None:
    """It gets 202 and `warning`; good lines are stored, and the processing stage repeats no error."""
    stream = sender.create_stream()
    response = _upload(sender, stream, MIXED)
    status, upload, _ = _stages(response)
    assert (response.status_code, status, upload["status"]) == (202, "uploaded", "warning")
    assert (upload["successCount"], upload["errorCount"]) == (1, 4)
    assert [(problem["message"], problem["example"]["lineNumber"]) for problem in upload["errors"]] == [
        ("Empty Product Attributes", 2), ("Empty Payload line", 3), ('Missing "id" attribute', 4), ("Syntax error", 5),
    ]
    assert list(_product_ids(sender, stream)) == ["1"]
    fetched = sender.get(response.headers["content-location"])
    status, again, processing = _stages(fetched)
    assert (status, again) == ("processed", upload)
    assert processing is not None
    assert (processing["status"], processing["successCount"], processing["errorCount"]) == ("success", 1, 0)
    assert fetched.json()["data"]["attributes"]["errorCount"] == 4


@pytest.mark.parametrize(("body", "message"), [
    (b"", "Empty payload"), (b" ", "Empty Payload line"), (b"{}", "Empty Product Attributes"),
    (b'{"id":"%s"}' % (b"x" * 2_097_144), "Product payload is too large"),
])
def test_an_upload_without_a_good_line(sender: Productsup, body: bytes, message: str) -> None:
    """It gets 422 with a batch document, which can be fetched and stays failed."""
    stream = sender.create_stream()
    response = _upload(sender, stream, body)
    assert response.status_code == 422
    status, upload, processing = _stages(response)
    assert (status, upload["status"], upload["successCount"], upload["errorCount"], processing) == (
        "failed", "failure", 0, 1, None
    )
    (problem,) = upload["errors"]
    assert (problem["message"], problem["occurrences"], problem["example"]["lineNumber"]) == (message, 1, 1)
    assert problem["example"]["value"] == body[:1000].decode()
    assert _product_ids(sender, stream) == {}
    assert sender.get(response.headers["content-location"]).json() == response.json()


@pytest.mark.parametrize("body", [
    b'{"id":"A-1","title":"T\xe2\x82\xac"}\r\n{"id":"A-2","title":null}\r\n',
    b'{"id":"A-1","title":"T\xe2\x82\xac"} \n {"id":"A-2","title":null} \n',
])
def test_bodies_of_real_clients(sender: Productsup, body: bytes) -> None:
    """Captured bodies have no errors, plain or gzip."""
    stream = sender.create_stream()
    packed = _upload(sender, stream, gzip.compress(body), content_encoding="gzip")
    for response in (_upload(sender, stream, body), packed):
        status, upload, _ = _stages(response)
        assert (response.status_code, status, upload["successCount"], upload["errors"]) == (202, "uploaded", 2, [])
    assert _product_ids(sender, stream) == {"A-1": {"id": "A-1", "title": "T€"}, "A-2": {"id": "A-2"}}


def test_uploads_are_merged(sender: Productsup) -> None:
    """Members merge in order, null clears one, and products that are not named stay."""
    stream = sender.create_stream()
    _upload(sender, stream, b'{"id":"1","a":1,"b":{"x":[1]},"c":3}\n{"id":"2"}\n')
    _upload(sender, stream, b'{"id":"1","a":2,"c":null}\n{"id":1,"d":""}\n')
    assert _product_ids(sender, stream) == {"1": {"id": 1, "a": 2, "b": {"x": [1]}, "d": ""}, "2": {"id": "2"}}


def test_streams_are_separate(sender: Productsup, stranger: Productsup) -> None:
    """The same id in two streams is two products, and a batch belongs to one stream."""
    first, second = sender.create_stream("One"), sender.create_stream("Two2")
    theirs = stranger.create_stream()
    batch = _upload(sender, first, b'{"id":"1","a":1}').json()["data"]["id"]
    _upload(sender, second, b'{"id":"1","a":2}')
    assert (_product_ids(sender, first), _product_ids(sender, second)) == ({"1": {"id": "1", "a": 1}},
        {"1": {"id": "1", "a": 2}})
    for client, stream, name in (
        (sender, second, batch), (stranger, theirs, batch), (sender, first, batch[:-1]), (sender, first, "x"),
        (sender, first, "00000000-0000-4000-8000-000000000000"),
    ):
        problem = error(client.get(f"/streams/{stream}/batches/{name}"))
        assert (problem["status"], problem["title"]) == ("404", "Batch ID not found")
    assert error(sender.get(f"/streams/99/batches/{batch}"))["title"] == "Stream ID not found"
    assert sender.get(f"/streams/{first}/batches/{batch.upper()}").status_code == 200


def test_a_line_that_only_the_engine_rejects(sender: Productsup) -> None:
    """The processing stage reports it with its line; one good line makes the batch processed."""
    stream = sender.create_stream()
    deep = b'{"id":"deep","a":' + b"[" * 40 + b"]" * 40 + b"}"
    response = _upload(sender, stream, b'{}\n{"id":"1"}\n' + deep + b"\n")
    assert _stages(response)[1]["successCount"] == 2
    assert list(_product_ids(sender, stream)) == ["1"]
    status, upload, processing = _stages(fetched := sender.get(response.headers["content-location"]))
    assert processing is not None
    assert (status, upload["errorCount"], processing["status"]) == ("processed", 1, "warning")
    assert (processing["successCount"], processing["errorCount"]) == (1, 1)
    assert processing["errors"] == [{
        "message": "Maximum stack depth exceeded", "occurrences": 1,
        "example": {"lineNumber": 3, "value": deep.decode()},
    }]
    assert fetched.json()["data"]["attributes"]["errorCount"] == 2
    alone = _upload(sender, stream, deep)
    _product_ids(sender, stream)
    status, _, processing = _stages(sender.get(alone.headers["content-location"]))
    assert processing is not None
    assert (status, processing["status"]) == ("failed", "failure")


@ONE_STORE
@pytest.mark.parametrize(("headers", "status"), [
    ({"content-type": "application/x-ndjson; charset=utf-8"}, 202), ({"content-type": "APPLICATION/X-NDJSON"}, 202),
    ({"content-type": "application/json"}, 415), ({"content-type": JSON_API}, 415), ({"content-type": ""}, 415),
    ({"content-encoding": "br"}, 415), ({"content-encoding": "gzip"}, 400),
])
def test_headers_of_an_upload(sender: Productsup, headers: dict[str, str], status: int) -> None:
    """Parameters and case are ignored; other media types, encodings and broken gzip are refused."""
    stream = sender.create_stream()
    response = sender.post(f"/streams/{stream}/products", content=GOOD, headers={**NDJSON, **headers})
    assert response.status_code == status
    if status != 202:
        assert error(response)["title"] in ("Unsupported Media Type", "Bad Request")
        assert _product_ids(sender, stream) == {}


@ONE_STORE
def test_incomplete_gzip_and_several_members(sender: Productsup) -> None:
    """Incomplete gzip gets 400 and leaves no trace; several members are one body."""
    stream = sender.create_stream()
    packed = gzip.compress(GOOD)
    assert _upload(sender, stream, packed[:-9], content_encoding="gzip").status_code == 400
    assert _product_ids(sender, stream) == {}
    response = _upload(sender, stream, packed + gzip.compress(b'{"id":"4"}\n'), content_encoding="gzip")
    assert (response.status_code, _stages(response)[1]["successCount"]) == (202, 4)
    assert len(_product_ids(sender, stream)) == 4


@ONE_STORE
@pytest.mark.parametrize("content_encoding", ["identity", "gzip"])
def test_a_payload_has_a_maximum_size(sender: Productsup, monkeypatch: pytest.MonkeyPatch,
                                      content_encoding: str) -> None:
    """Both the received and the decompressed size count."""
    monkeypatch.setattr(upload_watcher, "PAYLOAD_BYTES_MAX", 1000)
    stream = sender.create_stream()
    for size, status in ((1000, 202), (1001, 413)):
        body = orjson.dumps({"id": "1", "a": ""})
        body = body[:-2] + b"x" * (size - len(body)) + body[-2:]
        packed = gzip.compress(body) if content_encoding == "gzip" else body
        response = _upload(sender, stream, packed, content_encoding=content_encoding)
        assert response.status_code == status
    assert error(response)["title"] == "Payload Too Large"


def test_a_deleted_stream_loses_its_products(sender: Productsup) -> None:
    """Its products are gone, and no more are accepted."""
    stream = sender.create_stream()
    response = _upload(sender, stream, GOOD)
    assert len(_product_ids(sender, stream)) == 3
    assert sender.delete(f"/streams/{stream}").status_code == 204
    assert _product_ids(sender, stream) == {}
    for late in (_upload(sender, stream, GOOD), sender.get(response.headers["content-location"])):
        assert error(late)["title"] == "Stream ID not found"


def test_twenty_uploads_at_once(sender: Productsup) -> None:
    """The vendor's connector uploads in parallel; all products are stored."""
    stream = sender.create_stream()

    def upload(number: int) -> int:
        lines = b"".join(b'{"id":"%d-%d"}\r\n' % (number, line) for line in range(50))
        return _upload(sender, stream, lines).status_code

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(upload, range(60))) == {202}
    assert len(_product_ids(sender, stream)) == 3_000


@ONE_STORE
@pytest.mark.parametrize(("headers", "first"), [
    ("Content-Type: application/x-ndjson", 100), ("Content-Type: application/json", 415), ("Accept: */*", 415),
    ("Content-Type: application/x-ndjson\r\nContent-Encoding: br", 415),
])
def test_only_a_body_that_can_be_accepted_is_called_for(sender: Productsup, headers: str, first: int) -> None:
    """A client that expects 100 learns of a wrong type or encoding before it sends the body."""
    head = (
        f"POST /streams/{sender.create_stream()}/products HTTP/1.1\r\nHost: gate\r\nExpect: 100-continue\r\n"
        f"Authorization: {sender.headers['authorization']}\r\nContent-Length: 10\r\n{headers}\r\n\r\n"
    )
    with sender.gate.connect() as connection:
        connection.sendall(head.encode())
        assert int(read_response(connection).split()[1]) == first
        if first == 100:
            connection.sendall(b'{"id":"1"}')
            assert int(read_response(connection).split()[1]) == 202
