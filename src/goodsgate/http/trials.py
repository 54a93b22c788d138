"""Batches as clients see them that know no trials: those of protocols without guards."""

import msgspec

from goodsgate.model.batch import FINAL_STATES, Batch, Counts, State


def without_trial(batch: Batch) -> Batch:
    """Return a batch that is, until it is applied, worked and without results."""
    if not batch.is_trial or batch.state in FINAL_STATES:
        return batch
    state = State.WORKING if batch.state is State.HELD else batch.state
    return msgspec.structs.replace(
        batch, state=state, counts=Counts(), warned=0, file_errors=0, total=None, bytes_done=0, roles={}
    )
