"""The registry of checks: one per method of the contract, a generator that yields once, where the method is called.

A check receives what was observed of earlier calls, and the arguments of this one by name. It may yield arguments to
replace, receives the result, and may return another result.
"""

from collections.abc import Callable, Generator
from typing import Any

import msgspec

from goodsgate.model.batch import Batch, Kind
from goodsgate.store.contract import Store
from goodsgate.store.strict.demands import check_batch, require

Check = Generator[dict[str, Any] | None, Any, Any]

CHECKS: dict[str, Callable[["Observed", Any], Check]] = {}
"""Method → its check; methods without one only pass values on."""


class Observed:
    """What was observed of a store over time."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.batches: dict[str, Batch] = {}
        self.attempts: dict[tuple[str, Kind, str], int] = {}
        self.committing: dict[str, set[bytes]] = {}
        """Batch → the keys, without their case, of its chunk that is being committed."""

    def note(self, batch: Batch, merchant: str, id: str, before: Batch | None) -> None:
        """Compare a batch with `before`, what was known when the call began; other threads may know more by now."""
        require((batch.merchant, batch.id) == (merchant, id), "the batch was asked for", batch)
        check_batch(batch)
        if before is not None:
            require(batch.rounds >= before.rounds, "rounds remain", before, batch)
            begins_anew = before.is_trial and not batch.is_trial
            remain = begins_anew or batch.counts.accounted >= before.counts.accounted
            require(remain, "results remain", before, batch)
            remain = begins_anew or before.total is None or (batch.total or 0) >= before.total
            require(remain, "records remain", before, batch)
            if before.revision == batch.revision:
                same = msgspec.structs.replace(before, position=batch.position)
                require(same == batch, "a batch has another revision if it has changed", before, batch)
        self.batches[batch.id] = batch


def checks(function: Callable[[Observed, Any], Check]) -> Callable[[Observed, Any], Check]:
    """Register a function as the check of the method with its name."""
    CHECKS[function.__name__] = function
    return function
