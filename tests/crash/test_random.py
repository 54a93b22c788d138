"""kill -9 of the API and of the worker at random moments while a client submits; nothing acknowledged is lost."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx

from goodsgate.model.batch import Batch
from tests.crash.scene import ROOT
from tests.make import product
from tests.shop import Shop, ndjson

KILLS = int(os.environ.get("GOODSGATE_KILLS", "4"))
"""`make crash` sets a larger number."""


class Served:
    """A served gate that can be killed and started again on the same port and store."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.environ = {
            **os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            "GOODSGATE_STORE": str(folder / "store"), "GOODSGATE_BLOCK_RECORDS_MAX": "40",
            "GOODSGATE_LEASE_SECONDS": "1", "GOODSGATE_PORT": str(self.port),
        }
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start, and wait until it answers."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "goodsgate", "serve"], env=self.environ, cwd=ROOT, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(200):
            try:
                if httpx.get(f"{self.url}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the gate did not come back")

    def worker(self) -> int | None:
        """Process id of its worker."""
        try:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        except OSError:
            return None
        return int(children[0]) if children else None

    def kill(self, what: str) -> None:
        """kill -9 of one of the two; a killed API is started again."""
        pid = self.worker() if what == "worker" else self.process.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        if what == "api":
            self.process.wait()
            self.start()

    def stop(self) -> None:
        """Stop in peace."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def bodies() -> list[bytes]:
    """Batches that overwrite each other, dirt included."""
    sent = []
    for turn in range(30):
        numbers = range(turn * 5, turn * 5 + 60)
        sent.append(ndjson([
            product(n, title=None if (n + turn) % 11 == 0 else f"Turn {turn} of {n}") for n in numbers
        ]))
    return sent


def submit(url: str, key: str, *, number: int, body: bytes) -> str:
    """As a patient client does: the same idempotency key until there is an answer."""
    headers = {
        "Authorization": f"Bearer {key}", "Idempotency-Key": f'"turn-{number}"', "Content-Type": "application/x-ndjson",
    }
    for _ in range(300):
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


def test_random_kills(tmp_path: Path) -> None:
    """The catalogue, and every batch's counts and issues, equal those of a run in peace."""
    sent = bodies()
    peace = Shop(tmp_path / "peace")
    expected = [peace.run(body) for body in sent]
    gate = Served(tmp_path)
    try:
        _disturb(gate, tmp_path, sent=sent, peace=peace, expected=expected)
    finally:
        gate.process.kill()
        gate.process.wait()
        peace.store.close()


def _disturb(gate: Served, folder: Path, *, sent: list[bytes], peace: Shop, expected: list[Batch]) -> None:
    """Send, kill, wait, compare."""
    added = subprocess.run(
        [sys.executable, "-m", "goodsgate", "merchant", "add", "acme", "--json"], env=gate.environ, cwd=ROOT,
        check=True, capture_output=True, text=True,
    )
    key = json.loads(added.stdout)["key"]
    ids: list[str] = []
    sender = threading.Thread(
        target=lambda: ids.extend(submit(gate.url, key, number=n, body=body) for n, body in enumerate(sent))
    )
    sender.start()
    chance = random.Random(7)
    for turn in range(KILLS):
        time.sleep(chance.uniform(0.05, 0.6))
        gate.kill("worker" if turn % 2 else "api")
    sender.join(60)
    assert len(ids) == len(sent)
    after = Shop(folder, "acme")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and any(after.engine.batch("acme", one).outcome is None for one in ids):
        time.sleep(0.1)
    gate.stop()
    for one, want in zip(ids, expected, strict=True):
        batch = after.engine.batch("acme", one)
        assert (batch.counts, batch.total, batch.warned) == (want.counts, want.total, want.warned)
        assert after.findings(one) == peace.findings(want.id)
    assert after.items() == peace.items()
    after.store.close()
