"""A gate whose PostgreSQL server stops, pauses or restarts answers 503 and never a false 202."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
import pytest

from goodsgate.model.batch import State
from goodsgate.store.contract import BatchFilter
from tests import stores
from tests.factories import product
from tests.http_gate import Client, HttpGate, read_all
from tests.postgres import Server
from tests.shop import Shop, ndjson

T = TypeVar("T")
SECONDS_MAX = 60
CONNECTIONS_MAX = 3


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the timeouts after which a stalled server is noticed."""
    for module in ("connections", "server"):
        monkeypatch.setattr(f"goodsgate.store.postgres.{module}.SILENCE_SECONDS", 0.5)
        monkeypatch.setattr(f"goodsgate.store.postgres.{module}.CONNECT_SECONDS", 2)
    for module in ("idempotency", "receive"):
        monkeypatch.setattr(f"goodsgate.engine.{module}.RESERVE_SECONDS", 0.5)
    monkeypatch.setattr("goodsgate.protocols.native.service.READINESS_SECONDS", 0.0)


@pytest.fixture
def gate(own: Server, address: str, tmp_path: Path) -> Iterator[HttpGate]:
    """Serve a gate with fewer database connections than threads."""
    stores.set_address(tmp_path, address)
    with Shop(
        tmp_path, connections_max=CONNECTIONS_MAX, small_payload_bytes=2_000, chunk_records_max=50, lease_seconds=1.0,
        sweep_seconds=0.01,
    ) as shop:
        served = HttpGate(shop)
        yield served
        served.close()


@pytest.fixture
def client(gate: HttpGate) -> Client:
    """Return a client of acme."""
    return gate.client("acme")


def _all(calls: list[Callable[[], T]]) -> list[T]:
    """Call all functions at once, each in a thread of its own."""
    answers: dict[int, T] = {}
    threads = [
        threading.Thread(target=lambda n=n, call=call: answers.update({n: call()})) for n, call in enumerate(calls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS_MAX)
    return [answers[n] for n in range(len(calls))]


def _post(client: Client, number: int, records: int = 5) -> httpx.Response:
    body = ndjson(product(number * 1_000 + n) for n in range(records))
    return client.post(
        "/v1/batches", content=body, params={"format": "ndjson"}, headers={"Idempotency-Key": f'"{number}"'}
    )


def _submit_until_accepted(client: Client, number: int) -> str:
    """Submit until the submission is accepted, and return the id of the batch."""
    until = time.monotonic() + SECONDS_MAX
    while True:
        answer = _post(client, number)
        if answer.status_code == 202:
            return str(answer.json()["id"])
        assert answer.status_code in (409, 503), answer.text
        assert answer.headers["retry-after"]
        assert time.monotonic() < until, answer.text
        time.sleep(0.05)


def _is_busy(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.json()["code"]) == (503, "store_busy") and bool(answer.headers["retry-after"])


def _ready(gate: HttpGate) -> int:
    with gate.anonymous() as anybody:
        return anybody.get("/readyz").status_code


def _soon(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS_MAX
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("away", ["stopped", "paused"])
def test_submissions_are_refused_while_the_server_is_unavailable(own: Server, gate: HttpGate, client: Client,
                                                                 away: str) -> None:
    """Acknowledged batches are there afterwards, and refused ones can be sent again."""
    before = [_submit_until_accepted(client, number) for number in range(3)]
    assert _ready(gate) == 200
    own.stop("immediate") if away == "stopped" else own.pause()
    try:
        answers = _all([
            *(lambda n=n: _post(client, n) for n in range(10, 22)),  # type: ignore[misc]
            *(lambda n=n: _post(client, n, 500) for n in (30, 31)),  # type: ignore[misc]
            lambda: client.get("/v1/batches"), lambda: client.get(f"/v1/batches/{before[0]}/results"),
            lambda: client.post(f"/v1/batches/{before[0]}/cancel"),
            lambda: client.get("/v1/collections/products/items"),
        ])
        assert [answer.text for answer in answers if not _is_busy(answer)] == []
        assert _ready(gate) == 503
        with gate.anonymous() as anybody:
            assert anybody.get("/healthz").status_code == 200
        assert "goodsgate_requests_total" in gate.metrics()
    finally:
        own.start() if away == "stopped" else own.resume()
    after = [_submit_until_accepted(client, number) for number in range(22)]
    assert after[:3] == before
    _soon(lambda: _ready(gate) == 200)
    assert {batch.id for batch in gate.shop.store.batches("acme", BatchFilter(), limit=100).rows} == set(after)
    gate.shop.work()
    assert len(gate.shop.items()) == 22 * 5


def _pieces(own: Server, address: str) -> int:
    """Return the number of stored pieces of uploads."""
    with own.admin(urlsplit(address).path[1:]) as db:
        row = db.execute("SELECT count(*) FROM goodsgate.payload").fetchone()
    return 0 if row is None else int(str(row[0]))


@pytest.mark.parametrize("away", ["stopped", "restarted", "paused"])
def test_an_outage_in_the_middle_of_a_body(
    own: Server, address: str, gate: HttpGate, client: Client, away: str
) -> None:
    """After a restart nothing of the body remains; after a pause the upload continues or is refused."""
    body = ndjson(product(n, description=f"{n} " * 400) for n in range(2_500))
    head = (
        f"POST /v1/batches?format=ndjson HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.secret}\r\n"
        f'Idempotency-Key: "cut"\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n'
    )
    with gate.connect() as connection:
        connection.settimeout(SECONDS_MAX)
        connection.sendall(head.encode() + body[: len(body) * 3 // 4])
        _soon(lambda: _pieces(own, address) > 0)
        own.pause() if away == "paused" else own.stop("immediate")
        if away == "restarted":
            own.start()
        threading.Timer(0.2, own.resume if away == "paused" else int).start()
        connection.sendall(body[len(body) * 3 // 4 :])
        answer = read_all(connection)
    if away == "stopped":
        own.start()
    status = answer.split(b" ", 2)[1]
    assert status == b"503" or away != "stopped", answer
    assert status == b"202" or (status == b"503" and b"retry-after: " in answer.lower()), answer
    listed = gate.shop.store.batches("acme", BatchFilter()).rows
    assert len(listed) == (status == b"202")
    headers = {"Idempotency-Key": '"cut"'}
    _soon(lambda: client.post("/v1/batches?format=ndjson", content=body, headers=headers).status_code == 202)
    (batch,) = gate.shop.store.batches("acme", BatchFilter()).rows
    gate.shop.work()
    assert gate.shop.engine.batch("acme", batch.id).counts.created == 2_500


def test_waiting_requests_end_or_continue(own: Server, gate: HttpGate, client: Client) -> None:
    """A long poll ends with 503; an event stream continues, and ends with the batch."""
    batch = _submit_until_accepted(client, 1)
    lines: list[str] = []

    def listen() -> None:
        with client.stream("GET", f"/v1/batches/{batch}/events") as stream:
            lines.extend(stream.iter_lines())

    listening = threading.Thread(target=listen)
    listening.start()
    polled: list[httpx.Response] = []
    polling = threading.Thread(
        target=lambda: polled.append(client.get(f"/v1/batches/{batch}", params={"wait": str(SECONDS_MAX)}))
    )
    polling.start()
    time.sleep(0.3)
    own.stop("immediate")
    polling.join(SECONDS_MAX)
    assert _is_busy(polled[0])
    own.start()
    gate.shop.work()
    listening.join(SECONDS_MAX)
    assert '"state":"finished"' in "".join(lines).replace(" ", "")
    assert any("unavailable" in line for line in lines)


@pytest.mark.parametrize("away", ["stopped", "paused"])
def test_the_change_token_recovers(own: Server, gate: HttpGate, away: str) -> None:
    """While the server is unavailable everything counts as changed; afterwards polls are cheap again."""
    def still() -> bool:
        return gate.shop.store.change_token() == gate.shop.store.change_token()

    _soon(still)
    own.stop("immediate") if away == "stopped" else own.pause()
    try:
        _soon(lambda: not still())
    finally:
        own.start() if away == "stopped" else own.resume()
    _soon(still)


def test_a_worker_survives_stops_and_pauses_of_the_server(own: Server, gate: HttpGate, client: Client) -> None:
    """It also sweeps meanwhile; every batch ends once."""
    working = threading.Thread(target=gate.shop.worker.run)
    working.start()
    try:
        batches = []
        for number in range(6):
            batches += [_submit_until_accepted(client, number * 10 + n) for n in range(4)]
            if number % 2:
                own.stop("immediate")
                own.start()
            else:
                own.pause()
                time.sleep(0.7)
                own.resume()
        _soon(lambda: all(
            client.get(f"/v1/batches/{batch}").json().get("state") == State.FINISHED for batch in batches
        ))
    finally:
        gate.shop.worker.stop()
        working.join()
    assert [gate.shop.engine.batch("acme", batch).counts.accounted for batch in batches] == [5] * 24
    assert gate.shop.store.statistics()["lanes"] == 0


def test_the_number_of_connections_is_limited(own: Server, address: str, gate: HttpGate, client: Client) -> None:
    """One connection is reserved for notifications."""
    most = 0
    done = threading.Event()

    def count() -> None:
        nonlocal most
        with own.admin() as db:
            while not done.is_set():
                row = db.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (urlsplit(address).path[1:],)
                ).fetchone()
                most = max(most, int(str(row[0]))) if row is not None else most

    counting = threading.Thread(target=count)
    counting.start()
    answers = _all([lambda n=n: _post(client, n, 30) for n in range(40)])  # type: ignore[misc]
    done.set()
    counting.join()
    assert {answer.status_code for answer in answers} == {202}
    assert 1 < most <= CONNECTIONS_MAX + 1
