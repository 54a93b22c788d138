"""Background threads survive an unforeseen error: they log it, wait, and go on."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from goodsgate.app import delivery_settings
from goodsgate.cli.supervisor import WorkerSupervisor
from goodsgate.config import Config
from goodsgate.engine.lease import Heartbeat
from goodsgate.engine.outbox import Outbox
from goodsgate.model import background
from goodsgate.store.postgres import PostgresStore
from goodsgate.store.sqlite.checkpoints import Checkpoints
from tests import postgres
from tests.shop import Shop

HANG_SECONDS = 60


class Fuse:
    """A function that raises an unforeseen error at its first call, and notes that it was called again."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function
        self._calls = 0
        self.called_again = threading.Event()

    def __call__(self, *args: object, **named: object) -> object:
        """Raise once, then call the function."""
        self._calls += 1
        if self._calls == 1:
            raise RuntimeError("an unforeseen error")
        self.called_again.set()
        return self._function(*args, **named)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PAUSE_SECONDS_MIN", 0.01)


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """Closes what a test has opened."""
    with ExitStack() as stack:
        yield stack


def _outbox(fuse: Callable[[object, str], Fuse], folder: Path, closing: ExitStack) -> Fuse:
    shop = closing.enter_context(Shop(folder, kind="sqlite"))
    outbox = Outbox(shop.store, {"any/topic": object()}, delivery_settings(shop.config))  # type: ignore[dict-item]
    blown = fuse(outbox, "_claim")
    outbox.start()
    closing.callback(outbox.stop)
    return blown


def _heartbeat(fuse: Callable[[object, str], Fuse], folder: Path, closing: ExitStack) -> Fuse:
    shop = closing.enter_context(Shop(folder, kind="sqlite"))
    shop.send([{"id": "a", "title": "a"}])
    claim = shop.store.claim("w", lease_seconds=60, rounds_max=1, bytes_max=1)
    assert claim is not None
    blown = fuse(shop.store, "renew_claim")
    heartbeat = Heartbeat(shop.store, lease_seconds=0.03)
    closing.callback(heartbeat.stop)
    closing.enter_context(heartbeat.keeping(claim))
    return blown


def _checkpoints(fuse: Callable[[object, str], Fuse], folder: Path, closing: ExitStack) -> Fuse:
    shop = closing.enter_context(Shop(folder, kind="sqlite"))
    database = shop.store.store.database  # type: ignore[attr-defined]
    checkpoints = Checkpoints(database.intake, database.catalogue)
    blown = fuse(checkpoints, "_state")
    checkpoints.start()
    closing.callback(checkpoints.stop)
    return blown


def _postgres(name: str) -> Callable[..., Fuse]:
    def start(fuse: Callable[[object, str], Fuse], _folder: Path, closing: ExitStack) -> Fuse:
        store = PostgresStore(postgres.server().database(), connections_max=4, small_payload_bytes=1000)
        closing.callback(store.close)
        blown = fuse(store.database.server, name)
        store.database.notifications.notify("acme")
        if name == "notify":  # the first one is lost with the error
            threading.Timer(0.2, store.database.notifications.notify, ["acme"]).start()
        return blown

    return start


def _supervisor(fuse: Callable[[object, str], Fuse], _folder: Path, closing: ExitStack) -> Fuse:
    supervisor = WorkerSupervisor(Config(), 1)
    supervisor._launch = lambda _slot: None  # type: ignore[method-assign]  # the second call starts no process
    blown = fuse(supervisor, "_launch")
    closing.callback(supervisor.stop)
    supervisor.start()
    return blown


THREADS = {
    "outbox": _outbox, "heartbeat": _heartbeat, "checkpoints": _checkpoints, "store-listen": _postgres("connect"),
    "store-send": _postgres("notify"), "worker-0": _supervisor,
}


@pytest.mark.parametrize("name", THREADS)
def test_a_background_thread_goes_on_after_an_unforeseen_error(
    name: str, tmp_path: Path, closing: ExitStack, caplog: pytest.LogCaptureFixture,
) -> None:
    """The error is logged with the name of the thread."""
    def fuse(owner: object, method: str) -> Fuse:
        blown = Fuse(getattr(owner, method))
        setattr(owner, method, blown)
        return blown

    with caplog.at_level(logging.ERROR, background.__name__):
        blown = THREADS[name](fuse, tmp_path, closing)
        assert blown.called_again.wait(HANG_SECONDS)
    assert [record.args[0] for record in caplog.records if record.name == background.__name__] == [name]
