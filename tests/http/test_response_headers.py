"""HEAD, caching and compression, over the routes of all protocols, the console and the documentation."""

import gzip
import re
from collections.abc import Iterator

import httpx
import pytest

from goodsgate.http.compression import COMPRESSED_BYTES_MIN, accepts_gzip
from goodsgate.http.endpoints import Endpoint
from goodsgate.model.catalogue import Scope
from tests import factories
from tests.http_gate import Client, HttpGate
from tests.shop import Shop, ndjson

OWN = {
    "date", "x-srv-time", "transfer-encoding", "ratelimit-observed", "ratelimit-remaining", "ratelimit-reset",
    "set-cookie",
}
"""Headers that differ between two responses to GET, or belong to the content alone."""
CALLS = "/CALL/"
"""Mircate calls methods with GET, some of which change something; it refuses HEAD."""
SIGNED = "/v1/feeds/"
"""Whoever has such an address may read it: what it answers does not depend on a key."""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """A gate with a batch of many issues."""
    with Shop(tmp_path_factory.mktemp("gate")) as shop:
        served = HttpGate(shop)
        yield served
        served.close()


@pytest.fixture(scope="module")
def client(gate: HttpGate) -> Client:
    """A client with all scopes, and a finished batch with rejected records."""
    client = gate.client(None, *Scope)
    client.headers.update({"x-request-id": "same", "accept-encoding": "identity"})
    records = [*factories.products(*range(1, 40)), factories.product(50, price="cheap"), {"id": "no-title"}]
    client.submit(ndjson(records))
    client.put("/v1/profiles/a", content=b'{"map": {"a": ["id"]}}')
    return client


def paths(gate: HttpGate, client: Client) -> dict[str, str]:
    """Return an address of every GET route: path template → path."""
    batch = client.get("/v1/batches").json()["batches"][0]["id"]
    values = {
        "batch": batch, "collection": "products", "key": "SKU-0001", "kind": "brand", "name": "a", "sku": "SKU-0001",
        "merchant": client.merchant,
    }
    found = {"/docs": "/docs", "/docs/native": "/docs/native", "/docs/issues": "/docs/issues", "/nothing": "/nothing",
             "/console/sign-in": "/console/sign-in", "/console/batches": "/console/batches", "/": "/"}
    for route in gate.application.router.routes:
        endpoint = route.endpoint
        if isinstance(endpoint, Endpoint) and "GET" in endpoint.methods and CALLS not in endpoint.template:
            path = re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], "x"), endpoint.template)
            found[endpoint.template] = path
    return found


def test_head_is_answered_as_get_is(gate, client):
    """Status and headers are the same on every route, Content-Length included; there is no body."""
    different = {}
    for template, path in paths(gate, client).items():
        for accepted in ("identity", "gzip"):
            with client.stream("GET", path, headers={"accept-encoding": accepted}) as got:
                expected = (got.status_code, {name: got.headers[name] for name in got.headers if name not in OWN})
            head = client.head(path, headers={"accept-encoding": accepted})
            received = (head.status_code, {name: head.headers[name] for name in head.headers if name not in OWN})
            if "/metrics" in path:
                expected[1].pop("content-length", None)
                received[1].pop("content-length", None)
            if received != expected or head.content:
                different[template, accepted] = (expected, received)
    assert not different


def test_every_response_says_whether_it_may_be_kept(gate, client):
    """No shared cache may keep one, and Vary names what a response depends on."""
    wrong = {}
    for template, path in paths(gate, client).items():
        with client.stream("GET", path) as got:
            kept, varies = got.headers.get("cache-control", ""), got.headers.get("vary", "")
            media_type = got.headers.get("content-type", "")
        if "no-store" not in kept and kept != "private, no-cache":
            wrong[template] = kept
        elif template.startswith("/v1/") and "openapi" not in template and "no-store" not in kept and (
                ("Authorization" not in varies and not template.startswith(SIGNED))
                or ("json" in media_type and "Accept-Encoding" not in varies)):
            wrong[template] = varies
    assert not wrong


def test_a_new_secret_may_not_be_kept(client):
    """The response to a new key, with an idempotency key or without."""
    for headers in ({}, {"Idempotency-Key": "one"}, {"Idempotency-Key": "one"}):
        created = client.post(f"/v1/merchants/{client.merchant}/keys", json={"scopes": ["read"]}, headers=headers)
        assert created.status_code == 201, created.text
        assert created.headers["cache-control"] == "no-store"


def raw(client: httpx.Client, path: str, **headers: str) -> tuple[httpx.Response, bytes]:
    """Return a response and its bytes as they were sent."""
    with client.stream("GET", path, headers=headers) as response:
        return response, b"".join(response.iter_raw())


def test_long_text_is_compressed_where_the_client_asks(gate, client):
    """Whole responses and streams alike; the content is the same."""
    batch = client.get("/v1/batches").json()["batches"][0]["id"]
    for path in ("/v1/openapi.json", "/docs/native", "/v1/collections/products/items", "/metrics",
                 f"/v1/batches/{batch}/report?only=all", f"/v1/batches/{batch}/report?only=all&format=csv"):
        plain, expected = raw(client, path, **{"accept-encoding": "identity"})
        packed, content = raw(client, path, **{"accept-encoding": "br, gzip;q=0.5"})
        assert "content-encoding" not in plain.headers, path
        assert packed.headers["content-encoding"] == "gzip", path
        if path != "/metrics":
            assert gzip.decompress(content) == expected, path
        assert len(content) < len(gzip.decompress(content)), path
        assert packed.headers["vary"].endswith("Accept-Encoding")


def test_other_responses_are_sent_as_they_are(gate, client):
    """Short ones, event streams, and what is compressed already."""
    batch = client.get("/v1/batches").json()["batches"][0]["id"]
    for path in ("/healthz", f"/v1/batches/{batch}/events", f"/v1/batches/{batch}/report?only=all&format=xlsx"):
        response, _ = raw(client, path, **{"accept-encoding": "gzip"})
        assert response.status_code == 200, path
        assert "content-encoding" not in response.headers, path


def test_the_entity_tag_of_a_compressed_response_is_weak(gate, client):
    """It revalidates, and a long poll waits with it."""
    columns = ",".join(f"column_{number:04}:" for number in range(COMPRESSED_BYTES_MIN // 16))
    link = client.submit(ndjson(factories.products(60)), map=columns)["links"]["self"]
    plain, body = raw(client, link, **{"accept-encoding": "identity"})
    assert len(body) >= COMPRESSED_BYTES_MIN
    packed, _ = raw(client, link, **{"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["etag"] == "W/" + plain.headers["etag"]
    for tag in (plain.headers["etag"], packed.headers["etag"]):
        for accepted in ("identity", "gzip"):
            again, _ = raw(client, link, **{"accept-encoding": accepted, "if-none-match": tag})
            assert again.status_code == 304
            assert "Accept-Encoding" in again.headers["vary"]


@pytest.mark.parametrize(("header", "accepted"), [
    (b"gzip", True), (b"GZIP", True), (b"br, gzip", True), (b"gzip;q=1.0", True), (b"gzip; q=0.001", True),
    (b"x-gzip", True), (b"deflate,gzip;q=.5,br", True), (b"", False), (b"identity", False), (b"gzip;q=0", False),
    (b"gzip; q=0.000", False), (b"notgzip", False), (b"gzipped", False), (b"*", False), (b"br;q=1", False),
])
def test_gzip_is_sent_only_where_it_is_accepted(header, accepted):
    """With a weight of zero it is not."""
    assert accepts_gzip({b"accept-encoding": header}) is accepted
