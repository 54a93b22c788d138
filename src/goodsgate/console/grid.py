"""The grid: rejected records of a batch as rows whose cells are corrected like those of a spreadsheet."""

import hashlib
from typing import Any, TypeVar

import msgspec
from starlette.responses import Response

from goodsgate.console.batch import batch_path
from goodsgate.console.rendering import HEADERS, PageRenderer
from goodsgate.console.request import NUMBER_DIGITS_MAX, ConsoleRequest
from goodsgate.engine.corrections import (
    Correction,
    RecordNumber,
    RejectedRow,
    RowColumn,
    correct_records,
    rejected_rows,
)
from goodsgate.engine.idempotency import RequestKey
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model.batch import FINAL_STATES, Batch, Result
from goodsgate.model.finding import Finding
from goodsgate.model.issue import CODES, base_code

Body = TypeVar("Body", "RowsRequest", "SaveRequest")

PAGE_ROWS = 500
SCANS_MAX = 20
"""Pages of findings that one request reads to find those of a group."""
GRID_ROWS_MAX = 10_000
"""Rows that the page holds at once; it offers the next ones behind them."""
SHOWN_MAX = 1_000
KEY_PREFIX = "console-grid "
"""Of the idempotency keys, so that no client of the API uses the same one."""


class RowsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which rows and columns the page asks for."""

    rows: list[RecordNumber]
    shown: list[str] = []


class SaveRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Corrections of the page under a key of their own, by which a request that is repeated has one effect."""

    key: str
    corrections: list[Correction]


class RowsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of the grid, and how its batch is."""

    columns: list[RowColumn]
    rows: list[RejectedRow]
    next: int | None = None
    """Where the next page goes on; None at the end."""
    rejected: int
    """Rejected records of the batch."""
    is_open: bool
    """Whether the batch is being processed, so that nothing can be saved."""


class GridPage:
    """Everything under ``/console/merchants/{merchant}/batches/{batch}/grid``."""

    def __init__(self, context: ServerContext, renderer: PageRenderer) -> None:
        self._context = context
        self._engine = context.engine
        self._renderer = renderer

    async def get(self, request: ConsoleRequest) -> Response:
        """Return the page, which loads its rows itself."""
        merchant, id = await request.merchant(), request.path_param("batch")
        code, field = _group(request)
        return await self._context.run_in_thread(self._render, request, merchant, id, code, field)

    def _render(self, request: ConsoleRequest, merchant: str, id: str, code: str | None, field: str | None) -> Response:
        batch = self._engine.batch(merchant, id)
        groups = self._engine.groups(merchant, id) if code is not None else []
        values: dict[str, Any] = {
            "batch": batch, "merchant": merchant, "path": batch_path(batch), "section": "batches",
            "code": code, "field": field, "rows_max": GRID_ROWS_MAX,
            "group": next((group for group in groups if (group.code, group.field) == (code, field)), None),
            "bytes_max": self._context.limits.document_bytes_max,
            "can_edit": request.caller.may("correct") and not (batch.policy.dry_run or batch.is_trial),
        }
        return self._renderer.response(request, "grid.html", values)

    async def rows(self, request: ConsoleRequest) -> Response:
        """Return the next page of rows."""
        merchant, id = await request.merchant(), request.path_param("batch")
        code, field = _group(request)
        after_text = request.query.get("after")
        after = int(after_text) if after_text.isdecimal() and len(after_text) <= NUMBER_DIGITS_MAX else 0
        shown = request.query.get_all("show")[:SHOWN_MAX]

        def read() -> RowsAnswer:
            batch = self._engine.batch(merchant, id)
            if code is None:
                findings = self._context.store.rejected_records(merchant, id, after=after, limit=PAGE_ROWS)
                is_all = after == 0 and len(findings) >= batch.counts.rejected
                next_after = findings[-1].number if findings and not is_all else None
            else:
                findings, next_after = self._find(batch, code, field, after)
            return _answer(batch, findings, shown=shown, next=next_after)

        return _json(await self._context.run_in_thread(read))

    def _find(self, batch: Batch, code: str, field: str | None, after: int) -> tuple[list[Finding], int | None]:
        """Return rejected records of a group of issues, and after which number the search goes on."""
        numbers: list[int] = []
        store = self._context.store
        for _ in range(SCANS_MAX):
            page = store.findings(batch.merchant, batch.id, after=after, limit=PAGE_ROWS, code=code)
            numbers += [
                finding.number for finding in page
                if finding.result is Result.REJECTED
                and any(issue.code == code and field in (None, issue.field) for issue in finding.issues)
            ]
            after = page[-1].number if page else after
            if len(page) < PAGE_ROWS or len(numbers) >= PAGE_ROWS:
                break
        found = store.rejected_by_number(batch.merchant, batch.id, numbers)
        return [found[number] for number in sorted(found)], after if len(page) == PAGE_ROWS else None

    async def refresh(self, request: ConsoleRequest) -> Response:
        """Return those of some rows that are still rejected."""
        merchant, id = await request.merchant(), request.path_param("batch")
        asked = await self._body(request, RowsRequest)

        def read() -> RowsAnswer:
            batch = self._engine.batch(merchant, id)
            found = self._context.store.rejected_by_number(merchant, id, asked.rows[:PAGE_ROWS])
            findings = [found[number] for number in sorted(found) if found[number].result is Result.REJECTED]
            return _answer(batch, findings, shown=asked.shown[:SHOWN_MAX])

        return _json(await self._context.run_in_thread(read))

    async def save(self, request: ConsoleRequest) -> Response:
        """Send corrections as one fix of the batch."""
        merchant, id = await request.merchant(), request.path_param("batch")
        wanted = await self._body(request, SaveRequest)
        fingerprint = hashlib.sha256(msgspec.json.encode([id, wanted.corrections])).digest()
        key = RequestKey(merchant=merchant, key=KEY_PREFIX + wanted.key, fingerprint=fingerprint)

        def correct() -> bytes:
            return correct_records(self._engine, merchant, id, wanted.corrections, key=key)

        answer = await self._context.run_in_thread(correct)
        return Response(answer, media_type="application/json", headers=HEADERS)

    async def _body(self, request: ConsoleRequest, type: type[Body]) -> Body:
        request.check_csrf()
        limit = self._context.limits.document_bytes_max
        content = await request.body(limit).read(limit + 1)
        if b"\\u0000" in content:
            raise refuse("parameter_invalid", "A cell contains the character NUL.", parameter="cells")
        try:
            return msgspec.json.decode(content, type=type)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise refuse("body_invalid", f"{error}.") from error


def _group(request: ConsoleRequest) -> tuple[str | None, str | None]:
    """Return code and field of the group that the page is limited to; raises parameter_invalid."""
    code = request.query.get("code") or None
    if code is not None and base_code(code) not in CODES:
        raise refuse("parameter_invalid", f"There is no issue code {code[:40]!r}.", parameter="code")
    return code, dict(request.query.pairs).get("field") if code is not None else None


def _answer(batch: Batch, findings: list[Finding], *, shown: list[str], next: int | None = None) -> RowsAnswer:
    found = rejected_rows(batch, findings, shown=shown)
    return RowsAnswer(
        columns=found.columns, rows=found.rows, next=next, rejected=batch.counts.rejected,
        is_open=batch.state not in FINAL_STATES,
    )


def _json(answer: RowsAnswer) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json", headers=HEADERS)
