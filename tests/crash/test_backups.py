"""Backups at random moments, under a client that submits and a worker that works and sweeps; each is opened again."""

import random
import subprocess
import threading
import time
from pathlib import Path

import pytest

from goodsgate.model.batch import Batch
from goodsgate.store.contract import BatchFilter
from goodsgate.store.sqlite import SqliteStore
from tests import stores
from tests.crash.gate_process import END_SECONDS_MAX, TEST_SECONDS_MAX, GateProcess, submit
from tests.factories import product
from tests.postgres import server
from tests.shop import Shop, ndjson

SWEPT_AT_ONCE = {
    "GOODSGATE_PAYLOAD_DAYS": "0.000001", "GOODSGATE_SWEEP_SECONDS": "0.02", "GOODSGATE_SMALL_PAYLOAD_BYTES": "6000",
}


def bodies() -> list[bytes]:
    """Batches that overwrite each other, every other one a payload of its own file; dirt included."""
    sent = []
    for turn in range(40):
        numbers = range(turn * 3, turn * 3 + (300 if turn % 2 else 10))
        sent.append(ndjson([
            product(n, title=None if (n + turn) % 11 == 0 else f"Turn {turn} of {n}") for n in numbers
        ]))
    return sent


class Truth:
    """What each batch came to, and the catalogue after each, worked one by one in peace."""

    def __init__(self, folder: Path, sent: list[bytes]) -> None:
        self.ended: list[Batch] = []
        self.findings: list[object] = []
        self.items: list[dict[str, object]] = [{}]
        with Shop(folder) as shop:
            for body in sent:
                self.ended.append(shop.run(body))
                self.findings.append(shop.findings(self.ended[-1].id))
                self.items.append(shop.items())


def copy_folder(gate: Path, to: Path) -> None:
    """As `goodsgate backup` does."""
    store = SqliteStore(gate / "store", cache_bytes=1024**2, small_payload_bytes=100)
    store.back_up(to / "store")
    store.close()


def copy_database(gate: Path, to: Path) -> None:
    """As docs/how-to/back-up.md has it."""
    dump = to.with_suffix(".dump")
    _run("pg_dump", "--format=custom", f"--file={dump}", stores.address(gate))
    stores.set_address(to, server().blank())
    _run("pg_restore", "--exit-on-error", f"--dbname={stores.address(to)}", dump)


def _run(program: str, *words: object) -> None:
    path = server().binaries / program
    if not path.exists():
        reason = f"this PostgreSQL has no {program}"
        print(reason)
        pytest.skip(reason)
    subprocess.run([path, *map(str, words)], check=True)


COPIES = {"sqlite": (copy_folder, 12), "postgres": (copy_database, 4)}
"""How, and how often."""


@pytest.mark.timeout(TEST_SECONDS_MAX)
def test_every_backup_answers_for_what_was_acknowledged(tmp_path: Path, kind: str,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds all of that, in order and perhaps a little more, and ends where an undisturbed gate would have ended."""
    for name, text in SWEPT_AT_ONCE.items():
        monkeypatch.setenv(name, text)
    sent = bodies()
    truth = Truth(tmp_path / "peace", sent)
    gate = GateProcess(tmp_path / "gate", kind)
    ids: list[str] = []
    copy, times = COPIES[kind]
    try:
        sender = threading.Thread(
            target=lambda: ids.extend(submit(gate.url, gate.key, number=n, body=body) for n, body in enumerate(sent))
        )
        sender.start()
        chance = random.Random(11)
        acknowledged = []
        for number in range(times):
            time.sleep(chance.uniform(0.0, 0.2))
            acknowledged.append(len(ids))
            copy(tmp_path / "gate", tmp_path / f"copy{number}")
        sender.join(END_SECONDS_MAX)
        gate.stop()
    finally:
        gate.close()
    assert len(ids) == len(sent)
    assert acknowledged[0] < acknowledged[-1]
    for number, there in enumerate(acknowledged):
        with Shop(tmp_path / f"copy{number}", "acme") as opened:
            _compare(opened, truth, ids=ids, acknowledged=there)


def _compare(copy: Shop, truth: Truth, *, ids: list[str], acknowledged: int) -> None:
    """A copy with the truth, once it was worked to the end."""
    held = [batch.id for batch in copy.store.batches("acme", BatchFilter(), limit=500).rows][::-1]
    assert held == ids[: len(held)]
    assert len(held) >= acknowledged
    while copy.store.statistics()["lanes"]:  # a lease of the worker that was at it may have to end first
        copy.work()
        time.sleep(0.02)
    for batch, want, findings in zip(held, truth.ended, truth.findings, strict=False):
        found = copy.engine.batch("acme", batch)
        assert (found.state, found.counts, found.total, found.warned) == (
            want.state, want.counts, want.total, want.warned
        )
        assert copy.findings(batch) == findings
    assert copy.items() == truth.items[len(held)]
