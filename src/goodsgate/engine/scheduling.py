"""Work one round of a batch: read its chunks, check, apply and commit each.

A round gets one schedule when it is opened: `Sequential` does one step after the other, `PreparedAhead` prepares the
next chunk while the last one commits, `Paced` commits one record for each claim, and `Removal` deletes what a full feed
no longer contains. Small batches are worked together by `SmallBatches`.
"""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Set
from contextlib import suppress
from itertools import takewhile
from typing import Literal, NamedTuple

import msgspec

from goodsgate.engine.apply import CANCELLED, ChunkChanges
from goodsgate.engine.catalogue_view import find_seen_keys
from goodsgate.engine.chunk_application import AppliedChunk, apply_chunk, load
from goodsgate.engine.chunk_commit import Committer, advance, build_commit, empty_commit
from goodsgate.engine.guards import Guards
from goodsgate.engine.reader import ChunkQueue, RoundReader
from goodsgate.engine.validator import CheckedChunk, Validator
from goodsgate.formats import Chunk, Limits
from goodsgate.model import crash, tracing
from goodsgate.model.batch import Counts, Kind, Result, RoundKind, State, Strictness, Verb, Withheld, new_id
from goodsgate.model.extras import ExtraMissingError
from goodsgate.model.issue import Issue, has_error, is_unsound, issue
from goodsgate.store.contract import ChunkCommit, Claim, ClaimedRound, Store, StoreError, SupportsPrefetch

log = logging.getLogger(__name__)

REMOVED_KEYS = 10_000
"""Deletions of a full feed that are committed at once."""
FIRST_CHUNK_RECORDS = 4_096
"""First records of a large payload that is prepared ahead: so that there is something to commit soon."""
CANCELLED_RECORDS = 10_000
"""Waiting records that are cancelled at once."""
CANCEL_SECONDS_MAX = 1.0
"""The records of a cancelled round are counted for this long."""
LARGE_BYTES = 8 * 1024**2
"""Size from which a payload is large."""


LetPass = Callable[[Claim, ClaimedRound], bool]
"""Works batches behind the round of a claim that may pass it; returns whether there were any."""


def cancelled_state(round: ClaimedRound) -> State:
    """Return the state of a round that was cancelled; a batch keeps what was done before its fix or retry."""
    is_cut_short = round.round_kind in (RoundKind.SUBMISSION, RoundKind.REFERENCES)
    return State.CANCELLED if is_cut_short else State.FINISHED


class WorkerParts(msgspec.Struct, frozen=True, kw_only=True):
    """What the schedules of one worker share."""

    store: Store
    validator: Validator
    committer: Committer
    read_limits: Limits
    lease_seconds: float
    guards: Guards
    stop: threading.Event
    """Set when the worker is to finish the chunk in hand and end."""


class Schedule(ABC):
    """How one round is worked; kept between claims, so that giving way costs no reading again."""

    def __init__(self, parts: WorkerParts, round: ClaimedRound) -> None:
        self.round = round
        """The round as it stands after the last commit."""
        self._parts = parts
        self._store = parts.store

    def resume(self, round: ClaimedRound) -> bool:
        """Go on with a round that is claimed again; False if another worker has worked it meanwhile."""
        if (self.round.records, self.round.chunks) != (round.records, round.chunks):
            return False
        if self.round.is_trial is not round.is_trial:
            return False
        self.round = msgspec.structs.replace(self.round, cancelling=round.cancelling, overtakes=round.overtakes)
        return True

    @abstractmethod
    def run(self, claim: Claim) -> bool:
        """Work until the round has ended (True), or until another lane waits or the worker stops (False)."""

    def cancel(self, claim: Claim) -> bool:
        """End the round; the records of a fix or a retry stay rejected, and those that wait are cancelled."""
        self._cancel_waiting(claim)
        self._commit(claim, empty_commit(self.round, cancelled_state(self.round)))
        return True

    def _cancel_waiting(self, claim: Claim) -> None:
        """Cancel the records of the batch that wait."""
        if self.round.policy.references is not Strictness.WAIT or self.round.is_trial:
            return
        merchant, batch = self.round.merchant, self.round.batch
        while waiting := self._store.waiting_records(merchant, batch, limit=CANCELLED_RECORDS):
            commit = empty_commit(self.round, None)
            cancelled = {finding.number: (Result.CANCELLED, finding.key) for finding in waiting}
            counts = Counts(waiting=-len(cancelled), cancelled=len(cancelled))
            self._commit(claim, msgspec.structs.replace(commit, amended_results=cancelled, counts=counts))

    def _commit(self, claim: Claim, commit: ChunkCommit) -> None:
        """Commit what does not depend on the current items."""
        self._parts.committer.commit(claim, [commit], lambda: [commit])
        self.round = advance(self.round, commit)

    def _goes_on(self, claim: Claim) -> bool | None:
        """Renew the lease between two commits: True to go on, False to give way, None if the round is cancelled."""
        renewal = self._store.renew_claim(claim, lease_seconds=self._parts.lease_seconds)
        if self.round.batch in renewal.cancelling:
            return None
        return not renewal.others_waiting and not self._parts.stop.is_set()

    def _remove_absent_items(self, claim: Claim, *, confirmed: bool) -> bool:
        """Delete the items that a full feed lacks, page by page; result as of `run`.

        The deletions are withheld if they are more than the policy allows without confirmation, or if something of
        the feed was not read soundly.
        """
        last = None
        while True:
            round = self.round
            items, absent, keys = self._store.absent_items(round, after=last, limit=REMOVED_KEYS)
            if not keys:
                self._overtake_absent(claim)
                self._finish(claim)
                return True
            if not confirmed:
                is_sound = self._is_sound()
                if not is_sound or absent > items * round.policy.delete_share_max:
                    reason: Literal["share", "evidence"] = "share" if is_sound else "evidence"
                    self._finish(claim, Withheld(items=items, deletions=absent, reason=reason))
                    return True
            confirmed = True  # decided by the first page
            self._commit(claim, empty_commit(round, None, deleted_keys=keys))
            last = keys[-1]
            goes_on = self._goes_on(claim)
            if not goes_on:
                return self.cancel(claim) if goes_on is None else False

    def _finish(self, claim: Claim, withheld: Withheld | None = None) -> None:
        """End the round after its last record."""
        self._commit(claim, msgspec.structs.replace(empty_commit(self.round, State.FINISHED), withheld=withheld))

    def _overtake_absent(self, claim: Claim) -> None:
        """Let no record of an earlier batch that waits bring back an item that the feed lacks."""
        after = None
        if self.round.is_dry_run:
            return
        while keys := self._store.waiting_keys(self.round, after=after, limit=REMOVED_KEYS):
            absent = [*set(keys).difference(self._store.seen_keys(self.round, keys))]
            if absent:
                self._commit(claim, msgspec.structs.replace(empty_commit(self.round, None), overtaken_keys=absent))
            after = keys[-1]

    def _is_sound(self) -> bool:
        """Return whether the feed proves what it lacks: no error of the file, no record whose key is in doubt."""
        merchant, batch, after = self.round.merchant, self.round.batch, 0
        of_file = self._store.findings(merchant, batch, after=-1, limit=1)
        if of_file and of_file[0].number == 0 and has_error(of_file[0].issues):
            return False
        while rejected := self._store.rejected_records(merchant, batch, after=after, limit=1_000):
            if any(finding.key is None or is_unsound(finding.issues) for finding in rejected):
                return False
            after = rejected[-1].number
        return True


class Removal(Schedule):
    """Deletes what a full feed lacks, after the merchant has confirmed it."""

    def run(self, claim: Claim) -> bool:
        """See Schedule.run."""
        return self._remove_absent_items(claim, confirmed=True)


class Sequential(Schedule):
    """Works a round chunk by chunk."""

    def __init__(self, parts: WorkerParts, round: ClaimedRound, *, let_pass: LetPass | None = None) -> None:
        """`let_pass` is called between two chunks; see `Passing.let_pass`."""
        super().__init__(parts, round)
        self._let_pass = let_pass
        self._reader = self._open_reader()
        self._chunks = ChunkQueue(tracing.each_step("read", round, self._reader.chunks()))
        self._is_full_feed = round.policy.mode == "full" and round.round_kind is RoundKind.SUBMISSION
        self._is_guarded = parts.guards.watches(round)
        self._stopped: Issue | None = None
        """Why a guarded submission was not read to its end."""

    def run(self, claim: Claim) -> bool:
        """See Schedule.run."""
        for chunk in self._chunks:
            chunk = self._process(claim, chunk)
            if self._end_state(chunk) is not None:
                return True
            if not chunk.is_last:
                del chunk  # freed before the next one is read
                if self._let_pass is not None and self._let_pass(claim, self.round):
                    self._note_passed()
                goes_on = self._goes_on(claim)
                if not goes_on:
                    return self.cancel(claim) if goes_on is None else False
                self._parts.validator.refresh()
        if self._is_full_feed and self._stopped is None:
            return self._remove_absent_items(claim, confirmed=False)
        if self._is_guarded:
            self._finish(claim)
        return True

    def _note_passed(self) -> None:
        """Note that other batches of the lane were committed."""

    def _finish(self, claim: Claim, withheld: Withheld | None = None) -> None:
        if not self._is_guarded:
            super()._finish(claim, withheld)
            return
        commit = self._parts.guards.end_trial(self.round, withheld=withheld, stopped=self._stopped)
        crash.point("trial-judged")
        self._commit(claim, commit)

    def cancel(self, claim: Claim) -> bool:
        """Count the records that are left as cancelled and end the round; those of a fix or a retry stay rejected.

        A payload that takes long is not read to its end: nobody shall wait for records that nobody wants.
        """
        end = time.monotonic() + CANCEL_SECONDS_MAX
        is_read = self.round.is_trial and self.round.hold is not None
        if self.round.round_kind is RoundKind.SUBMISSION and not is_read:
            for chunk in takewhile(lambda _: time.monotonic() < end, self._chunks):
                changes = ChunkChanges(results=bytes([CANCELLED]) * len(chunk), keys=[None] * len(chunk), issues={})
                self._commit(
                    claim, build_commit(self.round, chunk, changes, self._reader.field_mapping, end_state=None)
                )
        return super().cancel(claim)

    def _open_reader(self) -> RoundReader:
        return RoundReader(self._store, self.round, self._parts.read_limits)

    def _end_state(self, chunk: Chunk) -> State | None:
        """Return the state in which the round ends with this chunk; None if it goes on."""
        if not chunk.is_last:
            return None
        if self._is_guarded:
            self._stopped = chunk.stopped
            return None
        if chunk.stopped is not None and self.round.round_kind is RoundKind.SUBMISSION:
            return State.BROKEN
        return None if self._is_full_feed else State.FINISHED

    def _process(self, claim: Claim, chunk: Chunk) -> Chunk:
        """Work and commit a chunk, or as much of it as its time allows; return what was committed.

        The rest is worked next. After a fault a chunk is halved until the record at fault stands alone.
        """
        if not len(chunk):
            self._commit_empty(claim, chunk)
            return chunk
        try:
            checked = self._check(chunk)
            chunk = checked.chunk
            return self._commit_checked(claim, checked)
        except (StoreError, ExtraMissingError):
            raise
        except Exception:
            fault = new_id()
            log.exception("fault in a chunk", extra={"fault": fault, "batch": self.round.batch, "records": len(chunk)})
        if len(chunk) == 1:
            chunk = msgspec.structs.replace(
                chunk, lines=[b"{}" for _ in chunk.lines], rows=[[] for _ in chunk.rows],
                unreadable={0: issue("internal_fault", value=fault)},
            )
            return self._commit_checked(claim, self._check(chunk))
        middle = len(chunk) // 2
        self._chunks.put_back(chunk.part(0, middle), chunk.part(middle, len(chunk)))
        return chunk.part(0, 0)

    def _commit_empty(self, claim: Claim, chunk: Chunk) -> None:
        """Commit what is left to say when the records are done."""
        end_state = self._end_state(chunk)
        if end_state is not None or chunk.file_issues or chunk.reading:
            nothing = ChunkChanges(results=b"", keys=[], issues={})
            self._commit(claim, build_commit(self.round, chunk, nothing, None, end_state=end_state))

    def _check(self, chunk: Chunk) -> CheckedChunk:
        """Check a chunk, or as much of it as its time allows, and put the rest back."""
        with tracing.step("check", self.round):
            checked = self._parts.validator.check(chunk, self.round, self._reader.field_mapping)
        if checked.chunk is not chunk:
            self._chunks.put_back(chunk.part(len(checked.chunk), len(chunk)))
        return checked

    def _commit_checked(self, claim: Claim, checked: CheckedChunk) -> Chunk:
        """Apply and commit a chunk, or as much of it as its time allows; return that, and put the rest back."""
        round = self.round
        applied = self._apply(round, checked, None)
        self._parts.committer.commit(claim, [applied.commit], lambda: [self._apply_again(round, applied)])
        self.round = advance(round, applied.commit)
        return self._put_back_rest(checked, applied)

    def _put_back_rest(self, checked: CheckedChunk, applied: AppliedChunk) -> Chunk:
        chunk = applied.checked.chunk
        if chunk is not checked.chunk:
            self._chunks.put_back(checked.chunk.part(len(chunk), len(checked.chunk)))
        return chunk

    def _apply(self, round: ClaimedRound, checked: CheckedChunk, seen_keys: Set[str] | None) -> AppliedChunk:
        """Apply a chunk, or as much of it as its time allows, to the current items.

        `seen_keys` are given if they were looked up before.
        """
        with tracing.step("apply", round):
            view = load(self._store, round, [checked], seen_keys=seen_keys)
            ends_at = time.thread_time() + self._parts.read_limits.chunk_seconds / 2
            changes = apply_chunk(round, checked, view, ends_at=ends_at)
        if len(changes.results) < len(checked.chunk):
            checked = checked.first(len(changes.results))
        return AppliedChunk(self._build_commit(round, checked, changes), view.seen_keys, checked)

    def _apply_again(self, round: ClaimedRound, applied: AppliedChunk) -> ChunkCommit:
        """Apply the same records once more, to items that have changed."""
        view = load(self._store, round, [applied.checked], seen_keys=applied.seen_keys)
        return self._build_commit(round, applied.checked, apply_chunk(round, applied.checked, view))

    def _build_commit(self, round: ClaimedRound, checked: CheckedChunk, changes: ChunkChanges) -> ChunkCommit:
        chunk, mapping = checked.chunk, self._reader.field_mapping
        return build_commit(round, chunk, changes, mapping, end_state=self._end_state(chunk))


class Paced(Sequential):
    """Commits one record; then the round rests, and other lanes have their turn."""

    def run(self, claim: Claim) -> bool:
        """See Schedule.run."""
        chunk = next(self._chunks, None)
        if chunk is not None:
            record = chunk.part(0, 1)
            self._process(claim, record)
            if self._end_state(record) is not None:
                return True
            if len(chunk) > 1:
                self._chunks.put_back(chunk.part(1, len(chunk)))
            if not record.is_last:
                self._store.defer(claim, self.round, seconds=self.round.policy.pace_seconds)
                return False
        return not self._is_full_feed or self._remove_absent_items(claim, confirmed=False)


class PreparedChunk(NamedTuple):
    """A chunk that was checked, and perhaps applied, while the one before it was committed."""

    checked: CheckedChunk
    applied: AppliedChunk | None


class PreparedAhead(Sequential):
    """Prepares the next chunk of a submission while another process commits the last one."""

    def __init__(self, parts: WorkerParts, round: ClaimedRound, *, let_pass: LetPass | None = None) -> None:
        super().__init__(parts, round, let_pass=let_pass)
        self._prepared: PreparedChunk | None = None
        self._no_waiters = False
        """No other lane waited for its turn when the lease was renewed last."""

    def resume(self, round: ClaimedRound) -> bool:
        """See Schedule.resume; what was applied under the last claim no longer counts."""
        self._no_waiters = False
        self._note_passed()
        return super().resume(round)

    def _note_passed(self) -> None:
        if self._prepared is not None:
            self._prepared = PreparedChunk(self._prepared.checked, None)

    def _open_reader(self) -> RoundReader:
        is_large = not self.round.chunks and self.round.bytes_total >= LARGE_BYTES
        return RoundReader(
            self._store, self.round, self._parts.read_limits,
            first_chunk_records=FIRST_CHUNK_RECORDS if is_large else None, splits_last_chunk=True,
        )

    def _goes_on(self, claim: Claim) -> bool | None:
        goes_on = super()._goes_on(claim)
        self._no_waiters = bool(goes_on)
        return goes_on

    def _check(self, chunk: Chunk) -> CheckedChunk:
        prepared = self._prepared
        return prepared.checked if prepared is not None and prepared.checked.chunk is chunk else super()._check(chunk)

    def _commit_checked(self, claim: Claim, checked: CheckedChunk) -> Chunk:
        round, prepared, self._prepared = self.round, self._prepared, None
        applied = prepared.applied if prepared is not None and prepared.checked is checked else None
        if applied is None or applied.commit.round != round:
            applied = self._apply(round, checked, None)
        committing = self._parts.committer.committing(
            claim, [applied.commit], lambda: [self._apply_again(round, applied)]
        )
        after = advance(round, applied.commit)
        with committing:
            if applied.checked is checked and not checked.chunk.is_last:
                self._prepare_next(checked, after)
        self.round = after
        return self._put_back_rest(checked, applied)

    def _prepare_next(self, committing: CheckedChunk, after: ClaimedRound) -> None:
        """Check the next chunk, and apply it if the one that is being committed makes no difference to it."""
        chunk = self._chunks.peek()
        if chunk is None or not len(chunk):
            return
        with suppress(Exception):  # it fails again in its turn, where faults are handled
            with tracing.step("check", after):
                checked = self._parts.validator.check(chunk, after, self._reader.field_mapping)
            if checked.chunk is not chunk:
                next(self._chunks)
                self._chunks.put_back(checked.chunk, chunk.part(len(checked.chunk), len(chunk)))
            self._prepared = PreparedChunk(checked, None)
            keys = checked.distinct_keys.distinct
            if (
                isinstance(self._store, SupportsPrefetch) and not after.policy.schema
                and not checked.needs_documents
            ):
                # If each record has a key of its own, the store can compare the hashes where the items are.
                is_unique = len(keys) == len(checked.keys)
                self._store.prefetch(after, keys, hashes=checked.hashes if is_unique else None)
            if self._no_waiters and _is_independent(after, committing, checked):
                seen_keys = find_seen_keys(self._store, self.round, keys)
                self._prepared = PreparedChunk(checked, self._apply(after, checked, seen_keys))


def _is_independent(round: ClaimedRound, committing: CheckedChunk, checked: CheckedChunk) -> bool:
    """Return whether a chunk has the same effect and issues before and after the chunk before it is committed.

    So it is if the two share no key, even in another case: a plain record needs to know only the item of its key, the
    case variants, and whether the batch had the key before. Stock is changed by orders as well.
    """
    policy = round.policy
    if round.kind is Kind.STOCK or policy.schema or policy.verb is not Verb.UPSERT or checked.verbs is not None:
        return False
    return committing.distinct_keys.folded.isdisjoint(checked.distinct_keys.folded)
