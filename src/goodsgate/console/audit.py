"""The audit log: who did what, newest first."""

from functools import partial

from starlette.responses import Response

from goodsgate.console.rendering import PageRenderer
from goodsgate.console.request import NUMBER_DIGITS_MAX, ConsoleRequest, parse_time
from goodsgate.http.context import ServerContext
from goodsgate.model.audit import ACTIONS, ACTIONS_OF_INSTALLATION, AuditFilter

PAGE_ENTRIES = 100


class AuditPage:
    """The pages ``/console/merchants/{merchant}/audit`` and, for the installation, ``/console/audit``."""

    def __init__(self, context: ServerContext, renderer: PageRenderer) -> None:
        self._context = context
        self._renderer = renderer

    async def merchant(self, request: ConsoleRequest) -> Response:
        """Return the log of a merchant."""
        return await self._render(request, await request.merchant())

    async def installation(self, request: ConsoleRequest) -> Response:
        """Return the log of what belongs to no merchant."""
        return await self._render(request, None)

    async def _render(self, request: ConsoleRequest, merchant: str | None) -> Response:
        query = request.query
        filters = AuditFilter(
            action=query.get("action") or None, actor=query.get("actor") or None, since=parse_time(query.get("since")),
            until=parse_time(query.get("until")),
        )
        after = query.get("after")
        number = int(after) if after.isdecimal() and len(after) <= NUMBER_DIGITS_MAX else 0
        page = await self._context.run_in_thread(partial(
            self._context.store.audit_entries, merchant, filters, after=number, limit=PAGE_ENTRIES, newest_first=True
        ))
        actions = [name for name in ACTIONS if (name in ACTIONS_OF_INSTALLATION) == (merchant is None)]
        values = {
            "merchant": merchant or request.caller.merchant, "of_installation": merchant is None, "section": "audit",
            "entries": page.rows, "actions": [*sorted({name.partition(".")[0] for name in actions}), *actions],
            "meanings": ACTIONS, "query": query, "first_page": request.link(after=None) if after else None,
            "next_page": request.link(after=page.next) if page.next else None,
        }
        return self._renderer.response(request, "audit.html", values)
