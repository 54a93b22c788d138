"""Processes of `goodsgate work`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from goodsgate.config import Config
from tests.crash.scene import ROOT

SECONDS_MAX = 60
SET = ("store", "lease_seconds", "poll_seconds", "chunk_records_max")


class Workers:
    """Worker processes on one store; close them in the end."""

    def __init__(self, config: Config) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GOODSGATE_")}
        self._environ = {
            **inherited, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            **{f"GOODSGATE_{name.upper()}": str(getattr(config, name)) for name in SET},
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Start a worker whose leases have this name."""
        self.running[name] = subprocess.Popen(
            [sys.executable, "-m", "goodsgate", "work", "--name", name], env=self._environ, cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )

    def kill(self, name: str) -> None:
        """Kill a worker with SIGKILL."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def close(self) -> None:
        """Stop all workers with SIGTERM."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            process.wait(SECONDS_MAX)


def wait_until(holds: Callable[[], bool], what: str, *, seconds_max: float = SECONDS_MAX) -> float:
    """Wait until `holds` returns True, and return the seconds that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds_max, what
        time.sleep(0.01)
    return time.monotonic() - began
