"""The status of a batch of products, in the form of either published document; polls are answered from a cache."""

from typing import Any
from urllib.parse import unquote_plus

import msgspec
from starlette.responses import Response
from starlette.types import Scope

from goodsgate.auth import Caller
from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, CachedResponse, Handler
from goodsgate.http.long_poll import DocumentCache, RenderedBatch, rendered
from goodsgate.http.trials import without_trial
from goodsgate.model.batch import FINAL_STATES, Batch, Kind, State
from goodsgate.protocols.konnect.failed_records import FailedRecord, read_failed_records, serialize_failed_record
from goodsgate.protocols.konnect.responses import json_response
from goodsgate.protocols.konnect.tokens import access_token
from goodsgate.protocols.konnect.trace_ids import format_nanoseconds, to_batch_id, to_object_id, to_trace_id
from goodsgate.protocols.konnect.unpublished import company_id, status_profile

PATH = "/v3/catalog/status"
QUERY = b"trace_id="
ENDED_SECONDS = 2.0
"""How long the status of a finished batch is cached; a batch that the operator reopens shows up after this time."""
STATUS_OF_STAGE = {"RUNNING": "pending", "COMPLETED": "completed", "PARTIAL": "completed", "FAILED": "failed"}
"""Stage → ``status`` in the profile `reference`."""


class ProductStatusHandlers:
    """Handlers of the status; documents stay cached until the batch changes."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.store
        self._documents = DocumentCache(
            context.change_signal, context.change_watch, self._render_document, ended_seconds=ENDED_SECONDS
        )

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {"status": self.status, "batch_status": self.status}

    async def status(self, request: ApiRequest) -> Response:
        """Handle GET /v3/catalog/status."""
        assert request.caller is not None
        batch = to_batch_id(str(request.query["trace_id"]))
        if batch is None:
            raise Refusal("batch_unknown", "There is no such trace_id.")
        document = await self._documents.get(request.merchant, _document_name(batch, request.caller))
        return json_response(document.body)

    def cached_response(self, scope: Scope) -> CachedResponse | None:
        """Return the cached status ahead of routing; None if the request has to be handled in full.

        Polls are the most frequent requests by far.
        """
        query: bytes = scope["query_string"]
        if scope["path"] != PATH or scope["method"] != "GET" or not query.startswith(QUERY):
            return None
        received: dict[bytes, bytes] = dict(scope["headers"])
        secret = access_token(received)
        caller = self._context.authenticator.cached(secret) if secret is not None else None
        batch = to_batch_id(unquote_plus(query[len(QUERY) :].decode("latin-1")))
        if caller is None or batch is None or not caller.may("read") or b"goodsgate-merchant" in received:
            return None
        document = self._documents.cached(caller.merchant, _document_name(batch, caller))
        if document is None:
            return None
        headers = [
            (b"content-type", b"application/json"), (b"content-length", b"%d" % len(document.body)),
            (b"cache-control", b"no-store"),
        ]
        return CachedResponse(PATH, 200, headers, document.body)

    async def _render_document(self, merchant: str, name: str) -> RenderedBatch:
        return await self._context.run_in_thread(self._render, merchant, name)

    def _render(self, merchant: str, name: str) -> RenderedBatch:
        batch_id, profile, company = name.split("/")
        batch = self._store.batch(merchant, batch_id)
        if batch is None or batch.protocol != "konnect" or batch.kind is not Kind.PRODUCT:
            raise Refusal("batch_unknown", "There is no such trace_id.")
        batch = without_trial(batch)
        failed = list(read_failed_records(self._store, batch)) if batch.counts.rejected else []
        status = serialize_status(batch, failed, reference=profile == "reference", company=int(company))
        return rendered(batch, msgspec.json.encode(status))


def _document_name(batch: str, caller: Caller) -> str:
    """Return everything that the document depends on."""
    return f"{batch}/{status_profile(caller)}/{company_id(caller)}"


def batch_stage(batch: Batch) -> str:
    """Return ``RUNNING`` until the batch has ended, then a stage by the results of its records."""
    if batch.state not in FINAL_STATES:
        return "RUNNING"
    if batch.state is not State.FINISHED:
        return "FAILED"
    if not batch.counts.rejected:
        return "COMPLETED"
    return "FAILED" if batch.counts.rejected == batch.counts.accounted else "PARTIAL"


def serialize_status(batch: Batch, failed: list[FailedRecord], *, reference: bool, company: int) -> dict[str, Any]:
    """Return the members of both published forms; `reference` decides where they contradict each other."""
    stage, counts = batch_stage(batch), batch.counts
    total = int(batch.protocol_data.get("total", batch.total or 0))
    ended = stage != "RUNNING"
    cancelled = counts.cancelled
    rejected = counts.rejected if batch.state is not State.BROKEN else total - counts.accounted + counts.rejected
    succeed = counts.accounted - counts.rejected - cancelled
    records = [serialize_failed_record(record) for record in failed]
    show_results = reference and ended
    return {
        "trace_id": to_trace_id(batch.id), "total": total, "success": succeed if show_results else total,
        "failed": rejected if show_results else 0, "status": STATUS_OF_STAGE[stage] if reference else "SUCCESS",
        "errors": _errors_by_record(records) if show_results else {}, "stage": stage, "company_id": company,
        "batch_id": to_object_id(batch.id) if batch.state is not State.QUEUED else "",
        "meta": {
            "cancelled": cancelled, "cancelled_records": [], "failed": rejected, "failed_records": records,
            "stage": stage.lower() if ended else "pending", "succeed": succeed,
        },
        "last_updated_on": format_nanoseconds(batch.finished_at or batch.started_at or batch.received_at),
        "message": _message(stage, succeed, total),
    }


def _errors_by_record(records: list[dict[str, Any]]) -> dict[str, str]:
    return {record["item_code"] or f"products[{record['index']}]": record["message"] for record in records}


def _message(stage: str, succeed: int, total: int) -> str:
    if stage == "RUNNING":
        return "Being processed"
    if stage == "COMPLETED" and total == 1:
        return "Product processed successfully"
    return f"{succeed} of {total} products processed successfully"
