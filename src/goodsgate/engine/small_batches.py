"""Work the small batches at the head of a lane together: many in one transaction, the next ones read meanwhile."""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import msgspec

from goodsgate.engine.chunk_application import apply_chunk, load
from goodsgate.engine.chunk_commit import build_commit
from goodsgate.engine.field_mapping import FieldMapping
from goodsgate.engine.reader import RoundReader
from goodsgate.engine.scheduling import WorkerParts
from goodsgate.engine.shared_groups import lacks_parents
from goodsgate.engine.validator import CheckedChunk
from goodsgate.model import tracing
from goodsgate.model.batch import RoundKind, State
from goodsgate.model.extras import ExtraMissingError
from goodsgate.model.tracing import NO_ORIGIN, ORIGIN
from goodsgate.store.contract import ChunkCommit, Claim, ClaimedRound, StoreError

log = logging.getLogger(__name__)

GROUPS_CLAIMED = 8
"""Groups whose rounds are claimed at once."""
FIRST_PART = 3
"""The first group of a claim is so many times smaller, so that there is something to commit soon."""


class SmallBatch(msgspec.Struct, frozen=True):
    """A round with all its records, checked."""

    round: ClaimedRound
    checked: CheckedChunk
    mapping: FieldMapping
    end_state: State


Group = list[SmallBatch]


class SmallBatches:
    """A worker's way to work several rounds of one claim."""

    def __init__(self, parts: WorkerParts, *, rounds_max: int, bytes_max: int) -> None:
        """Bound a group, which is one transaction, by rounds and by their bytes."""
        self._parts = parts
        self._rounds_max = rounds_max
        self._bytes_max = bytes_max

    def run(self, claim: Claim) -> bool:
        """Work group by group until another lane waits; False if the first round is better worked alone."""
        groups = self._groups(claim)
        has_committed = False
        try:
            group = next(groups, [])
            if len(group) < 2:
                return False
            while group:
                following: Group = []
                ends_at = time.thread_time() + self._parts.read_limits.chunk_seconds
                commits = self.commits(group, ends_at=ends_at)
                if not commits:
                    return has_committed  # the next claim begins with the batch that takes long
                is_whole, group = len(commits) == len(group), group[: len(commits)]
                committing = self._parts.committer.committing(claim, commits, partial(self.commits, group))
                with committing, suppress(Exception):  # it fails again when it is claimed first, and is handled then
                    read = next(groups, []) if is_whole else []
                    if read and not self._gives_way(claim):
                        following = read
                has_committed = True
                group = following
        except (StoreError, ExtraMissingError):
            raise
        except Exception:
            log.exception("fault in a group of batches; they are worked one by one")
            return has_committed  # the next claim begins with the group at fault
        return True

    def _gives_way(self, claim: Claim) -> bool:
        renewal = self._parts.store.renew_claim(claim, lease_seconds=self._parts.lease_seconds)
        self._parts.validator.refresh()
        return renewal.others_waiting or bool(renewal.cancelling) or self._parts.stop.is_set()

    def _groups(self, claim: Claim) -> Iterator[Group]:
        """Yield groups of rounds that can be committed together, up to the first round that cannot."""
        group: Group = []
        size = records = 0
        rounds_max = max(2, self._rounds_max // FIRST_PART)
        ends_at = time.thread_time() + self._parts.read_limits.chunk_seconds
        for round in claim.rounds:
            if not _goes_with(round, claim.rounds[0]):
                break
            is_full = (
                len(group) >= rounds_max or size + round.bytes_total > self._bytes_max
                or records >= self._parts.read_limits.chunk_records_max
            )
            if is_full or (group and time.thread_time() > ends_at):
                yield group
                group, size, records, rounds_max = [], 0, 0, self._rounds_max
                ends_at = time.thread_time() + self._parts.read_limits.chunk_seconds
            ORIGIN.set(round.origin)  # also for the log line of a fault
            batch = self.read(round)
            ORIGIN.set(NO_ORIGIN)
            if batch is None:
                break
            group.append(batch)
            chunk = batch.checked.chunk
            size += max(round.bytes_total, sum(map(len, chunk.lines)))  # more than that if it is compressed
            records += len(chunk)
        if group:
            yield group

    def read(self, round: ClaimedRound) -> SmallBatch | None:
        """Read and check a round; None unless it is a single chunk that is readable to its end, and lacks no parent."""
        reader = RoundReader(self._parts.store, round, self._parts.read_limits)
        with tracing.step("read", round):
            chunk = next(reader.chunks())
        if not chunk.is_last or not len(chunk) or lacks_parents(chunk):
            return None
        mapping = reader.field_mapping
        with tracing.step("check", round):
            checked = self._parts.validator.check(chunk, round, mapping)
        if checked.chunk is not chunk:
            return None
        end_state = State.BROKEN if chunk.stopped is not None else State.FINISHED
        return SmallBatch(round, checked, mapping, end_state)

    def commits(self, group: Group, *, ends_at: float = math.inf) -> list[ChunkCommit]:
        """Apply the batches in their order, as many as is possible until `ends_at`; each sees the changes before it."""
        with tracing.step("apply", *(batch.round for batch in group)):
            return self._apply(group, ends_at)

    def _apply(self, group: Group, ends_at: float) -> list[ChunkCommit]:
        checked = [batch.checked for batch in group]
        view = load(self._parts.store, group[0].round, checked, seen_keys=frozenset())
        commits = []
        for batch in group:
            changes = apply_chunk(batch.round, batch.checked, view, ends_at=ends_at)
            if len(changes.results) < len(batch.checked.chunk):
                break
            commits.append(build_commit(
                batch.round, batch.checked.chunk, changes, batch.mapping, end_state=batch.end_state
            ))
        return commits


def _goes_with(round: ClaimedRound, first: ClaimedRound) -> bool:
    """Return whether a round can be committed with the first: other views are loaded for records of a schema."""
    stands_alone = (
        round.policy.mode == "full" or round.is_dry_run or round.policy.pace_seconds
        or round.policy.trouble == "broken" or round.policy.reverts or round.round_kind is not RoundKind.SUBMISSION
    )
    return not stands_alone and not round.cancelling and bool(round.policy.schema) == bool(first.policy.schema)
