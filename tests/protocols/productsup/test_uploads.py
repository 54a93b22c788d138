"""Uploads to chunked streams: what is answered at once, what is held afterwards, and the batch with its two stages."""

import gzip
import re
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import httpx
import orjson
import pytest

from goodsgate.protocols.productsup import intake
from tests.protocols.productsup.client import JSON_API, ONE_STORE, Productsup, error

NDJSON = {"content-type": "application/x-ndjson", "accept": JSON_API}
GOOD = b'{"id":"34SKJDF42DF","name":"Product 1"}\n{"id":"475-SHIRT-XL","size":"XL"}\n{"id":7824796324,"price":4.5}\n'
MIXED = b'{"id":"1"}\n{}\n\n{"name":"x"}\n{"id":"1""a":2}\n'
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def _upload(sender: Productsup, stream: str, body: bytes, *, method: str = "POST", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return sender.request(method, f"/streams/{stream}/products", content=body, headers={**NDJSON, **named})


def _held(sender: Productsup, stream: str) -> dict[str, object]:
    sender.gate.shop.work()
    return sender.gate.shop.items(f"productsup-{stream}", merchant=sender.merchant)


def _stages(answered: httpx.Response) -> tuple[str, dict, dict | None]:
    """Status of the batch, and its stages."""
    attributes = answered.json()["data"]["attributes"]
    return attributes["status"], attributes["stages"]["upload"], attributes["stages"]["processing"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_good_lines_are_taken(sender: Productsup, method: str) -> None:
    """202 by every method; the batch can be fetched where the answer says, and is processed once it was worked."""
    stream = sender.made()
    answered = _upload(sender, stream, GOOD, method=method)
    assert (answered.status_code, answered.headers["content-type"]) == (202, JSON_API)
    document = answered.json()
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
    where = answered.headers["content-location"]
    assert where == f"/streams/{stream}/batches/{batch}"
    before = sender.get(where)
    assert (before.json(), before.headers["retry-after"]) == (answered.json(), "5")
    assert sorted(_held(sender, stream)) == ["34SKJDF42DF", "475-SHIRT-XL", "7824796324"]
    after = sender.get(where)
    status, upload, processing = _stages(after)
    assert (status, upload["successCount"]) == ("processed", 3)
    assert processing is not None
    assert (processing["status"], processing["successCount"], processing["errors"]) == ("success", 3, [])
    assert "retry-after" not in after.headers
    changed = [parsedate_to_datetime(answered.headers["last-modified"]) for answered in (before, after)]
    assert changed == sorted(changed)
    head = sender.head(where)
    assert (head.status_code, head.content, head.headers["last-modified"]) == (200, b"", after.headers["last-modified"])


def test_a_partial_upload(sender: Productsup) -> None:
    """202 and `warning`; what is right is held; the processing stage tells nothing twice."""
    stream = sender.made()
    answered = _upload(sender, stream, MIXED)
    status, upload, _ = _stages(answered)
    assert (answered.status_code, status, upload["status"]) == (202, "uploaded", "warning")
    assert (upload["successCount"], upload["errorCount"]) == (1, 4)
    assert [(told["message"], told["example"]["lineNumber"]) for told in upload["errors"]] == [
        ("Empty Product Attributes", 2), ("Empty Payload line", 3), ('Missing "id" attribute', 4), ("Syntax error", 5),
    ]
    assert list(_held(sender, stream)) == ["1"]
    fetched = sender.get(answered.headers["content-location"])
    status, again, processing = _stages(fetched)
    assert (status, again) == ("processed", upload)
    assert processing is not None
    assert (processing["status"], processing["successCount"], processing["errorCount"]) == ("success", 1, 0)
    assert fetched.json()["data"]["attributes"]["errorCount"] == 4


@pytest.mark.parametrize(("body", "message"), [
    (b"", "Empty payload"), (b" ", "Empty Payload line"), (b"{}", "Empty Product Attributes"),
    (b'{"id":"%s"}' % (b"x" * 2_097_144), "Product payload is too large"),
])
def test_an_upload_of_which_nothing_is_taken(sender: Productsup, body: bytes, message: str) -> None:
    """422 with a batch document, as the recorded answer is; it can be fetched, and stays failed."""
    stream = sender.made()
    answered = _upload(sender, stream, body)
    assert answered.status_code == 422
    status, upload, processing = _stages(answered)
    assert (status, upload["status"], upload["successCount"], upload["errorCount"], processing) == (
        "failed", "failure", 0, 1, None
    )
    (told,) = upload["errors"]
    assert (told["message"], told["occurrences"], told["example"]["lineNumber"]) == (message, 1, 1)
    assert told["example"]["value"] == body[:1000].decode()
    assert _held(sender, stream) == {}
    assert sender.get(answered.headers["content-location"]).json() == answered.json()


@pytest.mark.parametrize("body", [
    b'{"id":"A-1","title":"T\xe2\x82\xac"}\r\n{"id":"A-2","title":null}\r\n',
    b'{"id":"A-1","title":"T\xe2\x82\xac"} \n {"id":"A-2","title":null} \n',
])
def test_bodies_of_real_clients(sender: Productsup, body: bytes) -> None:
    """As captured: nothing is wrong with them, plain or gzip."""
    stream = sender.made()
    packed = _upload(sender, stream, gzip.compress(body), content_encoding="gzip")
    for answered in (_upload(sender, stream, body), packed):
        status, upload, _ = _stages(answered)
        assert (answered.status_code, status, upload["successCount"], upload["errors"]) == (202, "uploaded", 2, [])
    assert _held(sender, stream) == {"A-1": {"id": "A-1", "title": "T€"}, "A-2": {"id": "A-2"}}


def test_uploads_are_merged(sender: Productsup) -> None:
    """By member, in order; null clears one; the last of two lines with one id wins; nothing goes that is not named."""
    stream = sender.made()
    _upload(sender, stream, b'{"id":"1","a":1,"b":{"x":[1]},"c":3}\n{"id":"2"}\n')
    _upload(sender, stream, b'{"id":"1","a":2,"c":null}\n{"id":1,"d":""}\n')
    assert _held(sender, stream) == {"1": {"id": 1, "a": 2, "b": {"x": [1]}, "d": ""}, "2": {"id": "2"}}


def test_streams_are_apart(sender: Productsup, stranger: Productsup) -> None:
    """The same id in two of them is two products; a batch is known to its stream alone."""
    first, second = sender.made("One"), sender.made("Two2")
    theirs = stranger.made()
    batch = _upload(sender, first, b'{"id":"1","a":1}').json()["data"]["id"]
    _upload(sender, second, b'{"id":"1","a":2}')
    assert (_held(sender, first), _held(sender, second)) == ({"1": {"id": "1", "a": 1}}, {"1": {"id": "1", "a": 2}})
    for client, stream, name in (
        (sender, second, batch), (stranger, theirs, batch), (sender, first, batch[:-1]), (sender, first, "x"),
        (sender, first, "00000000-0000-4000-8000-000000000000"),
    ):
        told = error(client.get(f"/streams/{stream}/batches/{name}"))
        assert (told["status"], told["title"]) == ("404", "Batch ID not found")
    assert error(sender.get(f"/streams/99/batches/{batch}"))["title"] == "Stream ID not found"
    assert sender.get(f"/streams/{first}/batches/{batch.upper()}").status_code == 200


def test_a_line_that_only_the_worker_refuses(sender: Productsup) -> None:
    """Told in the processing stage, with the line; the batch is processed as long as one was right."""
    stream = sender.made()
    deep = b'{"id":"deep","a":' + b"[" * 40 + b"]" * 40 + b"}"
    answered = _upload(sender, stream, b'{}\n{"id":"1"}\n' + deep + b"\n")
    assert _stages(answered)[1]["successCount"] == 2
    assert list(_held(sender, stream)) == ["1"]
    status, upload, processing = _stages(fetched := sender.get(answered.headers["content-location"]))
    assert processing is not None
    assert (status, upload["errorCount"], processing["status"]) == ("processed", 1, "warning")
    assert (processing["successCount"], processing["errorCount"]) == (1, 1)
    assert processing["errors"] == [{
        "message": "Maximum stack depth exceeded", "occurrences": 1,
        "example": {"lineNumber": 3, "value": deep.decode()},
    }]
    assert fetched.json()["data"]["attributes"]["errorCount"] == 2
    alone = _upload(sender, stream, deep)
    _held(sender, stream)
    status, _, processing = _stages(sender.get(alone.headers["content-location"]))
    assert processing is not None
    assert (status, processing["status"]) == ("failed", "failure")


@ONE_STORE
@pytest.mark.parametrize(("headers", "status"), [
    ({"content-type": "application/x-ndjson; charset=utf-8"}, 202), ({"content-type": "APPLICATION/X-NDJSON"}, 202),
    ({"content-type": "application/json"}, 415), ({"content-type": JSON_API}, 415), ({"content-type": ""}, 415),
    ({"content-encoding": "br"}, 415), ({"content-encoding": "gzip"}, 400),
])
def test_how_an_upload_is_written(sender: Productsup, headers: dict[str, str], status: int) -> None:
    """Parameters and case do no harm; another type or packing is refused, and so is gzip that is none."""
    stream = sender.made()
    answered = sender.post(f"/streams/{stream}/products", content=GOOD, headers={**NDJSON, **headers})
    assert answered.status_code == status
    if status != 202:
        assert error(answered)["title"] in ("Unsupported Media Type", "Bad Request")
        assert _held(sender, stream) == {}


@ONE_STORE
def test_gzip_that_broke_off_or_goes_on(sender: Productsup) -> None:
    """400 without a trace; several members behind each other are one body."""
    stream = sender.made()
    packed = gzip.compress(GOOD)
    assert _upload(sender, stream, packed[:-9], content_encoding="gzip").status_code == 400
    assert _held(sender, stream) == {}
    answered = _upload(sender, stream, packed + gzip.compress(b'{"id":"4"}\n'), content_encoding="gzip")
    assert (answered.status_code, _stages(answered)[1]["successCount"]) == (202, 4)
    assert len(_held(sender, stream)) == 4


@ONE_STORE
@pytest.mark.parametrize("content_encoding", ["identity", "gzip"])
def test_a_payload_has_a_bound(sender: Productsup, monkeypatch: pytest.MonkeyPatch, content_encoding: str) -> None:
    """Measured as it comes and unpacked: 413."""
    monkeypatch.setattr(intake, "PAYLOAD_BYTES_MAX", 1000)
    stream = sender.made()
    for size, status in ((1000, 202), (1001, 413)):
        body = orjson.dumps({"id": "1", "a": ""})
        body = body[:-2] + b"x" * (size - len(body)) + body[-2:]
        packed = gzip.compress(body) if content_encoding == "gzip" else body
        answered = _upload(sender, stream, packed, content_encoding=content_encoding)
        assert answered.status_code == status
    assert error(answered)["title"] == "Payload Too Large"


def test_a_deleted_stream_takes_its_products_along(sender: Productsup) -> None:
    """What was uploaded is gone, and nothing more is taken."""
    stream = sender.made()
    answered = _upload(sender, stream, GOOD)
    assert len(_held(sender, stream)) == 3
    assert sender.delete(f"/streams/{stream}").status_code == 204
    assert _held(sender, stream) == {}
    for late in (_upload(sender, stream, GOOD), sender.get(answered.headers["content-location"])):
        assert error(late)["title"] == "Stream ID not found"


def test_twenty_uploads_at_once(sender: Productsup) -> None:
    """As the vendor's connector sends them: each is taken, and all are held."""
    stream = sender.made()

    def upload(number: int) -> int:
        lines = b"".join(b'{"id":"%d-%d"}\r\n' % (number, line) for line in range(50))
        return _upload(sender, stream, lines).status_code

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(upload, range(60))) == {202}
    assert len(_held(sender, stream)) == 3_000
