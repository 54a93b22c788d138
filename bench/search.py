"""A bulk load with the search index against one without, on both stores: `python -m bench search`.

The processor time of all processes is compared, because the machine is shared: API, worker and PostgreSQL's own.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.figures import PRODUCTS, Figure, lines_of
from bench.gate import Gate
from bench.scaled import scaled

RATIO_MIN = 0.8
TURNS = 5
WARM_RECORDS = 2_000
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def parts(short: bool) -> Iterator[Figure]:
    """Load 100 MB into the embedded store and into PostgreSQL, in turn with and without the index."""
    yield _compare("embedded store", Gate, lambda gate: [*gate.pids().values()], short)
    with scaled() as server:
        if not short:
            server.recycle_logs()
        postmaster = int((Path(server.server.data) / "postmaster.pid").read_text().split()[0])

        def processes(gate: Gate) -> list[int]:
            return [*gate.pids().values(), postmaster, *_children(postmaster)]

        yield _compare("PostgreSQL", server.gate, processes, short)


def _compare(name: str, make: Callable[..., Gate], processes: Callable[[Gate], list[int]], short: bool) -> Figure:
    count = PRODUCTS // 5 if short else PRODUCTS
    body, warm = (b"\n".join(lines_of(number)) for number in (count, WARM_RECORDS))
    microseconds: dict[str, list[float]] = {"on": [], "off": []}
    ratios, walls = [], []
    for turn in range(1 if short else TURNS):
        wall = {}
        for search in ("on", "off") if turn % 2 else ("off", "on"):
            with make(search=search) as gate:
                gate.load(warm, collection="warm")
                before, began = _cpu_seconds(processes(gate)), time.perf_counter()
                gate.load(body, collection="loaded")
                wall[search] = time.perf_counter() - began
                microseconds[search].append((_cpu_seconds(processes(gate)) - before) / count * 1e6)
        ratios.append(microseconds["off"][-1] / microseconds["on"][-1])
        walls.append(wall["off"] / wall["on"])
    on, off = (statistics.median(microseconds[search]) for search in ("on", "off"))
    detail = f"{on:.1f} and {off:.1f} µs of processor time a product; by the clock {statistics.median(walls):.2f}"
    return Figure(f"{name}: bulk load with search, against without", statistics.median(ratios), RATIO_MIN, True, detail)


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def _cpu_seconds(pids: list[int]) -> float:
    """Return the processor time of the processes, and of those children that have ended."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS_A_SECOND
