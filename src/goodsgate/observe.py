"""Log lines, metrics and request ids. Secrets, credentials and query strings are in none of them."""

import itertools
import json
import logging
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from goodsgate.store.contract import StoreError

logger = logging.getLogger("goodsgate")

SLOW_SECONDS = 1.0
"""A request that takes longer is logged at info; failed ones always are, others at debug."""
FIGURES_SECONDS = 1.0
"""StatisticsCache of the store are asked for at most this often."""
LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_BUILT_IN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and what was given as ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """Word one record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update((name, value) for name, value in vars(record).items() if name not in _BUILT_IN)
        if record.exc_info:
            line["fault"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(level: str) -> None:
    """Send everything that is logged to standard error as JSON lines; raises ValueError for an unknown level."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


class RequestIds:
    """Makes ids that are unique over processes and cheap: a random start and a count."""

    def __init__(self) -> None:
        self._start = secrets.token_hex(8)
        self._count = itertools.count(1)

    def of(self, given: bytes | None) -> str:
        """The id that the caller gave if it is 1 to 100 of ``A-Za-z0-9._-``, else a fresh one."""
        if given is not None:
            text = given.decode("latin-1")
            if _REQUEST_ID.fullmatch(text):
                return text
        return f"{self._start}-{next(self._count):x}"


class StatisticsCache:
    """The store's own figures, asked for at most once a second."""

    def __init__(self, ask: Callable[[], dict[str, float]]) -> None:
        self._ask = ask
        self._until = 0.0
        self._figures: dict[str, float] = {}

    def now(self) -> dict[str, float]:
        """StatisticsCache by name; may ask the store, so not for the event loop."""
        if time.monotonic() >= self._until:
            self._figures = self._ask()
            self._until = time.monotonic() + FIGURES_SECONDS
        return self._figures


TOTALS = frozenset({"records", "rounds_ended"})
"""StatisticsCache that only grow, from process to process."""


class _FigureCollector(Collector):
    """Words the store's figures as gauges, totals as counters; ``rounds.queued`` is goodsgate_rounds{name="queued"}."""

    def __init__(self, figures: StatisticsCache) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        """None of them while the store is away: what the process itself counts is wanted then more than ever."""
        try:
            figures = self._figures.now()
        except StoreError:
            return []
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
        for name, value in sorted(figures.items()):
            family, _, label = name.partition(".")
            labels = ["name"] if label else []
            if family not in families:
                worded = CounterMetricFamily if family in TOTALS else GaugeMetricFamily
                families[family] = worded(f"goodsgate_{family}", f"Store: {family}", labels=labels)
            families[family].add_metric([label] if label else [], value)
        return families.values()

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering asks no store."""
        return []


class Metrics:
    """What this process counts, and the store's figures. No label names a merchant, a batch or a key."""

    def __init__(self, figures: StatisticsCache) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.requests = Counter(
            "goodsgate_requests", "Requests answered.", ["route", "method", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "goodsgate_request_seconds", "From the request's headers to the end of its answer; waits included.",
            ["route"], buckets=LATENCY_BUCKETS, registry=self.registry,
        )
        self.body_bytes = Counter("goodsgate_body_bytes", "Bytes of submissions received.", registry=self.registry)
        self.submissions = Counter(
            "goodsgate_submissions", "Submissions by what became of them.", ["end"], registry=self.registry
        )
        self.sessions = Gauge("goodsgate_sessions", "Long polls and event streams open.", registry=self.registry)
        self.registry.register(_FigureCollector(figures))
        # Finding a child by its labels costs more than counting, so that children are kept at hand.
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count_request(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        children = self._children.get((route, method, status))
        if children is None:
            method = method if method in _METHODS else "other"
            children = self.requests.labels(route, method, status), self.seconds.labels(route)
            self._children[route, method, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def text(self) -> bytes:
        """All of it in the text format of Prometheus; asks the store."""
        return generate_latest(self.registry)


def log_request(*, request: str, method: str, route: str, path: str, status: int, seconds: float) -> None:
    """One line a request: failures of ours as errors, refusals and slow ones as info, the rest for debugging."""
    telling = logging.INFO if status >= 400 or seconds > SLOW_SECONDS else logging.DEBUG
    level = logging.ERROR if status == 500 else telling
    if not logger.isEnabledFor(level):
        return
    extra = {
        "request": request, "method": method, "route": route, "path": path[:200], "status": status,
        "milliseconds": round(seconds * 1000, 3),
    }
    logger.log(level, "%s %s %d", method, route, status, extra=extra)
