"""Log lines, metrics and request ids. None of them contains a secret, a credential or a query string."""

import itertools
import json
import logging
import platform
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from goodsgate import __version__
from goodsgate.model.tracing import ORIGIN
from goodsgate.store.contract import StoreError

logger = logging.getLogger("goodsgate")

SLOW_SECONDS = 1.0
"""A request that takes longer is logged as info."""
STATISTICS_SECONDS = 1.0
"""Statistics of the store are read at most this often."""
LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)

WAIT_BUCKETS = (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 600.0)

REQUEST_ID = "goodsgate.request"
"""Key of an ASGI scope under which the request id is stored."""
CALLER = "goodsgate.caller"
"""Key of an ASGI scope under which the caller is stored once it is known."""
MERCHANT, KEY = "goodsgate.merchant", "goodsgate.key"
"""Keys of an ASGI scope with the merchant that a request is for, and the id of its key."""
REFUSED = "goodsgate.refused"
"""Key of an ASGI scope with the code of the refusal that was answered."""
WAITED = "goodsgate.waited"
"""Key of an ASGI scope of a request that waits for a change: a long poll, or an event stream."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_BUILT_IN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Log formatter that writes one JSON object a line: time, level, logger, message and the members of ``extra``.

    A line has the request id and the trace id of what its thread works for. A record with ``lines``, a list of dicts,
    becomes one line for each of them.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        lines = getattr(record, "lines", None)
        if lines is not None:
            return "\n".join(_encode({**line, **own}) for own in lines)
        origin = ORIGIN.get()
        if origin.request:
            line["request"] = origin.request
        if origin.traceparent:
            line["trace"] = origin.trace_id
        line.update((name, value) for name, value in vars(record).items() if name not in _BUILT_IN)
        if record.exc_info:
            line["fault"] = self.formatException(record.exc_info)
        return _encode(line)


def _encode(line: dict[str, object]) -> str:
    try:
        return orjson.dumps(line, default=str).decode()
    except TypeError:  # a lone surrogate or a very large number
        return json.dumps(line, default=str)


def configure_logging(level: str) -> None:
    """Write all log records to standard error as JSON lines. Raises ValueError for an unknown level."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # no line has them
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


class RequestIds:
    """Request ids that are unique across processes: a random prefix and a counter."""

    def __init__(self) -> None:
        self._start = secrets.token_hex(8)
        self._count = itertools.count(1)

    def choose(self, given: bytes | None) -> str:
        """Return the id that the client gave if it is 1 to 100 of ``A-Za-z0-9._-``, else a new one."""
        if given is not None:
            text = given.decode("latin-1")
            if _REQUEST_ID.fullmatch(text):
                return text
        return f"{self._start}-{next(self._count):x}"


class StatisticsCache:
    """Cache of the store's statistics, read at most once a second."""

    def __init__(self, read: Callable[[], dict[str, float]]) -> None:
        self._read = read
        self._expires_at = 0.0
        self._statistics: dict[str, float] = {}

    def now(self) -> dict[str, float]:
        """Return the statistics by name. Blocks if it reads the store, so do not call it on the event loop."""
        if time.monotonic() >= self._expires_at:
            self._statistics = self._read()
            self._expires_at = time.monotonic() + STATISTICS_SECONDS
        return self._statistics


TOTALS = frozenset({"records", "rounds_ended"})
"""Statistics that only grow; they are exported as counters."""


class _StatisticsCollector(Collector):
    """Exports the store's statistics; ``rounds.queued`` becomes ``goodsgate_rounds{name="queued"}``."""

    def __init__(self, statistics: StatisticsCache) -> None:
        self._statistics = statistics

    def collect(self) -> Iterable[Metric]:
        """Return the statistics, or none while the store is unavailable: the process's own metrics must not fail."""
        try:
            statistics = self._statistics.now()
        except StoreError:
            return []
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
        for name, value in sorted(statistics.items()):
            family, _, label = name.partition(".")
            labels = ["name"] if label else []
            if family not in families:
                metric_type = CounterMetricFamily if family in TOTALS else GaugeMetricFamily
                families[family] = metric_type(f"goodsgate_{family}", f"Store: {family}", labels=labels)
            families[family].add_metric([label] if label else [], value)
        return families.values()

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering does not read the store."""
        return []


class Metrics:
    """Metrics of this process and the store's statistics. No label names a merchant, a batch or a key."""

    def __init__(self, statistics: StatisticsCache, *, logs_requests: bool = False) -> None:
        """Create the metrics of a process; with `logs_requests`, every request is logged, not only notable ones."""
        self._quiet_level = logging.INFO if logs_requests else logging.DEBUG
        self.registry = CollectorRegistry(auto_describe=False)
        self.requests = Counter(
            "goodsgate_requests", "Requests.", ["route", "method", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "goodsgate_request_seconds", "Time from the request's headers to the end of the response; no long polls.",
            ["route"], buckets=LATENCY_BUCKETS, registry=self.registry,
        )
        self.wait_seconds = Histogram(
            "goodsgate_wait_seconds", "The same of long polls and event streams.", ["route"], buckets=WAIT_BUCKETS,
            registry=self.registry,
        )
        self.body_bytes = Counter("goodsgate_body_bytes", "Bytes of submissions received.", registry=self.registry)
        self.submissions = Counter(
            "goodsgate_submissions", "Submissions by outcome.", ["end"], registry=self.registry
        )
        self.sessions = Gauge("goodsgate_sessions", "Long polls and event streams open.", registry=self.registry)
        self.uploads = Gauge("goodsgate_uploads", "Request bodies arriving.", registry=self.registry)
        self.reports = Gauge("goodsgate_reports", "Reports being written or sent.", registry=self.registry)
        self.connections = Gauge("goodsgate_connections", "Connections of clients open.", registry=self.registry)
        self.closed_connections = Counter(
            "goodsgate_closed_connections", "Connections that the gate refused or ended.", ["reason"],
            registry=self.registry,
        )
        self.quota_refusals = Counter(
            "goodsgate_quota_refusals", "Requests that exceeded a quota.", ["quota"], registry=self.registry
        )
        build = Gauge(
            "goodsgate_build_info", "1; the labels say what runs.", ["version", "python"], registry=self.registry
        )
        build.labels(__version__, platform.python_version()).set(1)
        self.registry.register(_StatisticsCollector(statistics))
        ProcessCollector(registry=self.registry)
        # Looking up a child by its labels costs more than counting, so children are cached.
        self._children: dict[tuple[str, str, int, bool], tuple[Counter, Histogram]] = {}

    def record_request(self, scope: Mapping[str, Any], *, route: str, status: int, began: float) -> None:
        """Count an answered request and log it; `began` is a reading of `time.perf_counter`.

        Failures are logged as errors, refusals and slow requests as info, everything else for debugging, or as info if
        all requests are logged. A request that waits for a change is not slow.
        """
        seconds, method, waits = time.perf_counter() - began, scope["method"], WAITED in scope
        label = method if method in _METHODS else "other"
        children = self._children.get((route, label, status, waits))
        if children is None:
            histogram = self.wait_seconds if waits else self.seconds
            children = self.requests.labels(route, label, status), histogram.labels(route)
            self._children[route, label, status, waits] = children
        children[0].inc()
        children[1].observe(seconds)
        is_notable = status >= 400 or (seconds > SLOW_SECONDS and not waits)
        level = logging.ERROR if status == 500 else logging.INFO if is_notable else self._quiet_level
        if logger.isEnabledFor(level):
            extra = request_fields(scope, route=route, status=status, seconds=seconds)
            logger.log(level, "%s %s %d", method, route, status, extra=extra)

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus. Blocks: reads the store."""
        return generate_latest(self.registry)


def request_fields(scope: Mapping[str, Any], *, route: str, status: int, seconds: float) -> dict[str, object]:
    """Return the members of a request's log line; see docs/reference/logs.md."""
    client, caller = scope.get("client"), scope.get(CALLER)
    fields: dict[str, object] = {
        "request": scope[REQUEST_ID], "method": scope["method"], "route": route, "path": scope["path"][:200],
        "status": status, "milliseconds": round(seconds * 1000, 3), "client": client[0] if client else "",
    }
    if caller is not None or KEY in scope:
        fields["merchant"] = scope.get(MERCHANT) or (caller.merchant if caller is not None else "")
        fields["key"] = scope.get(KEY) or (caller.key_id if caller is not None else "")
    if REFUSED in scope:
        fields["code"] = scope[REFUSED]
    if WAITED in scope:
        fields["waited"] = True
    return fields
