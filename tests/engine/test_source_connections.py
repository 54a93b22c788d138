"""Sources whose servers lose connections, lie, change files and are slow: no batch, or one that is whole."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from goodsgate.engine import source_fetch
from goodsgate.engine.jobs import ClaimedJob
from tests.feeds import HEADER, Rig
from tests.remote.hostile_server import Answer, HostileServer, respond
from tests.shop import Shop

BODY = HEADER + b"".join(b"S-%05d,Spoon %05d,1.00,EUR\n" % (number, number) for number in range(60_000))


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """A worker of sources that tries lost connections again at once."""
    monkeypatch.setattr(source_fetch, "RESUME_SECONDS", 0.001)
    with Shop(tmp_path, kind="sqlite") as shop:
        yield Rig(tmp_path, shop, allow_http=True)


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


def _offset(headers: dict[str, str]) -> int:
    return int(headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))


def _cut(connection: socket.socket, offset: int, size: int, etag: str) -> None:
    """Answer with a part of the file, and close the connection before its end."""
    status = "206 Partial Content" if offset else "200 OK"
    respond(connection, status, BODY[offset:offset + size], content_length=len(BODY) - offset, etag=etag)


def test_a_file_whose_connection_is_lost_again_and_again_becomes_one_whole_batch(
    rig: Rig, serve: Callable[[Answer], HostileServer],
) -> None:
    """Each connection goes on with the byte behind the last one."""
    def answer(method: str, path: str, headers: dict[str, str], connection: socket.socket) -> None:
        if method == "HEAD":
            respond(connection, content_length=len(BODY), etag='"1"')
        else:
            _cut(connection, _offset(headers), 400_000, '"1"')

    server = serve(answer)
    rig.add(f"{server.url}/spoons.csv")
    report = rig.run()
    assert (report.state, report.error) == ("finished", "")
    (batch,) = rig.batches()
    assert b"".join(rig.shop.store.payload("acme", batch.id, 0) or ()) == BODY
    assert len(server.requests) > 4
    assert rig.run().files == ()  # the tag is the same


@pytest.mark.parametrize("tags", [('"1"', '"1"', '"2"'), ("", "", "")], ids=["another tag", "no tag, no range"])
def test_a_file_that_cannot_be_continued_makes_no_batch(
    rig: Rig, serve: Callable[[Answer], HostileServer], tags: tuple[str, ...],
) -> None:
    """It has changed, or the server sends it from the beginning: the run is made again later."""
    answers = iter(tags)

    def answer(method: str, path: str, headers: dict[str, str], connection: socket.socket) -> None:
        etag = next(answers, tags[-1])
        if method == "HEAD":
            respond(connection, content_length=len(BODY), **({"etag": etag} if etag else {}))
        elif not etag or headers.get("if-range", etag) != etag:
            respond(connection, body=BODY[:400_000], content_length=len(BODY), **({"etag": etag} if etag else {}))
        else:
            _cut(connection, _offset(headers), 400_000, etag)

    rig.add(f"{serve(answer).url}/spoons.csv")
    report = rig.run()
    assert (report.state, report.retry_at is not None) == ("failed", True)
    assert "changed while it was read" in report.error
    assert rig.batches() == []


def test_a_file_without_a_tag_and_a_time_is_known_by_its_content(
    rig: Rig, serve: Callable[[Answer], HostileServer],
) -> None:
    """It is read to its end each time, and becomes a batch when it differs."""
    bodies = [BODY[:500], BODY[:500], BODY[:600]]

    def answer(method: str, path: str, headers: dict[str, str], connection: socket.socket) -> None:
        if method == "HEAD":
            respond(connection, "501 Not Implemented")
        else:
            respond(connection, body=bodies[(len(server.requests) - 1) // 3])

    server = serve(answer)
    rig.add(f"{server.url}/spoons.csv")
    batches = [[file.batch is not None for file in rig.run().files] for _ in range(3)]
    assert batches == [[True], [False], [True]]


def test_a_run_is_bounded_in_time_and_rate(
    rig: Rig, serve: Callable[[Answer], HostileServer], monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing of a file that takes too long remains."""
    def answer(method: str, path: str, headers: dict[str, str], connection: socket.socket) -> None:
        respond(connection, body=b"" if method == "HEAD" else BODY, content_length=len(BODY), etag='"1"')

    rig.add(f"{serve(answer).url}/spoons.csv")
    rig.bound(seconds_max=0.0, bytes_per_second_max=0)
    assert "feed_seconds_max" in rig.run().error
    assert rig.batches() == []
    rig.bound(seconds_max=600, bytes_per_second_max=len(BODY) * 5)
    waits: list[float] = []
    monkeypatch.setattr(ClaimedJob, "wait", lambda _, seconds: waits.append(seconds))
    assert rig.run().state == "finished"
    assert waits
