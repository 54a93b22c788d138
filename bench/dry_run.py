"""How fast a dry run is, compared with the load that it foretells: `python -m bench dry_run`, on both stores."""

import statistics
from collections.abc import Callable, Iterator

from bench.figures import PRODUCTS, Figure, lines_of
from bench.gate import Gate
from bench.scaled import Scaled

TURNS = 3
LOAD_RATIO_MIN = 0.8


def parts(short: bool) -> Iterator[Figure]:
    """Work new and changed products as a dry run and for real, in turns."""
    yield from _store("SQLite", Gate, short)
    scaled = Scaled()
    try:
        yield from _store("PostgreSQL", scaled.gate, short)
    finally:
        scaled.server.close()


def _store(store: str, make: Callable[..., Gate], short: bool) -> Iterator[Figure]:
    count = PRODUCTS // 5 if short else PRODUCTS
    new, warm = b"\n".join(lines_of(count)), b"\n".join(lines_of(2_000))
    changed = new.replace(b'"title":"', b'"title":"A ')
    seconds: dict[tuple[str, bool], list[float]] = {}
    for _ in range(1 if short else TURNS):
        with make() as gate:
            gate.load(warm, collection="warm")
            for what, body in (("new", new), ("changed", changed)):
                for dry in (True, False):
                    taken, batch = gate.load(body, **({"dry_run": "true"} if dry else {}))
                    assert batch["counts"]["created" if what == "new" else "updated"] == count, batch
                    seconds.setdefault((what, dry), []).append(taken)
    for what in ("new", "changed"):
        dry_seconds, real_seconds = (statistics.median(seconds[what, dry]) for dry in (True, False))
        yield Figure(
            f"{store}: dry run of {what} products, to the load", real_seconds / dry_seconds, LOAD_RATIO_MIN, least=True,
            detail=f"{count / dry_seconds:,.0f} and {count / real_seconds:,.0f} records/s",
        )
