"""The list of batches: live, filtered and paged."""

from typing import Any

from starlette.responses import Response

from goodsgate.console.rendering import PageRenderer
from goodsgate.console.request import ConsoleRequest, parse_time
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model.batch import Batch, BatchView, Kind, Outcome, State
from goodsgate.store.contract import BatchFilter, Page

PAGE_BATCHES = 50
HELD_SHOWN = 5
"""Held batches that stand above the list."""
FILTERS = ("merchant", "protocol", "kind", "state", "outcome", "since", "until")
"""Filters that links set, besides the tab and the search."""
TABS = (("", "All"), *((str(view), view.capitalize()) for view in (
    BatchView.OPEN, BatchView.HELD, BatchView.FAILED, BatchView.CLEAN,
)))
VIEWS, STATES, OUTCOMES = {*map(str, BatchView)}, {*map(str, State)}, {*map(str, Outcome)}


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
        is_filtered = any(request.query.get(name) for name in (*FILTERS[1:], "q", "view"))
        held: list[Batch] = []
        if not is_filtered and after is None:
            held = self._page(merchant, BatchFilter(view=BatchView.HELD), None, limit=HELD_SHOWN).rows
        values: dict[str, Any] = {
            "batches": page.rows, "held": held, "section": "batches", "after": after, "protocols": self._protocols,
            "q": request.query.get("q"), "view": request.query.get("view"),
            "tabs": [(name, title, request.link(view=name or None, after=None)) for name, title in TABS],
            "chips": [
                (name, request.query.get(name), request.link(**{name: None, "after": None}))
                for name in FILTERS if request.query.get(name)
            ],
            "all_merchants": merchant is None, "newest": request.link(after=None),
            "next_page": request.link(after=page.next) if page.next else None, "merchant": merchant,
            "is_filtered": is_filtered or bool(request.query.get("merchant")),
        }
        template = "batches_fragment.html" if request.is_fragment else "batches.html"
        return self._renderer.response(request, template, values)

    def _page(self, merchant: str | None, batch_filter: BatchFilter, after: str | None, *, limit: int = PAGE_BATCHES,
              ) -> Page[Batch]:
        if merchant is None:
            return self._context.store.all_batches(batch_filter, after=after, limit=limit)
        return self._context.store.batches(merchant, batch_filter, after=after, limit=limit)


def parse_filter(request: ConsoleRequest) -> BatchFilter:
    """Return the filter in the query; raises parameter_invalid.

    Words of the search that name a tab, a state or an outcome filter by it.
    """
    query = request.query
    named = {name: query.get(name) for name in ("view", "state", "outcome")}
    words = []
    for word in query.get("q").split():
        folded = word.casefold()
        name = next((
            name for name, known in (("view", VIEWS), ("outcome", OUTCOMES), ("state", STATES))
            if folded in known and not named[name]
        ), None)
        if name is not None:
            named[name] = folded
        else:
            words.append(word)
    try:
        return BatchFilter(
            kind=Kind(query.get("kind")) if query.get("kind") else None,
            state=State(named["state"]) if named["state"] else None,
            outcome=Outcome(named["outcome"]) if named["outcome"] else None,
            view=BatchView(named["view"]) if named["view"] else None,
            since=parse_time(query.get("since")), until=parse_time(query.get("until")), text=" ".join(words) or None,
            protocol=query.get("protocol") or None,
        )
    except ValueError as error:
        raise refuse("parameter_invalid", f"{error}.", parameter="filter") from error
