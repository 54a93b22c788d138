"""Worker processes that start and stop with the process that started them."""

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from functools import partial

from goodsgate.config import Config
from goodsgate.model.background import BackgroundThread

BACKOFF_SECONDS_MIN = 0.2
BACKOFF_SECONDS_MAX = 30.0
STEADY_SECONDS = 60.0
"""A worker that ran at least this long is restarted at once."""
STOP_SECONDS_MAX = 60.0
"""Time for the current chunk; then a worker is killed, and its lease expires."""

log = logging.getLogger("goodsgate.serve")


class WorkerSupervisor:
    """Starts worker processes, restarts those that crash, and stops them.

    Each worker's standard input is a pipe that only this process holds open. However this process ends, kill -9
    included, the kernel closes the pipe; the worker reads the end of its input and stops.
    """

    def __init__(self, config: Config, count: int) -> None:
        self._config = config
        self._count = count
        self._stopping = threading.Event()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._threads: list[BackgroundThread] = []

    def start(self) -> None:
        """Start all workers."""
        for slot in range(self._count):
            self._threads.append(BackgroundThread(f"worker-{slot}", partial(self._watch, slot), self._stopping))
            self._threads[-1].start()

    def count_alive(self) -> int:
        """Return the number of workers that are running."""
        return len(self._processes)

    def request_stop(self) -> None:
        """Tell every worker to stop after its current chunk, without waiting."""
        with self._lock:
            self._stopping.set()
            for process in self._processes.values():
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()

    def stop(self) -> None:
        """Stop all workers and wait for them; kill those that take longer than STOP_SECONDS_MAX."""
        self.request_stop()
        deadline = time.monotonic() + STOP_SECONDS_MAX
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            for process in self._processes.values():
                process.kill()
        for thread in self._threads:
            thread.join()

    def _watch(self, slot: int) -> None:
        crashes = 0
        while (process := self._processes.get(slot) or self._launch(slot)) is not None:
            started = time.monotonic()
            code = process.wait()
            with self._lock:
                del self._processes[slot]
            if process.stdin:
                process.stdin.close()
            if self._stopping.is_set():
                return
            crashes = 0 if time.monotonic() - started > STEADY_SECONDS else crashes + 1
            pause = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN * 2.0 ** (crashes - 1)) if crashes else 0.0
            log.warning(
                "worker %d (pid %d) ended with code %d; restarting in %.1f s", slot, process.pid, code, pause
            )
            self._stopping.wait(pause)

    def _launch(self, slot: int) -> subprocess.Popen[bytes] | None:
        command = [sys.executable, "-m", "goodsgate", "work", "--with-parent"]
        with self._lock:
            if self._stopping.is_set():
                return None
            # Its own process group: Ctrl-C on the terminal stops this process, which then stops the workers.
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, env=_environment(self._config), process_group=0
            )
            self._processes[slot] = process
        log.info("worker %d started (pid %d)", slot, process.pid)
        return process


def _environment(config: Config) -> dict[str, str]:
    """Return the environment with all settings added, so that a worker has the same settings as this process."""
    settings = {f"GOODSGATE_{name.upper()}": str(getattr(config, name)) for name in config.__struct_fields__}
    return os.environ | settings
