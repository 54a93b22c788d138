"""Prices and stock: through the same lanes as everything, and answered when they have been worked."""

from functools import partial
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.json_batches import joined, submit_body
from goodsgate.http.long_poll import Documents
from goodsgate.http.problems import refuse
from goodsgate.model.batch import FINAL_STATES, Batch, Kind, Policy, State, Strictness
from goodsgate.protocols.konnect.bodies import read_body, split_array
from goodsgate.protocols.konnect.failed_records import FailedRecord, join_messages, read_failed_records
from goodsgate.protocols.konnect.orders.request_bodies import collect_errors
from goodsgate.protocols.konnect.orders.updates import OrderUpdateHandlers
from goodsgate.protocols.konnect.responses import json_response, serialize_meta
from goodsgate.protocols.konnect.trace_ids import new_batch_id, to_object_id
from goodsgate.protocols.konnect.unpublished import COLLECTION, SYNCHRONOUS_SECONDS_MAX, token_location

RECORDS_MAX = 500


class WriteOutcome(msgspec.Struct, frozen=True):
    """What became of a batch, for the answer."""

    errors: list[dict[str, Any]]
    failed: int
    ended: bool


class PriceStockHandlers:
    """Handlers of PUT price and PUT inventory."""

    def __init__(self, context: ServerContext, changes: OrderUpdateHandlers) -> None:
        self._context = context
        self._changes = changes
        self._documents = Documents(context.change_signal, self._make)

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {"update_prices": self.prices, "update_inventory": self.inventory}

    async def prices(self, request: ApiRequest) -> Response:
        """PUT /ims/v3/price."""
        return await self._update(request, Kind.PRICE, "konnect/PriceRecord")

    async def inventory(self, request: ApiRequest) -> Response:
        """PUT /ims/v3/inventory; credit notes among the records, which one document sends here, are taken too (X12)."""
        return await self._update(request, Kind.STOCK, "konnect/StockRecord")

    async def _update(self, request: ApiRequest, kind: Kind, schema: str) -> Response:
        records = split_array(await read_body(request, self._context), member="request body")
        if not records:
            raise refuse("body_invalid", "The request body must be a non-empty array.")
        if len(records) > RECORDS_MAX:
            raise refuse("body_invalid", f"The request body may hold at most {RECORDS_MAX} records.")
        policy = Policy(
            schema=schema, duplicates=Strictness.OFF, references=Strictness.REFUSE,
            location=token_location(request.caller)
        )
        notes = [at for at, raw in enumerate(records) if kind is Kind.STOCK and _is_credit_note(raw)]
        if not notes:
            return _answered(request, *await self._worked(request.merchant, kind, records, policy), len(records))
        rest = [at for at in range(len(records)) if at not in notes]
        credit = partial(self._changes.invoice, request.merchant, token_location(request.caller))
        failed_notes = await self._context.run_in_thread(collect_errors, [records[at] for at in notes], credit)
        errors = _placed(failed_notes, notes)
        ack, told = "", WriteOutcome([], 0, True)
        if rest:
            ack, told = await self._worked(request.merchant, kind, [records[at] for at in rest], policy)
        errors = sorted(errors + _placed(told.errors, rest), key=lambda error: int(error["index"]))
        failed = told.failed - len(told.errors) + len(errors)
        return _answered(request, ack, WriteOutcome(errors, failed, told.ended), len(records))

    async def _worked(self, merchant: str, kind: Kind, records: list[msgspec.Raw], policy: Policy,
                      ) -> tuple[str, WriteOutcome]:
        """What became of records, and the batch that they were."""
        self._context.change_signal.admit()
        with self._context.change_signal.session():
            batch = await self._context.run_in_thread(self._hand_in, merchant, kind, records, policy)
            seconds = min(SYNCHRONOUS_SECONDS_MAX, self._context.config.wait_seconds_max)
            document = await self._documents.wait_for_change(merchant, batch.id, since=None, seconds=seconds)
        return batch.id, msgspec.json.decode(document.body, type=WriteOutcome)

    def _hand_in(self, merchant: str, kind: Kind, records: list[msgspec.Raw], policy: Policy) -> Batch:
        format, body = joined([bytes(record) for record in records])
        submission = self._context.engine.submit(
            merchant=merchant, kind=kind, collection=COLLECTION, policy=policy, format=format,
            label=f"{kind} {len(records)}", protocol="konnect", facts={"total": str(len(records))}, id=new_batch_id(),
        )
        return submit_body(submission, body, self._context)

    async def _make(self, merchant: str, batch: str) -> tuple[bytes, bool]:
        return await self._context.run_in_thread(self._look, merchant, batch)

    def _look(self, merchant: str, batch: str) -> tuple[bytes, bool]:
        found = self._context.engine.batch(merchant, batch)
        ended = found.state in FINAL_STATES
        failed = list(read_failed_records(self._context.store, found)) if ended and found.counts.rejected else []
        lost = int(found.facts["total"]) - found.counts.accounted if found.state is State.BROKEN else 0
        told = [_error(failure) for failure in failed]
        return msgspec.json.encode(WriteOutcome(told, len(failed) + lost + found.counts.cancelled, ended)), ended


def _error(failure: FailedRecord) -> dict[str, Any]:
    errors = failure.errors
    return {
        "location_id": failure.text("location_id"), "sku": failure.text("sku"), "code": errors[0]["code"],
        "message": join_messages(errors), "index": failure.index, "errors": errors,
    }


def _is_credit_note(raw: msgspec.Raw) -> bool:
    if b"invoiceType" not in bytes(raw):
        return False
    try:
        record = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(record, dict) and record.get("invoiceType") == "return" and "orderId" in record


def _placed(errors: list[dict[str, Any]], places: list[int]) -> list[dict[str, Any]]:
    """With their places in the request, of which only some records were sent on."""
    return [{**error, "index": places[error["index"]]} for error in errors]


def _answered(request: ApiRequest, batch: str, worked: WriteOutcome, total: int) -> Response:
    failed = worked.failed
    status = "PENDING" if not worked.ended else "SUCCESS" if not failed else "FAILED" if failed == total else "PARTIAL"
    words: dict[str, Any] = {
        "data": {
            "payload_count": total, "success_count": total - failed if worked.ended else 0, "failed_count": failed,
            "errors": worked.errors,
        },
        "meta": serialize_meta(request.caller, status, ack_id=to_object_id(batch) if batch else None),
    }
    if not worked.ended:
        words["message"] = "Accepted; earlier records of this seller are still being worked, these follow in order."
    return json_response(words, status=200 if worked.ended else 202)
