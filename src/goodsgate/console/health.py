"""The health page: throughput, queue, workers, storage, and the merchants that are slow or often rejected."""

from collections import defaultdict
from collections.abc import Iterable
from statistics import median_high
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.console.metrics_history import MetricsHistory, total_bytes
from goodsgate.console.rendering import HEADERS, PageRenderer
from goodsgate.console.request import ConsoleRequest
from goodsgate.http.context import ServerContext
from goodsgate.model.batch import Batch, now
from goodsgate.store.contract import BatchFilter, LaneStatus, StoreError, bad

RECENT_BATCHES = 200
"""Batches from which the statistics of merchants are computed."""
LANES_MAX = 200
MERCHANTS_MAX = 10


class MerchantStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics of the recent batches of one merchant."""

    merchant: str
    batches: int
    records: int
    rejected: int
    median_seconds: float
    """Median time from received to finished."""

    @property
    def rejection_rate(self) -> float:
        """Rejected records as a share of all, 0 to 1."""
        return self.rejected / self.records if self.records else 0.0


class HealthPage:
    """Everything under ``/console/health``; only admins see more than their own lanes and batches."""

    def __init__(self, context: ServerContext, renderer: PageRenderer, history: MetricsHistory) -> None:
        self._context = context
        self._renderer = renderer
        self._history = history

    async def get(self, request: ConsoleRequest) -> Response:
        """Return the page or its live fragment."""
        return await self._context.run_in_thread(self._render, request)

    def _render(self, request: ConsoleRequest) -> Response:
        store, merchant = self._context.store, request.caller.merchant
        lanes = store.lanes(merchant=None if request.is_admin else merchant, limit=LANES_MAX)
        if request.is_admin:
            recent = store.all_batches(BatchFilter(), limit=RECENT_BATCHES).rows
        else:
            recent = store.batches(merchant, BatchFilter(), limit=RECENT_BATCHES).rows
        statistics = compute_statistics(recent)
        rejected = [each for each in statistics if each.rejected]
        values: dict[str, Any] = {
            "lanes": sorted(lanes, key=_queued_seconds, reverse=True), "now": now(), "recent": len(recent),
            "slowest": sorted(statistics, key=lambda each: -each.median_seconds)[:MERCHANTS_MAX],
            "most_rejected": sorted(rejected, key=lambda each: -each.rejection_rate)[:MERCHANTS_MAX],
            "workers": sorted({lane.worker for lane in lanes if lane.worker}), "section": "health",
            "has_traffic": request.is_admin and self._context.traffic is not None,
            **self._gate_values(request),
        }
        template = "health_fragment.html" if request.is_fragment else "health.html"
        return self._renderer.response(request, template, values)

    def _gate_values(self, request: ConsoleRequest) -> dict[str, Any]:
        """Return what concerns all merchants; empty for users who are not admins."""
        if not request.is_admin:
            return {"figures": {}, "checks": [], "workers_alive": None, "sizes": [], "size": 0.0, "rate": None}
        checks = self._context.store.quick_checks()
        try:
            figures = self._context.statistics.now()
        except StoreError as error:
            figures = {}
            checks.append(bad("store", str(error), "run `goodsgate doctor` on the host of the gate"))
        rates = [rate for rate in self._history.series()["records"][-4:] if rate is not None]
        return {
            "figures": figures, "checks": checks, "size": total_bytes(figures),
            "workers_alive": self._context.workers_alive() if self._context.workers_alive is not None else None,
            "sizes": [(name[6:], value) for name, value in figures.items() if name.startswith("bytes.")],
            "rate": sum(rates) / len(rates) if rates else None,
        }

    async def figures(self, request: ConsoleRequest) -> Response:  # noqa: ARG002 - every handler takes the request
        """Return the data of the charts."""
        data = {"at": self._history.times(), "series": self._history.series()}
        return Response(msgspec.json.encode(data), media_type="application/json", headers=HEADERS)


def compute_statistics(batches: Iterable[Batch]) -> list[MerchantStatistics]:
    """Return statistics of the finished batches, one per merchant."""
    by_merchant: dict[str, list[Batch]] = defaultdict(list)
    for batch in batches:
        if batch.finished_at is not None and batch.rounds == 1:  # corrections come whenever a person has time
            by_merchant[batch.merchant].append(batch)
    statistics = []
    for merchant, finished in by_merchant.items():
        seconds = [(b.finished_at - b.received_at).total_seconds() for b in finished if b.finished_at is not None]
        statistics.append(MerchantStatistics(
            merchant=merchant, batches=len(finished), records=sum(batch.counts.accounted for batch in finished),
            rejected=sum(batch.counts.rejected for batch in finished), median_seconds=max(median_high(seconds), 0.0),
        ))
    return statistics


def _queued_seconds(lane: LaneStatus) -> float:
    return (now() - lane.waiting_since).total_seconds() if lane.waiting_since is not None else 0.0
