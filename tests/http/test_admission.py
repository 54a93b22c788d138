"""Limits on uploads and on waiting requests, and what happens to uploads when the gate stops."""

import asyncio
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Gauge

from goodsgate.engine.refusal import Refusal
from goodsgate.http.admission import SHORT_BYTES, AdmissionLimit
from goodsgate.store.contract import BatchFilter
from tests import factories
from tests.http_gate import Client, HttpGate, read_all, read_response
from tests.shop import Shop, ndjson

GUARD_SECONDS = 60
BODY = ndjson(factories.products(1))
CHUNK = b"%x\r\n%s\r\n" % (len(BODY), BODY)
MERCHANT_MAX, TOTAL_MAX = 2, 3


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """A gate with low limits."""
    with Shop(
        tmp_path_factory.mktemp("gate"), uploads_max=TOTAL_MAX, uploads_per_merchant_max=MERCHANT_MAX,
        sessions_max=TOTAL_MAX, sessions_per_merchant_max=MERCHANT_MAX,
    ) as shop:
        served = HttpGate(shop)
        yield served
        served.close()


def upload(client: Client, gate: HttpGate, path: str = "/v1/batches?format=ndjson") -> socket.socket:
    """Start an upload of which one chunk arrives."""
    connection = gate.connect()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {client.secret}\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection.sendall(head.encode() + CHUNK)
    return connection


def gauge(gate: HttpGate, name: str) -> int:
    """Return a gauge of the gate."""
    found = re.search(rf"^goodsgate_{name} (\S+)$", gate.metrics(), re.M)
    assert found is not None
    return int(float(found[1]))


def wait_for(gate: HttpGate, name: str, number: int) -> None:
    """Wait until a gauge has a value."""
    until = time.monotonic() + GUARD_SECONDS
    while gauge(gate, name) != number:
        assert time.monotonic() < until, (name, gauge(gate, name))
        time.sleep(0.01)


def refusal(connection: socket.socket) -> tuple[int, str, bytes]:
    """Return status, code and head of the refusal that a connection receives."""
    head, _, body = read_response(connection).partition(b"\r\n\r\n")
    connection.close()
    return int(head.split()[1]), json.loads(body)["code"], head


def test_uploads_are_limited_for_each_merchant_and_in_all(gate):
    """One too many is refused; short bodies are not counted."""
    greedy, other, third = gate.client(), gate.client(), gate.client()
    connections = [upload(greedy, gate) for _ in range(MERCHANT_MAX)]
    wait_for(gate, "uploads", MERCHANT_MAX)
    status, code, head = refusal(upload(greedy, gate))
    assert (status, code) == (429, "merchant_uploads_full")
    assert b"retry-after: 5" in head
    connections.append(upload(other, gate))
    wait_for(gate, "uploads", TOTAL_MAX)
    assert refusal(upload(third, gate))[:2] == (503, "uploads_full")
    assert refusal(upload(greedy, gate))[:2] == (429, "merchant_uploads_full")
    for client in (greedy, third):
        assert client.post("/v1/batches?format=ndjson", content=BODY).status_code == 202
    connections[0].sendall(b"0\r\n\r\n")
    assert read_response(connections[0]).startswith(b"HTTP/1.1 202")
    connections[1].close()
    wait_for(gate, "uploads", TOTAL_MAX - 2)
    again = upload(greedy, gate)
    again.sendall(b"0\r\n\r\n")
    assert read_response(again).startswith(b"HTTP/1.1 202")
    for connection in [*connections, again]:
        connection.close()
    wait_for(gate, "uploads", 0)


@pytest.mark.parametrize("path", [
    "/v1/batches?format=nonsense", "/v1/batches/none/fix?format=ndjson", "/v1/profiles/a",
])
def test_a_refused_upload_is_counted_no_longer(gate, path):
    """However its refusal comes about."""
    with upload(gate.client(), gate, path) as connection:
        connection.sendall(b"%x\r\n%s\r\n" % (SHORT_BYTES, b" " * SHORT_BYTES))
        assert re.match(rb"HTTP/1.1 4\d\d ", read_response(connection))
    wait_for(gate, "uploads", 0)


def test_waiting_requests_that_arrive_together_are_limited(gate):
    """Exactly as many are accepted as the merchant may have, whether they stream or poll."""
    client = gate.client()
    batch = client.post("/v1/batches?format=ndjson", content=BODY).json()
    paths = [batch["links"]["events"], f"{batch['links']['self']}?wait=30"]
    connections = [gate.connect() for _ in range(10)]
    for number, connection in enumerate(connections):
        request = f"GET {paths[number % 2]} HTTP/1.1\r\nHost: x\r\nX-API-Key: {client.secret}\r\n\r\n"
        connection.sendall(request.encode())
    codes: list[str] = []
    until = time.monotonic() + GUARD_SECONDS
    while len(codes) < 10 - MERCHANT_MAX:
        assert time.monotonic() < until
        for connection in [*connections]:
            connection.settimeout(0.05)
            try:
                answer = read_response(connection)
            except TimeoutError:
                continue
            if b" 429 " in answer:
                codes.append(json.loads(answer.partition(b"\r\n\r\n")[2])["code"])
                connection.close()
                connections.remove(connection)
    assert codes == ["merchant_sessions_full"] * (10 - MERCHANT_MAX)
    assert gauge(gate, "sessions") == MERCHANT_MAX
    for connection in connections:
        connection.close()
    gate.shop.work()
    wait_for(gate, "sessions", 0)


def test_a_head_request_holds_no_session(gate):
    """It is answered at once, as often as it is sent."""
    client = gate.client()
    batch = client.post("/v1/batches?format=ndjson", content=BODY).json()
    for _ in range(TOTAL_MAX + 1):
        assert client.head(batch["links"]["events"]).status_code == 200
    wait_for(gate, "sessions", 0)


def test_a_body_has_a_least_speed(tmp_path):
    """A body that drips is refused, although something arrives all the time."""
    with Shop(tmp_path, body_idle_seconds=0.5, body_bytes_per_second_min=100_000) as shop:
        served = HttpGate(shop)
        with upload(served.client(), served) as connection:
            connection.settimeout(0.02)
            until = time.monotonic() + GUARD_SECONDS
            answer = b""
            while not answer and time.monotonic() < until:
                connection.sendall(CHUNK)
                try:
                    answer = connection.recv(65536)
                except TimeoutError:
                    continue
        served.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"upload_stalled" in answer
    assert b"100000" in answer


def test_stopping_refuses_uploads_that_outlast_the_time(tmp_path, caplog):
    """They get 503 with a request id and Retry-After; nothing of them is stored, and one line says so."""
    caplog.set_level(logging.INFO, "goodsgate")
    with Shop(tmp_path, stop_seconds=0.3) as shop:
        served = HttpGate(shop)
        client = served.client()
        connections = [upload(client, served) for _ in range(2)]
        wait_for(served, "uploads", 2)
        served.close()
        for connection in connections:
            head, _, body = read_all(connection).partition(b"\r\n\r\n")
            connection.close()
            assert head.startswith(b"HTTP/1.1 503 "), head
            assert b"retry-after: 5" in head
            assert b"connection: close" in head
            document = json.loads(body)
            assert document["code"] == "stopping"
            assert document["instance"].encode() in head
        assert [*shop.store.batches(client.merchant, BatchFilter(), limit=10).rows] == []
    lines = [record for record in caplog.records if record.message.startswith("stopping")]
    assert [line.levelname for line in lines] == ["INFO"]


def test_stopping_cuts_off_responses_that_outlast_the_time(tmp_path, caplog):
    """A client that does not read its response does not delay the stop, and is no error of the gate."""
    with Shop(tmp_path, stop_seconds=0.3) as shop:
        served = HttpGate(shop)
        with served.connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 60)
            assert connection.recv(1)
            served.close()
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_cancelled_request_gets_a_problem_document(tmp_path):
    """Whatever it was doing."""
    with Shop(tmp_path) as shop:
        served = HttpGate(shop)
        client = served.client()
        batch = client.post("/v1/batches?format=ndjson", content=BODY).json()
        sent: list[dict[str, object]] = []

        async def receive():
            await asyncio.sleep(GUARD_SECONDS)

        async def send(message):
            sent.append(message)

        async def cancel():
            scope = {
                "type": "http", "method": "GET", "path": batch["links"]["self"], "query_string": b"wait=30",
                "root_path": "", "headers": [(b"x-api-key", client.secret.encode()), (b"x-request-id", b"one")],
            }
            task = asyncio.create_task(served.application(scope, receive, send))
            await asyncio.sleep(0.1)
            task.cancel()
            await task

        asyncio.run(cancel())
        served.close()
    assert sent[0]["status"] == 503
    assert (b"x-request-id", b"one") in sent[0]["headers"]
    assert json.loads(sent[1]["body"])["code"] == "stopping"


def test_requests_are_counted_before_they_are_compared():
    """Many threads at once never pass the limit together."""
    limit = AdmissionLimit("uploads", total_max=5, merchant_max=3, gauge=Gauge("x", "x", registry=CollectorRegistry()))
    highest = []

    def acquire(merchant: str) -> None:
        for _ in range(500):
            try:
                limit.acquire(merchant)
            except Refusal:
                continue
            highest.append(limit.total)
            limit.release(merchant)

    threads = [threading.Thread(target=acquire, args=(merchant,)) for merchant in "aaabbbccc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= max(highest) <= 5
    assert limit.total == 0
