"""The client against servers and proxies that misbehave: what is tried again, and what is final."""

import datetime
import re
import ssl
import time
from email.utils import format_datetime
from pathlib import Path

import pytest

from goodsgate_client import (
    CertificateError,
    Client,
    ConfigurationError,
    GoodsgateError,
    RefusedError,
    UnreachableError,
    retrying,
)
from goodsgate_client._sync import session
from goodsgate_client.sources import file_source
from tests.certificates import self_signed
from tests.client.scripted_server import ScriptedServer, Step, answer, events, reset, silence

DONE = {"id": "b", "state": "finished"}
WORKING = {"id": "b", "state": "working"}
OK = answer(200, DONE)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)
    monkeypatch.setattr(retrying, "PAUSE_SECONDS_MIN", 0.001)
    monkeypatch.setattr(retrying, "PAUSE_SECONDS_MAX", 0.01)
    monkeypatch.setattr(session, "POLL_SECONDS_MIN", 0.001)
    monkeypatch.setattr(session, "POLL_SECONDS_MAX", 0.01)


def client(server: ScriptedServer, *, retry_seconds: float = 30.0, ca: str | None = None) -> Client:
    """Return a client of the server."""
    return Client(server.url, "key", retry_seconds=retry_seconds, ca=ca)


def problem(status: int, code: str, **headers: str) -> bytes:
    """Return a refusal of the gate."""
    return answer(status, {"code": code, "title": "Title", "status": status}, **headers)


TEMPORARY: dict[str, Step] = {
    "reset": reset, "closed without an answer": b"", "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "half a body": b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"id":', "no HTTP": b"hello\r\n\r\n",
    **{f"{status} of a proxy": answer(status) for status in (408, 425, 429, 500, 502, 503, 504, 507, 520)},
    "sessions_full": problem(503, "sessions_full", Retry_After="0"), "queue_full": problem(429, "queue_full"),
    "store_busy": problem(503, "store_busy"), "internal_fault": problem(500, "internal_fault"),
    "key_in_use": problem(409, "key_in_use"), "retry at a date": answer(503, Retry_After=format_datetime(
        datetime.datetime.now(datetime.UTC))),
}


@pytest.mark.parametrize("name", TEMPORARY)
def test_a_temporary_failure_is_tried_again(name: str) -> None:
    """The repeated request has the same idempotency key and body, and the caller learns of each attempt."""
    reasons: list[str] = []
    with ScriptedServer(TEMPORARY[name], TEMPORARY[name], OK) as server:
        document = client(server).request(
            "POST", "/v1/batches", body=file_source(b"abc"), on_retry=reasons.append
        )
    assert document == DONE
    assert len(server.requests) == 3
    keys = {re.search(rb"Idempotency-Key: (\S+)", request, re.I)[1] for request in server.requests}
    assert len(keys) == 1
    assert len({request.partition(b"\r\n\r\n")[2] for request in server.requests}) == 1
    assert len(reasons) == 2
    assert all(reasons)


FINAL: dict[str, tuple[bytes, str]] = {
    "unauthorized": (problem(401, "unauthorized"), "unauthorized"),
    "forbidden": (problem(403, "forbidden"), "forbidden"),
    "another batch is open": (problem(409, "batch_open"), "batch_open"),
    "too large for a proxy": (answer(413), "status 413"),
    "key reused": (problem(422, "key_reused"), "key_reused"),
    "redirect": (answer(301, None, Location="https://gate.example/"), "redirects to https://gate.example/"),
    "not implemented": (answer(501), "status 501"),
    "store full": (problem(507, "store_full"), "store_full"),
}


@pytest.mark.parametrize("name", FINAL)
def test_a_final_refusal_is_raised(name: str) -> None:
    """It is sent once, and the message says why."""
    response, message = FINAL[name]
    with ScriptedServer(response) as server, pytest.raises(RefusedError) as refused:
        client(server).request("POST", "/v1/batches")
    assert message in refused.value.message
    assert len(server.requests) == 1


@pytest.mark.parametrize(("step", "error"), [
    (answer(502), RefusedError), (reset, UnreachableError), (answer(503, Retry_After="3600"), RefusedError),
])
def test_retries_end_after_their_time(step: Step, error: type[GoodsgateError]) -> None:
    """A pause that would be longer is not begun."""
    began = time.monotonic()
    with ScriptedServer(step) as server, pytest.raises(error):
        client(server, retry_seconds=0.1).request("GET", "/v1/batches")
    assert time.monotonic() - began < 60, "an hour was asked for"


@pytest.mark.parametrize(("step", "sent"), [
    (answer(502), 1), (reset, 1), (answer(500), 1), (answer(503), 2), (answer(429), 2),
])
def test_a_request_that_takes_no_key_is_repeated_only_if_it_had_no_effect(step: Step, sent: int) -> None:
    """Otherwise an event would be simulated twice."""
    with ScriptedServer(step, OK) as server:
        try:
            client(server).request("POST", "/oms/admin/webhooks", is_repeatable=False)
        except GoodsgateError:
            assert sent == 1
    assert len(server.requests) == sent


def test_a_download_starts_again(tmp_path: Path) -> None:
    """The file is complete."""
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsku"
    with ScriptedServer(answer(504), half, answer(200, "abcdefg")) as server:
        content = client(server).download("/v1/x", lambda response: b"".join(response.iter_bytes()))
    assert content == b'"abcdefg"'


# -- following a batch ------------------------------------------------------------------------------------------------


def followed(server: ScriptedServer) -> tuple[list[str], list[str]]:
    """Follow a batch until it has ended; return its states and the paths of the requests."""
    states = []
    for document in client(server).watch("/v1/batches/b"):
        states.append(document["state"])
        if document["state"] == "finished":
            break
    return states, [request.split()[1].decode() for request in server.requests]


STREAM, POLL = "/v1/batches/b/events", "/v1/batches/b"


@pytest.mark.parametrize(("steps", "paths"), [
    ([events(WORKING, DONE)], [STREAM]),
    ([events(WORKING, length=999), answer(200, WORKING), events(DONE)], [STREAM, POLL, STREAM]),
    ([events(WORKING, length=999), answer(502), answer(200, WORKING), events(DONE)], [STREAM, POLL, POLL, STREAM]),
    ([problem(503, "sessions_full"), answer(200, WORKING), OK], [STREAM, POLL, POLL]),
    ([answer(502), answer(504), answer(200, WORKING), OK], [STREAM, POLL, POLL, POLL]),
    ([events(), answer(200, WORKING), OK], [STREAM, POLL, POLL]),
    ([reset, answer(200, WORKING), reset, OK], [STREAM, POLL, POLL, POLL]),
])
def test_a_batch_is_polled_where_its_event_stream_fails(steps: list[Step], paths: list[str]) -> None:
    """A stream that yields something is opened again after it breaks off; one that yields nothing is given up."""
    with ScriptedServer(*steps) as server:
        states, requested = followed(server)
    assert states[-1] == "finished"
    assert requested == paths


def test_a_batch_is_polled_where_a_proxy_buffers_its_event_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a stream is open and silent."""
    monkeypatch.setattr(session, "STREAM_SILENCE_SECONDS_MAX", 0.2)
    with ScriptedServer(silence, answer(200, WORKING), OK) as server:
        assert followed(server) == (["working", "finished"], [STREAM, POLL, POLL])


def test_an_unknown_batch_is_not_polled() -> None:
    """The refusal is final."""
    with ScriptedServer(problem(404, "batch_unknown")) as server, pytest.raises(RefusedError, match="batch_unknown"):
        followed(server)
    assert len(server.requests) == 1


# -- certificates and proxies -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    """A server's TLS context with a certificate that nobody else signed, and the file of that certificate."""
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("source", ["option", "variable"])
def test_a_ca_of_ones_own_is_trusted(
    certificate: tuple[ssl.SSLContext, str], source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named by `ca` or SSL_CERT_FILE."""
    context, file = certificate
    if source == "variable":
        monkeypatch.setenv("SSL_CERT_FILE", file)
    with ScriptedServer(OK, tls=context) as server:
        assert client(server, ca=file if source == "option" else None).request("GET", "/") == DONE


def test_a_certificate_that_is_not_trusted_is_final(certificate: tuple[ssl.SSLContext, str]) -> None:
    """No later attempt can succeed; the message says what to set."""
    context, _ = certificate
    reasons: list[str] = []
    with ScriptedServer(OK, tls=context) as server, pytest.raises(CertificateError) as error:
        client(server).request("GET", "/", on_retry=reasons.append)
    assert f"the certificate of {server.url} is not trusted: " in error.value.message
    assert "`ca` or SSL_CERT_FILE" in error.value.message
    assert not reasons


def test_a_server_without_tls_is_final() -> None:
    """The message asks for the right scheme."""
    with ScriptedServer(answer(400)) as server, pytest.raises(UnreachableError, match=r"does not speak TLS; .*http://"):
        Client(server.url.replace("http:", "https:"), None, retry_seconds=30).request("GET", "/")


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_cannot_be_used_is_named(content: str | None, tmp_path: Path) -> None:
    """It does not exist, or holds no certificate."""
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match=r"ca\.pem is not a file of CA certificates"):
        Client("https://gate.example", None, retry_seconds=1, ca=str(file))


def test_a_proxy_is_used_except_for_hosts_of_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """And never for this machine."""
    with ScriptedServer(OK) as proxy, ScriptedServer(OK) as gate:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert Client("http://gate.example", None, retry_seconds=1).request("GET", "/x") == DONE
        assert proxy.requests[0].startswith(b"GET http://gate.example/x HTTP/1.1")
        assert client(gate).request("GET", "/x") == DONE
        monkeypatch.setenv("NO_PROXY", ".example")
        with pytest.raises(UnreachableError):
            Client("http://gate.example", None, retry_seconds=0).request("GET", "/x")
    assert (len(proxy.requests), len(gate.requests)) == (1, 1)


def test_a_proxy_that_refuses_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variables."""
    with ScriptedServer(answer(407)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(UnreachableError, match=r"proxy refuses to connect .* HTTPS_PROXY and NO_PROXY"):
            Client("https://gate.example", None, retry_seconds=30).request("GET", "/x")
    assert len(proxy.requests) == 1


def test_a_proxy_of_an_unknown_kind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is sent."""
    monkeypatch.setenv("HTTPS_PROXY", "gopher://proxy.example")
    with pytest.raises(ConfigurationError, match="the proxy of HTTPS_PROXY"):
        Client("https://gate.example")
