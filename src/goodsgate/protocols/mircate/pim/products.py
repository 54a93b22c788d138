"""Products that are written: one by one with the result, or many as a batch."""

from collections.abc import Awaitable
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.json_batches import join_records, submit_body
from goodsgate.http.long_poll import DocumentCache, RenderedBatch, rendered
from goodsgate.model.batch import FINAL_STATES, Batch, Duplicates, Kind, Policy, State, Strictness, Verb, new_id
from goodsgate.protocols.mircate.batch_status import FREQUENCY, TOTAL, BatchStatusMethods
from goodsgate.protocols.mircate.dispatcher import CallMethod, MethodCall
from goodsgate.protocols.mircate.pim.batch_end import IMAGES_KEY, TOPIC, own_images
from goodsgate.protocols.mircate.pim.listing import item_times, update_token
from goodsgate.protocols.mircate.pim.records import id_of, key_of, refusal_body, split_products, with_id
from goodsgate.protocols.mircate.pim.unpublished import (
    COLLECTION,
    PREFIX,
    PRODUCT_BYTES_MAX,
    PRODUCTS_BYTES_MAX,
)
from goodsgate.protocols.mircate.pim.webhooks import has_webhook, products_to_report
from goodsgate.protocols.mircate.responses import bad_request, json_response, not_found
from goodsgate.protocols.mircate.unpublished import PROTOCOL, SYNCHRONOUS_SECONDS_MAX

UPSERT = Policy(
    verb=Verb.UPDATE, schema="mircate/ProductRecord", update_creates=True, duplicates=Duplicates.OFF,
    references=Strictness.OFF
)
REMOVAL = Policy(
    verb=Verb.DELETE, schema="mircate/ProductRemoval", duplicates=Duplicates.OFF, references=Strictness.OFF
)


class ProductOutcome(msgspec.Struct, frozen=True):
    """The result of a batch of one product."""

    ended: bool
    refusal: dict[str, Any] | None = None
    """The body of the answer to a rejected product."""
    unknown: bool = False
    """Whether the product does not exist."""


class ProductMethods:
    """Methods Upsert Product, Bulk Product Upsert, Check Batch Status and Delete Product."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._batch_status = BatchStatusMethods(context)
        self._documents = DocumentCache(context.change_signal, context.change_watch, self._load_outcome)

    def methods(self) -> dict[str, CallMethod]:
        """Return the methods by operation id."""
        return {
            "upsert_product": CallMethod(work=self.upsert, bytes_max=PRODUCT_BYTES_MAX),
            "bulk_product_upsert": CallMethod(work=self.bulk, bytes_max=PRODUCTS_BYTES_MAX, records="*"),
            "pim_check_batch_status": CallMethod(work=self.status), "delete_product": CallMethod(work=self.delete),
        }

    def upsert(self, call: MethodCall) -> Awaitable[Response]:
        """Write one product and answer with the result."""
        self._context.sessions.hold(call.request.http.scope, call.merchant)
        batch = self.submit_records(call, [with_id(call.content, renewal=new_id())], UPSERT)
        return self._wait_for_upsert(call, batch)

    async def _wait_for_upsert(self, call: MethodCall, batch: str) -> Response:
        outcome = await self.wait_for_outcome(call.merchant, batch)
        if not outcome.ended:
            return json_response({"batchId": batch}, status=202)
        if outcome.refusal is not None:
            return json_response(outcome.refusal, status=400)
        return await self._context.run_in_thread(self._upsert_response, call)

    def _upsert_response(self, call: MethodCall) -> Response:
        key = id_of(call.arguments)
        item = self._context.store.item(call.merchant, Kind.PRODUCT, COLLECTION, key) if key is not None else None
        if item is None:  # deleted in the meantime
            raise not_found()
        times = item_times(dict(item.index_entries))
        return json_response({"meta": {**times, "updateToken": update_token(item.document)}})

    def bulk(self, call: MethodCall) -> Response:
        """Accept many products."""
        records = [with_id(product) for product in split_products(call.content)]
        return json_response({"batchId": self.submit_records(call, records, UPSERT)})

    def submit_records(self, call: MethodCall, records: list[bytes], policy: Policy, *, image: str = "") -> str:
        """Submit records with ids as one batch, one of which may add an image; return the id of the batch."""
        format, body = join_records(records)
        protocol_data = {TOTAL: str(len(records)), FREQUENCY: "0"}
        keys = [key for record in records if (key := key_of(record))]
        images = own_images(call, self._context.store, keys, image)
        if images:
            protocol_data[IMAGES_KEY] = ",".join(images)
        if has_webhook(self._context.store, call.merchant):
            protocol_data |= products_to_report(self._context.store, call.merchant, records, policy.verb)
        if len(protocol_data) > len((TOTAL, FREQUENCY)):
            policy = msgspec.structs.replace(policy, notify=TOPIC)
        submission = self._context.engine.submit(
            merchant=call.merchant, kind=Kind.PRODUCT, collection=COLLECTION, policy=policy, format=format,
            label=f"{policy.verb} {len(records)}", protocol=PROTOCOL, protocol_data=protocol_data,
        )
        return submit_body(submission, body, self._context).id

    def status(self, call: MethodCall) -> Response:
        """Return the seven members of the status of a batch of products."""
        batch = self._context.store.batch(call.merchant, call.arguments["batchId"])
        if batch is None or batch.protocol != PROTOCOL or batch.kind is not Kind.PRODUCT:
            raise not_found()
        return json_response(self._batch_status.serialize_status(batch, 0, int(batch.protocol_data[TOTAL])))

    # -- results of one product ----------------------------------------------------------------------------------------

    def delete(self, call: MethodCall) -> Awaitable[Response]:
        """Delete one product by its id."""
        id = call.arguments.get("id") or call.arguments.get("sku")
        if not id:
            raise bad_request("'id' required!")
        self._context.sessions.hold(call.request.http.scope, call.merchant)
        batch = self.submit_records(call, [msgspec.json.encode({"id": id})], REMOVAL)
        return self._wait_for_deletion(call, batch)

    async def _wait_for_deletion(self, call: MethodCall, batch: str) -> Response:
        outcome = await self.wait_for_outcome(call.merchant, batch)
        if not outcome.ended:
            return json_response({"batchId": batch}, status=202)
        if outcome.unknown:
            raise not_found()
        if outcome.refusal is not None:
            return json_response({"message": outcome.refusal["message"].removeprefix(PREFIX)}, status=400)
        return json_response()

    async def wait_for_outcome(self, merchant: str, batch: str) -> ProductOutcome:
        """Wait a few seconds for the result of a batch of one product."""
        seconds = min(SYNCHRONOUS_SECONDS_MAX, self._context.limits.wait_seconds_max)
        document = await self._documents.wait_for_change(merchant, batch, since=None, seconds=seconds)
        return msgspec.json.decode(document.body, type=ProductOutcome)

    async def _load_outcome(self, merchant: str, batch: str) -> RenderedBatch:
        return await self._context.run_in_thread(self._render_outcome, merchant, batch)

    def _render_outcome(self, merchant: str, batch: str) -> RenderedBatch:
        summary = self._context.engine.batch(merchant, batch)
        return rendered(summary, msgspec.json.encode(self._read_outcome(summary)))

    def _read_outcome(self, summary: Batch) -> ProductOutcome:
        if summary.state not in FINAL_STATES:
            return ProductOutcome(ended=False)
        if summary.counts.rejected:
            finding = self._context.store.rejected_records(summary.merchant, summary.id, limit=1)[0]
            unknown = any(issue.code == "item_missing" for issue in finding.issues)
            return ProductOutcome(ended=True, unknown=unknown, refusal=refusal_body(finding))
        if summary.state is not State.FINISHED:
            return ProductOutcome(ended=True, refusal={"message": "The product was not worked; send it again."})
        return ProductOutcome(ended=True)
