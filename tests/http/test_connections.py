"""What a connection may do: slow clients in every state, trailers, upgrades, HTTP/2, pipelines, and their number."""

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from goodsgate.http.connections import (
    PIPELINED_MAX,
    ConnectionLimits,
    client_network,
    fit_descriptors,
)
from tests.http_gate import HttpGate, read_all, read_response
from tests.shop import Shop

GUARD_SECONDS = 60
"""Only reached if the gate never closes the connection."""
HEADERS_BYTES_MAX = 4096


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """A gate with ordinary time limits."""
    with Shop(tmp_path_factory.mktemp("gate"), headers_bytes_max=HEADERS_BYTES_MAX) as shop:
        served = HttpGate(shop)
        yield served
        served.close()


@pytest.fixture(scope="module")
def hasty_gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """A gate with short time limits."""
    settings = dict.fromkeys(("headers_seconds", "keep_alive_seconds", "write_seconds", "body_idle_seconds"), 0.3)
    with Shop(tmp_path_factory.mktemp("hasty"), **settings) as shop:
        served = HttpGate(shop)
        yield served
        served.close()


def drip(connection: socket.socket, piece: bytes) -> bytes:
    """Send a piece again and again until the gate closes the connection; return what it sent."""
    received = b""
    connection.settimeout(0.02)
    until = time.monotonic() + GUARD_SECONDS
    while time.monotonic() < until:
        try:
            connection.sendall(piece)
            data = connection.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            return received
        if not data:
            return received
        received += data
    raise AssertionError("the gate did not close the connection")


def wait(connection: socket.socket) -> bytes:
    """Send nothing more and return what the gate sends until it closes the connection."""
    connection.settimeout(GUARD_SECONDS)
    return read_all(connection)


def send_then(first: bytes, then: Callable[[socket.socket], bytes]) -> Callable[[HttpGate], bytes]:
    """Return a client that sends bytes and then does something until the gate closes the connection."""

    def run(gate: HttpGate) -> bytes:
        with gate.connect() as connection:
            connection.sendall(first)
            return then(connection)

    return run


def submission(gate: HttpGate) -> bytes:
    """Return the head of a submission of a new merchant, whose chunks follow."""
    head = "POST /v1/batches?format=ndjson HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    return f"{head}X-API-Key: {gate.client().secret}\r\n\r\n".encode()


def closed(gate: HttpGate, reason: str) -> int:
    """Return how many connections the gate has closed for a reason."""
    text = gate.metrics()
    found = re.search(rf'goodsgate_closed_connections_total{{reason="{reason}"}} (\S+)', text)
    return int(float(found[1])) if found else 0


GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
SLOW_CLIENTS = {
    # state: (what the client does, status lines that it gets before the connection is closed)
    "nothing sent": (send_then(b"", wait), []),
    "empty lines": (send_then(b"\r\n", lambda c: drip(c, b"\r\n")), []),
    "half a request line": (send_then(b"GE", wait), []),
    "headers that stop": (send_then(GET[:-2], wait), []),
    "headers that drip": (send_then(GET[:-2], lambda c: drip(c, b"X: y\r\n")), []),
    "idle after a response": (send_then(GET, wait), [200]),
    "empty lines after a response": (send_then(GET, lambda c: drip(c, b"\r\n")), [200]),
    "second request that stops": (send_then(GET + GET[:-2], wait), [200]),
    "second request that drips": (send_then(GET + GET[:-2], lambda c: drip(c, b"X: y\r\n")), [200]),
    "body that stops after the response": (send_then(CHUNKED + b"1\r\nx\r\n", wait), [200]),
    "body that drips after the response": (send_then(CHUNKED, lambda c: drip(c, b"1\r\nx\r\n")), [200]),
    "trailers that drip after the response": (
        send_then(CHUNKED + b"0\r\n", lambda c: drip(c, b"X: y\r\n")), [200]),
    "trailers that stop": (send_then(CHUNKED + b"0\r\nX: y\r\n", wait), [200]),
    "body that stops before a refusal": (
        send_then(b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx", wait), [401]),
    "body that never starts": (lambda gate: send_then(submission(gate), wait)(gate), [408]),
    "body that stops": (lambda gate: send_then(submission(gate) + b"1\r\nx\r\n", wait)(gate), [408]),
}


@pytest.mark.parametrize("state", SLOW_CLIENTS)
def test_a_slow_client_is_disconnected_in_every_state(hasty_gate, state):
    """Whatever it does, its connection does not outlive the limit of its state."""
    client, statuses = SLOW_CLIENTS[state]
    received = client(hasty_gate)
    assert [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", received)] == statuses, received


def test_a_client_that_does_not_read_is_disconnected(hasty_gate):
    """The responses are dropped that it does not take."""
    before = closed(hasty_gate, "write")
    with hasty_gate.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * PIPELINED_MAX)
        until = time.monotonic() + GUARD_SECONDS
        while closed(hasty_gate, "write") == before and time.monotonic() < until:
            time.sleep(0.05)
    assert closed(hasty_gate, "write") == before + 1


def test_who_leaves_before_the_responses_is_no_error(gate, caplog):
    """Neither for the request that is being answered nor for those behind it."""
    before = len(caplog.records)
    for _ in range(5):
        with gate.connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 30)
            connection.recv(1)
    assert gate.ask(GET[:-2] + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert [record.message for record in caplog.records[before:] if record.levelname == "ERROR"] == []


ENDLESS = {
    "headers": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"X: %s\r\n" % (b"x" * 1000)),
    "one header": (b"GET /healthz HTTP/1.1\r\nX: ", b"x" * 1000),
    "request line": (b"GET /", b"x" * 1000),
    "trailers": (b"POST /console/sign-in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n",
                 b"X: %s\r\n" % (b"x" * 1000)),
    "one trailer": (b"POST /console/sign-in HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"x" * 1000),
    "chunk extension": (b"POST /console/sign-in HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x" * 1000),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_headers_and_trailers_are_bounded(gate, what):
    """The response is 431, with the limit, and the connection is closed."""
    start, piece = ENDLESS[what]
    with gate.connect() as connection:
        connection.sendall(start)
        received = drip(connection, piece)
    assert received.startswith(b"HTTP/1.1 431 "), received
    assert json.loads(received.partition(b"\r\n\r\n")[2])["limit_bytes"] == HEADERS_BYTES_MAX


def test_headers_in_one_read_are_bounded(gate):
    """They are counted exactly: those of the next request, which came with them, do not count."""
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n"
    large = head % (b"x" * (HEADERS_BYTES_MAX - 100))
    assert gate.ask(head % (b"x" * HEADERS_BYTES_MAX)).startswith(b"HTTP/1.1 431 ")
    assert len(re.findall(rb"HTTP/1.1 200", gate.ask(large * 4 + GET[:-2] + b"Connection: close\r\n\r\n"))) == 5


def test_trailers_are_no_headers(gate):
    """A handler does not see them."""
    body = b'{"sku": "A-1", "title": "Mug"}\n'
    chunks = b"%x\r\n%s\r\n" % (len(body), body)
    with gate.connect() as connection:
        connection.sendall(submission(gate) + chunks)
        connection.sendall(b"0\r\nIdempotency-Key: \x22one\x22\r\nIdempotency-Key: two\r\n\r\n")
        assert read_response(connection).startswith(b"HTTP/1.1 202")


UPGRADES = {
    "h2c as Java and curl ask":
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n",
    "websocket": "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    "unknown": "Connection: keep-alive, Upgrade\r\nUpgrade: foo/1, bar\r\n",
    "without Connection": "Upgrade: h2c\r\n",
}


@pytest.mark.parametrize("pieces", [1, 2, 40])
@pytest.mark.parametrize("upgrade", UPGRADES)
def test_a_request_to_upgrade_is_served_without_upgrade(gate, upgrade, pieces):
    """The body is read, and the connection serves further requests; however they are divided into packets."""
    client = gate.client()
    body = b'{"sku": "A-1", "title": "Mug"}\n'
    request = (
        f"POST /v1/batches?format=ndjson HTTP/1.1\r\nHost: x\r\n{UPGRADES[upgrade]}Content-Length: {len(body)}\r\n"
        f"X-API-Key: {client.secret}\r\n\r\n"
    ).encode() + body
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    sent = request * 2 + last
    size = -(-len(sent) // pieces)
    with gate.connect() as connection:
        for start in range(0, len(sent), size):
            connection.sendall(sent[start:start + size])
            time.sleep(0.001)  # so that they arrive apart
        received = wait(connection)
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"202", b"202", b"200"], received
    assert client.get("/v1/batches").json()["batches"][0]["progress"]["bytes_total"] == len(body)


def test_curl_uploads_with_http2_allowed(gate, tmp_path):
    """It asks for an upgrade, and sends the body all the same."""
    curl = shutil.which("curl")
    if curl is None or b"HTTP2" not in subprocess.run([curl, "--version"], capture_output=True, check=True).stdout:
        pytest.skip("no curl with HTTP/2")
    client = gate.client()
    (tmp_path / "feed.ndjson").write_bytes(b'{"sku": "A-1", "title": "Mug"}\n')
    done = subprocess.run(
        [curl, "-sS", "--noproxy", "*", "--http2", "--max-time", "20", "-H", f"X-API-Key: {client.secret}",
         "--data-binary", f"@{tmp_path / 'feed.ndjson'}", f"{gate.url}/v1/batches?format=ndjson"],
        capture_output=True, check=True,
    )
    assert json.loads(done.stdout)["progress"]["bytes_total"] == 31


@pytest.mark.parametrize("pieces", [1, 3])
def test_http2_without_upgrade_is_answered_in_its_frames(gate, pieces):
    """The client gets SETTINGS and GOAWAY with the code HTTP_1_1_REQUIRED."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
    size = -(-len(preface) // pieces)
    with gate.connect() as connection:
        for start in range(0, len(preface), size):
            connection.sendall(preface[start:start + size])
            time.sleep(0.001)
        received = wait(connection)
    assert received[3] == 4  # SETTINGS
    assert received[9 + 3] == 7  # GOAWAY
    assert received[-4:] == b"\0\0\0\x0d"


MALFORMED = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "CONNECT": b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "length and chunks": b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk of no size": b"POST /console/sign-in HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_requests_get_a_problem_document(gate, what):
    """It has a request id, and the connection is closed."""
    received = gate.ask(MALFORMED[what])
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 "), received
    assert b"connection: close" in head.lower()
    assert json.loads(body)["code"] == "request_malformed"
    assert json.loads(body)["instance"].encode() in head


def test_what_follows_a_request_does_not_spoil_its_response(gate):
    """A complete request is answered first; then the connection is closed."""
    received = gate.ask(GET + b"\x00\x01 nonsense\r\n\r\n")
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200"], received
    assert b"connection: close" in received


def test_requests_ahead_of_responses_are_bounded(gate):
    """The connection is closed."""
    received = gate.ask(b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * (PIPELINED_MAX + 10))
    assert received.count(b"HTTP/1.1 200") <= PIPELINED_MAX


@pytest.mark.parametrize(("in_all", "by_address"), [(3, 100), (100, 3)])
def test_connections_are_bounded_in_all_and_for_each_address(tmp_path, caplog, in_all, by_address):
    """One more gets 503 with a request id and a log line; when one is closed, another one may connect."""
    shop = Shop(tmp_path, http_connections_max=in_all, http_connections_per_address_max=by_address)
    served = HttpGate(shop)
    try:
        connections = [served.connect() for _ in range(3)]
        for connection in connections:  # each is known to the gate once it has answered
            connection.sendall(GET)
            assert read_response(connection).startswith(b"HTTP/1.1 200")
        for _ in range(5):
            refused = served.ask(GET)
            head, _, body = refused.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 "), refused
            assert b"retry-after: 5" in head
            assert json.loads(body)["code"] == "connections_full"
            assert json.loads(body)["instance"].encode() in head
        assert sum("refused" in record.message for record in caplog.records) == 1
        connections.pop().close()
        until = time.monotonic() + GUARD_SECONDS
        while not (answer := served.ask(GET[:-2] + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200"):
            assert time.monotonic() < until, answer
        for connection in connections:
            connection.close()
    finally:
        served.close()
        shop.store.close()


def test_addresses_of_one_network_are_one_client():
    """Who has IPv6 has 64 bits of addresses."""
    assert client_network(("192.0.2.7", 1)) == client_network(("::ffff:192.0.2.7", 1)) == "192.0.2.7"
    assert client_network(("2001:db8::1", 1)) == client_network(("2001:db8::ffff:2", 1)) == "2001:db8::/64"
    assert client_network(("2001:db8:0:1::1", 1)) != client_network(("2001:db8::1", 1))
    assert client_network(("fe80::1%eth0", 1)) == "fe80::/64"


@pytest.mark.parametrize(("available", "expected"), [(10_000, (4000, 1000)), (400, (400, 100)), (1, (1, 1))])
def test_few_descriptors_lower_both_bounds_in_proportion(available, expected):
    """So one address can never take all."""
    limits = ConnectionLimits(
        http_connections_max=4000, http_connections_per_address_max=1000, headers_bytes_max=1024, headers_seconds=1,
        keep_alive_seconds=1, write_seconds=1, stop_seconds=1,
    )
    fitted = fit_descriptors(limits, available)
    assert (fitted.http_connections_max, fitted.http_connections_per_address_max) == expected
