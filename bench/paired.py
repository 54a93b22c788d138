"""CPU of API and worker for one-record submissions and for a bulk load, of two checkouts in turn.

`python -m bench.paired OTHER [--gates 3] [--rounds 5] [--submissions 400] [--records 100000]`: OTHER is the root of
another checkout, such as a worktree of an older commit. Each checkout serves as many gates as asked, one after the
other, because two gates of one checkout differ by a tenth. In every round each takes the same number of submissions,
one after the other, each of one new product, and the CPU time that its processes used is divided by that number; then
the same again with a long poll for the end of each batch, which costs more than the submission. Then each takes the
same number of records in one batch, new and again. It prints the medians, and the median of the ratios of all rounds,
this checkout to the other. A number of 0 leaves a part out.
"""

import argparse
import http.client
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.figures import lines_of

ROOT = Path(__file__).parents[1]
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Checkout:
    """A gate that is served from the sources of one checkout."""

    def __init__(self, root: Path) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="goodsgate-paired-")
        environ = {
            **os.environ, "PYTHONPATH": str(root / "src"), "GOODSGATE_STORE": f"{self._folder.name}/store",
        }
        command = [sys.executable, "-m", "goodsgate"]
        added = subprocess.run(
            [*command, "merchant", "add", "bench", "--json"], env=environ, check=True, capture_output=True, text=True
        )
        self._key = json.loads(added.stdout)["key"]
        self._serve = subprocess.Popen(
            [*command, "serve", "--port", "0"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._serve.stdout is not None
        while not (found := re.search(r"http://([0-9.:]+)", self._serve.stdout.readline())):
            if self._serve.poll() is not None:
                raise RuntimeError(f"the gate of {root} did not start")
        self._address = found.group(1)

    def cpu_seconds(self) -> float:
        """Return the CPU time that API and worker have used."""
        tasks = Path(f"/proc/{self._serve.pid}/task").glob("*/children")
        pids = {self._serve.pid, *(int(child) for task in tasks for child in task.read_text().split())}
        used = 0
        for pid in pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += int(fields[11]) + int(fields[12])
        return used / TICKS_A_SECOND

    def load(self, payload: bytes) -> float:
        """Submit one large batch and return the CPU time until it has ended."""
        client = http.client.HTTPConnection(self._address, timeout=600)
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/x-ndjson"}
        begin = self.cpu_seconds()
        client.request("POST", "/v1/batches", payload, headers)
        batch = json.loads(client.getresponse().read())
        while batch["state"] != "finished":
            client.request("GET", f"/v1/batches/{batch['id']}?wait=30", None, headers)
            batch = json.loads(client.getresponse().read())
        client.close()
        return self.cpu_seconds() - begin

    def submit(self, lines: list[bytes], *, waits: bool) -> float:
        """Submit each line as a batch of its own and return the CPU time until the last one has ended.

        If it `waits`, a long poll for the end of each batch comes before the next submission.
        """
        client = http.client.HTTPConnection(self._address, timeout=60)
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/x-ndjson"}
        begin = self.cpu_seconds()
        for number, line in enumerate(lines, 1):
            client.request("POST", "/v1/batches", line, headers)
            answer = json.loads(client.getresponse().read())
            if waits or number == len(lines):
                client.request("GET", f"/v1/batches/{answer['id']}?wait=10", None, headers)
                batch = json.loads(client.getresponse().read())
                assert batch["state"] == "finished", batch
        client.close()
        return self.cpu_seconds() - begin

    def close(self) -> None:
        """Stop the gate and remove its store."""
        self._serve.send_signal(signal.SIGTERM)
        self._serve.wait(30)
        self._folder.cleanup()


Used = dict[str, list[list[float]]]
"""What was measured → CPU times of this checkout, and of the other."""


def main() -> None:
    """Measure both checkouts in turn, in several pairs of gates, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("--gates", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--submissions", type=int, default=400)
    parser.add_argument("--records", type=int, default=100_000)
    options = parser.parse_args()
    used: Used = {}
    for _ in range(options.gates):
        checkouts = [Checkout(ROOT), Checkout(options.other)]
        try:
            if options.submissions:
                for waits in (False, True):
                    _compare_submissions(checkouts, used, options.rounds, options.submissions, waits=waits)
            if options.records:
                _compare_loads(checkouts, used, options.rounds, options.records)
        finally:
            for checkout in checkouts:
                checkout.close()
    for name, times in used.items():
        _print_ratio(name, times)


def _compare_submissions(checkouts: list[Checkout], used: Used, rounds: int, submissions: int, *, waits: bool) -> None:
    """Add the milliseconds of CPU of a submission in both checkouts; the first round only warms up."""
    name = "ms a submission, " + ("with a long poll for each" if waits else "one after the other")
    for number in range(rounds + 1):
        lines = lines_of(submissions, start=(number + waits * (rounds + 1)) * submissions)
        for at in (0, 1) if number % 2 else (1, 0):
            milliseconds = checkouts[at].submit(lines, waits=waits) / submissions * 1000
            if number:
                used.setdefault(name, [[], []])[at].append(milliseconds)


def _compare_loads(checkouts: list[Checkout], used: Used, rounds: int, records: int) -> None:
    """Add the microseconds of CPU of a record of a large batch in both checkouts, new and again."""
    for number in range(rounds):
        payload = b"\n".join(lines_of(records, start=10_000_000 + number * records))
        for name in ("µs a record of a large batch, new", "µs a record of a large batch, again"):
            for at in (0, 1) if number % 2 else (1, 0):
                used.setdefault(name, [[], []])[at].append(checkouts[at].load(payload) / records * 1e6)


def _print_ratio(name: str, used: list[list[float]]) -> None:
    ratios = [mine / other for mine, other in zip(*used, strict=True)]
    print(f"{name}: CPU of this checkout {statistics.median(used[0]):.3f}, of the other "
          f"{statistics.median(used[1]):.3f}; median ratio {statistics.median(ratios):.3f} "
          f"({', '.join(f'{ratio:.2f}' for ratio in ratios)})", flush=True)


if __name__ == "__main__":
    main()
