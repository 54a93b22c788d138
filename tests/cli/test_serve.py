"""Processes that crash or are stopped, and none that is left running."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from goodsgate.cli.process import NICENESS
from tests import postgres
from tests.cli.conftest import write_ndjson
from tests.cli.gate import COMMAND, Gate, alive, clean_environment, within
from tests.factories import product

WAIT_SECONDS_MAX = 60


def test_a_killed_worker_is_restarted_and_the_batch_finishes(tmp_path: Path):
    """The worker is killed in the middle of a batch; every record is accounted for once."""
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


def test_a_worker_stops_when_its_gate_is_killed(tmp_path: Path):
    """No worker is left running on a store that no gate serves."""
    gate = Gate(tmp_path)
    (worker,) = gate.worker_pids()
    gate.process.kill()
    gate.stop()
    assert within(WAIT_SECONDS_MAX, lambda: not alive(worker))


def test_a_killed_gate_restarts_with_all_accepted_batches(tmp_path: Path):
    """A batch that was accepted before is processed after the restart."""
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


def test_ctrl_c_and_sigterm_stop_gate_and_worker_with_exit_code_0(tmp_path: Path):
    """A requested stop is not a failure."""
    for number, sent in enumerate((signal.SIGTERM, signal.SIGINT)):
        folder = tmp_path / str(number)
        folder.mkdir()
        gate = Gate(folder)
        (worker,) = gate.worker_pids()
        gate.process.send_signal(sent)
        assert gate.process.wait(WAIT_SECONDS_MAX) == 0
        gate.stop()
        assert not alive(worker)


def test_a_signal_while_the_gate_starts_is_not_lost(tmp_path: Path):
    """It ends before it serves anything, with exit code 0."""
    program = """
import signal, sys
from goodsgate.cli.serve import run_gate
from goodsgate.config import Config
run_gate(
    Config(store=sys.argv[1], port=0, workers=0), prepare=lambda store: signal.raise_signal(signal.SIGTERM),
    on_ready=print,
)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "store")], env=clean_environment(), capture_output=True,
        text=True, timeout=WAIT_SECONDS_MAX, check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_ctrl_c_while_watching_does_not_affect_the_batch(tmp_path: Path):
    """The exit code is 130, and the batch stays queued."""
    gate = Gate(tmp_path, "--workers", "0")
    try:
        feed = write_ndjson(tmp_path / "feed.ndjson", [product(1)])
        batch = gate.document("submit", str(feed), "--no-wait", code=0)
        gate.environment |= {"GOODSGATE_URL": gate.url, "GOODSGATE_KEY": gate.key}
        watching = gate.launch("watch", batch["id"])
        assert within(WAIT_SECONDS_MAX, lambda: _sessions(gate) == 1)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(WAIT_SECONDS_MAX) == 130
        watching.stdout.close()
        assert gate.document("list", code=0)["state"] == "queued"
    finally:
        gate.stop()


def _sessions(gate: Gate) -> int:
    """Return the number of open long polls and event streams."""
    request = urllib.request.Request(f"{gate.url}/metrics", headers={"Authorization": f"Bearer {gate.key}"})
    with urllib.request.urlopen(request) as answer:
        return int(float(re.search(r"^goodsgate_sessions (\S+)", answer.read().decode(), re.M)[1]))


def test_a_port_in_use_gives_one_line(tmp_path: Path):
    """The command fails before it opens the store or starts a worker."""
    gate = Gate(tmp_path)
    try:
        done = gate.run("serve", "--port", gate.url.rpartition(":")[2])
        assert done.returncode == 2
        assert "cannot listen on 127.0.0.1" in done.stderr
    finally:
        gate.stop()


def test_a_separate_worker_serves_a_gate_without_workers(tmp_path: Path):
    """`serve --workers 0` and `work` run as two services."""
    gate = Gate(tmp_path, "--workers", "0")
    worker = gate.launch("work", "--name", "second")
    try:
        feed = write_ndjson(tmp_path / "feed.ndjson", [product(1)])
        assert gate.run("submit", str(feed)).returncode == 0
    finally:
        worker.terminate()
        assert worker.wait(WAIT_SECONDS_MAX) == 0
        worker.stdout.close()
        gate.stop()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_worker_on_postgresql_has_a_lower_priority(tmp_path: Path, kind: str):
    """With the embedded store it has not, as API requests may wait for its writes."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    store = str(tmp_path / "other") if kind == "sqlite" else postgres.server().database()
    wanted = min(own + NICENESS, 19) if kind == "postgres" else own
    worker = subprocess.Popen(
        [*COMMAND, "work", "--store", store], env=clean_environment(), cwd=tmp_path, stdin=subprocess.DEVNULL
    )
    try:
        assert within(WAIT_SECONDS_MAX, lambda: _is_working_with(worker.pid, wanted))
    finally:
        worker.terminate()
        assert worker.wait(WAIT_SECONDS_MAX) == 0


def _is_working_with(pid: int, niceness: int) -> bool:
    """Return whether the process has the threads of a worker and this niceness."""
    working = len(os.listdir(f"/proc/{pid}/task")) > 1
    return working and os.getpriority(os.PRIO_PROCESS, pid) == niceness


def test_a_worker_of_a_gate_waits_for_a_store_that_is_gone(tmp_path: Path):
    """It creates no other store in its place."""
    with subprocess.Popen(
        [*COMMAND, "work", "--with-parent", "--store", str(tmp_path / "store")], env=clean_environment(), cwd=tmp_path,
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as worker:
        line = worker.stderr.readline()
        worker.stdin.close()
        assert worker.wait(WAIT_SECONDS_MAX) == 0
    assert "the worker cannot use the store, trying again in 1 s: " in line
    assert f"there is no store in {tmp_path / 'store'}" in line
    assert not (tmp_path / "store").exists()
