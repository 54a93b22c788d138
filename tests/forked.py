"""Processes that are forked from one that has loaded the gate: the start of any other takes half a second of CPU time.

They share nothing else with the tests. They open stores of their own, and are killed like any process.
"""

import importlib
import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from goodsgate.model import crash

SECONDS_MAX = 120
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([
    "goodsgate.store.sqlite", "goodsgate.store.postgres", "goodsgate.console", "goodsgate.observe", "tests.shop",
    "tests.crash.served",
])


def start(work: Callable[..., object], *arguments: object, crash_at: str = "", environ: Mapping[str, str] | None = None,
          output: Path | None = None) -> ForkServerProcess:
    """Start a process that calls a function of a module; it is killed at the point that `crash_at` names.

    What it prints goes to the file `output`, if one is named.
    """
    process = _context.Process(target=_call, args=(work, arguments, crash_at, environ, output))
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


def _call(work: Callable[..., object], arguments: tuple[object, ...], crash_at: str,
          environ: Mapping[str, str] | None, output: Path | None) -> None:
    if environ is not None:
        os.environ.clear()
        os.environ.update(environ)
    if output is not None:
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 1)
    os.environ["GOODSGATE_TEST_CRASH_AT"] = crash_at
    importlib.reload(crash)
    work(*arguments)
