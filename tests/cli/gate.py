"""A served gate of its own, and the command line run against it, each as real processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "goodsgate"]
START_SECONDS_MAX = 30
RUN_SECONDS_MAX = 60
RUNNING_AT = re.compile(r"running at (http://\S+)")


class Gate:
    """`goodsgate serve` on a free port with a store below `folder`; the first merchant is `acme`."""

    def __init__(self, folder: Path, *options: str, **settings: object) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.log = folder / "serve.log"
        self.environment = clean_environment() | {f"GOODSGATE_{name.upper()}": str(v) for name, v in settings.items()}
        self.environment["GOODSGATE_STORE"] = str(self.store)
        self.key = ""
        self.start(*options)

    def start(self, *options: str) -> None:
        """Start it, again after it has ended; the store and the merchant's key stay."""
        command = ["serve", "--port", "0", "--first-merchant", "acme", *options]
        self.process = self.launch(*command)
        said = ""
        while not RUNNING_AT.search(said):
            line = self.process.stdout.readline()
            assert line, f"the gate did not open:\n{said}\n{self.log.read_text()}"
            said += line
        self.url = RUNNING_AT.search(said)[1]
        self.key = self.key or re.search(r"GOODSGATE_KEY=(\S+)", said)[1]

    def launch(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start the command line as a process of its own, on the gate's store."""
        # Standard error goes to a file: nobody reads a pipe while the process runs, and a full one would stop it.
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*COMMAND, *arguments], env=self.environment, stdout=subprocess.PIPE, stderr=log, cwd=self.folder,
                text=True,
            )

    def run(self, *arguments: str, stdin: bytes | None = None, url: str | None = None, key: str | None = None,
            ) -> subprocess.CompletedProcess[str]:
        """Run the command line as the merchant acme would."""
        environment = self.environment | {"GOODSGATE_URL": url or self.url, "GOODSGATE_KEY": key or self.key}
        done = subprocess.run(
            [*COMMAND, *arguments], env=environment, cwd=self.folder, input=stdin, capture_output=True,
            timeout=RUN_SECONDS_MAX, check=False,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def document(self, *arguments: str, code: int, **how: Any) -> dict[str, Any]:
        """Run with --json, see that it ends with `code`, and give back the document."""
        done = self.run(*arguments, "--json", **how)
        assert done.returncode == code, done.stderr + done.stdout
        return json.loads(done.stdout)

    def worker_pids(self) -> list[int]:
        """Process ids of all workers that the gate has started so far, the newest last."""
        return [int(pid) for pid in re.findall(r"worker \d+ started \(pid (\d+)\)", self.log.read_text())]

    def stop(self) -> int:
        """Ask it to stop and wait; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=RUN_SECONDS_MAX)
        self.process.stdout.close()
        return code


def clean_environment() -> dict[str, str]:
    """The environment without settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GOODSGATE_")}
    return kept | {"PYTHONUNBUFFERED": "1", "XDG_CONFIG_HOME": "/nonexistent"}


def alive(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """An orphan that nobody collects is dead all the same."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


def within(seconds: float, holds: Any) -> bool:
    """Whether `holds()` comes true; a bound against hanging, not a measurement."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
