"""How the gate is: throughput, queues, workers, who is slow and who is red, storage."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.console.history import History, stored
from goodsgate.console.pages import HEADERS, Pages
from goodsgate.console.visit import Visit
from goodsgate.http.context import ServerContext
from goodsgate.model.batch import Batch, now
from goodsgate.store.contract import BatchFilter, LaneStatus, StoreError

RECENT = 200
"""BatchFilter from which it is told who is slow and who is red."""
LANES = 200
SHOWN = 10


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How the recent batches of one merchant went."""

    merchant: str
    batches: int
    records: int
    rejected: int
    seconds: float
    """From received to ended, of the middle one."""

    @property
    def share(self) -> float:
        """Rejected of all, 0 to 1."""
        return self.rejected / self.records if self.records else 0.0


class Health:
    """Everything under ``/console/health``; those who do not run the gate see their own lanes and batches alone."""

    def __init__(self, context: ServerContext, pages: Pages, history: History) -> None:
        self._context = context
        self._pages = pages
        self._history = history

    async def get(self, visit: Visit) -> Response:
        """The page, or its live part."""
        return await self._context.run_in_thread(self._made, visit)

    def _made(self, visit: Visit) -> Response:
        store, own = self._context.store, visit.caller.merchant
        lanes = store.lanes(merchant=None if visit.runs_the_gate else own, limit=LANES)
        if visit.runs_the_gate:
            recent = store.all_batches(BatchFilter(), limit=RECENT).rows
        else:
            recent = store.batches(own, BatchFilter(), limit=RECENT).rows
        standings = stand(recent)
        words: dict[str, Any] = {
            "lanes": sorted(lanes, key=_waited, reverse=True), "now": now(), "recent": len(recent), "place": "health",
            "reddest": sorted((one for one in standings if one.rejected), key=lambda one: -one.share)[:SHOWN],
            "slowest": sorted((one for one in standings if one.batches), key=lambda one: -one.seconds)[:SHOWN],
            "workers": sorted({lane.worker for lane in lanes if lane.worker}), **self._gate(visit),
        }
        return self._pages.answer(visit, "health_part.html" if visit.is_part else "health.html", words)

    def _gate(self, visit: Visit) -> dict[str, Any]:
        """What is of all merchants."""
        if not visit.runs_the_gate:
            return {"figures": {}, "checks": [], "alive": None, "storage": [], "stored": 0.0, "rate": None}
        try:
            figures, checks = self._context.statistics.now(), self._context.store.quick_checks()
        except StoreError as fault:
            figures, checks = {}, [("store", False, str(fault))]
        rates = [rate for rate in self._history.series()["records"][-4:] if rate is not None]
        return {
            "figures": figures, "checks": checks, "stored": stored(figures),
            "alive": self._context.workers_alive() if self._context.workers_alive is not None else None,
            "storage": [(name[6:], value) for name, value in figures.items() if name.startswith("bytes.")],
            "rate": sum(rates) / len(rates) if rates else None,
        }

    async def figures(self, visit: Visit) -> Response:
        """For the charts."""
        visit.allow("admin")
        told = {"at": self._history.moments(), "series": self._history.series()}
        return Response(msgspec.json.encode(told), media_type="application/json", headers=HEADERS)


def stand(batches: Iterable[Batch]) -> list[Standing]:
    """By merchant."""
    found: dict[str, list[Batch]] = defaultdict(list)
    for batch in batches:
        if batch.finished_at is not None:
            found[batch.merchant].append(batch)
    standings = []
    for merchant, own in found.items():
        lengths = sorted((b.finished_at - b.received_at).total_seconds() for b in own if b.finished_at is not None)
        standings.append(Standing(
            merchant=merchant, batches=len(own), records=sum(batch.counts.accounted for batch in own),
            rejected=sum(batch.counts.rejected for batch in own), seconds=max(lengths[len(lengths) // 2], 0.0),
        ))
    return standings


def _waited(lane: LaneStatus) -> float:
    return (now() - lane.waiting_since).total_seconds() if lane.waiting_since is not None else 0.0
