"""What a feed costs in which only versions are newer: `python -m bench stamps`, on both stores.

Products with a version are submitted, submitted again as they are, and with newer versions. What the store writes and
the time are those of the newer feed, to the identical one.
"""

import re
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.figures import Figure, lines_of
from bench.gate import Gate
from bench.scaled import Scaled

RECORDS = 60_000
TURNS = 3
LOG_RATIO_MAX = 2.0
TIME_RATIO_MAX = 1.3
STAMP = re.compile(rb"}$")


def parts(short: bool) -> Iterator[Figure]:
    """Submit feeds with the same and with newer versions, in turns."""
    yield from _store("SQLite", Gate, _written_bytes, short)
    scaled = Scaled()

    def log_bytes(gate: Gate) -> int:
        with scaled.server.admin(gate.database) as db:
            (position,) = db.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone() or (0,)
        return int(position)

    try:
        yield from _store("PostgreSQL", scaled.gate, log_bytes, short)
    finally:
        scaled.server.close()


def _written_bytes(gate: Gate) -> int:
    """Return the bytes that the worker has written, to the log and from there to the file."""
    written = re.search(r"^wchar: (\d+)", Path(f"/proc/{gate.pids()['worker']}/io").read_text(), re.M)
    assert written is not None
    return int(written[1])


def _feed(lines: list[bytes], version: int) -> bytes:
    """Return the records, each with a version of its own."""
    return b"\n".join(
        STAMP.sub(b',"version_number":%d}' % (version * 1_000_000_000 + at * 7_919 % 999_983), line)
        for at, line in enumerate(lines)
    )


def _store(store: str, make: Callable[..., Gate], size: Callable[[Gate], int], short: bool) -> Iterator[Figure]:
    count = RECORDS // 4 if short else RECORDS
    lines = lines_of(count)
    written: dict[str, list[int]] = {"same": [], "newer": []}
    seconds: dict[str, list[float]] = {"same": [], "newer": []}
    first = 0.0
    with make() as gate:
        gate.load(_feed(lines, 1))
        for turn in range(2, 3 if short else 2 + TURNS):
            for what, version in (("same", turn - 1), ("newer", turn)):
                before = size(gate)
                taken, batch = gate.load(_feed(lines, version))
                assert batch["counts"]["unchanged"] == count, batch
                written[what].append(size(gate) - before)
                seconds[what].append(taken)
            first = first or written["newer"][0] / written["same"][0]
    log = statistics.median(written["newer"]) / statistics.median(written["same"])
    yield Figure(
        f"{store}: log of a feed with newer versions, to that of an identical one", log, LOG_RATIO_MAX, least=False,
        detail=f"{statistics.median(written['same']) / count:,.0f} bytes a record of the identical one; "
        f"the first time {first:.1f}",
    )
    ratio = statistics.median(seconds["newer"]) / statistics.median(seconds["same"])
    yield Figure(
        f"{store}: time of a feed with newer versions, to that of an identical one", ratio, TIME_RATIO_MAX, least=False,
        detail=f"{count / statistics.median(seconds['same']):,.0f} records/s of the identical one",
    )
