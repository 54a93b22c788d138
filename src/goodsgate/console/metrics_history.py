"""The metrics of the last hours, kept in this process for the charts of the health page."""

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable

import msgspec

from goodsgate.http.context import ServerContext
from goodsgate.store.contract import StoreError

STEP_SECONDS = 15.0
SAMPLES_MAX = 6 * 3600 // 15
"""Six hours."""

log = logging.getLogger(__name__)


class MetricsSample(msgspec.Struct, frozen=True):
    """The metrics at one time."""

    at: float
    """Seconds since 1970."""
    figures: dict[str, float]


class MetricsHistory:
    """Takes a sample every STEP_SECONDS while the gate runs; starts empty."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._samples: deque[MetricsSample] = deque(maxlen=SAMPLES_MAX)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start sampling; call it on the event loop."""
        self._task = asyncio.create_task(self._sample())

    async def stop(self) -> None:
        """Stop sampling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _sample(self) -> None:
        while True:
            try:
                self.add(await self._context.run_in_thread(self._context.statistics.now))
            except StoreError:
                log.debug("no metrics, so that the charts show a gap")
            except Exception:
                log.exception("no metrics, so that the charts show a gap")
            await asyncio.sleep(STEP_SECONDS)

    def add(self, figures: dict[str, float]) -> None:
        """Add a sample taken now."""
        self._samples.append(MetricsSample(time.time(), figures))

    def series(self) -> dict[str, list[float | None]]:
        """Return name → one value per sample: gauges as they were, counters as their increase per second."""
        samples = [*self._samples]
        counters = {"records": _total_records, "rejected": lambda figures: figures.get("records.rejected", 0.0)}
        gauges = {
            "queued": "rounds.queued", "working": "rounds.working", "oldest": "oldest_queued_seconds",
        }
        series: dict[str, list[float | None]] = {
            name: [sample.figures.get(figure) for sample in samples] for name, figure in gauges.items()
        }
        series |= {name: _rates(samples, total) for name, total in counters.items()}
        series["megabytes"] = [round(total_bytes(sample.figures) / 1024**2, 1) for sample in samples]
        return series

    def times(self) -> list[float]:
        """Return the time of each sample in seconds since 1970."""
        return [round(sample.at, 1) for sample in self._samples]


def total_bytes(figures: dict[str, float]) -> float:
    """Return the total size of the store in bytes."""
    return sum(value for name, value in figures.items() if name.startswith("bytes."))


def _total_records(figures: dict[str, float]) -> float:
    return sum(value for name, value in figures.items() if name.startswith("records."))


def _rates(samples: list[MetricsSample], total: Callable[[dict[str, float]], float]) -> list[float | None]:
    rates: list[float | None] = [None] if samples else []
    for before, after in itertools.pairwise(samples):
        seconds = max(after.at - before.at, 0.001)
        rates.append(round(max(total(after.figures) - total(before.figures), 0.0) / seconds, 2))
    return rates
