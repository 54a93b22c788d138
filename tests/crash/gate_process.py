"""A served gate that is killed and started again, and a client that does not give up."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from goodsgate import auth
from goodsgate.formats import MEDIA_TYPES
from goodsgate.model.catalogue import Scope
from tests import forked, stores
from tests.crash import served
from tests.crash.scene import ROOT
from tests.shop import Shop

START_SECONDS_MAX = 60
END_SECONDS_MAX = 240
TEST_SECONDS_MAX = 600
"""Guards against hanging; a slow machine needs much of it."""


class GateProcess:
    """A served gate that can be killed and started again on the same port and store."""

    def __init__(self, folder: Path, kind: str = "sqlite", *, crash_at: str = "", workers: int = 1) -> None:
        """Start a gate with a merchant, acme; the first process is killed at the point that `crash_at` names."""
        with Shop(folder, "acme", kind=kind) as shop:
            new_key, self.key = auth.new_key("acme", [Scope.SUBMIT, Scope.READ])
            shop.store.add_key(new_key)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.environ = {
            **os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            "GOODSGATE_STORE": stores.create_address(folder, kind), "GOODSGATE_CHUNK_RECORDS_MAX": "40",
            "GOODSGATE_WORKER_DEATHS_MAX": "100",  # workers are killed at random, some before their first commit
            "GOODSGATE_LEASE_SECONDS": "1", "GOODSGATE_PORT": str(self.port), "GOODSGATE_WORKERS": str(workers),
        }
        self.url = f"http://127.0.0.1:{self.port}"
        self.start(crash_at=crash_at)

    def start(self, *, crash_at: str = "") -> None:
        """Start, and wait until it answers."""
        self.process = forked.start(
            served.serve, crash_at=crash_at, environ=self.environ, output=Path(os.devnull)
        )
        until = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < until:
            try:
                if httpx.get(f"{self.url}/healthz", timeout=START_SECONDS_MAX).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the gate did not come back")

    def worker(self) -> int | None:
        """Process id of its worker."""
        return _child(self.process.pid)

    def parser(self) -> int | None:
        """Process id of the parser of the worker, once there is one."""
        for _ in range(200):
            worker = self.worker()
            parser = _child(worker) if worker is not None else None
            if parser is not None:
                return parser
            time.sleep(0.005)
        return None

    def kill(self, what: str) -> None:
        """kill -9 of one of the three; a killed API is started again."""
        pids = {"worker": self.worker, "parser": self.parser, "api": lambda: self.process.pid}
        pid = pids[what]()
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if what == "api":
            self.process.join()
            self.start()

    def close(self) -> None:
        """Kill it, as it is."""
        self.process.kill()
        self.process.join()

    def watch(self) -> Callable[[], int]:
        """Start the gate again whenever it dies; the function given back ends that and says how often it did."""
        done = threading.Event()
        times = 0

        def run() -> None:
            nonlocal times
            while not done.wait(0.02):
                if self.process.exitcode is not None:
                    times += 1
                    self.start()

        thread = threading.Thread(target=run)
        thread.start()

        def end() -> int:
            done.set()
            thread.join()
            return times

        return end

    def finished(self, batch: str) -> dict[str, Any]:
        """The batch's document once it has ended."""
        headers = {"Authorization": f"Bearer {self.key}"}
        until = time.monotonic() + END_SECONDS_MAX
        while time.monotonic() < until:
            answer = httpx.get(f"{self.url}/v1/batches/{batch}", params={"wait": "30"}, headers=headers, timeout=60)
            document: dict[str, Any] = answer.json()
            if document["state"] == "finished":
                return document
        raise AssertionError(document)

    def stop(self) -> None:
        """Stop in peace."""
        self.process.terminate()
        self.process.join(END_SECONDS_MAX)


def _child(pid: int) -> int | None:
    """Return a child of a process."""
    try:  # one that was started again is a child of the thread that watches it
        tasks = [*Path(f"/proc/{pid}/task").glob("*/children")]
        children = [child for task in tasks for child in task.read_text().split()]
    except OSError:
        return None
    return int(children[0]) if children else None


def submit(url: str, key: str, *, number: int, body: bytes) -> str:
    """As a patient client does: the same idempotency key until there is an answer."""
    headers = {
        "Authorization": f"Bearer {key}", "Idempotency-Key": f'"turn-{number}"',
        "Content-Type": MEDIA_TYPES["xlsx" if body.startswith(b"PK") else "ndjson"],
    }
    until = time.monotonic() + END_SECONDS_MAX
    while time.monotonic() < until:
        try:
            answer = httpx.post(f"{url}/v1/batches", params={"collection": "products"}, content=body, headers=headers)
        except httpx.TransportError:
            time.sleep(0.05)
            continue
        if answer.status_code == 202:
            return str(answer.json()["id"])
        assert answer.status_code in (409, 503), answer.text
        time.sleep(0.2)
    raise AssertionError("never accepted")
