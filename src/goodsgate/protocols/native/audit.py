"""The audit log of a merchant, and that of the installation."""

from collections.abc import Iterator
from functools import partial

from starlette.responses import Response, StreamingResponse

from goodsgate.http.context import ServerContext, require_permission
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.model.audit import AuditFilter, audit_document
from goodsgate.model.json_text import write_json
from goodsgate.protocols.native.responses import page_response
from goodsgate.store.contract import Store

NDJSON = "application/x-ndjson"
PAGE_ENTRIES = 1_000
"""Entries that are read at once for a download."""


class AuditHandlers:
    """Handlers of ``/v1/audit``."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.store

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {"audit": self.audit}

    async def audit(self, request: ApiRequest) -> Response:
        """Handle GET /v1/audit."""
        query, caller = request.query, request.caller
        assert caller is not None
        of_installation = query["chain"] == "installation"
        if of_installation:
            require_permission(caller, "admin")
        merchant = None if of_installation else request.merchant
        filters = AuditFilter(
            action=query["action"], actor=query["actor"], since=query["since"], until=query["until"]
        )
        after = query["after"] or 0
        if NDJSON in request.http.headers.get("accept", ""):
            lines = await self._context.threads.stream(_lines(self._store, merchant, filters, after))
            return StreamingResponse(lines, media_type=NDJSON, headers={"cache-control": "no-store"})
        read = partial(
            self._store.audit_entries, merchant, filters, after=after, newest_first=query["order"] == "newest",
            limit=min(query["limit"], self._context.limits.page_rows_max),
        )
        page = await self._context.run_in_thread(read)
        return page_response(request, "entries", [audit_document(entry) for entry in page.rows], page.next)


def _lines(store: Store, merchant: str | None, filters: AuditFilter, after: int) -> Iterator[bytes]:
    """Yield the entries behind a number as lines, oldest first."""
    while True:
        page = store.audit_entries(merchant, filters, after=after, limit=PAGE_ENTRIES)
        if page.rows:
            yield b"".join(write_json(audit_document(entry)) + b"\n" for entry in page.rows)
        if page.next is None:
            return
        after = int(page.next)
