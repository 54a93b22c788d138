"""A server that says nothing: how long it is waited for, and who has to wait."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from goodsgate.store.contract import BatchFilter, StoreBusyError, StoreError
from goodsgate.store.postgres import PostgresStore
from goodsgate.store.postgres.connections import NoAnswerError
from tests.postgres import Server

FAR_SECONDS = 60


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the timeouts after which a stalled server is noticed."""
    for module in ("connections", "server"):
        monkeypatch.setattr(f"goodsgate.store.postgres.{module}.SILENCE_SECONDS", 0.3)
        monkeypatch.setattr(f"goodsgate.store.postgres.{module}.CONNECT_SECONDS", 2)


@pytest.fixture
def store(address: str) -> Iterator[PostgresStore]:
    """With two connections."""
    opened = PostgresStore(address, connections_max=2, small_payload_bytes=1_000)
    opened.database.number("acme")
    yield opened
    opened.close()


def _run(store: PostgresStore, *statements: str, seconds: float = FAR_SECONDS,
         meanwhile: Callable[[], object] | None = None) -> Any:
    """What the last statement of a transaction gives; `meanwhile` comes before the first, and between each."""
    row = None
    with store.database.server.transaction(seconds=seconds) as db:
        for statement in statements:
            if meanwhile is not None:
                meanwhile()
            row = db.cursor.execute(statement.encode()).fetchone()
        if meanwhile is not None and not statements:
            meanwhile()
    return row and row[0]


def test_a_slow_statement_is_cancelled_without_effect_on_others(store: PostgresStore) -> None:
    """The server cancels it, and the connection stays usable."""
    before = _run(store, "SELECT pg_backend_pid()")
    with pytest.raises(StoreBusyError, match="statement timeout"):
        _run(store, "SELECT pg_sleep(60)", seconds=0.1)
    assert _run(store, "SELECT pg_backend_pid()") == before


def test_a_statement_waits_for_a_limited_time_for_a_stalled_server(own: Server, store: PostgresStore) -> None:
    """This holds inside a transaction, at its start, and for a new connection; later requests are refused at once."""
    for statements in (["SELECT 1"], []):  # of the second the commit is the first that meets silence
        own.resume()
        _soon_answers(store)
        with pytest.raises(StoreBusyError) as raised:
            _run(store, *statements, seconds=0.1, meanwhile=own.pause)
        assert isinstance(raised.value.__cause__, NoAnswerError)
    own.resume()
    _soon_answers(store)
    own.pause()
    try:
        faults = []
        for _ in range(20):
            with pytest.raises(StoreBusyError) as raised:
                store.batches("acme", BatchFilter())
            faults.append(str(raised.value))
        assert faults.count("the server does not answer") >= 18, faults
    finally:
        own.resume()
    _soon_answers(store)


def _soon_answers(store: PostgresStore) -> None:
    until = time.monotonic() + FAR_SECONDS
    while True:
        try:
            assert _run(store, "SELECT 1") == 1
        except StoreBusyError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


def test_an_abandoned_transaction_ends(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends the transaction of a client that was cut off, and a late client receives an error."""
    monkeypatch.setattr("goodsgate.store.postgres.server.IDLE_SECONDS_MAX", 0.1)
    for statements in (["SELECT 1", "SELECT 1"], []):
        with pytest.raises(StoreBusyError):
            _run(store, *statements, meanwhile=lambda: time.sleep(0.3))
    assert _run(store, "SELECT 1") == 1


def test_no_more_connections_are_opened_than_allowed(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that gets none within the time limit is refused; released connections are used again."""
    monkeypatch.setattr(store.database.server._connections, "_wait_seconds", 0.1)
    with store.database.server.transaction() as one, store.database.server.transaction() as other:
        assert one.cursor.connection is not other.cursor.connection
        with pytest.raises(StoreBusyError, match="no free connection"):
            _run(store, "SELECT 1")
    assert _run(store, "SELECT 1") == 1


def test_idle_connections_are_closed(own: Server, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing the store closes all of them."""
    monkeypatch.setattr("goodsgate.store.postgres.connections.IDLE_SECONDS_MAX", 0.0)
    store = PostgresStore(address, connections_max=4, small_payload_bytes=1_000)
    with store.database.server.transaction(), store.database.server.transaction(), store.database.server.transaction():
        pass
    time.sleep(0.01)
    _run(store, "SELECT 1")
    there = _run(store, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
    assert there <= 2
    store.close()
    with pytest.raises(StoreError, match="closed"):
        _run(store, "SELECT 1")
