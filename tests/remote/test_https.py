"""Files over HTTP: from servers that stall, lie about lengths, redirect, and change files under the reader."""

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from goodsgate.remote import (
    Access,
    FileChangedError,
    RemoteError,
    RemoteFile,
    RemoteSettings,
    open_place,
    parse_address,
)
from tests.remote.hostile_server import Answer, HostileServer, respond

SETTINGS = RemoteSettings(hosts=frozenset({"127.0.0.1", "localhost"}), allow_private=True, allow_http=True)
BODY = bytes(range(256)) * 8_000


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], HostileServer]]:
    """Start servers that end with the test."""
    servers: list[HostileServer] = []

    def start(answer: Answer) -> HostileServer:
        servers.append(HostileServer(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def _read(url: str, *, settings: RemoteSettings = SETTINGS, access: Access | None = None, offset: int = 0,
          ) -> tuple[RemoteFile, bytes]:
    with open_place(parse_address(url), access or Access(), settings) as place:
        (file,) = place.files()
        return file, b"".join(place.read(file, offset=offset))


def test_a_file_has_what_the_server_says_of_it(serve: Callable[[Answer], HostileServer]) -> None:
    """The request asks for the bytes as they are, and has the credentials."""
    def answer(method: str, path: str, headers: dict[str, str], connection: socket.socket) -> None:
        body = b"" if method == "HEAD" else BODY
        respond(connection, body=body, content_length=len(BODY), etag='"1"',
                last_modified="Sat, 31 Jan 2026 08:15:00 GMT")

    server = serve(answer)
    file, body = _read(f"{server.url}/a/feed%20x.csv?key=1", access=Access(username="u", password="p"))
    assert body == BODY
    assert file == RemoteFile(
        name="feed x.csv", size=len(BODY), etag='"1"', modified_at=datetime(2026, 1, 31, 8, 15, tzinfo=UTC)
    )
    method, path, headers = server.requests[-1]
    assert (method, path, headers["accept-encoding"]) == ("GET", "/a/feed%20x.csv?key=1", "identity")
    assert headers["authorization"] == "Basic dTpw"


def test_a_server_that_knows_no_head_is_asked_otherwise(serve: Callable[[Answer], HostileServer]) -> None:
    """It is the same file."""
    def answer(method: str, path: str, headers: dict[str, str], connection: socket.socket) -> None:
        if method == "HEAD":
            respond(connection, "405 Method Not Allowed")
        else:
            respond(connection, body=BODY, etag='"1"')

    assert _read(f"{serve(answer).url}/a.csv")[1] == BODY


def test_the_rest_of_a_file_is_read_if_it_is_the_same(serve: Callable[[Answer], HostileServer]) -> None:
    """A server that sends the whole file again has another one, or cannot do it."""
    tags = iter(['"1"', '"1"', '"1"', '"2"'])

    def answer(method: str, path: str, headers: dict[str, str], connection: socket.socket) -> None:
        tag = next(tags)
        if tag == headers.get("if-range"):
            offset = int(headers["range"].removeprefix("bytes=").rstrip("-"))
            respond(connection, "206 Partial Content", BODY[offset:], etag=tag)
        else:
            respond(connection, body=b"" if method == "HEAD" else BODY, content_length=len(BODY), etag=tag)

    url = f"{serve(answer).url}/a.csv"
    assert _read(url, offset=1_000_000)[1] == BODY[1_000_000:]
    with pytest.raises(FileChangedError):
        _read(url, offset=1_000_000)


@pytest.mark.parametrize("length", [len(BODY) + 1, len(BODY) * 1000])
def test_a_file_that_ends_before_its_length_is_not_whole(serve: Callable[[Answer], HostileServer], length: int) -> None:
    """Nothing says that the rest was not lost."""
    def answer(method: str, path: str, headers: dict[str, str], connection: socket.socket) -> None:
        respond(connection, body=b"" if method == "HEAD" else BODY, content_length=length)

    with pytest.raises(RemoteError, match="connection to the server failed"):
        _read(f"{serve(answer).url}/a.csv")


def test_a_file_is_no_longer_than_its_length(serve: Callable[[Answer], HostileServer]) -> None:
    """What follows is no part of it."""
    def answer(method: str, path: str, headers: dict[str, str], connection: socket.socket) -> None:
        respond(connection, body=b"" if method == "HEAD" else BODY, content_length=1_000)

    assert _read(f"{serve(answer).url}/a.csv")[1] == BODY[:1_000]


@pytest.mark.parametrize("begin", [
    b"", b"HTTP/1.1 200 OK\r\ncontent-le", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc",
])
def test_a_server_that_stalls_keeps_no_thread(serve: Callable[[Answer], HostileServer], begin: bytes) -> None:
    """Before its first byte, within its headers, or within the file."""
    def answer(method: str, path: str, headers: dict[str, str], connection: socket.socket) -> None:
        connection.sendall(begin)
        server.release.wait(60)

    server = serve(answer)
    settings = RemoteSettings(
        hosts=SETTINGS.hosts, allow_private=True, allow_http=True, idle_seconds=0.05, connect_seconds=0.05
    )
    with open_place(parse_address(f"{server.url}/a.csv"), Access(), settings) as place:
        if not begin.endswith(b"abc"):
            with pytest.raises(RemoteError, match=r"in time|failed"):
                place.files()
        with pytest.raises(RemoteError, match=r"in time|failed"):
            list(place.read(RemoteFile(name="a.csv")))


@pytest.mark.parametrize(("location", "reason"), [
    ("https://169.254.169.254/latest/", "not allowed"), ("file:///etc/passwd", "not one of HTTPS"),
    ("http://u:p@127.0.0.1/", "cannot be used"), ("/again", "more than 5 times"), ("", "more than 5 times"),
    ("http://other.example/", "not allowed"),
])
def test_a_redirect_leads_only_where_the_source_may_lead(
    serve: Callable[[Answer], HostileServer], location: str, reason: str,
) -> None:
    """Each address is checked as the first one."""
    def answer(method: str, path: str, headers: dict[str, str], connection: socket.socket) -> None:
        respond(connection, "302 Found", location=location)

    with pytest.raises(RemoteError, match=reason) as refused:
        _read(f"{serve(answer).url}/a.csv")
    assert refused.value.final


def test_credentials_are_not_sent_where_a_redirect_leads(serve: Callable[[Answer], HostileServer]) -> None:
    """They belong to the host that the source names."""
    def land(method: str, path: str, headers: dict[str, str], connection: socket.socket) -> None:
        respond(connection, body=b"" if method == "HEAD" else b"sku\n", content_length=4)

    other = serve(land)

    def answer(method: str, path: str, headers: dict[str, str], connection: socket.socket) -> None:
        respond(connection, "302 Found", location=f"{other.url}/b.csv")

    first = serve(answer)
    assert _read(f"{first.url}/a.csv", access=Access(token="t"))[1] == b"sku\n"
    assert {headers.get("authorization") for _, _, headers in first.requests} == {"Bearer t"}
    assert {headers.get("authorization") for _, _, headers in other.requests} == {None}


@pytest.mark.parametrize(("status", "is_final"), [(401, True), (403, True), (404, False), (410, True), (503, False)])
def test_a_status_says_whether_to_try_again(
    serve: Callable[[Answer], HostileServer], status: int, is_final: bool,
) -> None:
    """A file that is missing may come."""
    server = serve(lambda method, path, headers, connection: respond(connection, f"{status} No"))
    with pytest.raises(RemoteError, match=str(status)) as refused:
        _read(f"{server.url}/a.csv")
    assert refused.value.final is is_final


@pytest.mark.parametrize(("settings", "reason"), [
    (RemoteSettings(hosts=frozenset({"*"}), allow_http=True), "private address"),
    (RemoteSettings(hosts=frozenset({"*"}), allow_private=True), "feed_http"),
    (RemoteSettings(hosts=frozenset({"example.com"}), allow_private=True, allow_http=True), "not allowed"),
])
def test_a_host_that_is_not_allowed_is_not_called(
    serve: Callable[[Answer], HostileServer], settings: RemoteSettings, reason: str,
) -> None:
    """By its name, its address, or without TLS."""
    server = serve(lambda method, path, headers, connection: respond(connection))
    with pytest.raises(RemoteError, match=reason) as refused:
        _read(f"{server.url}/a.csv", settings=settings)
    assert refused.value.final
    assert server.requests == []
