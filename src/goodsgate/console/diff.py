"""The diff page: what a dry run would change."""

from functools import partial
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.console.batch import batch_path
from goodsgate.console.rendering import HEADERS, PageRenderer
from goodsgate.console.request import NUMBER_DIGITS_MAX, ConsoleRequest
from goodsgate.engine.diff import diff_groups, diff_page
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model.catalogue import display_key
from goodsgate.model.diff import DiffChange, field_changes
from goodsgate.model.journal import ChangeOperation

CHANGES_PER_PAGE = 50
VALUE_CHARACTERS_MAX = 300


class ChangeRow(msgspec.Struct, frozen=True):
    """One change as the page shows it."""

    change: DiffChange
    key: str
    fields: list[tuple[str, str, str]]
    """Name, value before and value after."""


class DiffPage:
    """Everything under ``/console/merchants/{merchant}/batches/{batch}/diff``."""

    def __init__(self, context: ServerContext, renderer: PageRenderer) -> None:
        self._context = context
        self._renderer = renderer

    async def get(self, request: ConsoleRequest) -> Response:
        """Return a page of changes, or all of them as CSV."""
        merchant, id, query = await request.merchant(), request.path_param("batch"), request.query
        filters = {"operation": query.get("operation") or None, "field": query.get("field") or None}
        if filters["operation"] not in (None, *ChangeOperation):
            raise refuse("parameter_invalid", "There is no such operation.", parameter="operation")
        if query.get("format") == "csv":
            response = await self._context.report(
                request.http.scope, merchant, partial(self._context.engine.diff_report, merchant, id, **filters)
            )
            response.headers.update(HEADERS)
            return response
        after = query.get("after", "0")
        if not after.isdecimal() or len(after) > NUMBER_DIGITS_MAX:
            raise refuse("parameter_invalid", "after must be a number.", parameter="after")
        return await self._context.run_in_thread(self._render, request, merchant, id, int(after), filters)

    def _render(self, request: ConsoleRequest, merchant: str, id: str, after: int,
                filters: dict[str, str | None]) -> Response:
        batch = self._context.engine.batch(merchant, id)
        changes, next_after = diff_page(self._context.store, batch, after=after, limit=CHANGES_PER_PAGE, **filters)
        values: dict[str, Any] = {
            "batch": batch, "merchant": merchant, "path": batch_path(batch), "section": "batches",
            "groups": diff_groups(self._context.store.diff_summary(merchant, id)), "rows": [*map(_row, changes)],
            "operations": [*ChangeOperation], **filters,
            "first_page": request.link(after=None) if after else None,
            "next_page": request.link(after=next_after) if next_after is not None else None,
            "csv": request.link(after=None, format="csv"),
        }
        return self._renderer.response(request, "diff.html", values)


def _row(change: DiffChange) -> ChangeRow:
    return ChangeRow(change, display_key(change.key) or "", [
        (name, _text(before), _text(after)) for name, before, after in field_changes(change)
    ])


def _text(value: msgspec.Raw | None) -> str:
    """Return a value as people read it, which may be cut off."""
    if value is None:
        return ""
    json = bytes(value).decode()
    text = msgspec.json.decode(json) if json.startswith('"') else json
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[: VALUE_CHARACTERS_MAX - 1]}…"
