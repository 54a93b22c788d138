"""What a merchant sends in: stock and prices, taken apart, made durable, acknowledged."""

import uuid

from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.json_batches import join_records, submit_body
from goodsgate.model.batch import Kind, Policy, Strictness
from goodsgate.protocols.mircate.answers import answer
from goodsgate.protocols.mircate.guesses import COLLECTION, PROTOCOL, UNITS_BYTES_MAX
from goodsgate.protocols.mircate.jobs import BULK, FREQUENCY, TOTAL, ids_of
from goodsgate.protocols.mircate.transport import Asked, Method
from goodsgate.protocols.mircate.units import units_of

SCHEMAS = {Kind.STOCK: "mircate/StockUnit", Kind.PRICE: "mircate/PriceUnit"}


class Supplier:
    """Receive Stock and Receive Price."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    def methods(self) -> dict[str, Method]:
        """By operation id."""
        return {
            "receive_stock": Method(work=self.receive_stock, bytes_max=UNITS_BYTES_MAX),
            "receive_price": Method(work=self.receive_price, bytes_max=UNITS_BYTES_MAX),
        }

    def receive_stock(self, asked: Asked) -> Response:
        """Stock numbers, absolute."""
        return self._received(asked, Kind.STOCK)

    def receive_price(self, asked: Asked) -> Response:
        """Prices."""
        return self._received(asked, Kind.PRICE)

    def _received(self, asked: Asked, kind: Kind) -> Response:
        units = units_of(asked.content)
        bulk = asked.arguments.get("bulkOperationId") or str(uuid.uuid4())
        frequency = int(asked.arguments.get("frequency", 0))
        format, body = join_records(units)
        submission = self._context.engine.submit(
            merchant=asked.merchant, kind=kind, collection=COLLECTION, policy=_policy(kind, frequency), format=format,
            label=bulk, protocol=PROTOCOL, protocol_data={TOTAL: str(len(units)), FREQUENCY: str(frequency),
                BULK: bulk},
        )
        ids = ids_of(submit_body(submission, body, self._context))
        return answer({"batchId": ids[0], "batchIds": ids, "bulkOperationId": bulk})


def _policy(kind: Kind, frequency: int) -> Policy:
    return Policy(
        schema=SCHEMAS[kind], duplicates=Strictness.OFF, references=Strictness.REFUSE, pace_seconds=float(frequency)
    )
