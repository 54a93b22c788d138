"""What the journal costs, and how fast a batch is reverted: `python -m bench journal`, on both stores."""

import statistics
import time
from collections.abc import Callable, Iterator

from bench.figures import PRODUCTS, Figure, lines_of
from bench.gate import Gate
from bench.scaled import Scaled

TURNS = 3
LOAD_RATIO_MIN = 0.85
SAME_RATIO_MIN = 0.98
REVERT_RATIO_MIN = 0.7


def parts(short: bool) -> Iterator[Figure]:
    """Load products with and without a journal, in turns, and revert the loads."""
    yield from _store("SQLite", Gate, short)
    scaled = Scaled()
    try:
        yield from _store("PostgreSQL", scaled.gate, short)
    finally:
        scaled.server.close()


def _store(store: str, make: Callable[..., Gate], short: bool) -> Iterator[Figure]:
    count = PRODUCTS // 5 if short else PRODUCTS
    body, warm = b"\n".join(lines_of(count)), b"\n".join(lines_of(2_000))
    seconds: dict[tuple[str, float], list[float]] = {}
    reverts: list[float] = []
    peak_mb, changes = 0.0, 0
    for _ in range(1 if short else TURNS):
        for days in (0, 30):
            with make(journal_days=days) as gate:
                gate.load(warm, collection="warm")
                for what in ("fresh", "again"):
                    taken, batch = gate.load(body)
                    assert batch["counts"]["accounted"] == count, batch
                    seconds.setdefault((what, days), []).append(taken)
                    if what == "fresh":
                        loaded = batch["id"]
                if days:
                    page = gate.client.get("/v1/changes", params={"after": "now"}).json()
                    changes = int(str(page["cursor"]).partition("-")[0], 16) - count - 2_000
                    peak_mb = gate.peaks["worker"]
                    begin = time.perf_counter()
                    ended = gate.finish(gate.client.post(f"/v1/batches/{loaded}/revert").json()["id"])
                    reverts.append(time.perf_counter() - begin)
                    assert ended["counts"]["deleted"] == count, ended
                    peak_mb = gate.peaks["worker"] - peak_mb
    for what, least in (("fresh", LOAD_RATIO_MIN), ("again", SAME_RATIO_MIN)):
        without, with_journal = (statistics.median(seconds[what, days]) for days in (0, 30))
        yield Figure(
            f"{store}: load {what} with the journal, to without", without / with_journal, least, least=True,
            detail=f"{count / with_journal:,.0f} and {count / without:,.0f} records/s",
        )
    yield Figure(f"{store}: changes in the journal of an identical feed", changes, 0, least=False)
    fresh, revert = statistics.median(seconds["fresh", 30]), statistics.median(reverts)
    yield Figure(
        f"{store}: revert of a load, to the load", fresh / revert, REVERT_RATIO_MIN, least=True,
        detail=f"{count / revert:,.0f} records/s; worker {peak_mb:+,.0f} MB",
    )
