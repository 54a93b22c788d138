"""Batches of this protocol: 500 units each, while the engine has one batch for each request.

A request is stored as a whole or not at all. The ids of its parts are the id of the engine's batch, with the number of
the part appended from the second part on.
"""

import re
from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.trials import without_trial
from goodsgate.model.batch import FINAL_STATES, Batch, Kind, Result, State
from goodsgate.model.finding import Finding
from goodsgate.model.json_text import cell_text, read_members
from goodsgate.protocols.mircate.dispatcher import CallMethod, MethodCall
from goodsgate.protocols.mircate.pim.records import failed_product
from goodsgate.protocols.mircate.responses import json_response, not_found
from goodsgate.protocols.mircate.unpublished import DONE, FAILED, MESSAGES, PROTOCOL, RUNNING, WAITING

UNITS = 500
"""Units of one batch, published."""
TOTAL, FREQUENCY, BULK = "total", "frequency", "bulk"
"""Names of the data that a batch stores for this protocol."""

_ID = re.compile(r"([0-9a-f]{32})(?:-([1-9][0-9]{0,3}))?")


def batch_ids(batch: Batch) -> list[str]:
    """Return the ids of a batch, one for every 500 units."""
    parts = -(-int(batch.protocol_data[TOTAL]) // UNITS)
    return [batch.id if part == 0 else f"{batch.id}-{part}" for part in range(parts)]


class BatchStatusMethods:
    """The class `MerchantImportJob`."""

    def __init__(self, context: ServerContext) -> None:
        self._store = context.store

    def methods(self) -> dict[str, CallMethod]:
        """Return the methods by operation id."""
        return {"check_batch_status": CallMethod(work=self.check_batch_status, tenant=False)}

    def check_batch_status(self, call: MethodCall) -> Response:
        """Return the status of the units of one batch."""
        match = _ID.fullmatch(call.instance)
        batch = self._store.batch(call.merchant, match[1]) if match is not None else None
        if match is None or batch is None or batch.protocol != PROTOCOL or TOTAL not in batch.protocol_data:
            raise not_found()
        first = int(match[2] or 0) * UNITS
        units = min(UNITS, int(batch.protocol_data[TOTAL]) - first)
        if units <= 0:
            raise not_found()
        return json_response(self.serialize_status(batch, first, units))

    def serialize_status(self, batch: Batch, first: int, units: int) -> dict[str, Any]:
        """Return the seven members of the status of some units after the first ones."""
        batch = without_trial(batch)
        is_applied = batch.state in FINAL_STATES or batch.counts.accounted
        results = self._store.results(batch.merchant, batch.id, after=first, limit=units) if is_applied else []
        failed = sum(1 for row in results if row.result is Result.REJECTED)
        cancelled = sum(1 for row in results if row.result is Result.CANCELLED)
        processed = len(results) - cancelled
        return {
            "batchStatus": _status(batch, has_begun=bool(results) or not first, is_complete=processed == units),
            "failCount": failed, "successCount": processed - failed,
            "failedProducts": [*self._failed_products(batch, first, units)] if failed else [],
            "ratio": f"{processed}/{units}", "pushPriceFrequency": int(batch.protocol_data[FREQUENCY]),
            "bulkOperationType": batch.kind.upper(),
        }

    def _failed_products(self, batch: Batch, first: int, units: int) -> Iterator[dict[str, Any]]:
        after, last = first, first + units
        while page := self._store.rejected_records(batch.merchant, batch.id, after=after, limit=units):
            for finding in page:
                if finding.number > last:
                    return
                entry: dict[str, Any]
                entry = {**(failed_product(finding) if batch.kind is Kind.PRODUCT else _failed_unit(finding))}
                if not entry["sku"]:
                    entry["index"] = finding.number - 1 - first
                yield entry
            after = page[-1].number


def _status(batch: Batch, *, has_begun: bool, is_complete: bool) -> str:
    if is_complete:
        return DONE
    if batch.state in FINAL_STATES:
        return DONE if batch.state is State.FINISHED else FAILED
    return RUNNING if has_begun and (batch.state is State.WORKING or batch.counts.accounted) else WAITING


def _failed_unit(finding: Finding) -> dict[str, str]:
    unit = read_members(finding.raw or b"{}") or {}
    messages = [
        MESSAGES.get(issue.code, issue.message.removesuffix("."))
        for issue in finding.issues if issue.severity == "error"
    ]
    sku, channel = cell_text(unit.get("sku")), cell_text(unit.get("channel"))
    return {"sku": sku, "channel": channel, "message": "; ".join(messages)}
