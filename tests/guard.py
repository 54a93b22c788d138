"""Ends the processes in a folder and removes it once the tests are gone: `python -m tests.guard FOLDER`.

It reads its standard input, which the tests keep open and never write to, so that it ends with the tests, however they
end. It has a session of its own, so that Ctrl-C and a killed process group do not reach it.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 10


def start(folder: Path) -> "subprocess.Popen[bytes]":
    """Start a guard process of a folder; closing its standard input makes it clean up."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.guard", str(folder)], cwd=TOP, stdin=subprocess.PIPE, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )


def processes_in(folder: Path) -> list[int]:
    """Return the ids of processes whose working folder is this one or below it, oldest first."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended just now, or is none of ours
            if Path(os.readlink(process / "cwd")).is_relative_to(folder):
                found.append(int(process.name))
    return sorted(found)


def send(folder: Path, number: signal.Signals) -> list[int]:
    """Send a signal to these processes and return their ids."""
    reached = processes_in(folder)
    for process in reached:
        with suppress(ProcessLookupError):
            os.kill(process, number)
    return reached


def _end(folder: Path) -> None:
    """Ask the processes to end, so that a server frees its shared memory; kill them after a time; remove the folder."""
    until = time.monotonic() + PATIENCE_SECONDS
    send(folder, signal.SIGQUIT)
    send(folder, signal.SIGCONT)
    while processes_in(folder):
        if time.monotonic() > until:
            send(folder, signal.SIGKILL)
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    _end(Path(sys.argv[1]).resolve())
