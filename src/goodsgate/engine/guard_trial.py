"""Try a guard on the last batches before it is saved: what their trials measured is compared with its limits."""

import msgspec

from goodsgate.engine.saved_guards import check_guard
from goodsgate.model.batch import FINAL_STATES, Batch, Kind, State
from goodsgate.model.guard import Figure, Guard, HoldReason, hold_reasons
from goodsgate.store.contract import BatchFilter, Store

BATCHES_MAX = 20
BATCHES_SEARCHED = 200


class MeasuredBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A past batch, and why a guard would have held it."""

    batch: Batch
    records: int
    """Records that its own trial has worked."""
    reasons: list[HoldReason]
    """Empty if the guard would have let it pass."""


class GuardTrial(msgspec.Struct, frozen=True, kw_only=True):
    """What a guard would have done."""

    batches: list[MeasuredBatch]
    """Past batches that have figures, the newest first."""
    unmeasured: int
    """Batches between them, or instead of them, that have none: no guard was about them."""
    highest: list[HoldReason]
    """The highest figure of each condition of the guard, met or not: by share if its limit is one."""

    @property
    def held_batches(self) -> list[MeasuredBatch]:
        """The batches that the guard would have held."""
        return [each for each in self.batches if each.reasons]


def try_guard(store: Store, merchant: str, name: str, guard: Guard) -> GuardTrial:
    """Compare a guard with the figures of the last batches of its kind and collection.

    Nothing is worked again: each batch stands with what its own trial measured. Dry runs, edits and reverts are left
    out. Raises Refusal: guard_invalid.
    """
    check_guard(guard)
    filters = BatchFilter(kind=Kind(guard.kind) if guard.kind is not None else None, collection=guard.collection)
    batches, unmeasured, highest = list[MeasuredBatch](), 0, dict[str, Figure]()
    for batch in store.batches(merchant, filters, limit=BATCHES_SEARCHED).rows:
        if not _is_feed(batch):
            continue
        if batch.hold is None or "rejected" not in batch.hold.figures:
            unmeasured += 1
            continue
        figures = batch.hold.figures
        records = int(figures["rejected"].whole)
        reasons = hold_reasons(guard, name, figures, records=records)
        batches.append(MeasuredBatch(batch=batch, records=records, reasons=reasons))
        for condition, limit in guard.hold_if.items():
            if condition in figures:
                pair = (highest.get(condition, figures[condition]), figures[condition])
                highest[condition] = max(pair, key=lambda each: each.share if limit.endswith("%") else each.count)
        if len(batches) == BATCHES_MAX:
            break
    reasons = [
        HoldReason(condition=condition, limit=limit, figure=highest[condition], guard=name)
        for condition, limit in guard.hold_if.items() if condition in highest
    ]
    return GuardTrial(batches=batches, unmeasured=unmeasured, highest=reasons)


def _is_feed(batch: Batch) -> bool:
    """Return whether a guard could have looked at a batch, and its trial is over."""
    policy = batch.policy
    is_over = batch.state in FINAL_STATES or batch.state is State.HELD
    return is_over and not policy.dry_run and policy.edit is None and policy.reverts is None
