"""Health checks of the files of changes: what no file has, and files that do not go on."""

import time
from collections.abc import Callable, Iterator
from itertools import islice

from goodsgate.engine.change_files import Gap, late_merchants, read_manifest
from goodsgate.model.counting import counted
from goodsgate.store.contract import HealthCheck, Store, StoreError, warn
from goodsgate.store.objects import Objects

NAME = "change files"
MERCHANTS_NAMED_MAX = 5
LOOK_SECONDS = 60.0
"""The storage is looked at this often at most."""
STANDING_INTERVALS = 5
"""Files that have not gone on for so many pauses between two files stand still."""


def check_change_files(store: Store, objects: Objects) -> Iterator[HealthCheck]:
    """Warn of changes that no file has, and of gaps in the files; names some merchants. Raises StoreError."""
    for merchant, missing, gaps in islice(late_merchants(store, objects), MERCHANTS_NAMED_MAX):
        yield from _warnings(merchant, missing, gaps, "see the log of the workers if this does not change")


class ChangeFileWatch:
    """Warns of files that stand still while there are changes; for a process that asks again and again."""

    def __init__(self, store: Store, open_objects: Callable[[], Objects], *, interval_seconds: float,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._open_objects = open_objects
        self._late_seconds = max(STANDING_INTERVALS * interval_seconds, LOOK_SECONDS)
        self._clock = clock
        self._looked_at = -LOOK_SECONDS
        self._positions: dict[str, tuple[int, float]] = {}
        """Merchant with changes that no file has → last change that a file has, and since when."""
        self._checks: list[HealthCheck] = []

    def checks(self) -> list[HealthCheck]:
        """Return the warnings as of the last look. Blocks if it looks again."""
        if self._clock() - self._looked_at >= LOOK_SECONDS:
            self._looked_at = self._clock()
            try:
                self._checks = [*self._look()]
            except StoreError as fault:
                self._checks = [warn(NAME, str(fault), "correct the setting changes; the files go on where they ended")]
        return self._checks

    def _look(self) -> Iterator[HealthCheck]:
        objects, now = self._open_objects(), self._clock()
        before, self._positions = self._positions, {}
        for merchant, missing, gaps in late_merchants(self._store, objects):
            last = read_manifest(objects, merchant).last
            known = before.get(merchant, (last, now))
            since = known[1] if known[0] == last else now
            self._positions[merchant] = (last, since)
            stands = missing if now - since >= self._late_seconds else 0
            yield from _warnings(merchant, stands, gaps, "see the log of the workers, which write the files")


def _warnings(merchant: str, missing: int, gaps: list[Gap], remedy: str) -> Iterator[HealthCheck]:
    if gaps:
        detail = f"{merchant}: changes behind number {gaps[-1].after:,} are in no file ({gaps[-1].reason})"
        yield warn(NAME, detail, "load an export into the warehouse; raise journal_days")
    if missing:
        yield warn(NAME, f"{merchant}: {counted(missing, 'change is', 'changes are')} in no file yet", remedy)
