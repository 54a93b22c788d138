"""What became of a batch of products, in the words of either published document; polls answered from memory."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

import msgspec
from starlette.responses import Response
from starlette.types import Scope

from goodsgate.auth import Caller
from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, CachedResponse, Handler
from goodsgate.http.long_poll import Documents
from goodsgate.model.batch import FINAL_STATES, Batch, Kind, State
from goodsgate.protocols.konnect.failed_records import FailedRecord, read_failed_records, serialize_failed_record
from goodsgate.protocols.konnect.responses import json_response
from goodsgate.protocols.konnect.tokens import token_of
from goodsgate.protocols.konnect.trace_ids import format_nanoseconds, to_batch_id, to_object_id, to_trace_id
from goodsgate.protocols.konnect.unpublished import company_id, status_profile

PATH = "/v3/catalog/status"
QUERY = b"trace_id="
ENDED_SECONDS = 2.0
"""A terminal stage is final to clients; should the operator open the batch again, they see it this much later."""
STATUS_OF_STAGE = {"RUNNING": "pending", "COMPLETED": "completed", "PARTIAL": "completed", "FAILED": "failed"}
"""``status`` of the profile `reference`."""


class StatusHandlers:
    """Handlers of the status; documents are kept as long as nothing changes."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.store
        self._documents = Documents(context.change_signal, self._make, ended_seconds=ENDED_SECONDS)

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {"status": self.status, "batch_status": self.status}

    async def status(self, request: ApiRequest) -> Response:
        """GET /v3/catalog/status."""
        assert request.caller is not None
        batch = to_batch_id(str(request.query["trace_id"]))
        if batch is None:
            raise Refusal("batch_unknown", "There is no such trace_id.")
        document = await self._documents.document(request.merchant, _name(batch, request.caller))
        return json_response(document.body)

    def cached_response(self, scope: Scope) -> CachedResponse | None:
        """The commonest request there is, ahead of routing and threads; None where the long way has to be taken."""
        query: bytes = scope["query_string"]
        if scope["path"] != PATH or scope["method"] != "GET" or not query.startswith(QUERY):
            return None
        headers: dict[bytes, bytes] = dict(scope["headers"])
        secret = token_of(headers)
        caller = self._context.keyring.cached(secret) if secret is not None else None
        batch = to_batch_id(unquote_plus(query[len(QUERY) :].decode("latin-1")))
        if caller is None or batch is None or not caller.may("read") or b"goodsgate-merchant" in headers:
            return None
        document = self._documents.fresh(caller.merchant, _name(batch, caller))
        if document is None:
            return None
        sizes = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(document.body))]
        return CachedResponse(PATH, 200, [*sizes, (b"cache-control", b"no-store")], document.body)

    async def _make(self, merchant: str, name: str) -> tuple[bytes, bool]:
        return await self._context.run_in_thread(self._word, merchant, name)

    def _word(self, merchant: str, name: str) -> tuple[bytes, bool]:
        batch, profile, company = name.split("/")
        found = self._store.batch(merchant, batch)
        if found is None or found.protocol != "konnect" or found.kind is not Kind.PRODUCT:
            raise Refusal("batch_unknown", "There is no such trace_id.")
        failed = list(self._failures(found))
        words = serialize_status(found, failed, reference=profile == "reference", company=int(company))
        return msgspec.json.encode(words), found.state in FINAL_STATES

    def _failures(self, batch: Batch) -> Iterator[FailedRecord]:
        return read_failed_records(self._store, batch) if batch.counts.rejected else iter(())


def _name(batch: str, caller: Caller) -> str:
    """All that the words depend on."""
    return f"{batch}/{status_profile(caller)}/{company_id(caller)}"


def batch_stage(batch: Batch) -> str:
    """``RUNNING`` until it has ended; then by what became of the records."""
    if batch.state not in FINAL_STATES:
        return "RUNNING"
    if batch.state is not State.FINISHED:
        return "FAILED"
    if not batch.counts.rejected:
        return "COMPLETED"
    return "FAILED" if batch.counts.rejected == batch.counts.accounted else "PARTIAL"


def serialize_status(batch: Batch, failed: list[FailedRecord], *, reference: bool, company: int) -> dict[str, Any]:
    """The union of both published forms; `reference` decides where they contradict each other."""
    stage, counts = batch_stage(batch), batch.counts
    total = int(batch.facts.get("total", batch.total or 0))
    ended = stage != "RUNNING"
    cancelled = counts.cancelled
    rejected = counts.rejected if batch.state is not State.BROKEN else total - counts.accounted + counts.rejected
    succeed = counts.accounted - counts.rejected - cancelled
    records = [serialize_failed_record(one) for one in failed]
    outcome = reference and ended
    return {
        "trace_id": to_trace_id(batch.id), "total": total, "success": succeed if outcome else total,
        "failed": rejected if outcome else 0, "status": STATUS_OF_STAGE[stage] if reference else "SUCCESS",
        "errors": _errors(records) if outcome else {}, "stage": stage, "company_id": company,
        "batch_id": to_object_id(batch.id) if batch.state is not State.QUEUED else "",
        "meta": {
            "cancelled": cancelled, "cancelled_records": [], "failed": rejected, "failed_records": records,
            "stage": stage.lower() if ended else "pending", "succeed": succeed,
        },
        "last_updated_on": format_nanoseconds(batch.finished_at or batch.started_at or batch.received_at),
        "message": _message(stage, succeed, total),
    }


def _errors(records: list[dict[str, Any]]) -> dict[str, str]:
    return {record["item_code"] or f"products[{record['index']}]": record["message"] for record in records}


def _message(stage: str, succeed: int, total: int) -> str:
    if stage == "RUNNING":
        return "Being processed"
    if stage == "COMPLETED" and total == 1:
        return "Product processed successfully"
    return f"{succeed} of {total} products processed successfully"
