"""Estimate when a queued batch starts, by what is in front of it and how fast the last records were processed.

Estimates are rounded: the document of a batch changes with them, and clients wait for changes.
"""

from datetime import UTC, datetime, timedelta
from math import ceil, log2
from typing import NamedTuple

import msgspec

from goodsgate.model.batch import Batch, State, now
from goodsgate.store.contract import BatchFilter, Store

RECENT_BATCHES = 5
"""Finished batches of the collection whose speed counts if the first batch of the lane has none yet."""
STEPS = 8
"""A start is rounded up to an eighth or less of the time until then, and to a whole second at least."""


class QueueWait(msgspec.Struct, frozen=True, kw_only=True):
    """What a queued batch waits for."""

    batch: str
    """The first batch of its lane: the one that is being processed, or is next."""
    batches: int
    """Batches in front of it, with this one."""
    records: int | None
    """About how many records these have left, to one digit; None if nothing is known yet."""
    estimated_start: datetime | None
    """When it starts at the latest, if its lane is processed as fast as it was; None if nothing is known yet."""


class Speed(NamedTuple):
    """How fast bytes and records were processed."""

    bytes: int
    records: int
    seconds: float


def queue_wait(store: Store, batch: Batch) -> QueueWait | None:
    """Return what a batch waits for in its lane; None if it is not queued, or is the next one."""
    if batch.state is not State.QUEUED or not batch.position:
        return None
    in_front = store.in_front(batch.merchant, batch.id)
    first = store.batch(batch.merchant, in_front.batch) if in_front is not None else None
    if in_front is None or first is None:
        return None
    speed = _speed(store, first)
    if speed is None:
        return QueueWait(batch=first.id, batches=in_front.batches, records=None, estimated_start=None)
    left = max(0, in_front.bytes - first.bytes_done)
    seconds = left * speed.seconds / speed.bytes
    return QueueWait(
        batch=first.id, batches=in_front.batches, records=_one_digit(left * speed.records / speed.bytes),
        estimated_start=_rounded_up(now(), seconds),
    )


def _speed(store: Store, first: Batch) -> Speed | None:
    """Return the speed of the first batch of a lane, or else that of the last ones of its collection."""
    speeds = [_speed_of(first, now())]
    if speeds[0] is None:
        filters = BatchFilter(kind=first.kind, collection=first.collection, state=State.FINISHED)
        recent = store.batches(first.merchant, filters, limit=RECENT_BATCHES).rows
        speeds = [_speed_of(each, each.finished_at) for each in recent if each.rounds == 1]
    known = [speed for speed in speeds if speed is not None]
    return Speed(*map(sum, zip(*known, strict=True))) if known else None


def _speed_of(batch: Batch, until: datetime | None) -> Speed | None:
    if batch.started_at is None or until is None or until <= batch.started_at or not batch.bytes_done:
        return None
    return Speed(batch.bytes_done, batch.counts.accounted, (until - batch.started_at).total_seconds())


def _one_digit(count: float) -> int:
    return int(float(f"{count:.0e}"))


def _rounded_up(since: datetime, seconds: float) -> datetime:
    step = 2 ** max(0, ceil(log2(max(seconds, 1) / STEPS)))
    whole = ceil((since + timedelta(seconds=seconds)).timestamp() / step) * step
    return datetime.fromtimestamp(whole, UTC)
