"""Reading batches: listings, polls, event streams, issues, results and reports."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from starlette.responses import Response, StreamingResponse
from starlette.types import Scope

from goodsgate.engine.diff import DiffGroup, diff_groups, diff_page
from goodsgate.http.context import MERCHANT_HEADER, ServerContext, find_secret
from goodsgate.http.endpoints import VERSION_HEADER, ApiRequest, CachedResponse, Handler
from goodsgate.http.long_poll import BatchDocument, DocumentCache, RenderedBatch, rendered, unless_disconnected
from goodsgate.model.batch import Kind, Result, State
from goodsgate.model.catalogue import display_key
from goodsgate.model.diff import DiffChange, field_changes
from goodsgate.model.finding import Finding
from goodsgate.model.issue import Issue, base_code
from goodsgate.protocols.native.batches import encode_batch, serialize_batch
from goodsgate.protocols.native.responses import JSON, page_response
from goodsgate.store.contract import BatchFilter, RecordResult, StoreBusyError

HEARTBEAT_SECONDS = 15.0
STORE_RETRY_SECONDS = 1.0
"""Interval at which an event stream retries while the store is unavailable."""
BATCH_PATH = "/v1/batches/{batch}"
PREFIX = "/v1/batches/"
PATH_CHARACTERS = len(PREFIX) + 32


class BatchQueryHandlers:
    """Handlers of the operations that read batches."""

    def __init__(self, context: ServerContext, *, version: str) -> None:
        """Take the version of the API, for responses from memory."""
        self._version = (VERSION_HEADER, version.encode())
        self._context = context
        self._engine = context.engine
        self._store = context.store
        self._documents = DocumentCache(context.change_signal, context.change_watch, self._render)

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "batches": self.batches, "batch": self.batch, "events": self.events, "issues": self.issues,
            "results": self.results, "report": self.report, "diff": self.diff,
        }

    async def _render(self, merchant: str, batch: str) -> RenderedBatch:
        def render() -> RenderedBatch:
            current = self._engine.batch(merchant, batch)
            has_issues = current.state is not State.QUEUED or current.rounds > 1
            groups = self._engine.groups(merchant, batch) if has_issues else []
            waiting_for = self._engine.waiting_for(merchant, batch) if current.counts.waiting else []
            behind = self._store.blocking_batch(merchant, batch) if current.position else None
            queue = self._engine.queue_wait(current)
            document = encode_batch(current, groups, waiting_for=waiting_for, waits_behind=behind, queue=queue)
            return rendered(current, document)

        return await self._context.run_in_thread(render)

    async def batches(self, request: ApiRequest) -> Response:
        """Handle GET /v1/batches."""
        query = request.query
        filters = BatchFilter(
            kind=Kind(query["kind"]) if query["kind"] else None,
            state=State(query["state"]) if query["state"] else None, outcome=query["outcome"],
            collection=query["collection"], since=query["since"], until=query["until"], text=query["q"],
        )
        page = await self._context.run_in_thread(
            self._store.batches, request.merchant, filters, after=query["after"], limit=self._limit(request)
        )
        return page_response(request, "batches", [serialize_batch(batch) for batch in page.rows], page.next)

    async def batch(self, request: ApiRequest) -> Response:
        """Handle GET /v1/batches/{batch}."""
        merchant, batch = request.merchant, request.path["batch"]
        etag = request.http.headers.get("if-none-match")
        if not request.query["wait"]:
            return _document_response(await self._documents.get(merchant, batch), etag)
        seconds = min(float(request.query["wait"]), self._context.limits.wait_seconds_max)
        self._context.sessions.hold(request.http.scope, merchant)
        since = etag.removeprefix("W/") if etag is not None else None  # weak if the document was compressed
        change = self._documents.wait_for_change(merchant, batch, since=since, seconds=seconds)
        return _document_response(await unless_disconnected(request.http, change), etag)

    def cached_response(self, scope: Scope) -> CachedResponse | None:
        """Return the response to ``GET /v1/batches/{batch}`` if caller and document are cached and current.

        Polls are the most frequent requests by far.
        """
        path: str = scope["path"]
        if len(path) != PATH_CHARACTERS or not path.startswith(PREFIX) or scope["query_string"]:
            return None
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if MERCHANT_HEADER.encode() in headers or VERSION_HEADER in headers:
            return None
        secret = find_secret(headers)
        caller = self._context.authenticator.cached(secret) if secret is not None else None
        if caller is None or not caller.may("read"):
            return None
        document = self._documents.cached(caller.merchant, path[len(PREFIX) :])
        if document is None:
            return None
        etag = headers.get(b"if-none-match")
        if etag is None:
            return CachedResponse(BATCH_PATH, 200, [*document.headers, self._version], document.body)
        if etag != document.tag:
            return None
        return CachedResponse(BATCH_PATH, 304, [*document.tag_headers, self._version], b"")

    async def events(self, request: ApiRequest) -> Response:
        """Handle GET /v1/batches/{batch}/events."""
        merchant, batch = request.merchant, request.path["batch"]
        first = await self._documents.get(merchant, batch)
        if first.ended and request.http.headers.get("last-event-id") == first.etag.strip('"'):
            return Response(status_code=204)
        self._context.sessions.hold(request.http.scope, merchant)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(
            self._events(merchant, batch, first), media_type="text/event-stream", headers=headers
        )

    async def _events(self, merchant: str, batch: str, document: BatchDocument) -> AsyncIterator[bytes]:
        """Yield the document as an event at each change, until the batch has ended or the gate stops."""
        yield _event(document)
        while not document.ended and not self._context.change_watch.closed:
            try:
                current = await self._documents.wait_for_change(
                    merchant, batch, since=document.etag, seconds=HEARTBEAT_SECONDS
                )
            except StoreBusyError:
                # Ending the stream would make every client connect again at the same moment.
                yield b": storage is unavailable\n\n"
                await asyncio.sleep(STORE_RETRY_SECONDS)
                continue
            yield _event(current) if current.etag != document.etag else b": heartbeat\n\n"
            document = current

    async def issues(self, request: ApiRequest) -> Response:
        """Handle GET /v1/batches/{batch}/issues."""
        merchant, batch, limit = request.merchant, request.path["batch"], self._limit(request)
        code, severity = request.query["code"], request.query["severity"]
        after = -1 if request.query["after"] is None else request.query["after"]

        def read_findings() -> list[Finding]:
            self._engine.batch(merchant, batch)
            return self._store.findings(merchant, batch, after=after, limit=limit, code=code, severity=severity)

        findings = await self._context.run_in_thread(read_findings)
        rows = [
            _serialize_issue(finding, issue) for finding in findings for issue in finding.issues
            if code in (None, issue.code) and severity in (None, issue.severity)
        ]
        return page_response(request, "issues", rows, findings[-1].number if len(findings) == limit else None)

    async def results(self, request: ApiRequest) -> Response:
        """Handle GET /v1/batches/{batch}/results."""
        merchant, batch, limit = request.merchant, request.path["batch"], self._limit(request)
        after, result = request.query["after"] or 0, request.query["result"]

        def read_results() -> list[RecordResult]:
            self._engine.batch(merchant, batch)
            return self._store.results(
                merchant, batch, after=after, limit=limit, result=Result(result) if result else None
            )

        results = await self._context.run_in_thread(read_results)
        rows = [{"record": row.number, "key": display_key(row.key), "result": row.result} for row in results]
        return page_response(request, "results", rows, results[-1].number if len(results) == limit else None)

    async def report(self, request: ApiRequest) -> Response:
        """Handle GET /v1/batches/{batch}/report."""
        return await self._context.report(request.http.scope, request.merchant, partial(
            self._engine.report, request.merchant, request.path["batch"], only=request.query["only"],
            format=request.query["format"], raw=request.query["raw"],
        ))

    async def diff(self, request: ApiRequest) -> Response:
        """Handle GET /v1/batches/{batch}/diff."""
        merchant, batch, query = request.merchant, request.path["batch"], request.query
        filters = {"operation": query["operation"], "field": query["field"]}
        if query["format"] == "csv":
            write = partial(self._engine.diff_report, merchant, batch, **filters)
            return await self._context.report(request.http.scope, merchant, write)

        def read_diff() -> tuple[list[DiffGroup], list[dict[str, Any]], int | None]:
            found = self._engine.batch(merchant, batch)
            changes, after = diff_page(
                self._store, found, after=query["after"] or 0, limit=self._limit(request), **filters
            )
            groups = diff_groups(self._store.diff_summary(merchant, batch))
            return groups, [*map(_serialize_change, changes)], after

        groups, rows, after = await self._context.run_in_thread(read_diff)
        return page_response(request, "changes", rows, after, groups=[*map(_serialize_diff_group, groups)])

    def _limit(self, request: ApiRequest) -> int:
        return min(int(request.query["limit"]), self._context.limits.page_rows_max)


def matches(if_none_match: str, etag: str) -> bool:
    """Return whether the header contains the entity tag, compared weakly (RFC 9110, section 13.1.2)."""
    if if_none_match.strip() == "*":
        return True
    return etag in (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))


def _event(document: BatchDocument) -> bytes:
    return b"event: batch\nid: %s\ndata: %s\n\n" % (document.etag.strip('"').encode(), document.body)


def _document_response(document: BatchDocument, if_none_match: str | None) -> Response:
    headers = {"etag": document.etag, "cache-control": "private, no-cache"}
    if if_none_match is not None and matches(if_none_match, document.etag):
        return Response(status_code=304, headers=headers)
    return Response(document.body, media_type=JSON, headers=headers)


def _serialize_issue(finding: Finding, issue: Issue) -> dict[str, Any]:
    return {
        "record": finding.number,
        "source_row": finding.source_row,
        "fix": {"round": finding.fix_round, "row": finding.fix_row} if finding.fix_round else None,
        "key": display_key(finding.key),
        "result": finding.result,
        "code": issue.code,
        "severity": issue.severity,
        "path": issue.path,
        "column": issue.column,
        "value": issue.value,
        "expected": issue.expected,
        "suggestion": issue.suggestion,
        "message": issue.message,
        "docs": f"/docs/issues#{base_code(issue.code)}",
    }


def _serialize_diff_group(group: DiffGroup) -> dict[str, Any]:
    return {
        "effect": group.effect, "field": group.field or None, "count": group.count, "text": group.text,
        "median": None if group.median is None else round(group.median, 4), "extreme": group.extreme,
        "zero": group.zero,
    }


def _serialize_change(change: DiffChange) -> dict[str, Any]:
    return {
        "number": change.number, "operation": change.operation, "key": display_key(change.key),
        "record": change.record, "source_row": change.row,
        "fields": [
            {"field": name, "before": before, "after": after} for name, before, after in field_changes(change)
        ],
    }
