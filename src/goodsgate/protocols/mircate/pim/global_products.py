"""Global products: items of a collection of their own, processed as all products are.

The vendor has published only the names of the operations, so the forms are minimal.
"""

import msgspec
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.json_batches import join_records, submit_body
from goodsgate.model.batch import Duplicates, Kind, Policy, Strictness, Verb
from goodsgate.model.json_text import read_json
from goodsgate.protocols.mircate.batch_status import FREQUENCY, TOTAL
from goodsgate.protocols.mircate.dispatcher import CallMethod, MethodCall, page_bounds
from goodsgate.protocols.mircate.pim.records import split_products
from goodsgate.protocols.mircate.pim.unpublished import GLOBAL_COLLECTION, PIM_PAGE_SIZE_MAX, PRODUCTS_BYTES_MAX
from goodsgate.protocols.mircate.responses import json_response
from goodsgate.protocols.mircate.unpublished import PROTOCOL

UPSERT = Policy(schema="mircate/GlobalProduct", duplicates=Duplicates.OFF, references=Strictness.OFF)
REMOVAL = msgspec.structs.replace(UPSERT, verb=Verb.DELETE)
INDEX = "sku"


class GlobalProductMethods:
    """Methods Receive Products, Get Global Products and Remove Global Products."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    def methods(self) -> dict[str, CallMethod]:
        """Return the methods by operation id."""
        return {
            "receive_products": CallMethod(work=self.receive, bytes_max=PRODUCTS_BYTES_MAX),
            "remove_global_products": CallMethod(work=self.remove), "get_global_products": CallMethod(work=self.get),
        }

    def receive(self, call: MethodCall) -> Response:
        """Accept many products."""
        return self._submit(call, UPSERT)

    def remove(self, call: MethodCall) -> Response:
        """Delete many products by their SKU."""
        return self._submit(call, REMOVAL)

    def get(self, call: MethodCall) -> Response:
        """Return a page of products, ordered by SKU."""
        offset, size = page_bounds(call.arguments, size_max=PIM_PAGE_SIZE_MAX)
        store, collection = self._context.store, (call.merchant, Kind.PRODUCT, GLOBAL_COLLECTION)
        total, rows = store.list_index(*collection, INDEX, offset=offset, limit=max(size, 1))
        items = [store.item(*collection, key) for _, key in rows[:size]]
        products = [read_json(item.document) for item in items if item is not None]
        return json_response({"pageFrom": offset, "pageSize": size, "totalProducts": total, "products": products})

    def _submit(self, call: MethodCall, policy: Policy) -> Response:
        records = split_products(call.content)
        format, body = join_records(records)
        submission = self._context.engine.submit(
            merchant=call.merchant, kind=Kind.PRODUCT, collection=GLOBAL_COLLECTION, policy=policy, format=format,
            label=f"global {policy.verb} {len(records)}", protocol=PROTOCOL,
            protocol_data={TOTAL: str(len(records)), FREQUENCY: "0"},
        )
        return json_response({"batchId": submit_body(submission, body, self._context).id})
