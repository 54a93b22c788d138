"""Published documents and the smoke test of the dossier, section 17, as transcripts; ``test_rates`` has number 15."""

import gzip
import re
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from goodsgate.model.batch import now
from goodsgate.protocols.productsup.stream_store import RESOURCE_TYPE
from tests.protocols.productsup.client import NDJSON, Productsup, Site, batch_status, error, upload

GOOD = b'{"id":"A-1","title":"T"}\n{"id":"A-2"}\n{"id":3}\n'
VENDOR = b'{"id":"A-1","title":"T\xe2\x82\xac"}\r\n{"id":"A-2","title":null}\r\n'
SPRING = b'{"id":"1","name":"Test","price":"100"} \n {"id":"2","name":"Test 2","price":"200"} \n'
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")


def _send(sender: Productsup, stream: str, body: bytes, *, method: str = "POST", **headers: str) -> httpx.Response:
    return sender.request(method, f"/streams/{stream}/products", content=body, headers={**NDJSON, **headers})


def _stages(document: dict[str, Any]) -> tuple[str, int, dict[str, Any], dict[str, Any] | None]:
    """Return the status and errors of the batch, and both stages without their times."""
    attributes = document["data"]["attributes"]
    stages = attributes["stages"]
    for stage in filter(None, stages.values()):
        assert TIME.fullmatch(stage.pop("completedAt"))
    return attributes["status"], attributes["errorCount"], stages["upload"], stages["processing"]


def _stage_error(message: str, line: int, value: str, occurrences: int = 1) -> dict[str, Any]:
    return {"message": message, "occurrences": occurrences, "example": {"lineNumber": line, "value": value}}


def test_the_recorded_422(sender: Productsup) -> None:
    """The document matches the captured one member by member."""
    stream = sender.create_stream()
    response = _send(sender, stream, b"")
    document = response.json()
    batch = document["data"].pop("id")
    completed = document["data"]["attributes"]["stages"]["upload"].pop("completedAt")
    assert (response.status_code, len(batch), bool(TIME.fullmatch(completed))) == (422, 36, True)
    link = {"stream": {"data": {"type": "stream", "id": stream}}}
    assert document == {
        "data": {
            "type": "batch",
            "attributes": {"status": "failed", "errorCount": 1, "stages": {
                "upload": {
                    "status": "failure", "successCount": 0, "errorCount": 1, "errors": [_stage_error("Empty payload",
                    1, "")],
                },
                "processing": None,
            }},
            "relationships": link,
        },
        "relationships": link,
    }


def test_the_published_partial_upload_and_its_import(sender: Productsup) -> None:
    """Two lines have one message; then a deletion names an unknown id."""
    stream, site = sender.create_stream(), Site(sender)
    site.source(stream)
    wrong = '{"id":"123""name":"Product"}'
    response = _send(sender, stream, f'{{"id":"1"}}\n{wrong}\n{wrong}\n{{"id":"2"}}\n'.encode())
    errors = [_stage_error("Syntax error", 2, wrong, 2)]
    stage = {"status": "warning", "successCount": 2, "errorCount": 2, "errors": errors}
    assert response.status_code == 202
    assert _stages(response.json()) == ("uploaded", 2, stage, None)
    gone = _send(sender, stream, b'{"id":"1"}\n{"id":"2"}\n\n{"id":"unknown"}\n', method="DELETE")
    upload(sender, stream, b'{"id":"3"}')
    site.start()
    sender.gate.shop.work()
    fetched = sender.get(gone.headers["content-location"]).json()
    assert _stages(fetched) == (
        "processed", 2,
        {"status": "warning", "successCount": 3, "errorCount": 1, "errors": [_stage_error("Empty Payload line", 3,
            "")]},
        {
            "status": "warning", "successCount": 2, "errorCount": 1,
            "errors": [_stage_error("Product not found", 4, '{"id":"unknown"}')],
        },
    )


def test_1_2_the_root_and_no_token(sender: Productsup) -> None:
    """The root has a message and four headers; a missing token gets Access Denied."""
    anonymous = sender.gate.anonymous()
    response = anonymous.get("/")
    assert (response.status_code, list(response.json())) == (200, ["message"])
    assert sum(name.startswith("ratelimit-") for name in response.headers) == 4
    problem = error(anonymous.get("/streams"))
    assert (problem["status"], problem["title"]) == ("401", "Access Denied")


def test_3_4_a_stream_is_created_and_renamed(sender: Productsup) -> None:
    """Duplicates and invalid names are refused, and the type cannot change."""
    creation = sender.create("My product stream")
    stream = creation.json()["data"]["id"]
    assert (creation.status_code, creation.headers["location"], type(stream)) == (201, f"/streams/{stream}", str)
    again = error(sender.create("My product stream"))
    assert (again["status"], again["meta"]["duplicate"]["id"]) == ("409", stream)
    assert error(sender.create("Other", id=5))["status"] == "403"
    for name in ("ab", " x1", "a--b", "x" * 256):
        assert error(sender.create(name))["status"] == "409"
    renamed = sender.rename(stream, "Another name").json()["data"]
    assert (renamed["attributes"]["name"], renamed["attributes"]["type"]) == ("Another name", "chunked")


def test_5_twelve_streams_in_pages(sender: Productsup) -> None:
    """The first page has ten streams, and its link leads to two more."""
    for number in range(12):
        sender.create_stream(f"Stream {number}")
    first = sender.get("/streams").json()
    assert (len(first["data"]), first["meta"]["total"], first["links"]["prev"]) == (10, 12, None)
    second = sender.get(first["links"]["next"]).json()
    assert (len(second["data"]), second["links"]["next"]) == (2, None)


@pytest.mark.parametrize("content_encoding", ["identity", "gzip"])
def test_6_11_three_methods(sender: Productsup, content_encoding: str) -> None:
    """All three do the same, plain or gzip."""
    stream = sender.create_stream()
    body = gzip.compress(GOOD) if content_encoding == "gzip" else GOOD
    for method in ("POST", "PUT", "PATCH"):
        response = _send(sender, stream, body, method=method, **{"content-encoding": content_encoding})
        assert response.status_code == 202
        clean = {"status": "success", "successCount": 3, "errorCount": 0, "errors": []}
        assert _stages(response.json()) == ("uploaded", 0, clean, None)
        assert sender.get(response.headers["content-location"]).status_code == 200


@pytest.mark.parametrize("body", [VENDOR, SPRING], ids=["vendor", "spring"])
def test_7_captured_bodies(sender: Productsup, body: bytes) -> None:
    """They have no errors."""
    response = _send(sender, sender.create_stream(), body, **{"content-type": "application/x-ndjson; charset=utf-8"})
    assert (response.status_code, _stages(response.json())[1]) == (202, 0)


def test_8_four_ways_to_be_wrong(sender: Productsup) -> None:
    """Four bad lines stand beside a good one."""
    response = _send(sender, sender.create_stream(), b'{"id":"1"}\n{}\n\n{"name":"x"}\n{"id":"1""a":2}\n')
    status, errors, stage, _ = _stages(response.json())
    assert (response.status_code, status, errors, stage["successCount"]) == (202, "uploaded", 4, 1)
    assert [one["example"]["lineNumber"] for one in stage["errors"]] == [2, 3, 4, 5]


@pytest.mark.parametrize(("body", "message"), [
    (b"", "Empty payload"), (b" ", "Empty Payload line"), (b"{}", "Empty Product Attributes"),
    (b" " * 2_097_153, "Product payload is too large"),
])
def test_9_10_nothing_is_accepted(sender: Productsup, body: bytes, message: str) -> None:
    """The upload gets 422 and a batch; beside a good line, a line that is too long is a warning."""
    stream = sender.create_stream()
    response = _send(sender, stream, body)
    assert response.status_code == 422
    assert sender.get(response.headers["content-location"]).json() == response.json()
    assert _stages(response.json())[2]["errors"][0]["message"] == message
    beside = _send(sender, stream, body + b'\n{"id":"1"}')
    assert (beside.status_code, _stages(beside.json())[2]["status"]) == (202, "warning")


def test_12_referenced_streams(sender: Productsup) -> None:
    """Four empty uploads, one product, and a broken array that fails when a site imports."""
    stream, site = sender.create_stream(type="referenced"), Site(sender)
    site.source(stream)
    json = {"content-type": "application/json"}
    for body in (b"[]", b"[ ]", b"[{ }]", b""):
        empty = _send(sender, stream, body, **json)
        assert (empty.status_code, _stages(empty.json())[2]["errors"][0]["message"]) == (422, "Empty payload")
    one, broken = _send(sender, stream, b'[{"id":"1"}]', **json), _send(sender, stream, b'[{"id":', **json)
    for response in (one, broken):
        assert (response.status_code, _stages(response.json())[2]["status"]) == (202, "success")
    site.start()
    sender.gate.shop.work()
    locations = [response.headers["content-location"] for response in (one, broken)]
    assert [batch_status(sender, location) for location in locations] == ["processed", "failed"]


def test_13_deletions(sender: Productsup) -> None:
    """Deletions by body, of all products with three types and no body, and of one unusual id."""
    stream = sender.create_stream()
    _send(sender, stream, '{"id":"A/1 ä"}\n{"id":"A-1"}'.encode())
    assert _send(sender, stream, b'{"id":"A-1"}', method="DELETE").status_code == 202
    assert sender.delete(f"/streams/{stream}/products/A%2F1%20%C3%A4").status_code == 202
    sender.gate.shop.work()
    assert sender.gate.shop.items(f"productsup-{stream}", merchant=sender.merchant) == {}
    for type in ("application/vnd.api+json", "application/x-ndjson", "application/json"):
        response = sender.delete(f"/streams/{stream}/products?all=true", headers={"content-type": type})
        assert response.status_code == 202


def test_14_an_import_takes_what_was_uploaded_before(sender: Productsup) -> None:
    """Both uploads are processed; a later one stays uploaded."""
    stream, site = sender.create_stream(), Site(sender)
    site.source(stream)
    before = [upload(sender, stream, GOOD), upload(sender, stream, b'{"id":"1"}\n{}\n')]
    site.start()
    late = upload(sender, stream, GOOD)
    sender.gate.shop.work()
    assert [batch_status(sender, where) for where in before] == ["processed"] * 2
    assert batch_status(sender, late) == "uploaded"


def test_16_17_deleted_and_unknown_streams(sender: Productsup) -> None:
    """They get 404 with its title; the name stays reserved for seven days."""
    stream = sender.create_stream("Gone")
    never = sender.get(f"/streams/{stream}/batches/00000000-0000-4000-8000-000000000000")
    assert error(never)["title"] == "Batch ID not found"
    assert sender.delete(f"/streams/{stream}").status_code == 204
    assert error(sender.get(f"/streams/{stream}"))["title"] == "Stream ID not found"
    assert error(sender.create("Gone"))["status"] == "409"
    store = sender.gate.shop.store
    deleted = store.resource(sender.merchant, RESOURCE_TYPE, int(stream))
    assert deleted is not None
    assert deleted.expires_at is not None
    assert timedelta(days=6.9) < deleted.expires_at - now() <= timedelta(days=7)
    assert store.put_resource(msgspec.structs.replace(deleted, expires_at=now())) is not None
    assert sender.create("Gone").status_code == 201
