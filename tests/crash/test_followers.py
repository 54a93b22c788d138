"""kill -9 of the gate, its worker and a consumer of its changes at random moments: the consumer's copy is exact."""

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.crash import follower
from tests.crash.gate_process import END_SECONDS_MAX, TEST_SECONDS_MAX, GateProcess, submit
from tests.crash.scene import ROOT
from tests.docs.pages import saved_files
from tests.factories import product
from tests.shop import Shop, ndjson

KILLS = int(os.environ.get("GOODSGATE_TEST_KILLS", "3"))
KILL_SECONDS_MAX = 3
BATCHES = 20
"""`make crash` kills more often, with as many batches more."""


def body(turn: int) -> bytes:
    """Return records that overwrite those of other turns, and delete some."""
    numbers = range(turn % 13 * 5, turn % 13 * 5 + 40)
    return ndjson(
        {"_verb": "delete", "id": product(n)["id"]} if (n + turn) % 7 == 0 else product(n, title=f"Turn {turn} of {n}")
        for n in numbers
    )


class Follower:
    """The process of a consumer, whose copy is `copy.db` in a folder."""

    def __init__(self, gate: GateProcess, folder: Path, program: Path | None = None) -> None:
        folder.mkdir()
        self.file = folder / "copy.db"
        self._folder = folder
        strict = ["-m", "tests.crash.follower", gate.url, gate.key, str(self.file)]
        self._arguments = [sys.executable, *([str(program)] if program else strict)]
        self._environ = gate.environ | {"GOODSGATE_URL": gate.url, "GOODSGATE_KEY": gate.key}
        self.start()

    def start(self) -> None:
        """Start it, or start it again."""
        self.process = subprocess.Popen(self._arguments, cwd=self._folder, env=self._environ)

    def kill(self) -> None:
        """kill -9; it must not have ended before."""
        self.process.kill()
        assert self.process.wait() == -9


@pytest.mark.timeout(TEST_SECONDS_MAX + KILLS * KILL_SECONDS_MAX)
def test_a_copy_is_exact_whoever_is_killed(tmp_path: Path, kind: str) -> None:
    """It begins late, sees each change once and in the order of its key, and ends with the same records.

    So does the copy of the program in the documentation, which is killed together with it.
    """
    gate = GateProcess(tmp_path, kind)
    ids: list[str] = []
    first = submit(gate.url, gate.key, number=0, body=body(0))
    program = tmp_path / "follow.py"
    program.write_text(_documented_program(), "utf-8")
    consumer = Follower(gate, tmp_path / "strict")
    documented = Follower(gate, tmp_path / "documented", program)
    sender = threading.Thread(target=lambda: ids.extend(
        submit(gate.url, gate.key, number=turn, body=body(turn)) for turn in range(1, BATCHES + KILLS)
    ))
    try:
        sender.start()
        chance = random.Random(11)
        for turn in range(KILLS):
            time.sleep(chance.uniform(0.05, 0.6))
            who = ("consumer", "api", "worker")[turn % 3]
            if who == "consumer":
                for each in (consumer, documented):
                    each.kill()
                    each.start()
            else:
                gate.kill(who)
        sender.join(END_SECONDS_MAX)
        for batch in (first, *ids):
            gate.finished(batch)
        with Shop(tmp_path, "acme") as shop:
            _compare(shop, consumer)
            _compare(shop, documented)
    finally:
        for each in (consumer, documented):
            each.process.kill()
            each.process.wait()
        gate.close()


def _documented_program() -> str:
    """Return the program of the page, which here may wait longer for a gate that starts again."""
    text = saved_files(ROOT / "docs/how-to/follow-changes.md")["follow.py"]
    key = 'os.environ["GOODSGATE_KEY"]'
    patient = text.replace(f"{key})", f"{key}, retry_seconds={END_SECONDS_MAX})")
    assert patient != text
    return patient


def _compare(shop: Shop, consumer: Follower) -> None:
    """Wait until the consumer is at the end of the journal, and compare its copy with the catalogue."""
    end = shop.store.journal_position("acme").cursor
    copy = sqlite3.connect(consumer.file, timeout=60)
    until = time.monotonic() + END_SECONDS_MAX
    while (position := follower.cursor_of(copy)) != end:
        assert consumer.process.poll() is None, "a change did not fit the copy"
        assert time.monotonic() < until, (position, end)
        time.sleep(0.05)
    copied = {key: json.loads(record) for key, record in copy.execute("SELECT key, record FROM product")}
    copy.close()
    assert copied
    assert copied == shop.items()
