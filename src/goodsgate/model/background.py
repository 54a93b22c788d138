"""Threads beside the work of a process. An unforeseen error in one of them is logged, and the thread goes on."""

import logging
import threading
import time
from collections.abc import Callable

PAUSE_SECONDS_MIN = 1.0
PAUSE_SECONDS_MAX = 30.0
"""Pause after an error; it doubles from the one to the other while the errors go on."""
STEADY_SECONDS = 60.0
"""After an error that comes later than this, the pauses begin again with the shortest one."""

log = logging.getLogger(__name__)


class BackgroundThread:
    """A thread that runs a function until it is told to stop, and runs it again if it raises an error.

    Without that a thread would end in silence: the process would go on without what the thread does.
    """

    def __init__(self, name: str, run: Callable[[], None], stop: threading.Event) -> None:
        """Start nothing yet. `run` returns once `stop` is set; it may be called again after an error."""
        self._name = name
        self._run = run
        self._stop = stop
        self._thread = threading.Thread(target=self._repeat, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, seconds: float | None = None) -> None:
        """Wait until the thread has ended, if it was started."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _repeat(self) -> None:
        pause = PAUSE_SECONDS_MIN
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._run()
                return
            except Exception:
                if time.monotonic() - began > STEADY_SECONDS:
                    pause = PAUSE_SECONDS_MIN
                log.exception("the thread %s failed, trying again in %.0f s", self._name, pause)
            self._stop.wait(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)


def run_once(name: str, run: Callable[[], None]) -> None:
    """Run a function in a thread that ends with the process at the latest; an unforeseen error is logged."""

    def run_and_log() -> None:
        try:
            run()
        except Exception:
            log.exception("the thread %s failed", name)

    threading.Thread(target=run_and_log, name=name, daemon=True).start()
