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
    """Any number of them on one store; to be closed."""

    def __init__(self, config: Config) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GOODSGATE_")}
        self._environ = {
            **kept, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            **{f"GOODSGATE_{name.upper()}": str(getattr(config, name)) for name in SET},
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """One more, by this name in its leases."""
        self.running[name] = subprocess.Popen(
            [sys.executable, "-m", "goodsgate", "work", "--name", name], env=self._environ, cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def close(self) -> None:
        """All of them, as by a service manager."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            process.wait(SECONDS_MAX)


def wait_until(holds: Callable[[], bool], what: str, *, seconds_max: float = SECONDS_MAX) -> float:
    """Wait until it is so; how long that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds_max, what
        time.sleep(0.002)
    return time.monotonic() - began
