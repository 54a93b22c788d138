"""What it costs to send a feed in requests of 500 records: `python -m bench requests`."""

import statistics
import time
from collections.abc import Callable, Iterator

from bench.figures import Figure, lines_of
from bench.gate import Gate
from bench.scaled import REQUEST_RECORDS, scaled

RECORDS = 10_000
RATIO_MIN = 0.5
TIMES = 7


def parts(short: bool) -> Iterator[Figure]:
    """On both stores: one client that sends the next request at once, against one request with all records."""
    times = 1 if short else TIMES
    yield _figure("embedded store", Gate, times)
    with scaled() as server:
        server.recycle_logs()
        yield _figure("PostgreSQL", server.gate, times)


def _figure(store: str, make: Callable[[], Gate], times: int) -> Figure:
    ratios, requests, whole = [], [], []
    with make() as gate:
        _rate(gate, lines_of(RECORDS), RECORDS, "warm")
        for turn in range(times):
            lines = lines_of(RECORDS, start=turn * RECORDS)
            one = _rate(gate, lines, len(lines), f"whole-{turn}")
            many = _rate(gate, lines, REQUEST_RECORDS, f"requests-{turn}")
            ratios.append(many / one)
            requests.append(many)
            whole.append(one)
    detail = (
        f"{statistics.median(requests):,.0f} against {statistics.median(whole):,.0f} records/s; "
        f"{min(ratios):.2f} to {max(ratios):.2f}"
    )
    what = f"{RECORDS:,} records in requests of {REQUEST_RECORDS} by one client, {store}, against one request"
    return Figure(what, statistics.median(ratios), RATIO_MIN, True, detail)


def _rate(gate: Gate, lines: list[bytes], each: int, collection: str) -> float:
    """Return records a second, from the first byte sent until the last batch has finished."""
    bodies = [b"\n".join(lines[first : first + each]) for first in range(0, len(lines), each)]
    with gate.visit(gate.key) as ask:
        begin = time.perf_counter()
        ids = [ask("POST", f"/v1/batches?collection={collection}", body)["id"] for body in bodies]
        for batch in ids:
            gate.finish(batch)
        return len(lines) / (time.perf_counter() - begin)
