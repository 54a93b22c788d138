"""Processes of `goodsgate work`, which are forked."""

import os
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess

from goodsgate.cli import main
from goodsgate.config import Config
from tests import forked

SECONDS_MAX = 60
SET = ("store", "lease_seconds", "poll_seconds", "chunk_records_max")


class Workers:
    """Worker processes on one store; close them in the end."""

    def __init__(self, config: Config) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GOODSGATE_")}
        self._environ = {**inherited, **{f"GOODSGATE_{name.upper()}": str(getattr(config, name)) for name in SET}}
        self.running: dict[str, ForkServerProcess] = {}

    def start(self, name: str) -> None:
        """Start a worker whose leases have this name."""
        self.running[name] = forked.start(work, name, environ=self._environ)

    def kill(self, name: str) -> None:
        """Kill a worker with SIGKILL."""
        process = self.running.pop(name)
        process.kill()
        process.join()

    def close(self) -> None:
        """Stop all workers with SIGTERM."""
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.join(SECONDS_MAX)


def work(name: str) -> None:
    """Work under this name, and log nothing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    main(["work", "--name", name], prog_name="goodsgate")


def wait_until(holds: Callable[[], bool], what: str, *, seconds_max: float = SECONDS_MAX) -> float:
    """Wait until `holds` returns True, and return the seconds that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds_max, what
        time.sleep(0.01)
    return time.monotonic() - began
