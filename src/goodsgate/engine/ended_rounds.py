"""One log line for each round that ends, with what became of its batch."""

import logging
from collections.abc import Sequence

from goodsgate.model.batch import State
from goodsgate.store.contract import EndedRound

log = logging.getLogger("goodsgate.batches")


def log_ended(ended: Sequence[EndedRound]) -> None:
    """Log how batches ended: those of one commit in one record, because a line of its own takes longer than a batch.

    A line may be missing after a crash; the batch is the truth.
    """
    if ended and log.isEnabledFor(logging.INFO):
        log.info("batches ended", extra={"lines": [_line(each) for each in ended]})


def _line(ended: EndedRound) -> dict[str, object]:
    round, end = ended
    outcome = end.outcome
    began_at = round.received_at if not round.number else round.started_at
    line: dict[str, object] = {
        "message": f"batch ended: {outcome}", "merchant": round.merchant, "batch": round.batch,
        "round": round.number, "kind": round.kind.value, "collection": round.collection, "outcome": outcome,
        "records": end.total, "results": end.results, "file_errors": end.file_errors,
        "seconds": max(0.0, (end.end_time - began_at).total_seconds()), "dry_run": round.policy.dry_run,
    }
    if outcome == State.BROKEN:
        line["level"] = "warning"
    if round.origin.request:
        line["request"] = round.origin.request
    if round.origin.traceparent:
        line["trace"] = round.origin.trace_id
    return line
