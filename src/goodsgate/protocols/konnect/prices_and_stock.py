"""Price and stock writes: batches like all others, but the answer waits until they have been applied."""

from functools import partial
from typing import Any

import msgspec
import orjson
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.json_batches import join_records, submit_body
from goodsgate.http.long_poll import DocumentCache, RenderedBatch, rendered
from goodsgate.http.problems import refuse
from goodsgate.model.batch import FINAL_STATES, Batch, Duplicates, Kind, Policy, State, Strictness
from goodsgate.model.json_text import read_json
from goodsgate.protocols.konnect.bodies import read_body, split_array
from goodsgate.protocols.konnect.failed_records import FailedRecord, join_messages, read_failed_records
from goodsgate.protocols.konnect.orders.request_bodies import collect_errors
from goodsgate.protocols.konnect.orders.updates import OrderUpdateHandlers
from goodsgate.protocols.konnect.responses import json_response, serialize_meta
from goodsgate.protocols.konnect.trace_ids import new_batch_id, to_object_id
from goodsgate.protocols.konnect.unpublished import (
    COLLECTION,
    PRODUCTS_FIRST_SECONDS,
    SYNCHRONOUS_SECONDS_MAX,
    token_location,
)

RECORDS_MAX = 500


class WriteOutcome(msgspec.Struct, frozen=True):
    """The outcome of a batch as the answer reports it."""

    errors: list[dict[str, Any]]
    failed: int
    ended: bool


class PriceStockHandlers:
    """Handlers of PUT price and PUT inventory."""

    def __init__(self, context: ServerContext, updates: OrderUpdateHandlers) -> None:
        self._context = context
        self._updates = updates
        self._documents = DocumentCache(context.change_signal, context.change_watch, self._render_outcome)

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {"update_prices": self.prices, "update_inventory": self.inventory}

    async def prices(self, request: ApiRequest) -> Response:
        """Handle PUT /ims/v3/price."""
        return await self._update(request, Kind.PRICE, "konnect/PriceRecord")

    async def inventory(self, request: ApiRequest) -> Response:
        """Handle PUT /ims/v3/inventory, also with credit notes among the records (X12)."""
        return await self._update(request, Kind.STOCK, "konnect/StockRecord")

    async def _update(self, request: ApiRequest, kind: Kind, schema: str) -> Response:
        records = split_array(await read_body(request, self._context), member="request body")
        if not records:
            raise refuse("body_invalid", "The request body must be a non-empty array.")
        if len(records) > RECORDS_MAX:
            raise refuse("body_invalid", f"The request body may hold at most {RECORDS_MAX} records.")
        location = token_location(request.caller)
        policy = Policy(
            schema=schema, duplicates=Duplicates.OFF, references=Strictness.REFUSE, location=location,
            products_first_seconds=PRODUCTS_FIRST_SECONDS,
        )
        notes = [index for index, raw in enumerate(records) if kind is Kind.STOCK and _is_credit_note(raw)]
        if not notes:
            batch_id, outcome = await self._apply(request, kind, records, policy)
            return _response(request, batch_id, outcome, len(records))
        others = [index for index in range(len(records)) if index not in notes]
        add_credit_note = partial(self._updates.invoice, request.merchant, location)
        failed_notes = await self._context.run_in_thread(
            collect_errors, [records[index] for index in notes], add_credit_note
        )
        batch_id, outcome = "", WriteOutcome([], 0, True)
        if others:
            batch_id, outcome = await self._apply(request, kind, [records[index] for index in others], policy)
        errors = sorted(
            _with_positions(failed_notes, notes) + _with_positions(outcome.errors, others),
            key=lambda error: int(error["index"]),
        )
        failed = outcome.failed + len(failed_notes)
        return _response(request, batch_id, WriteOutcome(errors, failed, outcome.ended), len(records))

    async def _apply(self, request: ApiRequest, kind: Kind, records: list[msgspec.Raw], policy: Policy,
                     ) -> tuple[str, WriteOutcome]:
        """Submit the records as a batch and wait, within bounds, for its outcome; return its id and the outcome."""
        merchant = request.merchant
        self._context.sessions.hold(request.http.scope, merchant)
        batch = await self._context.run_in_thread(self._submit, merchant, kind, records, policy)
        seconds = min(SYNCHRONOUS_SECONDS_MAX, self._context.limits.wait_seconds_max)
        document = await self._documents.wait_for_change(merchant, batch.id, since=None, seconds=seconds)
        return batch.id, msgspec.json.decode(document.body, type=WriteOutcome)

    def _submit(self, merchant: str, kind: Kind, records: list[msgspec.Raw], policy: Policy) -> Batch:
        format, body = join_records([bytes(record) for record in records])
        submission = self._context.engine.submit(
            merchant=merchant, kind=kind, collection=COLLECTION, policy=policy, format=format,
            label=f"{kind} {len(records)}", protocol="konnect", protocol_data={"total": str(len(records))},
            id=new_batch_id(),
        )
        return submit_body(submission, body, self._context)

    async def _render_outcome(self, merchant: str, batch_id: str) -> RenderedBatch:
        return await self._context.run_in_thread(self._read_outcome, merchant, batch_id)

    def _read_outcome(self, merchant: str, batch_id: str) -> RenderedBatch:
        batch = self._context.engine.batch(merchant, batch_id)
        ended = batch.state in FINAL_STATES
        failed = list(read_failed_records(self._context.store, batch)) if ended and batch.counts.rejected else []
        lost = int(batch.protocol_data["total"]) - batch.counts.accounted if batch.state is State.BROKEN else 0
        errors = [_serialize_error(record) for record in failed]
        outcome = WriteOutcome(errors, len(failed) + lost + batch.counts.cancelled, ended)
        return rendered(batch, msgspec.json.encode(outcome))


def _serialize_error(failed: FailedRecord) -> dict[str, Any]:
    errors = failed.errors
    return {
        "location_id": failed.text("location_id"), "sku": failed.text("sku"), "code": errors[0]["code"],
        "message": join_messages(errors), "index": failed.index, "errors": errors,
    }


def _is_credit_note(raw: msgspec.Raw) -> bool:
    if b"invoiceType" not in bytes(raw):
        return False
    try:
        record = read_json(bytes(raw))
    except orjson.JSONDecodeError:
        return False
    return isinstance(record, dict) and record.get("invoiceType") == "return" and "orderId" in record


def _with_positions(errors: list[dict[str, Any]], positions: list[int]) -> list[dict[str, Any]]:
    """Return the errors of some of the request's records with the positions of those records in the request."""
    return [{**error, "index": positions[error["index"]]} for error in errors]


def _status(outcome: WriteOutcome, total: int) -> str:
    if not outcome.ended:
        return "PENDING"
    return "SUCCESS" if not outcome.failed else "FAILED" if outcome.failed == total else "PARTIAL"


def _response(request: ApiRequest, batch_id: str, outcome: WriteOutcome, total: int) -> Response:
    failed = outcome.failed
    document: dict[str, Any] = {
        "data": {
            "payload_count": total, "success_count": total - failed if outcome.ended else 0, "failed_count": failed,
            "errors": outcome.errors,
        },
        "meta": serialize_meta(
            request.caller, _status(outcome, total), ack_id=to_object_id(batch_id) if batch_id else None
        ),
    }
    if not outcome.ended:
        document["message"] = "Accepted; earlier records of this seller are still being worked, these follow in order."
    return json_response(document, status=200 if outcome.ended else 202)
