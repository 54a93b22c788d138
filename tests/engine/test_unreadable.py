"""Rounds whose payload cannot be read: they are cancelled, or given up, without it."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from goodsgate.formats import write
from goodsgate.formats.isolated import ParserProcess
from goodsgate.model.batch import State
from tests.factories import products
from tests.shop import Shop

LEASE_SECONDS = 0.02


@pytest.fixture
def shop(tmp_path: Path, kind: str) -> Iterator[Shop]:
    """A shop of two merchants."""
    with Shop(tmp_path, "acme", "bolt", kind=kind) as made:
        yield made


def lose_worker(shop: Shop) -> None:
    """Let a worker claim the next lane and never be heard of again."""
    assert shop.store.claim("lost", lease_seconds=LEASE_SECONDS, rounds_max=1, bytes_max=1_000_000) is not None
    time.sleep(LEASE_SECONDS * 2)


def refuse(*_: object) -> Iterator[bytes]:
    """Stand for a payload that cannot be read."""
    raise OSError("Input/output error")


def test_a_payload_that_cannot_be_read_is_cancelled(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next batches of the lane and of others are worked."""
    unreadable = shop.send(products(1, 2))
    shop.engine.cancel("acme", unreadable)
    monkeypatch.setattr(shop.store, "payload", refuse)
    shop.worker.step()
    monkeypatch.undo()
    assert shop.engine.batch("acme", unreadable).state is State.CANCELLED
    assert shop.run(products(3)).state is State.FINISHED
    assert shop.run(products(4), merchant="bolt").state is State.FINISHED


def test_a_batch_whose_worker_died_is_cancelled_without_reading(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who knows what the payload does to this one."""
    batch = shop.send(products(1, 2))
    lose_worker(shop)
    shop.engine.cancel("acme", batch)

    def read(*_: object) -> Iterator[bytes]:
        raise AssertionError("the payload was read")

    monkeypatch.setattr(shop.store, "payload", read)
    shop.work()
    ended = shop.engine.batch("acme", batch)
    assert (ended.state, ended.total) == (State.CANCELLED, 0)


def test_a_batch_whose_worker_died_once_is_worked(shop: Shop) -> None:
    """A single death may be chance."""
    batch = shop.send(products(1, 2))
    lose_worker(shop)
    shop.work()
    assert shop.engine.batch("acme", batch).counts.created == 2


def test_a_parser_that_is_killed_is_started_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an operator, or by a machine without memory: the batch is worked as if nothing had happened."""
    kills = iter([True, True])
    frames = ParserProcess.frames

    def killed(process: ParserProcess, *, pause_seconds: float) -> Iterator[bytes | None]:
        if next(kills, False):
            os.kill(process.pid, signal.SIGKILL)
        return frames(process, pause_seconds=pause_seconds)

    monkeypatch.setattr(ParserProcess, "frames", killed)
    rows = [[f"A-{number}", "Cup"] for number in range(3)]
    batch = shop.run(b"".join(write(iter(rows), format="xlsx", header=["sku", "title"])), format="xlsx")
    assert (batch.state, batch.counts.created) == (State.FINISHED, 3)
    assert next(kills, None) is None


def test_counting_cancelled_records_ends_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody wants is not read to its end while others wait."""
    with Shop(tmp_path, chunk_records_max=10) as shop:
        batch = shop.send(products(*range(40)))
        shop.engine.cancel("acme", batch)
        monkeypatch.setattr("goodsgate.engine.scheduling.CANCEL_SECONDS_MAX", -1.0)
        shop.work()
        ended = shop.engine.batch("acme", batch)
        assert (ended.state, ended.total, ended.counts.cancelled) == (State.CANCELLED, 0, 0)
