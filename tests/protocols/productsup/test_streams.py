"""Streams are created, listed, read, renamed and deleted with the documents of the dossier."""

import re
from contextlib import closing
from datetime import timedelta

import msgspec
import pytest

from goodsgate.model.batch import now
from goodsgate.protocols.productsup.stream_store import RESOURCE_TYPE
from goodsgate.protocols.productsup.unpublished import STREAMS_MAX, account_of
from tests.http_gate import HttpGate
from tests.protocols.productsup.client import JSON_API, ONE_STORE, Productsup, error

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
TITLE = "Validation error happened with stream payload"


def test_a_stream_is_created_and_read(sender: Productsup) -> None:
    """The document is that of the dossier, section 4.2; GET returns the same, HEAD only its headers."""
    response = sender.create("My product stream")
    assert response.status_code == 201
    assert response.headers["content-type"] == JSON_API
    document = response.json()
    stream = document["data"]["id"]
    assert response.headers["location"] == f"/streams/{stream}"
    moments = [document["data"]["attributes"].pop(name) for name in ("createdAt", "updatedAt")]
    assert moments[0] == moments[1]
    assert MOMENT.fullmatch(moments[0])
    assert document == {
        "data": {
            "type": "stream", "id": stream, "attributes": {"name": "My product stream", "type": "chunked"},
            "relationships": {"account": {"data": {"type": "account", "id": account_of(sender.merchant)}}},
        }
    }
    read = sender.get(f"/streams/{stream}")
    assert (read.status_code, read.json()) == (200, response.json())
    assert "location" not in read.headers
    head = sender.head(f"/streams/{stream}")
    assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", JSON_API)


def test_ids_are_small_numbers(sender: Productsup, stranger: Productsup) -> None:
    """They ascend and are unique over all accounts; another account's stream is unknown."""
    ids = [int(who.create_stream(name)) for who, name in (
        (sender, "Stream 1"), (stranger, "Stream 1"), (sender, "Stream 2"), (stranger, "Stream 2"),
    )]
    assert ids == sorted(set(ids))
    assert 0 < ids[0] <= ids[-1] < 2**31
    for method in ("GET", "HEAD", "PATCH", "DELETE"):
        assert stranger.request(method, f"/streams/{ids[2]}").status_code == 404
    assert sender.get(f"/streams/{ids[2]}").json()["data"]["attributes"]["name"] == "Stream 2"


def test_a_name_is_unique(sender: Productsup, stranger: Productsup) -> None:
    """A duplicate gets 409 with `meta.duplicate` on create and on rename, as in the dossier."""
    first = sender.create_stream("Shoes")
    other = sender.create_stream("Shirts")
    for response in (sender.create("Shoes"), sender.create("Shoes", "referenced"), sender.rename(other, "Shoes")):
        problem = error(response)
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", problem.pop("id"))
        assert problem == {
            "status": "409", "code": "13579", "title": TITLE, "detail": "",
            "meta": {"duplicate": {"type": "stream", "id": first, "links": {"self": f"/streams/{first}"}}},
        }
    assert stranger.create("Shoes").status_code == 201
    assert sender.rename(first, "Shoes").status_code == 200


def test_a_stream_is_renamed(sender: Productsup) -> None:
    """Only the name and the time of change differ; the old name is free."""
    stream = sender.create_stream("Before", "referenced")
    before = sender.get(f"/streams/{stream}").json()["data"]
    _backdate(sender, stream)
    response = sender.rename(stream, "After", id=int(stream))
    assert response.status_code == 200
    after = response.json()["data"]
    assert after == sender.get(f"/streams/{stream}").json()["data"]
    assert (after["attributes"]["name"], after["attributes"]["type"]) == ("After", "referenced")
    assert after["attributes"]["updatedAt"] > after["attributes"]["createdAt"]
    assert after["relationships"] == before["relationships"]
    assert sender.create("Before").status_code == 201


def _backdate(sender: Productsup, stream: str) -> None:
    """Change a stream as if it had been created an hour ago."""
    store = sender.gate.shop.store
    resource = store.resource(sender.merchant, RESOURCE_TYPE, int(stream))
    assert resource is not None
    body = msgspec.json.decode(resource.body)
    body["created_at"] = body["updated_at"] = (now() - timedelta(hours=1)).isoformat()
    assert store.put_resource(msgspec.structs.replace(resource, body=msgspec.json.encode(body))) is not None


def test_a_deleted_stream_is_unknown_and_its_name_reserved(sender: Productsup) -> None:
    """The name is free after seven days; the id is not used again."""
    stream = sender.create_stream("Old")
    response = sender.delete(f"/streams/{stream}", headers={"content-type": JSON_API})
    assert (response.status_code, response.content) == (204, b"")
    for method in ("GET", "PATCH", "DELETE"):
        response = sender.request(method, f"/streams/{stream}", json={})
        assert error(response)["title"] == "Stream ID not found"
    assert sender.get("/streams").json()["meta"]["total"] == 0
    assert error(sender.create("Old"))["meta"]["duplicate"]["id"] == stream
    store = sender.gate.shop.store
    resource = store.resource(sender.merchant, RESOURCE_TYPE, int(stream))
    assert resource is not None
    assert resource.expires_at is not None
    assert timedelta(days=6, hours=23) < resource.expires_at - now() <= timedelta(days=7)
    store.put_resource(msgspec.structs.replace(resource, expires_at=now() - timedelta(seconds=1)))
    assert int(sender.create_stream("Old")) > int(stream)


def test_streams_are_listed_by_page(sender: Productsup) -> None:
    """This is number 5 of the dossier's smoke test, with other page sizes."""
    ids = [sender.create_stream(f"Stream {number}") for number in range(12)]
    page = sender.get("/streams").json()
    assert ([stream["id"] for stream in page["data"]], page["meta"]) == (ids[:10], {"total": 12})
    assert page["data"][0] == sender.get(f"/streams/{ids[0]}").json()["data"]
    assert page["links"] == {
        "self": "/streams?page[limit]=10&page[offset]=0", "first": "/streams?page[limit]=10&page[offset]=0",
        "last": "/streams?page[limit]=10&page[offset]=10", "prev": None,
        "next": "/streams?page[limit]=10&page[offset]=10",
    }
    last = sender.get(page["links"]["next"]).json()
    assert ([stream["id"] for stream in last["data"]], last["links"]["next"]) == (ids[10:], None)
    assert last["links"]["prev"] == page["links"]["self"]
    seen, link = [], "/streams?page%5Blimit%5D=5&page%5Boffset%5D=0"
    while link:
        page = sender.get(link).json()
        seen += [stream["id"] for stream in page["data"]]
        link = page["links"]["next"]
    assert seen == ids
    head = sender.head("/streams")
    assert (head.status_code, head.content) == (200, b"")


def test_pages_without_streams(sender: Productsup) -> None:
    """They have no data, and links to pages that have some."""
    page = sender.get("/streams").json()
    assert (page["data"], page["meta"], page["links"]["prev"], page["links"]["next"]) == ([], {"total": 0}, None, None)
    sender.create_stream()
    far = sender.get("/streams?page[offset]=500").json()
    assert (far["data"], far["meta"], far["links"]["next"]) == ([], {"total": 1}, None)
    assert len(sender.get(far["links"]["prev"]).json()["data"]) == 1


@ONE_STORE
@pytest.mark.parametrize("query", ["page[limit]=0", "page[limit]=11", "page[offset]=-1", "page[limit]=x"])
def test_pages_have_bounds(sender: Productsup, query: str) -> None:
    """A page has 1 to 10 streams and an offset from 0."""
    response = sender.get(f"/streams?{query}")
    assert (response.status_code, error(response)["title"]) == (400, "Bad Request")


def test_there_are_at_most_a_hundred(sender: Productsup) -> None:
    """The next stream is refused with the limit; a deleted stream makes room."""
    streams = [sender.create_stream(f"Stream {number}") for number in range(STREAMS_MAX)]
    problem = error(sender.create("One more"))
    assert (problem["title"], "100" in problem["detail"], "meta" in problem) == (TITLE, True, False)
    assert sender.delete(f"/streams/{streams[6]}").status_code == 204
    assert sender.create("One more").status_code == 201
    assert sender.create("Another one").status_code == 409


@ONE_STORE
@pytest.mark.parametrize("name", [
    "abc", "a b", "a-b_c d", "123", "Größe 42", "商品目录", "x" * 255, "ａｂｃ", "٣٤٥", "a\tb",
])
def test_valid_names(sender: Productsup, name: str) -> None:
    """Letters and digits of any script with single separators are accepted and returned unchanged."""
    response = sender.create(name)
    assert response.status_code == 201, response.text
    assert response.json()["data"]["attributes"]["name"] == name


@ONE_STORE
@pytest.mark.parametrize("name", [
    "ab", " x1", "x1 ", "a--b", "a b_ c", "x" * 256, "-ab", "ab_", "a.b.c", "a/b", "a😀b", "", None, 5, [],
    "e\u0301te",
])
def test_invalid_names(sender: Productsup, name: object) -> None:
    """They get 409 with a reason, on create and on rename."""
    problem = error(sender.create(name))
    assert (problem["status"], problem["title"], bool(problem["detail"])) == ("409", TITLE, True)
    assert error(sender.rename(sender.create_stream(), name))["title"] == TITLE


@ONE_STORE
@pytest.mark.parametrize("data", [
    None, [], {}, {"type": "stream"}, {"type": "stream", "attributes": []},
    {"type": "streams", "attributes": {"name": "abc", "type": "chunked"}},
    {"type": "stream", "attributes": {"name": "abc"}},
    {"type": "stream", "attributes": {"name": "abc", "type": "Chunked"}},
    {"type": "stream", "attributes": {"name": "abc", "type": ["chunked"]}},
    {"type": "stream", "attributes": {"name": "abc", "type": "chunked"}, "relationships": {"account": {"data": 1}}},
])
def test_documents_that_are_no_stream(sender: Productsup, data: object) -> None:
    """They get 409 with a reason, and no stream is created."""
    problem = error(sender.post("/streams", json={"data": data}))
    assert (problem["status"], problem["title"], bool(problem["detail"])) == ("409", TITLE, True)
    assert sender.get("/streams").json()["data"] == []


@ONE_STORE
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"data":' * 5000, b"\xff"])
def test_bodies_that_are_no_document(sender: Productsup, body: bytes) -> None:
    """They get 400."""
    for response in (sender.post("/streams", content=body), sender.patch(f"/streams/{sender.create_stream()}",
        content=body)):
        assert (response.status_code, error(response)["title"]) == (400, "Bad Request")


@ONE_STORE
@pytest.mark.parametrize(("type", "status"), [
    (JSON_API, 201), (f"{JSON_API}; charset=utf-8", 201), ("application/json", 201), ("APPLICATION/VND.API+JSON", 201),
    ("application/x-ndjson", 415), ("text/plain", 415),
])
def test_content_types(sender: Productsup, type: str, status: int) -> None:
    """Parameters of the media type are ignored; types other than JSON are refused."""
    body = b'{"data":{"type":"stream","attributes":{"name":"abc","type":"chunked"}}}'
    response = sender.post("/streams", content=body, headers={"content-type": type})
    assert response.status_code == status
    if status == 415:
        assert error(response)["title"] == "Unsupported Media Type"


def test_a_new_stream_must_not_have_an_id(sender: Productsup) -> None:
    """It gets 403 with the published title; null counts as no id."""
    problem = error(sender.create("abc", id="5"))
    assert (problem["status"], problem["title"]) == ("403",
        "A stream ID should not be specified when creating a stream")
    assert sender.create("abc", id=None).status_code == 201


def test_nothing_but_the_name_can_be_changed(sender: Productsup) -> None:
    """Another type or id gets 409; the stream's own are accepted."""
    stream = sender.create_stream("abc")
    assert sender.rename(stream, "def", id="99").status_code == 409
    assert sender.rename(stream, "def", id=True).status_code == 409
    assert sender.rename(stream, "def", attributes={"name": "def", "type": "referenced"}).status_code == 409
    assert sender.get(f"/streams/{stream}").json()["data"]["attributes"]["name"] == "abc"
    own = {"name": "def", "type": "chunked"}
    assert sender.rename(stream, "def", id=stream, attributes=own).status_code == 200


@ONE_STORE
@pytest.mark.parametrize("stream", ["99", "0", "abc", "2147483648", "-1", "01", "1.0", "99999999999999999999"])
def test_unknown_streams(sender: Productsup, stream: str) -> None:
    """Every operation on an unknown stream gets 404."""
    sender.create_stream()
    for method in ("GET", "PATCH", "DELETE"):
        problem = error(sender.request(method, f"/streams/{stream}", json={}))
        assert (problem["status"], problem["title"], problem["code"]) == ("404", "Stream ID not found", "13556")


@ONE_STORE
def test_a_token_is_required(gate: HttpGate) -> None:
    """Every operation gets 401 with the published title and a challenge, before any other check."""
    for headers in ({}, {"authorization": "Bearer nobody"}, {"authorization": "Basic Zm9vOmJhcg=="}):
        for method, path in (("GET", "/streams"), ("POST", "/streams"), ("GET", "/streams/1"), ("PATCH", "/streams/x"),
                             ("DELETE", "/streams/1")):
            response = gate.anonymous().request(method, path, headers=headers)
            problem = error(response)
            assert (problem["status"], problem["title"]) == ("401", "Access Denied")
            assert response.headers["www-authenticate"] == "Bearer"


@ONE_STORE
def test_a_token_that_may_only_read(gate: HttpGate) -> None:
    """It lists streams and cannot create one."""
    with closing(Productsup(gate, gate.merchant(), scopes=["read"])) as client:
        assert client.get("/streams").status_code == 200
        assert error(client.create("abc"))["title"] == "Forbidden"


@ONE_STORE
def test_unknown_methods_and_paths(sender: Productsup) -> None:
    """They get 405 with Allow, or 404; a base URL that ends with a slash works."""
    response = sender.put("/streams")
    assert (error(response)["title"], response.headers["allow"]) == ("Method Not Allowed", "GET, HEAD, OPTIONS, POST")
    assert error(sender.get("/streams/1/nothing"))["title"] == "Not Found"
    assert sender.get(f"{sender.gate.url}//streams").status_code == 200
