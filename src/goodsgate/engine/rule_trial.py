"""Try a rule on the records of the last batches, before it is switched on: they are worked again without effect."""

import time

import msgspec

from goodsgate.engine.dry_run import DryRunner
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.saved_rules import check_rule
from goodsgate.model.batch import Batch, State
from goodsgate.model.record_rule import RecordRule
from goodsgate.model.rule_counts import RuleCounts
from goodsgate.store.contract import BatchFilter

BATCHES_MAX = 10
RECORDS_MAX = 50_000
SECONDS_MAX = 10.0


class RuleTrial(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule would have done."""

    batches: int
    """Batches whose records were worked again, the newest first."""
    records: int
    counts: RuleCounts
    is_cut: bool
    """Whether there were more records than the time or the number allows."""


def try_rule(runner: DryRunner, merchant: str, name: str, rule: RecordRule) -> RuleTrial:
    """Work the last batches of the rule's kind and collection again, with this rule alone, which only counts.

    Their records meet the catalogue as it is now. Takes about `SECONDS_MAX` at most. Raises Refusal: rule_invalid.
    """
    check_rule(rule)
    ends_at = time.monotonic() + SECONDS_MAX
    tried = msgspec.structs.replace(rule, mode="shadow")
    filters = BatchFilter(kind=rule.kind, collection=rule.collection, state=State.FINISHED)
    batches, records, counts, is_cut = 0, 0, RuleCounts(), False
    for batch in runner.store.batches(merchant, filters, limit=BATCHES_MAX).rows:
        if batch.policy.schema:
            continue
        if records >= RECORDS_MAX or time.monotonic() >= ends_at:
            is_cut = True
            break
        result = _work_again(runner, batch, name, tried, records_max=RECORDS_MAX - records, ends_at=ends_at)
        if result is None:
            continue
        batches += 1
        records += result.counts.accounted
        counts = counts.plus(result.rule_counts.get(name, RuleCounts()))
        is_cut |= batch.total is not None and result.counts.accounted < batch.total
    return RuleTrial(batches=batches, records=records, counts=counts, is_cut=is_cut)


def _work_again(runner: DryRunner, batch: Batch, name: str, rule: RecordRule, *, records_max: int, ends_at: float,
                ) -> Batch | None:
    """Return the batch as it would be now; None if its payload is gone, or is no longer accepted."""
    pieces = runner.store.payload(batch.merchant, batch.id, 0)
    if pieces is None:
        return None
    policy = msgspec.structs.replace(
        batch.policy, mode="delta", start="now", products_first_seconds=0.0, pace_seconds=0.0, trouble=None, notify=None
    )
    try:
        return runner.run(
            pieces, merchant=batch.merchant, kind=batch.kind, collection=batch.collection, policy=policy,
            format=batch.format, content_encoding=batch.content_encoding, records_max=records_max,
            rules={name: rule}, ends_at=ends_at,
        ).batch
    except Refusal:
        return None
