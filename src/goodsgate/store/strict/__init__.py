"""The contract, checked: wraps a store, checks the arguments before and the results after each call.

All tests run through it. `administration.py`, `processing.py` and `reading.py` have one check per method, `demands.py`
the checks of single values.
"""

import functools
import inspect
from collections.abc import Callable
from types import MethodType, SimpleNamespace
from typing import Any

from goodsgate.store.composed import ComposedStore
from goodsgate.store.contract import Store, SupportsPrefetch
from goodsgate.store.strict import administration as _administration  # registers checks
from goodsgate.store.strict import processing as _processing  # registers checks
from goodsgate.store.strict import reading as _reading  # registers checks
from goodsgate.store.strict.registry import CHECKS, Check, Observed

__all__ = ["StrictStore", "_administration", "_processing", "_reading"]


class StrictStore(ComposedStore):
    """A store whose calls are checked; see Store for what each method does."""

    def __init__(self, store: Store) -> None:
        super().__init__(
            merchants=store, reference=store, resources=store, outbox=store, intake=store, queue=store, lookups=store,
            waiting=store, committer=store, catalogue=store, snapshots=store, journal=store, dry_runs=store,
            index=store, search=store, stock=store,
            batches=store, reports=store, processes=store, audit=store, maintenance=store,
            jobs=store, changes=store,
        )
        self.store = store
        observed = Observed(store)
        for name, check in CHECKS.items():
            if name != "prefetch":
                setattr(self, name, self._checked(name, check, observed))
        if isinstance(store, SupportsPrefetch):
            self.prefetch = self._checked("prefetch", CHECKS["prefetch"], observed)

    def _checked(self, name: str, check: Callable[[Observed, Any], Check], observed: Observed) -> Callable[..., Any]:
        """Return a method of the store with its check around it."""
        method = getattr(self.store, name)
        signature = _signature(getattr(method, "__func__", method), isinstance(method, MethodType))

        @functools.wraps(method)
        def checked(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            steps = check(observed, SimpleNamespace(**bound.arguments))
            replaced = next(steps)
            try:
                result = getattr(self.store, name)(**{**bound.arguments, **(replaced or {})})
            except BaseException:
                steps.close()
                raise
            try:
                steps.send(result)
            except StopIteration as end:
                return result if end.value is None else end.value
            raise AssertionError(f"the check of {name} yields more than once")

        return checked


@functools.cache
def _signature(function: Callable[..., Any], is_method: bool) -> inspect.Signature:
    """Return the signature of a function as it is called; without its first parameter if it is that of a method."""
    signature = inspect.signature(function)
    return signature.replace(parameters=list(signature.parameters.values())[is_method:])
