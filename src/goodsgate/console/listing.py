"""The list of batches: live, filtered, page by page."""

from typing import Any

from starlette.responses import Response

from goodsgate.console.pages import Pages
from goodsgate.console.visit import Visit, moment_of
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model.batch import Batch, Kind, Outcome, State
from goodsgate.store.contract import BatchFilter, Page

ROWS = 50
FILTERS = ("merchant", "protocol", "kind", "state", "outcome", "since", "until", "q")


class Listing:
    """GET /console/batches."""

    def __init__(self, context: ServerContext, pages: Pages, protocols: dict[str, str]) -> None:
        self._context = context
        self._pages = pages
        self._protocols = protocols

    async def get(self, visit: Visit) -> Response:
        """The page, or its rows alone."""
        filters = filters_of(visit)
        wanted = visit.query.get("merchant")
        if wanted and not visit.runs_the_gate and wanted != visit.caller.merchant:
            raise refuse("merchant_unknown")
        everybody = visit.runs_the_gate and not wanted
        return await self._context.run_in_thread(self._made, visit, filters,
            None if everybody else wanted or visit.caller.merchant)

    def _made(self, visit: Visit, filters: BatchFilter, merchant: str | None) -> Response:
        after = visit.query.get("after") or None
        page = self._page(merchant, filters, after)
        words: dict[str, Any] = {
            "batches": page.rows, "place": "batches", "after": after, "protocols": self._protocols,
            "asked": {name: visit.query.get(name) for name in FILTERS}, "kinds": [*Kind], "states": [*State][1:],
            "outcomes": [*Outcome], "everybody": merchant is None,
            "newest": visit.link(after=None), "older": visit.link(after=page.next) if page.next else None,
            "filtered": any(visit.query.get(name) for name in FILTERS), "merchant": merchant,
        }
        return self._pages.answer(visit, "batches_part.html" if visit.is_part else "batches.html", words)

    def _page(self, merchant: str | None, filters: BatchFilter, after: str | None) -> Page[Batch]:
        if merchant is None:
            return self._context.store.all_batches(filters, after=after, limit=ROWS)
        return self._context.store.batches(merchant, filters, after=after, limit=ROWS)


def filters_of(visit: Visit) -> BatchFilter:
    """As the query has them; raises parameter_invalid."""
    query = visit.query
    try:
        return BatchFilter(
            kind=Kind(query.get("kind")) if query.get("kind") else None,
            state=State(query.get("state")) if query.get("state") else None,
            outcome=Outcome(query.get("outcome")) if query.get("outcome") else None,
            since=moment_of(query.get("since")), until=moment_of(query.get("until")), text=query.get("q") or None,
            protocol=query.get("protocol") or None,
        )
    except ValueError as fault:
        raise refuse("parameter_invalid", f"{fault}.", parameter="filter") from fault
