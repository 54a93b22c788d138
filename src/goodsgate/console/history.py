"""The figures of the last hours, as /metrics has them now, kept in this process for the charts."""

import asyncio
import contextlib
import itertools
import time
from collections import deque
from collections.abc import Callable

import msgspec

from goodsgate.http.context import ServerContext
from goodsgate.store.contract import StoreError

STEP_SECONDS = 15.0
SAMPLES_MAX = 6 * 3600 // 15
"""Six hours."""


class Sample(msgspec.Struct, frozen=True):
    """Figures at one moment."""

    at: float
    """Seconds since 1970."""
    figures: dict[str, float]


class History:
    """Looks every STEP_SECONDS while the gate runs; what was before it started nobody has kept."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_MAX)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """From now on; to be called on the event loop."""
        self._task = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """For good."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(StoreError):  # a gap in the charts is what there is to say of it
                self.note(await self._context.run_in_thread(self._context.statistics.now))
            await asyncio.sleep(STEP_SECONDS)

    def note(self, figures: dict[str, float]) -> None:
        """Add a sample of now."""
        self._samples.append(Sample(time.time(), figures))

    @property
    def latest(self) -> dict[str, float]:
        """The last figures; none before the first look."""
        return self._samples[-1].figures if self._samples else {}

    def series(self) -> dict[str, list[float | None]]:
        """Name → a value a sample: levels as they were, totals as what was added a second."""
        samples = [*self._samples]
        rates = {"records": _records, "rejected": lambda figures: figures.get("records.rejected", 0.0)}
        levels = {
            "queued": "rounds.queued", "working": "rounds.working", "oldest": "oldest_queued_seconds",
        }
        found: dict[str, list[float | None]] = {
            name: [sample.figures.get(figure) for sample in samples] for name, figure in levels.items()
        }
        found |= {name: _rate(samples, total) for name, total in rates.items()}
        found["megabytes"] = [round(stored(sample.figures) / 1024**2, 1) for sample in samples]
        return found

    def moments(self) -> list[float]:
        """Of the samples."""
        return [round(sample.at, 1) for sample in self._samples]


def stored(figures: dict[str, float]) -> float:
    """Bytes in all."""
    return sum(value for name, value in figures.items() if name.startswith("bytes."))


def _records(figures: dict[str, float]) -> float:
    return sum(value for name, value in figures.items() if name.startswith("records."))


def _rate(samples: list[Sample], total: Callable[[dict[str, float]], float]) -> list[float | None]:
    rates: list[float | None] = [None] if samples else []
    for before, after in itertools.pairwise(samples):
        passed = max(after.at - before.at, 0.001)
        rates.append(round(max(total(after.figures) - total(before.figures), 0.0) / passed, 2))
    return rates
