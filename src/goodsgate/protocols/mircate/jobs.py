"""Batches as this protocol has them: 500 units of what came in one request, which the engine holds as one batch.

One request is durable as a whole or not at all; the ids of its parts are the batch's own with the number of the part
behind it, the first being without.
"""

import re
from collections.abc import Iterator
from typing import Any

import orjson
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.model.batch import FINAL_STATES, Batch, Finding, Kind, Result, State
from goodsgate.protocols.mircate.answers import answer, missing
from goodsgate.protocols.mircate.guesses import DONE, FAILED, MESSAGES, PROTOCOL, RUNNING, WAITING
from goodsgate.protocols.mircate.pim.records import failed_product
from goodsgate.protocols.mircate.transport import Asked, Method

UNITS = 500
"""Of one batch, published."""
TOTAL, FREQUENCY, BULK = "total", "frequency", "bulk"
"""Facts of a batch."""

_ID = re.compile(r"([0-9a-f]{32})(?:-([1-9][0-9]{0,3}))?")


def ids_of(batch: Batch) -> list[str]:
    """One for every 500 units."""
    parts = -(-int(batch.protocol_data[TOTAL]) // UNITS)
    return [batch.id if part == 0 else f"{batch.id}-{part}" for part in range(parts)]


class Jobs:
    """The class `MerchantImportJob`."""

    def __init__(self, context: ServerContext) -> None:
        self._store = context.store

    def methods(self) -> dict[str, Method]:
        """By operation id."""
        return {"check_batch_status": Method(work=self.check_batch_status, tenant=False)}

    def check_batch_status(self, asked: Asked) -> Response:
        """What became of the units of one batch."""
        named = _ID.fullmatch(asked.instance)
        batch = self._store.batch(asked.merchant, named[1]) if named is not None else None
        if named is None or batch is None or batch.protocol != PROTOCOL or TOTAL not in batch.protocol_data:
            raise missing()
        first = int(named[2] or 0) * UNITS
        units = min(UNITS, int(batch.protocol_data[TOTAL]) - first)
        if units <= 0:
            raise missing()
        return answer(self.words(batch, first, units))

    def words(self, batch: Batch, first: int, units: int) -> dict[str, Any]:
        """The seven members, of so many units behind the first."""
        results = self._store.results(batch.merchant, batch.id, after=first, limit=units)
        failed = sum(1 for row in results if row.result is Result.REJECTED)
        cancelled = sum(1 for row in results if row.result is Result.CANCELLED)
        worked = len(results) - cancelled
        return {
            "batchStatus": _status(batch, begun=bool(results) or not first, whole=worked == units),
            "failCount": failed, "successCount": worked - failed,
            "failedProducts": [*self._failed(batch, first, units)] if failed else [],
            "ratio": f"{worked}/{units}", "pushPriceFrequency": int(batch.protocol_data[FREQUENCY]),
            "bulkOperationType": batch.kind.upper(),
        }

    def _failed(self, batch: Batch, first: int, units: int) -> Iterator[dict[str, str]]:
        after, last = first, first + units
        while page := self._store.rejected_records(batch.merchant, batch.id, after=after, limit=units):
            for finding in page:
                if finding.number > last:
                    return
                yield failed_product(finding) if batch.kind is Kind.PRODUCT else _failed_unit(finding)
            after = page[-1].number


def _status(batch: Batch, *, begun: bool, whole: bool) -> str:
    if whole:
        return DONE
    if batch.state in FINAL_STATES:
        return DONE if batch.state is State.FINISHED else FAILED
    return RUNNING if begun and (batch.state is State.WORKING or batch.counts.accounted) else WAITING


def _failed_unit(finding: Finding) -> dict[str, str]:
    try:
        unit = orjson.loads(finding.raw or b"{}")
    except orjson.JSONDecodeError:
        unit = {}
    unit = unit if isinstance(unit, dict) else {}
    told = [MESSAGES.get(one.code, one.message.removesuffix(".")) for one in finding.issues if one.severity == "error"]
    return {"sku": _text(unit.get("sku")), "channel": _text(unit.get("channel")), "message": "; ".join(told)}


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else orjson.dumps(value).decode()
