"""A gate and command lines against it, each in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests import commands

COMMAND = [sys.executable, "-m", "goodsgate"]
START_SECONDS_MAX = 60
RUN_SECONDS_MAX = 120
RUNNING_AT = re.compile(r"running at (http://\S+)")


class Gate:
    """`goodsgate serve` on a free port with a store below `folder`; the first merchant is `acme`."""

    def __init__(self, folder: Path, *options: str, program: Path | None = None, **settings: object) -> None:
        """Start it; `program` is an installed `goodsgate`, if not that of the tests."""
        self._program = program
        self.folder = folder
        self.store = folder / "store"
        self.log = folder / "serve.log"
        self.environment = clean_environment() | {f"GOODSGATE_{name.upper()}": str(v) for name, v in settings.items()}
        self.environment["GOODSGATE_STORE"] = str(self.store)
        self.key = ""
        self.start(*options)

    def start(self, *options: str) -> None:
        """Start the gate, or start it again with the same store and key."""
        command = ["serve", "--port", "0", "--first-merchant", "acme", *options]
        self.process = self.launch(*command)
        output = ""
        while not RUNNING_AT.search(output):
            line = self.process.stdout.readline()
            assert line, f"the gate did not start:\n{output}\n{self.log.read_text()}"
            output += line
        self.url = RUNNING_AT.search(output)[1]
        self.key = self.key or re.search(r"GOODSGATE_KEY=(\S+)", output)[1]

    def launch(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command on the gate's store without waiting for it."""
        command = [self._program] if self._program else COMMAND
        # Standard error goes to a file: nobody reads a pipe while the process runs, and a full one would stop it.
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*command, *arguments], env=self.environment, stdout=subprocess.PIPE, stderr=log, cwd=self.folder,
                text=True,
            )

    def run(self, *arguments: str, stdin: bytes | None = None, url: str | None = None, key: str | None = None,
            ) -> subprocess.CompletedProcess[str]:
        """Run a command with the key of the merchant acme."""
        environment = self.environment | {"GOODSGATE_URL": url or self.url, "GOODSGATE_KEY": key or self.key}
        program = self._program or commands.programs() / "goodsgate"
        done = subprocess.run(
            [program, *arguments], env=environment, cwd=self.folder, input=stdin, capture_output=True,
            timeout=RUN_SECONDS_MAX, check=False,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def document(self, *arguments: str, code: int, **options: Any) -> dict[str, Any]:
        """Run a command with --json, check its exit code, and return the document."""
        done = self.run(*arguments, "--json", **options)
        assert done.returncode == code, done.stderr + done.stdout
        return json.loads(done.stdout)

    def worker_pids(self) -> list[int]:
        """Return the process ids of all workers started so far, the newest last."""
        return [int(pid) for pid in re.findall(r"worker \d+ started \(pid (\d+)\)", self.log.read_text())]

    def stop(self) -> int:
        """Stop the gate, wait for it, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=RUN_SECONDS_MAX)
        self.process.stdout.close()
        return code


def clean_environment() -> dict[str, str]:
    """Return the environment without Goodsgate settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GOODSGATE_")}
    return kept | {"PYTHONUNBUFFERED": "1", "XDG_CONFIG_HOME": "/nonexistent"}


def alive(pid: int) -> bool:
    """Return whether a process is running."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Return whether a process has ended and was not collected."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


def within(seconds: float, condition: Any) -> bool:
    """Return whether the condition becomes true in time; the limit only prevents hanging."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
