"""Attack a real gate with its worker: `python -m bench.attack [--requests 100000] [--seconds 60]`.

Hostile clients, hostile files and fuzzed requests run at the same time, while another merchant submits batches of 20
records. Prints a Markdown table for each kind of store, and exits 1 if a demand is not reached. PostgreSQL takes part
if the machine has it or its wheel.
"""

import argparse
import contextlib
import itertools
import re
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from bench.figures import Figure, lines_of
from bench.gate import Gate
from bench.hostile import (
    ANSWER_SECONDS,
    CLIENTS,
    FILES,
    FUZZ_ADDRESS,
    HOSTILE_ADDRESS,
    LIMIT_SECONDS,
    Fuzzer,
    StillOpenError,
    Target,
)
from goodsgate.cli.process import raise_descriptor_limit
from tests import postgres

CLIENTS_EACH = 4
"""Connections of each kind of hostile client at once."""
FUZZ_THREADS = 4
RESIDENT_MB_MAX = 200
FINISH_SECONDS_MAX = 3
OTHER_ADDRESS = "127.0.0.2"
REFUSED_BY_LIMIT = re.compile(rb'"code":"(?:uploads_full|sessions_full|connections_full)"')
"""Statuses of 503 that an attacker is meant to receive."""
SETTINGS = {
    "headers_seconds": LIMIT_SECONDS, "keep_alive_seconds": LIMIT_SECONDS, "write_seconds": LIMIT_SECONDS,
    "body_idle_seconds": LIMIT_SECONDS, "wait_seconds_max": LIMIT_SECONDS, "signatures": "accept", "rate_limits": "off",
}


class Campaign:
    """One attack on one gate; the figures are read when it has ended."""

    def __init__(self, gate: Gate, *, requests: int, seconds: float, files: bool = True) -> None:
        self._gate = gate
        self._port = urlsplit(gate.url).port or 0
        self._requests = requests
        self._seconds = seconds
        self._until = 0.0
        self._files = files
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self.statuses: Counter[int] = Counter()
        self.faults: list[tuple[bytes, bytes]] = []
        """Requests that were answered with 5xx, and the answers."""
        self.still_open: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.finishes_seconds: list[float] = []
        self.submitted: Counter[str] = Counter()

    def run(self) -> Iterator[Figure]:
        """Attack until the time is up and all requests are sent; return the figures."""
        attacker, other = self._gate.add_merchant("attacker"), self._gate.add_merchant("other")
        target = Target(self._port, attacker, "x" * 32)
        work: list[Callable[[], None]] = [
            lambda client=client, name=name: self._repeat_client(name, client, target)  # type: ignore[misc]
            for name, client in CLIENTS.items() for _ in range(CLIENTS_EACH)
        ]
        work += [lambda number=number: self._fuzz(Fuzzer(attacker, number)) for number in range(FUZZ_THREADS)]
        work += [lambda: self._submit_files(attacker)] if self._files else []
        threads = [threading.Thread(target=each, daemon=True) for each in work]
        self._until = time.monotonic() + self._seconds
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self._submit_batch(other)
        yield from self._figures()

    def _is_over(self) -> bool:
        return time.monotonic() >= self._until

    def _repeat_client(self, name: str, client: Callable[[Target], None], target: Target) -> None:
        while True:
            try:
                client(target)
                self.ended[name] += 1
            except StillOpenError:
                self.still_open[name] += 1
            except OSError:
                time.sleep(0.1)
            if self._is_over():
                return

    def _fuzz(self, fuzzer: Fuzzer) -> None:
        for request in fuzzer:
            if next(self._numbers) >= self._requests:
                return
            answer = self._ask(request)
            status = int(found[1]) if (found := re.match(rb"HTTP/1.1 (\d{3})", answer)) else 0
            with self._lock:
                self.statuses[status] += 1
                if status >= 500 and not REFUSED_BY_LIMIT.search(answer):
                    self.faults.append((request, answer))

    def _ask(self, request: bytes) -> bytes:
        answer = b""
        with contextlib.suppress(OSError), socket.create_connection(
                ("127.0.0.1", self._port), timeout=ANSWER_SECONDS, source_address=(FUZZ_ADDRESS, 0)) as connection:
            connection.sendall(request)
            while piece := connection.recv(65536):
                answer += piece
                connection.settimeout(0.5)
        return answer

    def _submit_files(self, key: str) -> None:
        for name, make in itertools.cycle(FILES.items()):
            if self._is_over():
                return
            file = make()
            with contextlib.suppress(OSError):
                client = HTTPConnection("127.0.0.1", self._port, timeout=60, source_address=(HOSTILE_ADDRESS, 0))
                headers = {"X-API-Key": key, "Content-Encoding": file.content_encoding}
                client.request("POST", f"/v1/batches?format={file.format}", body=file.body, headers=headers)
                self.submitted[f"{name} {client.getresponse().status}"] += 1
                client.close()

    def _submit_batch(self, key: str) -> None:
        """Submit 20 records of the merchant who must not suffer, and wait for their end."""
        turn = len(self.finishes_seconds)
        began = time.perf_counter()
        client = HTTPConnection("127.0.0.1", self._port, timeout=120, source_address=(OTHER_ADDRESS, 0))
        body = b"\n".join(lines_of(20, version=turn))
        client.request("POST", "/v1/batches?format=ndjson", body=body, headers={"X-API-Key": key})
        document = orjson.loads(client.getresponse().read())
        while document["state"] not in ("finished", "cancelled", "broken"):
            client.request("GET", f"/v1/batches/{document['id']}?wait=2", headers={"X-API-Key": key})
            document = orjson.loads(client.getresponse().read())
        client.close()
        assert document["outcome"] != "rejected", document
        self.finishes_seconds.append(time.perf_counter() - began)
        time.sleep(0.2)

    def _figures(self) -> Iterator[Figure]:
        sent = sum(self.statuses.values())
        yield Figure("answers with 5xx", len(self.faults), 0, False, f"{sent} requests: {_listed(self.statuses)}")
        yield Figure(
            "connections alive past their limits", self.still_open.total(), 0, False,
            f"{self.ended.total()} were closed in time {_listed(self.still_open)}",
        )
        yield Figure("API, peak of resident memory, MB", self._gate.peaks.get("api", 0), RESIDENT_MB_MAX, False)
        finishes = self.finishes_seconds
        yield Figure(
            "slowest batch of another merchant, s", max(finishes), FINISH_SECONDS_MAX, False,
            f"{len(finishes)} batches, median {statistics.median(finishes):.2f} s, "
            f"beside {self.submitted.total()} hostile files",
        )


def _listed(counts: "Counter[int] | Counter[str]") -> str:
    return ", ".join(f"{number} × {name}" for name, number in counts.most_common(12))


def gates(only: str | None) -> Iterator[tuple[str, Callable[[], Gate]]]:
    """Return how to open a gate on each kind of store."""
    if only != "postgresql":
        yield "embedded", lambda: Gate(**SETTINGS)
    if only == "embedded":
        return
    binaries = postgres.first(itertools.chain(postgres.machine(), postgres.wheel()))
    if binaries is not None:
        server = postgres.Server(binaries, place=Path(tempfile.gettempdir()))
        yield "postgresql", lambda: Gate(store=server.database(), **SETTINGS)
        server.close()


def main() -> int:
    """Run the campaign on each kind of store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000, help="fuzzed requests for each kind of store")
    parser.add_argument("--seconds", type=float, default=60.0, help="least time for clients and files")
    parser.add_argument("--no-files", action="store_true", help="without hostile files")
    parser.add_argument("--store", choices=("embedded", "postgresql"), help="only on this kind of store")
    options = parser.parse_args()
    raise_descriptor_limit()
    print("| what | measured | demand | reached | detail |\n|---|---|---|---|---|", flush=True)
    reached = True
    for store, make in gates(options.store):
        with make() as gate:
            campaign = Campaign(
                gate, requests=options.requests, seconds=options.seconds, files=not options.no_files
            )
            for figure in campaign.run():
                print(
                    f"| {store}: {figure.what} | {figure.measured:.2f} | ≤ {figure.demand:g} | "
                    f"{'yes' if figure.reached else 'NO'} | {figure.detail} |", flush=True,
                )
                reached = reached and figure.reached
            for request, answer in campaign.faults[:5]:
                print(f"\n{request[:2000]!r}\n→ {answer[:500]!r}")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
