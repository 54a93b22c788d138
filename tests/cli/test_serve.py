"""Processes that fall, and processes that must not be left behind."""

import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from goodsgate.cli.process import NICENESS
from tests import postgres
from tests.cli.conftest import write_ndjson
from tests.cli.gate import COMMAND, Gate, alive, clean_environment, within
from tests.make import product

SETTLE_SECONDS = 30


def test_a_killed_worker_is_started_again_and_the_batch_finishes(tmp_path: Path):
    """kill -9 in the middle of a batch: every record is accounted for once."""
    gate = Gate(tmp_path, lease_seconds=1, poll_seconds=0.01, chunk_bytes=20_000)
    try:
        (worker,) = gate.worker_pids()
        feed = write_ndjson(tmp_path / "feed.ndjson", [product(number) for number in range(20_000)])
        batch = gate.document("submit", str(feed), "--no-wait", code=0)
        os.kill(worker, signal.SIGKILL)
        ended = gate.document("watch", batch["id"], code=0)
        assert ended["counts"]["created"] == ended["counts"]["total"] == 20_000
        assert len(gate.worker_pids()) == 2
    finally:
        assert gate.stop() == 0


def test_a_worker_goes_with_its_gate(tmp_path: Path):
    """kill -9 of the gate; nobody is left behind to work a store that nobody serves."""
    gate = Gate(tmp_path)
    (worker,) = gate.worker_pids()
    gate.process.kill()
    gate.stop()
    assert within(SETTLE_SECONDS, lambda: not alive(worker))


def test_a_gate_that_was_killed_opens_again_with_all_it_accepted(tmp_path: Path):
    """What was acknowledged is worked by the next one."""
    gate = Gate(tmp_path, "--workers", "0", lease_seconds=1)
    feed = write_ndjson(tmp_path / "feed.ndjson", [product(number) for number in range(50)])
    batch = gate.document("submit", str(feed), "--no-wait", code=0)
    assert gate.worker_pids() == []
    gate.process.kill()
    gate.stop()
    gate.start()
    try:
        assert gate.document("watch", batch["id"], code=0)["counts"]["created"] == 50
    finally:
        assert gate.stop() == 0


def test_ctrl_c_and_sigterm_end_with_0_and_leave_nobody(tmp_path: Path):
    """A stop that was asked for is no failure."""
    for number, sent in enumerate((signal.SIGTERM, signal.SIGINT)):
        folder = tmp_path / str(number)
        folder.mkdir()
        gate = Gate(folder)
        (worker,) = gate.worker_pids()
        gate.process.send_signal(sent)
        assert gate.process.wait(SETTLE_SECONDS) == 0
        gate.stop()
        assert not alive(worker)


def test_ctrl_c_while_watching_leaves_the_batch_alone(tmp_path: Path):
    """The code differs from that of a batch with rejected records, and says that nothing was stopped."""
    gate = Gate(tmp_path, "--workers", "0")
    try:
        feed = write_ndjson(tmp_path / "feed.ndjson", [product(1)])
        batch = gate.document("submit", str(feed), "--no-wait", code=0)
        gate.environment |= {"GOODSGATE_URL": gate.url, "GOODSGATE_KEY": gate.key}
        watching = gate.launch("watch", batch["id"])
        assert within(SETTLE_SECONDS, lambda: _sessions(gate) == 1)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(SETTLE_SECONDS) == 130
        watching.stdout.close()
        assert gate.document("list", code=0)["state"] == "queued"
    finally:
        gate.stop()


def _sessions(gate: Gate) -> int:
    """Long polls and event streams that are open."""
    with urllib.request.urlopen(f"{gate.url}/metrics") as answer:
        return int(float(re.search(r"^goodsgate_sessions (\S+)", answer.read().decode(), re.M)[1]))


def test_a_taken_port_is_told_in_one_line(tmp_path: Path):
    """Before the store is opened and a worker started."""
    gate = Gate(tmp_path)
    try:
        done = gate.run("serve", "--port", gate.url.rpartition(":")[2])
        assert done.returncode == 2
        assert "cannot listen on 127.0.0.1" in done.stderr
    finally:
        gate.stop()


def test_a_worker_alone_works_for_a_gate_without_one(tmp_path: Path):
    """`serve --workers 0` and `work`, as two services."""
    gate = Gate(tmp_path, "--workers", "0")
    worker = gate.launch("work", "--name", "second")
    try:
        feed = write_ndjson(tmp_path / "feed.ndjson", [product(1)])
        assert gate.run("submit", str(feed)).returncode == 0
    finally:
        worker.terminate()
        assert worker.wait(SETTLE_SECONDS) == 0
        worker.stdout.close()
        gate.stop()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_worker_on_postgresql_gives_way_to_whoever_answers(tmp_path: Path, kind: str):
    """In the embedded store it does not: whoever answers may wait for what it writes."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    store = str(tmp_path / "other") if kind == "sqlite" else postgres.server().database()
    wanted = min(own + NICENESS, 19) if kind == "postgres" else own
    worker = subprocess.Popen(
        [*COMMAND, "work", "--store", store], env=clean_environment(), cwd=tmp_path, stdin=subprocess.DEVNULL
    )
    try:
        assert within(SETTLE_SECONDS, lambda: _looks_for_work(worker.pid, wanted))
    finally:
        worker.terminate()
        assert worker.wait(SETTLE_SECONDS) == 0


def _looks_for_work(pid: int, niceness: int) -> bool:
    """Whether it has this niceness, seen once it has the threads of a worker."""
    working = len(os.listdir(f"/proc/{pid}/task")) > 1
    return working and os.getpriority(os.PRIO_PROCESS, pid) == niceness
