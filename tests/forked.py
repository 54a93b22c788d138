"""Processes that are forked from one that has loaded the gate: the start of any other takes half a second of CPU time.

They share nothing else with the tests. They open stores of their own, and are killed like any process.
"""

import importlib
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess

from goodsgate.model import crash

SECONDS_MAX = 60
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([
    "goodsgate.store.sqlite", "goodsgate.store.postgres", "goodsgate.console", "goodsgate.observe", "tests.shop",
    "tests.crash.served",
])


def start(work: Callable[..., object], *arguments: object, crash_at: str = "") -> ForkServerProcess:
    """Start a process that calls a function of a module; it is killed at the point that `crash_at` names."""
    process = _context.Process(target=_call, args=(work, arguments, crash_at))
    process.start()
    return process


def run(work: Callable[..., object], *arguments: object, crash_at: str = "") -> int:
    """Run such a process to its end and return its exit status, negative for the signal that ended it."""
    process = start(work, *arguments, crash_at=crash_at)
    try:
        process.join(SECONDS_MAX)
        assert process.exitcode is not None, "the process did not end"
        return process.exitcode
    finally:
        process.kill()
        process.join()
        process.close()


def _call(work: Callable[..., object], arguments: tuple[object, ...], crash_at: str) -> None:
    os.environ["GOODSGATE_TEST_CRASH_AT"] = crash_at
    importlib.reload(crash)
    work(*arguments)
