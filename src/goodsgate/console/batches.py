"""The list of batches: live, filtered and paged."""

from typing import Any

from starlette.responses import Response

from goodsgate.console.rendering import PageRenderer
from goodsgate.console.request import ConsoleRequest, parse_time
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model.batch import Batch, Kind, Outcome, State
from goodsgate.store.contract import BatchFilter, Page

PAGE_BATCHES = 50
FILTERS = ("merchant", "protocol", "kind", "state", "outcome", "since", "until", "q")


class BatchListPage:
    """The page ``/console/batches``."""

    def __init__(self, context: ServerContext, renderer: PageRenderer, protocols: dict[str, str]) -> None:
        self._context = context
        self._renderer = renderer
        self._protocols = protocols

    async def get(self, request: ConsoleRequest) -> Response:
        """Return the page or its rows; raises merchant_unknown, parameter_invalid."""
        batch_filter = parse_filter(request)
        merchant = request.query.get("merchant") or (None if request.is_admin else request.caller.merchant)
        if not request.is_admin and merchant != request.caller.merchant:
            raise refuse("merchant_unknown")
        return await self._context.run_in_thread(self._render, request, batch_filter, merchant)

    def _render(self, request: ConsoleRequest, batch_filter: BatchFilter, merchant: str | None) -> Response:
        after = request.query.get("after") or None
        page = self._page(merchant, batch_filter, after)
        values: dict[str, Any] = {
            "batches": page.rows, "section": "batches", "after": after, "protocols": self._protocols,
            "filters": {name: request.query.get(name) for name in FILTERS}, "kinds": [*Kind], "states": [*State][1:],
            "outcomes": [*Outcome], "all_merchants": merchant is None, "newest": request.link(after=None),
            "next_page": request.link(after=page.next) if page.next else None, "merchant": merchant,
            "is_filtered": any(request.query.get(name) for name in FILTERS),
        }
        template = "batches_fragment.html" if request.is_fragment else "batches.html"
        return self._renderer.response(request, template, values)

    def _page(self, merchant: str | None, batch_filter: BatchFilter, after: str | None) -> Page[Batch]:
        if merchant is None:
            return self._context.store.all_batches(batch_filter, after=after, limit=PAGE_BATCHES)
        return self._context.store.batches(merchant, batch_filter, after=after, limit=PAGE_BATCHES)


def parse_filter(request: ConsoleRequest) -> BatchFilter:
    """Return the filter in the query; raises parameter_invalid."""
    query = request.query
    try:
        return BatchFilter(
            kind=Kind(query.get("kind")) if query.get("kind") else None,
            state=State(query.get("state")) if query.get("state") else None,
            outcome=Outcome(query.get("outcome")) if query.get("outcome") else None,
            since=parse_time(query.get("since")), until=parse_time(query.get("until")), text=query.get("q") or None,
            protocol=query.get("protocol") or None,
        )
    except ValueError as error:
        raise refuse("parameter_invalid", f"{error}.", parameter="filter") from error
