"""Worker processes that live and die with the process that started them."""

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time

from goodsgate.config import Config

BACKOFF_SECONDS_MIN = 0.2
BACKOFF_SECONDS_MAX = 30.0
STEADY_SECONDS = 60.0
"""A worker that ran this long before it fell starts again at once."""
STOP_SECONDS_MAX = 60.0
"""Time for the portion in hand; then a worker is killed, and its lease runs out by itself."""

log = logging.getLogger("goodsgate.serve")


class Workers:
    """Starts worker processes, starts them again when they fall, and stops them.

    Each worker's standard input is a pipe that only this process holds open. However this process ends, kill -9
    included, the kernel closes the pipe, and the worker reads its end and stops.
    """

    def __init__(self, config: Config, number: int) -> None:
        self._config = config
        self._stopping = threading.Event()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._number = number
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start all of them."""
        for slot in range(self._number):
            process = self._launch(slot)
            self._threads.append(threading.Thread(target=self._keep, args=(slot, process), daemon=True))
            self._threads[-1].start()

    def alive(self) -> int:
        """How many run now."""
        return len(self._processes)

    def ask_to_stop(self) -> None:
        """Tell every worker to finish the portion in hand; returns at once."""
        with self._lock:
            self._stopping.set()
            for process in self._processes.values():
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()

    def stop(self) -> None:
        """Wait until every worker has ended; after STOP_SECONDS_MAX they are killed."""
        self.ask_to_stop()
        until = time.monotonic() + STOP_SECONDS_MAX
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        with self._lock:
            for process in self._processes.values():
                process.kill()
        for thread in self._threads:
            thread.join()

    def _keep(self, slot: int, process: subprocess.Popen[bytes] | None) -> None:
        falls = 0
        while process is not None:
            started = time.monotonic()
            code = process.wait()
            with self._lock:
                del self._processes[slot]
            if process.stdin:
                process.stdin.close()
            if self._stopping.is_set():
                return
            falls = 0 if time.monotonic() - started > STEADY_SECONDS else falls + 1
            pause = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN * 2.0 ** (falls - 1)) if falls else 0.0
            told = "worker %d (pid %d) ended with code %d; starting again in %.1f s"
            log.warning(told, slot, process.pid, code, pause)
            self._stopping.wait(pause)
            process = self._launch(slot)

    def _launch(self, slot: int) -> subprocess.Popen[bytes] | None:
        command = [sys.executable, "-m", "goodsgate", "work", "--with-parent"]
        with self._lock:
            if self._stopping.is_set():
                return None
            # A group of its own: Ctrl-C on the terminal stops the gate, and the gate its workers.
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, env=_environment(self._config), process_group=0
            )
            self._processes[slot] = process
        log.info("worker %d started (pid %d)", slot, process.pid)
        return process


def _environment(config: Config) -> dict[str, str]:
    """The environment with every setting in it, so that the worker sees what this process sees."""
    settings = {f"GOODSGATE_{name.upper()}": str(getattr(config, name)) for name in config.__struct_fields__}
    return os.environ | settings
