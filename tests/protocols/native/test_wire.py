"""What is said on the wire itself: large and slow headers, early refusals, pipelines, shutdown."""

import asyncio
import json

import pytest

from tests import factories
from tests.http_gate import HttpGate, read_all, read_response
from tests.shop import Shop, ndjson


def test_headers_that_are_too_large_are_refused(gate):
    """The response is 431, and the connection is closed."""
    with gate.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        try:
            for number in range(400):
                connection.sendall(b"X-%d: %s\r\n" % (number, b"x" * 2000))
        except OSError:
            return
        assert b" 431 " in read_all(connection)


def test_headers_that_are_too_slow_are_refused(tmp_path):
    """A connection that sends nothing is closed as well."""
    shop = Shop(tmp_path, headers_seconds=0.2)
    served = HttpGate(shop)
    for started in (b"", b"GET /healthz HTTP/1.1\r\nHost:"):
        with served.connect() as connection:
            connection.sendall(started)
            assert read_all(connection) == b""
    assert served.anonymous().get("/healthz").status_code == 200
    served.close()
    shop.store.close()


def test_a_refusal_reaches_a_client_that_is_still_sending(gate, client):
    """A part of the body is read, then the connection is closed."""
    head = (
        "POST /v1/batches?format=nonsense HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n"
        f"Authorization: Bearer {client.secret}\r\n\r\n"
    )
    with gate.connect() as connection:
        connection.sendall(head.encode() + b"x" * 1_000_000)
        connection.sendall(b"x" * 2_000_000)
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 400")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["parameter"] == "format"
    assert b"connection: close" in answer


def test_a_connection_stays_open_for_the_next_request(gate, client):
    """This includes refusals of requests without a body."""
    with gate.connect() as connection:
        for path in (b"/nothing", b"/healthz", b"/v1/batches"):
            connection.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            assert read_response(connection).startswith(b"HTTP/1.1 ")
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 200")


def test_pipelined_polls_are_answered_in_order(gate, client):
    """Some responses are cached and others not."""
    batches = [client.submit(ndjson(factories.products(number))) for number in (1, 2)]
    requests = b"".join(
        f"GET {batch['links']['self']} HTTP/1.1\r\nHost: x\r\nX-API-Key: {client.secret}\r\n\r\n".encode()
        for batch in batches * 3
    )
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answers = gate.ask(requests + last).split(b"HTTP/1.1 200")[1:]
    bodies = [json.loads(answer.partition(b"\r\n\r\n")[2]) for answer in answers]
    assert [body.get("id") for body in bodies] == [batch["id"] for batch in batches] * 3 + [None]


@pytest.mark.parametrize("sent", [90, 110])
def test_a_body_of_another_length_than_declared_is_refused(gate, client, sent):
    """The gate checks the length even if the server does not."""
    body = ndjson(factories.products(1)).ljust(sent)[:sent]
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    answers = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        answers.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/batches", "query_string": b"format=ndjson", "root_path": "",
        "headers": [(b"x-api-key", client.secret.encode()), (b"content-length", b"100")],
    }
    asyncio.run(gate.application(scope, receive, send))
    assert answers[0]["status"] == 400
    assert json.loads(answers[1]["body"])["code"] == "body_incomplete"
    assert client.get("/v1/batches").json()["batches"] == []


def test_stopping_ends_streams_and_long_polls(tmp_path):
    """Stopping does not wait for them."""
    shop = Shop(tmp_path)
    served = HttpGate(shop)
    client = served.client()
    batch = client.post("/v1/batches?format=ndjson", content=ndjson(factories.products(1))).json()
    request = f"GET {batch['links']['events']} HTTP/1.1\r\nHost: x\r\nX-API-Key: {client.secret}\r\n\r\n"
    with served.connect() as stream:
        stream.sendall(request.encode())
        assert read_response(stream).startswith(b"HTTP/1.1 200")
        served.close()
        assert read_all(stream).endswith(b"0\r\n\r\n")
    shop.store.close()
