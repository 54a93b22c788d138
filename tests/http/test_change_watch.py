"""Requests that wait are woken by what they wait for, and by nothing else; a lost notification only delays them."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any

import pytest

from goodsgate.http.change_watch import ChangeWatch, Topic
from goodsgate.model.batch import Batch
from goodsgate.store.postgres.server import Server
from tests import factories
from tests.http_gate import Client, HttpGate
from tests.shop import Shop, ndjson

SECONDS_MAX = 60.0
WAIT = {"wait": 55}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def gate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """A gate on either store."""
    with Shop(tmp_path_factory.mktemp("gate"), kind=request.param) as shop:
        served = HttpGate(shop)
        yield served
        served.close()


@pytest.fixture
def reads(gate: HttpGate, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each batch is read for a document."""
    counted: Counter[str] = Counter()
    engine = gate.application.context.engine
    read = engine.batch

    def batch(merchant: str, id: str) -> Batch:
        counted[id] += 1
        return read(merchant, id)

    monkeypatch.setattr(engine, "batch", batch)
    return counted


def _watch(gate: HttpGate) -> ChangeWatch:
    return gate.application.context.change_watch


def _until(is_true: Callable[[], bool]) -> None:
    until = monotonic() + SECONDS_MAX
    while not is_true():
        assert monotonic() < until
        sleep(0.005)


def _submit(client: Client, number: int, **query: Any) -> str:
    body = ndjson(factories.products(number))
    return str(client.post("/v1/batches", params={"format": "ndjson", **query}, content=body).json()["id"])


class Waiting:
    """A request that waits in a thread of its own."""

    def __init__(self, gate: HttpGate, client: Client, path: str, topic: Topic, batch: str = "", **query: Any) -> None:
        """Send it, and return when it waits."""
        self._answers: list[Any] = []
        self._thread = threading.Thread(
            target=lambda: self._answers.append(client.get(path, params={**WAIT, **query}).json())
        )
        subjects = _watch(gate)._subjects
        name = topic, client.merchant, batch
        before = len(subjects[name].waiters) if name in subjects else 0
        self._thread.start()
        _until(lambda: name in subjects and len(subjects[name].waiters) > before)

    def answer(self) -> Any:
        """Return its answer."""
        self._thread.join(SECONDS_MAX)
        return self._answers[0]


def _wait(gate: HttpGate, client: Client, batch: str) -> Waiting:
    return Waiting(gate, client, f"/v1/batches/{batch}", Topic.BATCH, batch)


def test_another_batch_wakes_nobody(gate: HttpGate, reads: Counter[str]) -> None:
    """However many commits it takes; of the same merchant or another one."""
    idle, busy = gate.client(), gate.client()
    held = _submit(idle, 1, hold_if="created:1")
    gate.shop.work()
    waits = [_wait(gate, idle, held), Waiting(gate, idle, "/v1/changes", Topic.JOURNAL, after="now")]
    seen = reads[held]
    for client, kind in ((busy, "product"), (idle, "stock")):
        batch = _submit(client, 2, kind=kind)
        other = _wait(gate, client, batch)
        gate.shop.work()
        assert other.answer()["state"] == "finished"
    assert reads[held] == seen
    idle.post(f"/v1/batches/{held}/approve")
    gate.shop.work()
    assert [waits[0].answer()["state"], len(waits[1].answer()["changes"])] == ["finished", 1]


def test_all_who_wait_for_a_batch_share_its_document(gate: HttpGate, reads: Counter[str]) -> None:
    """It is read once for each change, however many wait."""
    client = gate.client()
    batch = _submit(client, 1)
    waits = [_wait(gate, client, batch) for _ in range(8)]
    gate.shop.work()
    assert {wait.answer()["state"] for wait in waits} == {"finished"}
    assert reads[batch] < len(waits)


def test_a_client_that_asks_again_reads_nothing(gate: HttpGate, reads: Counter[str]) -> None:
    """As long as the batch has not changed; nor does a heartbeat."""
    client = gate.client()
    batch = _submit(client, 1)
    tag = {"if-none-match": client.get(f"/v1/batches/{batch}", params={"wait": 0.01}).headers["etag"]}
    seen = reads[batch]
    for _ in range(5):
        assert client.get(f"/v1/batches/{batch}", params={"wait": 0.01}, headers=tag).status_code == 304
    assert reads[batch] == seen
    gate.shop.work()


def test_a_batch_moves_up_while_its_client_waits(gate: HttpGate) -> None:
    """Its position is told although the batch itself has not changed."""
    client = gate.client()
    first, second = _submit(client, 1), _submit(client, 2, label="second")
    answer = client.get(f"/v1/batches/{second}")
    assert answer.json()["position"] == 1
    moved: list[Any] = []
    thread = threading.Thread(target=lambda: moved.append(client.get(
        f"/v1/batches/{second}", params=WAIT, headers={"if-none-match": answer.headers["etag"]}
    ).json()))
    thread.start()
    _until(lambda: any(key[2] == second and each.waiters for key, each in [*_watch(gate)._subjects.items()]))
    _until(lambda: client.merchant in _watch(gate)._lanes)
    client.post(f"/v1/batches/{first}/cancel")
    assert gate.shop.worker.step()
    thread.join(SECONDS_MAX)
    assert moved[0]["id"] == second
    gate.shop.work()


def test_a_lost_notification_only_delays(gate: HttpGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look into the store finds what changed, for batches and for the journal."""
    if gate.shop.config.store.startswith("postgres"):
        _until(gate.shop.store.is_notified)
    monkeypatch.setattr(Server, "notify", lambda *_: None)
    client = gate.client()
    batch = _submit(client, 1)
    waits = [_wait(gate, client, batch), Waiting(gate, client, "/v1/changes", Topic.JOURNAL, after="now")]
    gate.shop.work()
    assert [waits[0].answer()["state"], len(waits[1].answer()["changes"])] == ["finished", 1]


def test_nothing_is_watched_when_nobody_waits(gate: HttpGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Subjects are forgotten, and the look into the store ends."""
    monkeypatch.setattr("goodsgate.http.change_watch.LINGER_SECONDS", 0.0)
    client = gate.client()
    batch = _submit(client, 1)
    client.get(f"/v1/batches/{batch}", params={"wait": 0.01})
    watch = _watch(gate)
    _until(lambda: not watch._subjects and (watch._task is None or watch._task.done()))
    gate.shop.work()
