"""Records that wait for what they refer to: which do, how long, and the rounds that work them once it has arrived.

A record whose only errors are references to what is not there yet gets the result ``waiting`` instead of ``rejected``.
The store keeps it as it keeps a rejected one, with a row for each reference. Products mark the prices and stock that
wait for them in their own transaction. For reference data, `ReferenceWatch` compares what records wait for with the
merchant's data whenever that has another version. It then adds a round to each batch with records that are ready.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta

import msgspec

from goodsgate.model import crash
from goodsgate.model.batch import RESULT_BYTE, Policy, Result, RoundKind, Strictness
from goodsgate.model.issue import Issue, issue
from goodsgate.model.references import Reference, is_cut_off, missing_references
from goodsgate.rules import ReferenceData
from goodsgate.rules.name_index import NameIndex
from goodsgate.rules.reference_data import PATH_SEPARATOR
from goodsgate.store.contract import (
    ClaimedRound,
    NewRound,
    RoundOpenError,
    Store,
    StoreFullError,
    WaitingMark,
    WaitingRecord,
)

log = logging.getLogger(__name__)

REJECTED, WAITING = RESULT_BYTE[Result.REJECTED], RESULT_BYTE[Result.WAITING]
REFERENCES_PER_STEP = 2_000
AWAITED_IF_EMPTY = frozenset({"brand", "category"})
"""Kinds of reference data that records wait for although there is no entry; see `ReferenceData.awaited`."""
OPEN_ROUNDS_MAX = 2**31
"""Rounds of this kind are not limited by what a merchant may have queued: each batch has at most one."""

Marks = Mapping[int, WaitingMark]
"""Number of a waiting record → what happened to it since."""


def with_waiting_hours(policy: Policy, hours: float) -> Policy:
    """Return the policy with the default time for which records wait, if they do."""
    if policy.references is not Strictness.WAIT or policy.waiting_hours is not None:
        return policy
    return msgspec.structs.replace(policy, waiting_hours=hours)


def find_marks(store: Store, round: ClaimedRound, numbers: Sequence[int | None]) -> Marks:
    """Return what happened to waiting records that the round works."""
    if round.round_kind is not RoundKind.REFERENCES:
        return {}
    return store.waiting_marks(round.merchant, round.batch, [number for number in numbers if number is not None])


def hold_waiting(results: bytes, issues: dict[int, list[Issue]], numbers: Sequence[int | None], marks: Marks,
                 policy: Policy) -> bytes:
    """Return the results with ``waiting`` for records that were rejected only for what is not there yet.

    One whose time is over remains rejected, with an issue that says so. `numbers` are those of records that waited.
    """
    held = bytearray(results)
    at = results.find(REJECTED)
    while at >= 0:
        if missing_references(issues.get(at, ())) is not None:
            mark = marks.get(numbers[at] or 0) if numbers else None
            if mark is None or not mark.has_expired:
                held[at] = WAITING
            else:
                issues[at] = [*issues[at], issue("reference_overdue", value=f"{policy.waiting_hours:g}")]
        at = results.find(REJECTED, at + 1)
    return bytes(held)


def waiting_records(round: ClaimedRound, results: bytes, keys: Sequence[str | None], numbers: Sequence[int],
                    issues: Mapping[int, list[Issue]], *, version: int) -> list[WaitingRecord]:
    """Return what the waiting records of a chunk wait for, found missing in a version of the reference data."""
    expires_at = round.started_at + timedelta(hours=round.policy.waiting_hours or 0)
    return [
        WaitingRecord(
            number=numbers[at], key=keys[at], references=missing_references(issues[at]) or [], version=version,
            expires_at=expires_at,
        )
        for at, result in enumerate(results) if result == WAITING
    ]


class ReferenceWatch:
    """Finds the batches whose waiting records can be worked, and adds a round to each."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_rounds(self) -> bool:
        """Look for what has arrived and what waits too long; return whether there was any."""
        has_found = False
        for merchant, version in self._store.changed_references():
            has_found = self._mark_arrived(merchant, version) or has_found
        for merchant, batch in self._store.ready_batches():
            has_found = self._add_round(merchant, batch) or has_found
        return has_found

    def _mark_arrived(self, merchant: str, version: int) -> bool:
        """Mark which references of the merchant's waiting records exist in a version of the reference data."""
        compiled: dict[str, set[str] | None] = {}
        has_found = False
        while awaited := self._store.awaited_references(merchant, version=version, limit=REFERENCES_PER_STEP):
            for kind, _ in awaited:
                if kind not in compiled:
                    compiled[kind] = self._names(merchant, kind)
            arrived = [reference for reference in awaited if _has_arrived(reference, compiled[reference[0]])]
            missing = [*set(awaited).difference(arrived)]
            self._store.mark_references(merchant, version, arrived=arrived, missing=missing)
            crash.point("references-marked")
            has_found = has_found or bool(arrived)
        return has_found

    def _names(self, merchant: str, kind: str) -> set[str] | None:
        """Return all texts that may name an entry of a kind; None if there is no entry, so that nobody looks."""
        entries = []
        after = None
        while True:
            page = self._store.reference(merchant, kind, after=after, limit=REFERENCES_PER_STEP)
            entries += page.rows
            after = page.next
            if after is None:
                break
        compiled: NameIndex | None = getattr(ReferenceData.build({kind: entries}), kind)
        if compiled is None:
            return set() if kind in AWAITED_IF_EMPTY else None
        names = {*compiled.codes}
        if kind == "category":  # a list may name the steps of a path
            names.update(step for path in compiled.codes for step in path.split(PATH_SEPARATOR))
        return names

    def _add_round(self, merchant: str, batch: str) -> bool:
        try:
            self._store.add_round(
                NewRound(merchant=merchant, batch=batch, kind=RoundKind.REFERENCES), upload=None,
                open_rounds_max=OPEN_ROUNDS_MAX,
            )
        except (RoundOpenError, StoreFullError):
            return False
        crash.point("references-queued")
        log.info("references have arrived", extra={"merchant": merchant, "batch": batch})
        return True


def _has_arrived(reference: Reference, names: set[str] | None) -> bool:
    """Return whether a reference may be known now; one that is cut off is looked up again with its record."""
    kind, code = reference
    if names is None or is_cut_off(code) or code in names:
        return True
    return kind == "hs_code" and code[:6] in names
