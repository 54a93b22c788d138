"""Streams: made, listed, read, renamed, deleted; documents as the dossier shows them."""

import re
from contextlib import closing
from datetime import timedelta

import msgspec
import pytest

from goodsgate.model.batch import now
from goodsgate.protocols.productsup.guesses import STREAMS_MAX, account_of
from goodsgate.protocols.productsup.inbox import SORT
from tests.protocols.productsup.client import JSON_API, ONE_STORE, Productsup, error
from tests.served import Served

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
TITLE = "Validation error happened with stream payload"


def test_a_stream_is_made_and_read(sender: Productsup) -> None:
    """The document of the dossier, section 4.2, member by member; the same by GET, without its head by HEAD."""
    answered = sender.create("My product stream")
    assert answered.status_code == 201
    assert answered.headers["content-type"] == JSON_API
    document = answered.json()
    stream = document["data"]["id"]
    assert answered.headers["location"] == f"/streams/{stream}"
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
    assert (read.status_code, read.json()) == (200, answered.json())
    assert "location" not in read.headers
    head = sender.head(f"/streams/{stream}")
    assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", JSON_API)


def test_ids_are_small_numbers(sender: Productsup, stranger: Productsup) -> None:
    """Counted for each account; another's stream is unknown even where the number exists."""
    assert [sender.made(f"Stream {number}") for number in (1, 2, 3)] == ["1", "2", "3"]
    assert stranger.made("Stream 1") == "1"
    for method in ("GET", "HEAD", "PATCH", "DELETE"):
        assert stranger.request(method, "/streams/2").status_code == 404
    assert sender.get("/streams/2").json()["data"]["attributes"]["name"] == "Stream 2"


def test_a_name_is_taken_once(sender: Productsup, stranger: Productsup) -> None:
    """409 with `meta.duplicate`, as the dossier's example; on create and on rename."""
    first = sender.made("Shoes")
    other = sender.made("Shirts")
    for answered in (sender.create("Shoes"), sender.create("Shoes", "referenced"), sender.rename(other, "Shoes")):
        told = error(answered)
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", told.pop("id"))
        assert told == {
            "status": "409", "code": "13579", "title": TITLE, "detail": "",
            "meta": {"duplicate": {"type": "stream", "id": first, "links": {"self": f"/streams/{first}"}}},
        }
    assert stranger.create("Shoes").status_code == 201
    assert sender.rename(first, "Shoes").status_code == 200


def test_a_stream_is_renamed(sender: Productsup) -> None:
    """Name and time of change, nothing else; the old name is free."""
    stream = sender.made("Before", "referenced")
    before = sender.get(f"/streams/{stream}").json()["data"]
    _backdate(sender, stream)
    answered = sender.rename(stream, "After", id=int(stream))
    assert answered.status_code == 200
    after = answered.json()["data"]
    assert after == sender.get(f"/streams/{stream}").json()["data"]
    assert (after["attributes"]["name"], after["attributes"]["type"]) == ("After", "referenced")
    assert after["attributes"]["updatedAt"] > after["attributes"]["createdAt"]
    assert after["relationships"] == before["relationships"]
    assert sender.create("Before").status_code == 201


def _backdate(sender: Productsup, stream: str) -> None:
    """As if it had been made an hour ago."""
    store = sender.gate.shop.store
    held = store.resource(sender.merchant, SORT, int(stream))
    assert held is not None
    body = msgspec.json.decode(held.body)
    body["created_at"] = body["updated_at"] = (now() - timedelta(hours=1)).isoformat()
    assert store.put_resource(msgspec.structs.replace(held, body=msgspec.json.encode(body))) is not None


def test_a_deleted_stream_is_unknown_and_its_name_taken(sender: Productsup) -> None:
    """For seven days, after which it is free; the id is not given again."""
    stream = sender.made("Old")
    answered = sender.delete(f"/streams/{stream}", headers={"content-type": JSON_API})
    assert (answered.status_code, answered.content) == (204, b"")
    for method in ("GET", "PATCH", "DELETE"):
        answered = sender.request(method, f"/streams/{stream}", json={})
        assert error(answered)["title"] == "Stream ID not found"
    assert sender.get("/streams").json()["meta"]["total"] == 0
    assert error(sender.create("Old"))["meta"]["duplicate"]["id"] == stream
    store = sender.gate.shop.store
    held = store.resource(sender.merchant, SORT, int(stream))
    assert held is not None
    assert held.expires_at is not None
    assert timedelta(days=6, hours=23) < held.expires_at - now() <= timedelta(days=7)
    store.put_resource(msgspec.structs.replace(held, expires_at=now() - timedelta(seconds=1)))
    assert sender.made("Old") == "2"


def test_streams_are_listed_by_page(sender: Productsup) -> None:
    """The dossier's smoke test 5, and every page of other sizes once."""
    made = [sender.made(f"Stream {number}") for number in range(12)]
    page = sender.get("/streams").json()
    assert ([stream["id"] for stream in page["data"]], page["meta"]) == (made[:10], {"total": 12})
    assert page["data"][0] == sender.get(f"/streams/{made[0]}").json()["data"]
    assert page["links"] == {
        "self": "/streams?page[limit]=10&page[offset]=0", "first": "/streams?page[limit]=10&page[offset]=0",
        "last": "/streams?page[limit]=10&page[offset]=10", "prev": None,
        "next": "/streams?page[limit]=10&page[offset]=10",
    }
    last = sender.get(page["links"]["next"]).json()
    assert ([stream["id"] for stream in last["data"]], last["links"]["next"]) == (made[10:], None)
    assert last["links"]["prev"] == page["links"]["self"]
    seen, link = [], "/streams?page%5Blimit%5D=5&page%5Boffset%5D=0"
    while link:
        page = sender.get(link).json()
        seen += [stream["id"] for stream in page["data"]]
        link = page["links"]["next"]
    assert seen == made
    head = sender.head("/streams")
    assert (head.status_code, head.content) == (200, b"")


def test_an_empty_list_and_what_is_behind_the_last_page(sender: Productsup) -> None:
    """No data, and links that lead to where there is some."""
    page = sender.get("/streams").json()
    assert (page["data"], page["meta"], page["links"]["prev"], page["links"]["next"]) == ([], {"total": 0}, None, None)
    sender.made()
    far = sender.get("/streams?page[offset]=500").json()
    assert (far["data"], far["meta"], far["links"]["next"]) == ([], {"total": 1}, None)
    assert len(sender.get(far["links"]["prev"]).json()["data"]) == 1


@ONE_STORE
@pytest.mark.parametrize("query", ["page[limit]=0", "page[limit]=11", "page[offset]=-1", "page[limit]=x"])
def test_pages_have_bounds(sender: Productsup, query: str) -> None:
    """1 to 10 streams, from 0."""
    answered = sender.get(f"/streams?{query}")
    assert (answered.status_code, error(answered)["title"]) == (400, "Bad Request")


def test_there_are_at_most_a_hundred(sender: Productsup) -> None:
    """The next is refused with the limit; where one was deleted there is room."""
    for number in range(STREAMS_MAX):
        sender.made(f"Stream {number}")
    told = error(sender.create("One more"))
    assert (told["title"], "100" in told["detail"], "meta" in told) == (TITLE, True, False)
    assert sender.delete("/streams/7").status_code == 204
    assert sender.create("One more").status_code == 201
    assert sender.create("Another one").status_code == 409


@ONE_STORE
@pytest.mark.parametrize("name", [
    "abc", "a b", "a-b_c d", "123", "Größe 42", "商品目录", "x" * 255, "ａｂｃ", "٣٤٥", "a\tb",
])
def test_names_that_may_be(sender: Productsup, name: str) -> None:
    """Letters and digits of any script, single separators between them; given back as they were."""
    answered = sender.create(name)
    assert answered.status_code == 201, answered.text
    assert answered.json()["data"]["attributes"]["name"] == name


@ONE_STORE
@pytest.mark.parametrize("name", [
    "ab", " x1", "x1 ", "a--b", "a b_ c", "x" * 256, "-ab", "ab_", "a.b.c", "a/b", "a😀b", "a\x00b", "", None, 5, [],
    "e\u0301te",
])
def test_names_that_may_not_be(sender: Productsup, name: object) -> None:
    """409 with a reason, on create and on rename."""
    told = error(sender.create(name))
    assert (told["status"], told["title"], bool(told["detail"])) == ("409", TITLE, True)
    assert error(sender.rename(sender.made(), name))["title"] == TITLE


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
    """409 with a reason; nothing is made."""
    told = error(sender.post("/streams", json={"data": data}))
    assert (told["status"], told["title"], bool(told["detail"])) == ("409", TITLE, True)
    assert sender.get("/streams").json()["data"] == []


@ONE_STORE
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"data":' * 5000, b"\xff"])
def test_bodies_that_are_no_document(sender: Productsup, body: bytes) -> None:
    """400."""
    for answered in (sender.post("/streams", content=body), sender.patch(f"/streams/{sender.made()}", content=body)):
        assert (answered.status_code, error(answered)["title"]) == (400, "Bad Request")


@ONE_STORE
@pytest.mark.parametrize(("type", "status"), [
    (JSON_API, 201), (f"{JSON_API}; charset=utf-8", 201), ("application/json", 201), ("APPLICATION/VND.API+JSON", 201),
    ("application/x-ndjson", 415), ("text/plain", 415),
])
def test_content_types(sender: Productsup, type: str, status: int) -> None:
    """Parameters do no harm; what is no JSON is refused."""
    body = b'{"data":{"type":"stream","attributes":{"name":"abc","type":"chunked"}}}'
    answered = sender.post("/streams", content=body, headers={"content-type": type})
    assert answered.status_code == status
    if status == 415:
        assert error(answered)["title"] == "Unsupported Media Type"


def test_an_id_is_not_to_be_given(sender: Productsup) -> None:
    """403 with its title; null is none."""
    told = error(sender.create("abc", id="5"))
    assert (told["status"], told["title"]) == ("403", "A stream ID should not be specified when creating a stream")
    assert sender.create("abc", id=None).status_code == 201


def test_nothing_but_the_name_can_be_changed(sender: Productsup) -> None:
    """409 for another type or another id; its own do no harm."""
    stream = sender.made("abc")
    assert sender.rename(stream, "def", id="99").status_code == 409
    assert sender.rename(stream, "def", id=True).status_code == 409
    assert sender.rename(stream, "def", attributes={"name": "def", "type": "referenced"}).status_code == 409
    assert sender.get(f"/streams/{stream}").json()["data"]["attributes"]["name"] == "abc"
    own = {"name": "def", "type": "chunked"}
    assert sender.rename(stream, "def", id=stream, attributes=own).status_code == 200


@ONE_STORE
@pytest.mark.parametrize("stream", ["99", "0", "abc", "2147483648", "-1", "01", "1.0", "99999999999999999999"])
def test_unknown_streams(sender: Productsup, stream: str) -> None:
    """404 whatever is asked of it."""
    sender.made()
    for method in ("GET", "PATCH", "DELETE"):
        told = error(sender.request(method, f"/streams/{stream}", json={}))
        assert (told["status"], told["title"], told["code"]) == ("404", "Stream ID not found", "13556")


@ONE_STORE
def test_nothing_is_had_without_a_token(gate: Served) -> None:
    """401 with the published title, and a challenge; before anything else is looked at."""
    for headers in ({}, {"authorization": "Bearer nobody"}, {"authorization": "Basic Zm9vOmJhcg=="}):
        for method, path in (("GET", "/streams"), ("POST", "/streams"), ("GET", "/streams/1"), ("PATCH", "/streams/x"),
                             ("DELETE", "/streams/1")):
            answered = gate.anonymous().request(method, path, headers=headers)
            told = error(answered)
            assert (told["status"], told["title"]) == ("401", "Access Denied")
            assert answered.headers["www-authenticate"] == "Bearer"


@ONE_STORE
def test_a_token_that_may_only_read(gate: Served) -> None:
    """Lists, and makes nothing."""
    with closing(Productsup(gate, gate.merchant(), scopes=["read"])) as client:
        assert client.get("/streams").status_code == 200
        assert error(client.create("abc"))["title"] == "Forbidden"


@ONE_STORE
def test_methods_and_paths_that_are_not_there(sender: Productsup) -> None:
    """405 with Allow, 404; a base URL that ends with a slash works."""
    answered = sender.put("/streams")
    assert (error(answered)["title"], answered.headers["allow"]) == ("Method Not Allowed", "GET, HEAD, OPTIONS, POST")
    assert error(sender.get("/streams/1/nothing"))["title"] == "Not Found"
    assert sender.get(f"{sender.gate.url}//streams").status_code == 200
