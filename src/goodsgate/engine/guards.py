"""Guards: a submission is first worked as a dry run, its trial, and held if that shows what a guard is about.

The trial is the first pass of a guarded submission over its records. Its chunks have a diff and no changes. At its end
the conditions of the guards are compared with the counts of the batch and of its diff. If none is met, the round begins
anew and is applied. Otherwise the batch is held until somebody approves or discards it, or its time is over.
"""

import statistics
from datetime import timedelta

import msgspec

from goodsgate.engine.chunk_commit import empty_commit
from goodsgate.engine.merchant_data import MerchantData
from goodsgate.model import crash
from goodsgate.model.batch import Batch, Policy, RoundKind, State, Withheld, now
from goodsgate.model.diff import PRICES, DiffSummary, Distribution
from goodsgate.model.guard import Figure, Guard, Hold, HoldDecision, applies, hold_reasons
from goodsgate.model.issue import Issue
from goodsgate.store.contract import BatchFilter, ChunkCommit, ClaimedRound, Store

USUAL_BATCHES = 10
"""Batches of which the usual number of records is the median."""
USUAL_BATCHES_MIN = 3
"""With fewer, nothing is usual yet."""
BATCHES_SEARCHED = 50


class Guards:
    """Decides which rounds get a trial, and what follows from it."""

    def __init__(self, store: Store, data: MerchantData, *, hold_hours: float) -> None:
        """`hold_hours` is how long a batch is held if neither guards nor submission say so."""
        self._store = store
        self._data = data
        self._hold_hours = hold_hours

    def watch(self, round: ClaimedRound) -> ClaimedRound:
        """Return a claimed round as a trial if it needs one, and with what was decided about a held one."""
        if round.round_kind is not RoundKind.SUBMISSION:
            return round
        hold = round.hold
        if hold is not None and hold.held_at is not None and hold.decision is None:
            return self._decided(round, hold)
        if round.is_trial or round.is_tried or round.chunks or round.cancelling or round.policy.dry_run:
            return round
        return msgspec.structs.replace(round, is_trial=True) if self._guards_of(round) else round

    def watches(self, round: ClaimedRound) -> bool:
        """Return whether a round is a trial, or a dry run that guards have something to say about."""
        return round.is_trial or (round.policy.dry_run and bool(self._guards_of(round)))

    def end_trial(self, round: ClaimedRound, *, withheld: Withheld | None, stopped: Issue | None) -> ChunkCommit:
        """Return the last commit of a trial: the batch is held, or the round begins anew; a dry run just ends.

        `stopped` is why the submission was not read to its end.
        """
        batch = self._store.batch(round.merchant, round.batch)
        assert batch is not None
        file_errors = batch.file_errors + (stopped is not None and stopped.severity == "error")
        figures = self._measure(batch, round, withheld, file_errors)
        guards = self._guards_of(round)
        met = [
            (guard, reason) for name, guard in guards
            for reason in hold_reasons(guard, name, figures, records=round.total)
        ]
        hold = Hold(figures=figures, reasons=[reason for _, reason in met])
        state: State | None = None
        if round.policy.dry_run:
            state = State.BROKEN if stopped is not None else State.FINISHED
        elif met:
            state = State.HELD
            hold = self._hold(round.policy, [guard for guard, _ in met], hold, round.merchant)
        commit = empty_commit(round, state, file_issues=[stopped] if stopped is not None else [])
        return msgspec.structs.replace(
            commit, withheld=withheld, hold=hold, ends_trial=round.is_trial and state is None
        )

    def discard_expired(self) -> bool:
        """Discard the held batches whose time is over; return whether there are any."""
        expired = self._store.expired_holds()
        for merchant, batch in expired:
            self._store.cancel(merchant, batch)
            crash.point("hold-expired")
        return bool(expired)

    def _guards_of(self, round: ClaimedRound) -> list[tuple[str | None, Guard]]:
        """Return the guards of a round, by name; that of the submission itself has none."""
        policy = round.policy
        if round.round_kind is not RoundKind.SUBMISSION or policy.reverts is not None or policy.edit is not None:
            return []
        saved = self._data.guards(round.merchant)
        found: list[tuple[str | None, Guard]] = [
            (name, guard) for name, guard in saved.items() if applies(guard, round.kind, round.collection)
        ] if saved else []
        if policy.hold_if:
            found.append((None, Guard(hold_if=policy.hold_if, hold_hours=policy.hold_hours)))
        return found

    def _hold(self, policy: Policy, guards: list[Guard], hold: Hold, merchant: str) -> Hold:
        hours = policy.hold_hours or min((each.hold_hours for each in guards if each.hold_hours), default=None)
        lets_pass = policy.hold == "pass" if policy.hold is not None else all(each.hold == "pass" for each in guards)
        held_at = now()
        return msgspec.structs.replace(
            # Records with a schema have no versions by which an older one would be told from a newer one.
            hold, mode="pass" if lets_pass and not policy.schema else "wait", held_at=held_at,
            expires_at=held_at + timedelta(hours=hours or self._hold_hours),
            journal_number=self._store.journal_numbers([merchant]).get(merchant, 0),
        )

    def _decided(self, round: ClaimedRound, hold: Hold) -> ClaimedRound:
        """Return the round of a held batch that was approved, or is to be given up, with that decision."""
        if round.is_tried:
            hold = msgspec.structs.replace(
                hold, decision=HoldDecision.APPROVED, changes_since=self.changes_since(round, hold)
            )
        elif round.cancelling:
            is_over = hold.expires_at is not None and now() >= hold.expires_at
            hold = msgspec.structs.replace(
                hold, decision=HoldDecision.EXPIRED if is_over else HoldDecision.DISCARDED
            )
        return msgspec.structs.replace(round, hold=hold)

    def changes_since(self, round: ClaimedRound, hold: Hold) -> int | None:
        """Return how often others have changed the collection since the batch was held; None if that is not known."""
        merchant = round.merchant
        number = self._store.journal_numbers([merchant]).get(merchant, 0)
        if not number:
            return None
        changes = self._store.count_changes(merchant, after=hold.journal_number, until=number)
        return sum(count for kind, name, count in changes if (kind, name) == (round.kind, round.collection))

    def _measure(self, batch: Batch, round: ClaimedRound, withheld: Withheld | None, file_errors: int,
                 ) -> dict[str, Figure]:
        summary, total = self._store.diff_summary(round.merchant, round.batch), round.total
        items = next(
            (count for kind, name, count in self._store.collections(round.merchant)
             if (kind, name) == (round.kind, round.collection)), 0,
        )
        usual = self._usual_records(batch)
        deletions = withheld.deletions if withheld is not None else 0
        return {
            "rejected": Figure(batch.counts.rejected, total),
            "created": Figure(summary.created, total),
            "deleted": Figure(summary.deleted + deletions, items),
            **_price_figures(summary, total),
            "zero_prices": Figure(summary.zero_prices, total),
            "stock_to_zero": Figure(summary.stock_to_zero, total),
            "titles_emptied": Figure(summary.titles_emptied, total),
            "fewer_records": Figure(max(usual - total, 0), usual),
            "file_errors": Figure(file_errors, 0),
        }

    def _usual_records(self, batch: Batch) -> float:
        """Return the median of the records of the last batches like this one; 0 if there are too few."""
        filters = BatchFilter(
            kind=batch.kind, collection=batch.collection, protocol=batch.protocol, state=State.FINISHED
        )
        found = self._store.batches(batch.merchant, filters, limit=BATCHES_SEARCHED).rows
        totals = [each.total for each in found if each.total and _is_like(each.policy, batch.policy)][:USUAL_BATCHES]
        return statistics.median(totals) if len(totals) >= USUAL_BATCHES_MIN else 0


def _is_like(policy: Policy, other: Policy) -> bool:
    """Return whether two submissions are of one kind of feed."""
    is_feed = not policy.dry_run and policy.edit is None and policy.reverts is None
    return is_feed and (policy.mode, policy.verb, policy.profile, policy.saved_profile) == (
        other.mode, other.verb, other.profile, other.saved_profile
    )


def _price_figures(summary: DiffSummary, total: int) -> dict[str, Figure]:
    moves, falling, rising, halved, doubled = Distribution(), 0, 0, 0, 0
    for name in PRICES & summary.fields.keys():
        field = summary.fields[name]
        moves.merge(field.falls)
        moves.merge(field.rises)
        falling, rising = falling + field.falls.count, rising + field.rises.count
        halved, doubled = halved + field.falls_by_half, doubled + field.rises_to_double
    median = moves.median() or 0.0
    return {
        "prices_falling": Figure(falling, total), "prices_rising": Figure(rising, total),
        "prices_halved": Figure(halved, total), "prices_doubled": Figure(doubled, total),
        "price_fall_median": Figure(max(0.0, -median), 1), "price_rise_median": Figure(max(0.0, median), 1),
    }
