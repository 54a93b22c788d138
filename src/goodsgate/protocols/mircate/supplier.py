"""Stock and prices that merchants send: split into units and accepted as one batch."""

import uuid

from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.json_batches import join_records, submit_body
from goodsgate.model.batch import Duplicates, Kind, Policy, Strictness
from goodsgate.protocols.mircate.batch_status import BULK, FREQUENCY, TOTAL, batch_ids
from goodsgate.protocols.mircate.dispatcher import CallMethod, MethodCall
from goodsgate.protocols.mircate.responses import json_response
from goodsgate.protocols.mircate.units import split_units
from goodsgate.protocols.mircate.unpublished import COLLECTION, PROTOCOL, UNITS_BYTES_MAX

SCHEMAS = {Kind.STOCK: "mircate/StockUnit", Kind.PRICE: "mircate/PriceUnit"}


class SupplierMethods:
    """Methods Receive Stock and Receive Price."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    def methods(self) -> dict[str, CallMethod]:
        """Return the methods by operation id."""
        return {
            "receive_stock": CallMethod(work=self.receive_stock, bytes_max=UNITS_BYTES_MAX, records="products"),
            "receive_price": CallMethod(work=self.receive_price, bytes_max=UNITS_BYTES_MAX, records="products"),
        }

    def receive_stock(self, call: MethodCall) -> Response:
        """Accept absolute stock quantities."""
        return self._receive(call, Kind.STOCK)

    def receive_price(self, call: MethodCall) -> Response:
        """Accept prices."""
        return self._receive(call, Kind.PRICE)

    def _receive(self, call: MethodCall, kind: Kind) -> Response:
        units = split_units(call.content)
        bulk = call.arguments.get("bulkOperationId") or str(uuid.uuid4())
        frequency = int(call.arguments.get("frequency", 0))
        format, body = join_records(units)
        submission = self._context.engine.submit(
            merchant=call.merchant, kind=kind, collection=COLLECTION, policy=_policy(kind, frequency), format=format,
            label=bulk, protocol=PROTOCOL,
            protocol_data={TOTAL: str(len(units)), FREQUENCY: str(frequency), BULK: bulk},
        )
        ids = batch_ids(submit_body(submission, body, self._context))
        return json_response({"batchId": ids[0], "batchIds": ids, "bulkOperationId": bulk})


def _policy(kind: Kind, frequency: int) -> Policy:
    return Policy(
        schema=SCHEMAS[kind], duplicates=Duplicates.OFF, references=Strictness.REFUSE, pace_seconds=float(frequency)
    )
