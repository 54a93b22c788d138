"""How long a few records wait behind many of the same lane: `python -m bench passing`."""

import statistics
import time
from collections.abc import Callable, Iterator

from bench.figures import Figure, lines_of
from bench.gate import Gate
from bench.scaled import scaled

RECORDS = 150_000
SMALL_RECORDS = 50
SECONDS_MAX = 1.0
TIMES = 5
"""Small batches that are sent while a large one is worked, one after the other."""
POLL_SECONDS = 0.01


def parts(short: bool) -> Iterator[Figure]:
    """On both stores, with passing and without."""
    count = RECORDS // 3 if short else RECORDS
    yield from _figures("embedded store", Gate, count)
    with scaled() as server:
        server.recycle_logs()
        yield from _figures("PostgreSQL", server.gate, count)


def _figures(store: str, make: Callable[..., Gate], count: int) -> Iterator[Figure]:
    (whole, waited), (with_passing, passed) = (_measure(make, count, most) for most in (0, 1_000))
    detail = (
        f"longest {max(passed):.2f} s of {len(passed)}; {statistics.median(waited):.2f} s if nothing passes; "
        f"the large batch {with_passing:.1f} s against {whole:.1f} s"
    )
    yield Figure(
        f"{SMALL_RECORDS} records behind {count:,} of their lane, {store}, median, s", statistics.median(passed),
        SECONDS_MAX, False, detail,
    )


def _measure(make: Callable[..., Gate], count: int, passing: int) -> tuple[float, list[float]]:
    """Return the seconds of a large batch, and those of small ones behind it until they have finished."""
    seconds = []
    with make(passing_records_max=passing) as gate:
        gate.load(b"\n".join(lines_of(100)))
        begin = time.perf_counter()
        large = gate.submit(b"\n".join(lines_of(count, start=1_000)))
        while _batch(gate, large)["state"] == "queued":
            time.sleep(POLL_SECONDS)
        for number in range(TIMES):
            if _batch(gate, large)["state"] != "working":
                break
            sent = time.perf_counter()
            batch = gate.submit(b"\n".join(lines_of(SMALL_RECORDS, start=10_000_000 + number * SMALL_RECORDS)))
            while _batch(gate, batch)["state"] != "finished":
                time.sleep(POLL_SECONDS)
            seconds.append(time.perf_counter() - sent)
        gate.finish(large)
        return time.perf_counter() - begin, seconds


def _batch(gate: Gate, batch: str) -> dict[str, object]:
    answer = gate.client.get(f"/v1/batches/{batch}")
    answer.raise_for_status()
    body: dict[str, object] = answer.json()
    return body
